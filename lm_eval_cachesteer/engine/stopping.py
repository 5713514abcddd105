"""When a response ends: an end token, a stop string, or its length."""

from collections.abc import Sequence
from typing import Any

# Tokens may hold several bytes, and one byte at least: a stop string lies within its length in bytes, plus some
# tokens that are cut or stand for nothing.
_SPARE_TOKENS = 4


class StopRule:
    """Ends responses at end tokens and stop strings.

    Args:
        end_tokens: Token ids that end a response.
        strings: Texts that end it, in whatever tokens they come.
        tokenizer: Decodes tokens.
    """

    def __init__(self, end_tokens: frozenset[int], strings: Sequence[str], tokenizer: Any) -> None:
        self.end_tokens = end_tokens
        self.strings = [string for string in strings if string]
        self.tokenizer = tokenizer
        self._window = max((len(string.encode()) for string in self.strings), default=0) + _SPARE_TOKENS

    def ended(self, tokens: Sequence[int]) -> bool:
        """Whether the newest token ends a response.

        Args:
            tokens: The new tokens so far.
        """
        if tokens[-1] in self.end_tokens:
            return True
        if not self.strings:
            return False
        text = self.tokenizer.decode(tokens[-self._window :])
        return any(string in text for string in self.strings)
