"""From the harness's requests to token paths: where each prompt is cut, what is fed, and which token is edited."""

import logging
from collections.abc import Sequence

from ..core.decode import ScoredRow
from ..engine.prefixes import PromptPath
from ..engine.scoring import ScoringRequest
from ..errors import ArgumentError

logger = logging.getLogger(__name__)

# As HFLM hands them over: (context and continuation as text, or None for a rolling window; their token ids).
LoglikelihoodRequest = tuple[tuple[str, str] | None, list[int], list[int]]


def prompt_path(cached: Sequence[int], tail: Sequence[int] = (), position: int | None = None) -> PromptPath:
    """A prompt and what is fed after the edit.

    Args:
        cached: Tokens in the cache when the edit is made.
        tail: Tokens fed after it.
        position: The edited token among the cached ones, negative from their end; None for no edit. Prompts too short
            to have it are not edited.
    """
    if position is not None:
        edited = len(cached) + position if position < 0 else position
        if 0 <= edited < len(cached):
            return PromptPath((*cached, *tail), edited, len(cached))
    return PromptPath((*cached, *tail))


def answer_start(
    prompt: list[int], tail: list[int], offset: Sequence[int], room: int, *, steered: bool
) -> tuple[list[int], list[int]]:
    """What the second stage is asked: a prompt, edited if the stage is steered, and what follows the edit.

    Args:
        prompt: The prompt of the first stage, offset token included.
        tail: The response and the text that asks for the answer.
        offset: The offset token's id, or nothing.
        room: Most tokens that fit; what is too long is cut from the left.
        steered: Whether the stage goes on from the edited prompt; otherwise everything is prefilled anew.
    """
    if steered:
        return prompt[-max(2, room - len(tail)) :], tail
    return (prompt[: len(prompt) - len(offset)] + tail)[-room:], []


def scoring_requests(
    requests: Sequence[LoglikelihoodRequest],
    *,
    offset: Sequence[int],
    position: int | None,
    max_length: int,
    rolling: bool,
) -> list[ScoringRequest]:
    """Splits each context where the edit is made.

    The context is cached up to its last token (or offset token), which is fed after the edit with the continuation, so
    that single-token choices are steered too. Rolling windows have no token to spare: their whole context is cached,
    and its last token edited.

    Args:
        requests: The requests.
        offset: The offset token's id, or nothing.
        position: The edited token among the cached ones; None for no edit.
        max_length: Longest input of the model; contexts that are too long are cut from the left.
        rolling: Whether the requests are rolling windows, which fit as they are.

    Raises:
        ArgumentError: A continuation is empty, or longer than the model's input.
    """
    prepared = []
    for _, context, continuation in requests:
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
        path = prompt_path(fed[:split], (*fed[split:], *continuation[:-1]), position)
        prepared.append(ScoringRequest(path, continuation, cached=split))
    return prepared


def padded_rows(requests: Sequence[ScoringRequest]) -> list[tuple[ScoredRow, tuple[int, ...]]]:
    """Rows for padded batches: requests that feed the same tokens are answered by one row.

    Returns:
        Rows and the indices of the requests they answer, longest first.
    """
    members: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for i, request in enumerate(requests):
        members.setdefault((tuple(request.path.tokens), request.cached), []).append(i)
    rows = [
        (ScoredRow(tokens[:cached], tokens[cached:], tuple(tuple(requests[i].continuation) for i in indices)), indices)
        for (tokens, cached), indices in members.items()
    ]
    rows.sort(key=lambda entry: (-len(entry[0].context + entry[0].tail), entry[0].context + entry[0].tail))
    return [(row, tuple(indices)) for row, indices in rows]
