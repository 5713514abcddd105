"""Rows of the decode batch: what each has still to be fed, and what it answered so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from .choosing import Row
from .drafting import Drafter
from .requests import GenerationRequest, Response
from .storage import Segment


@dataclass(frozen=True)
class Chunk:
    """Tokens of a prompt that a row is fed at once.

    Attributes:
        tokens: The tokens.
        edited: Which of them is edited once all are fed; None for none.
    """

    tokens: Sequence[int]
    edited: int | None = None


@dataclass(eq=False)
class ActiveRow:
    """One row being decoded; its slot is its place among the active rows.

    Attributes:
        index: The request's number.
        request: What is answered now: the request, or one that follows it.
        prefix: The shared tokens before the row's own; None for none.
        row: The response so far.
        drafter: Guesses its next tokens.
        before: The response to the request that this one follows.
        pending: What is still to be fed of the prompt, before its last token.
    """

    index: int
    request: GenerationRequest
    prefix: Segment | None
    row: Row
    drafter: Drafter
    before: Response | None = None
    pending: deque[Chunk] = field(default_factory=deque)

    @property
    def newest(self) -> int:
        """The last token of prompt and response, the one to be fed next."""
        return self.row.tokens[-1] if self.row.tokens else self.request.last

    @property
    def is_ready(self) -> bool:
        """Whether the next pass yields its next token: no edit has to come before it."""
        return not self.pending or (len(self.pending) == 1 and self.pending[0].edited is None)

    @property
    def next_chunk(self) -> Sequence[int]:
        """What the prompt's next chunk holds; nothing where all is fed."""
        return self.pending[0].tokens if self.pending else ()

    def fed(self, draft: Sequence[int]) -> list[int]:
        """What the next pass feeds: a pending chunk, then, if no edit comes before it, the newest token and a guess."""
        return [*self.next_chunk, self.newest, *draft] if self.is_ready else [*self.next_chunk]

    @property
    def response(self) -> Response:
        """What has been decoded."""
        return Response(self.request, self.row.tokens, self.row.near_tie, self.before)
