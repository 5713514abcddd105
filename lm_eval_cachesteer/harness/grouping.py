"""Which loglikelihood requests one row of a batch can answer, and where each context is split for the edit."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from ..core.decode import ScoredRow
from ..errors import ArgumentError

logger = logging.getLogger(__name__)

# As HFLM hands them over: (context and continuation as text, or None for a rolling window; their token ids).
LoglikelihoodRequest = tuple[tuple[str, str] | None, list[int], list[int]]


@dataclass(frozen=True)
class RequestGroup:
    """Requests answered by one row: the same context, continuations that differ in the last token only.

    Attributes:
        row: What is computed.
        members: Indices of the requests, in the order of the row's continuations.
    """

    row: ScoredRow
    members: tuple[int, ...]

    @property
    def tokens(self) -> tuple[int, ...]:
        """All tokens that are fed."""
        return self.row.context + self.row.tail


def group_requests(
    requests: Sequence[LoglikelihoodRequest], *, offset: list[int], max_length: int, rolling: bool, join: bool
) -> list[RequestGroup]:
    """Splits each context where the edit is made and joins requests that share everything that is fed.

    The context is cached up to its last token (or offset token), which is fed after the edit with the continuation.
    Rolling windows have no token to spare: their whole context is cached, and its last token edited.

    Args:
        requests: The requests.
        offset: The offset token's id, or nothing.
        max_length: Longest input of the model; contexts that are too long are cut from the left.
        rolling: Whether the requests are rolling windows, which fit as they are.
        join: Whether rows may answer several requests (HFLM's `logits_cache`).

    Returns:
        The groups, longest first.

    Raises:
        ArgumentError: A continuation is empty, or longer than the model's input.
    """
    members: dict[tuple[tuple[int, ...], tuple[int, ...], int], list[int]] = {}
    for i, (_, context, continuation) in enumerate(requests):
        if not 0 < len(continuation) <= max_length:
            raise ArgumentError(
                f"A continuation has {len(continuation)} tokens; allowed are 1 to the model's maximum length, "
                f"{max_length}."
            )
        fed = [*context, *offset]
        room = max_length + 1 - len(continuation)
        if not rolling and len(fed) > room:
            logger.warning(
                "A context of %d tokens and its continuation of %d exceed the model's maximum length, %d: "
                "%d tokens are cut from the left.",
                *(len(fed), len(continuation), max_length, len(fed) - room),
            )
            fed = fed[-room:]
        split = len(fed) - (0 if rolling and not offset else 1)
        key = (tuple(fed[:split]), (*fed[split:], *continuation[:-1]), -1 if join else i)
        members.setdefault(key, []).append(i)
    groups = [
        RequestGroup(ScoredRow(cached, tail, tuple(tuple(requests[i][2]) for i in indices)), tuple(indices))
        for (cached, tail, _), indices in members.items()
    ]
    return sorted(groups, key=lambda group: (-len(group.tokens), group.tokens))
