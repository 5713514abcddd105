"""What the decoder is asked for, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .choosing import TokenChoice
from .prefixes import PromptPath
from .stopping import StopRule


@dataclass(frozen=True)
class DecodeRule:
    """How a response is decoded.

    Attributes:
        choice: How its tokens are chosen.
        stop: When it ends.
        new_tokens: Most tokens to decode.
        most_drafted: Longest draft; 0 for none.
    """

    choice: TokenChoice
    stop: StopRule
    new_tokens: int
    most_drafted: int = 0


@dataclass(frozen=True)
class GenerationRequest:
    """One prompt to be answered.

    Attributes:
        path: The prompt without its last token.
        last: The prompt's last token, fed after the edit.
        rule: How the response is decoded.
        then: Makes a further request of the response's tokens, to be answered in its place; None if there is none.
        later_tokens: About how many tokens longer than prompt and response that further request will be.
    """

    path: PromptPath
    last: int
    rule: DecodeRule
    then: Callable[[list[int]], GenerationRequest] | None = None
    later_tokens: int = 0

    @property
    def prompt(self) -> tuple[int, ...]:
        """All tokens of the prompt."""
        return (*self.path.tokens, self.last)


@dataclass(frozen=True)
class Response:
    """What was decoded.

    Attributes:
        request: What was asked.
        tokens: The new tokens, with the one that ended them.
        near_tie: Whether a greedy choice was too close to be independent of rounding.
        before: The response that this one goes on from (`GenerationRequest.then`); None if there is none.
    """

    request: GenerationRequest
    tokens: list[int]
    near_tie: bool
    before: Response | None = None

    @property
    def edited(self) -> bool:
        """Whether the prompt's cache was edited."""
        return self.request.path.edited is not None


def kept_tokens(held: Sequence[int], before: PromptPath, after: PromptPath) -> int:
    """How many of the tokens in a row's cache another prompt can go on from: equal ones, under the same edit or none.

    Args:
        held: Tokens in the cache, first to last.
        before: The prompt they begin with.
        after: The other prompt.
    """
    pairs = zip(held, after.tokens, strict=False)
    equal = next((i for i, (one, other) in enumerate(pairs) if one != other), min(len(held), len(after.tokens)))
    same_edit = (before.edited, before.boundary) == (after.edited, after.boundary) and equal >= after.boundary
    edits = () if same_edit else (path.edited for path in (before, after) if path.edited is not None)
    return min(equal, *edits) if edits else equal
