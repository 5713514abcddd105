"""Texts of files and models as a terminal can show them: what it would act on stands there as an escape."""

import re

# C0 and C1 control characters, marks that reorder text, line separators, and halves of surrogate pairs (no UTF-8).
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"  # all but \t and \n
)
_NAMED = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def printable(text: str) -> str:
    r"""A text whose control characters but tab and newline are written out: "\x1b[31m"."""
    return _CONTROL.sub(_escaped, text)


def one_line(text: str, longest: int | None = None) -> str:
    r"""A printable text whose tabs and newlines are written out as well.

    Args:
        text: The text.
        longest: Characters to keep; of more, the middle is left out.
    """
    if longest is not None and len(text) > longest:
        text = f"{text[: longest * 2 // 3]} ... {text[-(longest // 3) :]}"
    return re.sub("[\t\n]", _escaped, printable(text))


def without_control(text: str) -> str:
    """A text without the characters that `printable` writes out; halves of surrogate pairs become question marks."""
    return _CONTROL.sub(lambda found: "\ufffd" if found[0] >= "\ud800" else "", text)


def _escaped(found: "re.Match[str]") -> str:
    code = ord(found[0])
    return _NAMED.get(found[0]) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
