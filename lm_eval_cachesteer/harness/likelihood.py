"""Answering the harness's loglikelihood requests, by the fast path or in padded batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from lm_eval.models.utils import Collator

from ..core.adapters import check_adapter
from ..core.decode import Score, ScoredRow, score
from ..core.edit import CacheEdit
from ..engine.scoring import Scorer, ScoringRequest
from .requests import padded_rows

if TYPE_CHECKING:
    from .backend import CacheSteerLM


def score_requests(
    lm: CacheSteerLM,
    requests: Sequence[ScoringRequest],
    edit: CacheEdit | None,
    on_done: Callable[[int, Score, bool], None],
    override_bs: int | None = None,
) -> None:
    """Scores continuations on the edited caches of their contexts.

    Args:
        lm: The backend.
        requests: The requests.
        edit: The edit; None scores the plain model through the same computation.
        on_done: Called with the index of each request, its score, and whether its context was edited.
        override_bs: HFLM's batch size for rolling windows.
    """
    check_adapter(lm.model)
    packed = lm.packed_model()
    if packed is not None:
        scorer = Scorer(packed, edit, lm.limits, lm.softmax_dtype)
        scorer.score(requests, lambda i, found: on_done(i, found, requests[i].path.edited is not None))
        return
    for chunk in _padded_batches(lm, padded_rows(requests), override_bs):
        with lm.autocast():
            result = score(
                lm.model,
                [row for row, _ in chunk],
                edit,
                pad_token_id=lm.pad,
                device=lm.device,
                softmax_dtype=lm.softmax_dtype,
            )
        for (_, members), scores, steered in zip(chunk, result.scores, result.steered, strict=True):
            for i, found in zip(members, scores, strict=True):
                on_done(i, found, steered)


def _padded_batches(
    lm: CacheSteerLM, rows: Sequence[tuple[ScoredRow, tuple[int, ...]]], override_bs: int | None
) -> Iterator[list[tuple[ScoredRow, tuple[int, ...]]]]:
    """Batches in which either all rows have a cached context or none has."""
    lm.batch_sizes = {}
    for part in ([r for r in rows if r[0].context], [r for r in rows if not r[0].context]):
        if lm.batch_size != "auto":
            yield from Collator.get_chunks(part, n=int(lm.batch_size))
        elif override_bs is not None:
            yield from Collator.get_chunks(part, n=override_bs)
        elif part:
            yield from Collator.get_chunks(part, fn=lm._batch_scheduler)
