"""A mention of an option in a response."""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """How a mention names its option."""

    LABEL = "at the start of a line: B. or (B) or B -"
    NAMED = "option B, (B), option 2, the second one"
    LETTER = "B"
    TEXT = "its words"
    COMMON = "its words, which are numbers or too common to mean it by themselves"


@dataclass(frozen=True)
class Mention:
    """A mention of an option.

    Attributes:
        start: Where it starts.
        end: Where it ends.
        letter: The option; "" for what is none of them: a letter beyond theirs, a letter with another option's text.
        kind: How it is named.
        denied: It is said not to be the answer.
        open: It is one of several: "A or B".
        unsure: It is asked, supposed, or said to be what others think.
        listed: It is an item of a list of options, or part of what is said about that item.
    """

    start: int
    end: int
    letter: str
    kind: Kind
    denied: bool = False
    open: bool = False
    unsure: bool = False
    listed: bool = False

    @property
    def asserted(self) -> bool:
        """Whether nothing speaks against taking it for what the response says."""
        return bool(self.letter) and not (self.denied or self.open or self.unsure or self.listed)
