"""Prefill, edit, and what follows: generation and scoring on a steered cache."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Cache, PreTrainedModel

from ..errors import CacheLayoutError
from .cache import token_columns
from .edit import CacheEdit


@dataclass
class PaddedBatch:
    """Token rows of different lengths in one rectangle.

    Attributes:
        input_ids: (batch, columns) int64.
        attention_mask: (batch, columns) int64, 0 on padding.
    """

    input_ids: Tensor
    attention_mask: Tensor

    @classmethod
    def of(
        cls, rows: Sequence[Sequence[int]], pad_token_id: int, device: torch.device | str, *, side: str = "left"
    ) -> "PaddedBatch":
        """Pads rows to the longest, on the left or on the right."""
        width = max(len(row) for row in rows)
        ids = torch.full((len(rows), width), pad_token_id, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            columns = slice(width - len(row), width) if side == "left" else slice(0, len(row))
            ids[i, columns] = torch.tensor(row, dtype=torch.long)
            mask[i, columns] = 1
        return cls(ids.to(device), mask.to(device))

    def append(self, token_id: int) -> "PaddedBatch":
        """Adds one real token at the end of every row."""
        column = torch.full_like(self.input_ids[:, :1], token_id)
        return PaddedBatch(
            torch.cat([self.input_ids, column], dim=1),
            torch.cat([self.attention_mask, torch.ones_like(self.attention_mask[:, :1])], dim=1),
        )

    def without_last(self) -> "PaddedBatch":
        """All columns but the last."""
        return PaddedBatch(self.input_ids[:, :-1], self.attention_mask[:, :-1])

    def join(self, other: "PaddedBatch") -> "PaddedBatch":
        """Puts another batch's columns behind these."""
        return PaddedBatch(
            torch.cat([self.input_ids, other.input_ids], dim=1),
            torch.cat([self.attention_mask, other.attention_mask], dim=1),
        )


@dataclass
class Prefilled:
    """A prompt in the cache, edited or not.

    Attributes:
        cache: Keys and values of every prompt token fed so far.
        attention_mask: (batch, columns) of those tokens.
        last_logits: (batch, vocab) predicted by the last column, before any edit.
        steered: (batch,) bool, rows whose cache was edited.
    """

    cache: Cache
    attention_mask: Tensor
    last_logits: Tensor
    steered: Tensor


def prefill(
    model: PreTrainedModel, batch: PaddedBatch, edit: CacheEdit | None, cache: Cache | None = None
) -> Prefilled:
    """Feeds prompts to the model and makes the one edit. Only the last column's logits are computed.

    Args:
        model: A decoder-only model.
        batch: The prompts, at least one column.
        edit: The edit; None leaves the cache as it is.
        cache: An empty cache to fill; by default the model makes its own.

    Raises:
        CacheLayoutError: The model returns no cache.
        VectorMismatchError: The vectors do not fit the model.
    """
    outputs = forward(model, batch.input_ids, batch.attention_mask, cache, keep=1)
    filled = getattr(outputs, "past_key_values", None)
    if filled is None:
        raise CacheLayoutError(
            f"{type(model).__name__} keeps no key-value cache (a recurrent model, or use_cache is off), so there is "
            "nothing to steer. Use a model with attention layers."
        )
    steered = torch.zeros(len(batch.input_ids), dtype=torch.bool)
    if edit is not None:
        steered = (token_columns(batch.attention_mask, edit.position) >= 0).cpu()
        edit.apply(filled, batch.attention_mask)
    return Prefilled(filled, batch.attention_mask, outputs.logits[:, -1], steered)


def forward(
    model: PreTrainedModel, input_ids: Tensor, attention_mask: Tensor, cache: Cache | None, *, keep: int
) -> Any:
    """One pass over new tokens, with positions counted over real tokens only.

    Args:
        model: A decoder-only model.
        input_ids: (batch, new columns).
        attention_mask: (batch, cached columns + new columns).
        cache: Keys and values of the cached columns; None if there are none.
        keep: How many of the last columns need logits.

    Returns:
        The model's output; `logits` has at most the last `keep` columns where the model can limit them.
    """
    accepted = accepted_arguments(model)
    optional: dict[str, Any] = {}
    if "position_ids" in accepted:
        positions = (attention_mask.long().cumsum(dim=1) - 1).clamp(min=0)
        optional["position_ids"] = positions[:, -input_ids.shape[1] :]
    if "logits_to_keep" in accepted:
        optional["logits_to_keep"] = keep
    with torch.no_grad():
        return model(
            input_ids=input_ids, attention_mask=attention_mask, past_key_values=cache, use_cache=True, **optional
        )


def accepted_arguments(model: PreTrainedModel) -> frozenset[str]:
    """Names of the arguments a model's forward takes, looking through adapters such as PEFT's."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return frozenset(inspect.signature(base.forward).parameters)


def continue_generation(
    model: PreTrainedModel, batch: PaddedBatch, prefilled: Prefilled, **generate_arguments: Any
) -> Any:
    """Decodes from a prefilled cache with the model's own `generate`.

    Args:
        model: The model that filled the cache.
        batch: The whole prompt, including the columns not fed yet (at least one).
        prefilled: The cache of the first columns; it is consumed.
        **generate_arguments: Passed to `generate`.

    Returns:
        What `generate` returns for the whole prompt.
    """
    return model.generate(
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        past_key_values=branch(prefilled.cache, generate_arguments),
        use_cache=True,
        **generate_arguments,
    )


def branch(cache: Cache, generate_arguments: Mapping[str, Any]) -> Cache:
    """Repeats the cache's rows for searches that follow several continuations of a prompt at once."""
    beams = int(generate_arguments.get("num_beams") or 1)
    copies = max(beams, int(generate_arguments.get("num_return_sequences") or 1))
    if copies > 1:
        cache.batch_repeat_interleave(copies)
    return cache


@dataclass(frozen=True)
class ScoredRow:
    """One context and the continuations whose likelihood is wanted; they may differ in their last token only.

    Attributes:
        context: Tokens in the cache when the edit is made; its last token is the one edited by default.
        tail: Tokens fed after the edit: the rest of the context, then the continuation without its last token.
        continuations: Token sequences of one length, at most len(tail) + 1.
    """

    context: tuple[int, ...]
    tail: tuple[int, ...]
    continuations: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Score:
    """Likelihood of a continuation.

    Attributes:
        logprob: Sum of the natural-log probabilities of its tokens.
        is_greedy: Whether greedy decoding would produce it.
    """

    logprob: float
    is_greedy: bool


@dataclass(frozen=True)
class ScoredBatch:
    """Scores of a batch.

    Attributes:
        scores: Per row, one score for each continuation.
        steered: Per row, whether the scores come from an edited cache.
    """

    scores: list[list[Score]]
    steered: list[bool]


def score(
    model: PreTrainedModel,
    rows: Sequence[ScoredRow],
    edit: CacheEdit | None,
    *,
    pad_token_id: int,
    device: torch.device | str,
    softmax_dtype: torch.dtype | None = None,
) -> ScoredBatch:
    """Scores continuations on the cache of their contexts, edited first.

    Contexts are padded on the left and tails on the right, so that every row is contiguous.

    Args:
        model: A decoder-only model.
        rows: The rows; either all contexts are empty or none is.
        edit: The edit; None scores the plain model through the same computation.
        pad_token_id: Any valid token.
        device: Where the inputs go.
        softmax_dtype: dtype of the log-softmax; by default the logits' own.
    """
    cache = None
    steered = [False] * len(rows)
    mask = torch.zeros(len(rows), 0, dtype=torch.long, device=device)
    first_logits: Tensor | None = None
    if rows[0].context:
        prefilled = prefill(model, PaddedBatch.of([r.context for r in rows], pad_token_id, device), edit)
        cache, mask, first_logits = prefilled.cache, prefilled.attention_mask, prefilled.last_logits[:, None]
        steered = prefilled.steered.tolist()
    tail_logits: Tensor | None = None
    width = max(len(r.tail) for r in rows)
    if width:
        tails = PaddedBatch.of([r.tail for r in rows], pad_token_id, device, side="right")
        mask = torch.cat([mask, tails.attention_mask], dim=1)
        tail_logits = forward(model, tails.input_ids, mask, cache, keep=width).logits[:, -width:]
    scores = []
    for i, row in enumerate(rows):
        length = len(row.continuations[0])
        parts = [part for part in (first_logits, tail_logits) if part is not None]
        end = len(row.tail) + (first_logits is not None)
        predicted = torch.cat([part[i] for part in parts])[end - length : end]
        logprobs = F.log_softmax(predicted, dim=-1, dtype=softmax_dtype)
        greedy = logprobs.argmax(dim=-1).tolist()
        scores.append(
            [
                Score(
                    logprob=float(logprobs.gather(1, torch.tensor(tokens, device=logprobs.device)[:, None]).sum()),
                    is_greedy=greedy == list(tokens),
                )
                for tokens in row.continuations
            ]
        )
    return ScoredBatch(scores, steered)
