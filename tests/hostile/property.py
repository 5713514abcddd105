"""What must hold of everything that is refused, and of everything that is printed."""

import time
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from lm_eval_cachesteer.errors import CachesteerError

Value = TypeVar("Value")

# Explicit marks of the bidirectional algorithm: they make text appear in another order than it is written in.
_REORDERS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
# Seconds of the processor that a text may take: whatever its length, and for each thousand letters. Many times what
# is needed on an idle machine, and far less than what backtracking without bounds takes.
_SECONDS, _SECONDS_PER_KB = 0.5, 0.1


def acts(letter: str) -> bool:
    """Whether a terminal, or whatever splits a text into lines, may act on a letter; tab and newline apart."""
    is_control = unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")
    return (is_control or unicodedata.bidirectional(letter) in _REORDERS) and letter not in "\t\n"


def assert_one_line(message: str) -> None:
    """A message is one printable line, not empty, and not endless."""
    assert message.strip()
    assert not any(acts(letter) or letter in "\t\n" for letter in message), repr(message)
    assert len(message) < 7000


def tried(work: Callable[[], Value]) -> Value | None:
    """What some work yields; None if it is refused in one line."""
    try:
        return work()
    except CachesteerError as error:
        assert_one_line(str(error))
        return None


def in_time(text: str, work: Callable[[], Value]) -> Value:
    """What some work yields, within a time that grows with the text it works on."""
    started = time.process_time()
    found = work()
    took, allowed = time.process_time() - started, _SECONDS + _SECONDS_PER_KB * len(text) / 1000
    assert took < allowed, f"{took:.2f} s for {len(text)} letters"
    return found
