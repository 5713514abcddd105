"""Texts that stand for tokens, as users write them."""

from typing import Any


def unescape(text: str) -> str:
    r"""Reads \n, \t and \\ as a command line hands them over."""
    return text.replace("\\\\", "\0").replace("\\n", "\n").replace("\\t", "\t").replace("\0", "\\")


def single_token_id(text: str, tokenizer: Any) -> int | None:
    """The id of a text that is one token after other text, or None."""
    ids = tokenizer.encode(text, add_special_tokens=False)
    if len(ids) != 1:  # some tokenizers put a word boundary before a text that stands alone
        before = tokenizer.encode("x", add_special_tokens=False)
        both = tokenizer.encode("x" + text, add_special_tokens=False)
        ids = both[len(before) :] if both[: len(before)] == before else []
    return int(ids[0]) if len(ids) == 1 else None
