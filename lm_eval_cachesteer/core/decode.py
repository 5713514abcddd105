"""Prefill, edit, and what follows: generation and scoring on a steered cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Cache, PreTrainedModel

from ..errors import CacheLayoutError
from .adapters import check_adapter
from .architecture import accepted_arguments
from .behaviour import takes_padding, takes_several
from .cache import check_continued, token_columns
from .edit import CacheEdit
from .generation import GenerateSettings


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
        ArgumentError: The model carries an adapter that cannot be steered.
        CacheLayoutError: The model returns no cache, or one that does not count the prompt's tokens.
        VectorMismatchError: The vectors do not fit the model.
    """
    check_adapter(model)
    outputs = forward(model, batch.input_ids, batch.attention_mask, cache, keep=1)
    filled = getattr(outputs, "past_key_values", None)
    if filled is None:
        raise CacheLayoutError(
            f"{type(model).__name__} keeps no key-value cache (a recurrent model, or use_cache is off), so there is "
            "nothing to steer. Use a model with attention layers."
        )
    held, fed = int(filled.get_seq_length()), batch.input_ids.shape[1]
    if held != fed:
        raise CacheLayoutError(
            f"The cache of {type(model).__name__} counts {held} tokens of a prompt of {fed}, so that what follows "
            "would not go on from it. Use a model whose cache counts every token of the prompt."
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

    After a cache, models that cannot take several tokens at once are fed one after the other.

    Args:
        model: A decoder-only model.
        input_ids: (batch, new columns).
        attention_mask: (batch, cached columns + new columns).
        cache: Keys and values of the cached columns; None if there are none.
        keep: How many of the last columns need logits.

    Returns:
        The model's output; `logits` has at most the last `keep` columns where the model can limit them.

    Raises:
        CacheLayoutError: Rows are padded, and the model gives such rows other logits.
    """
    new = input_ids.shape[1]
    held = attention_mask.shape[1] - new
    if held and new > 1 and not takes_several(model):
        steps = [
            forward(model, input_ids[:, i : i + 1], attention_mask[:, : held + i + 1], cache, keep=1)
            for i in range(new)
        ]
        steps[-1].logits = torch.cat([step.logits[:, -1:] for step in steps[-keep:]], dim=1)
        return steps[-1]
    if not held and not attention_mask[:, 0].all() and not takes_padding(model):
        raise CacheLayoutError(
            f"{type(model).__name__} gives padded rows other logits than rows alone. Use batch_size=1."
        )
    accepted = accepted_arguments(model)
    optional: dict[str, Any] = {}
    if "position_ids" in accepted:
        positions = (attention_mask.long().cumsum(dim=1) - 1).clamp(min=0)
        optional["position_ids"] = positions[:, -new:]
    if "logits_to_keep" in accepted:
        optional["logits_to_keep"] = keep
    with torch.no_grad():
        return model(
            input_ids=input_ids, attention_mask=attention_mask, past_key_values=cache, use_cache=True, **optional
        )


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

    Raises:
        SteeringError: The model drops an edited cache on the way.
    """
    settings = GenerateSettings.of(model, generate_arguments)
    if settings.config.cache_implementation is not None:
        generate_arguments["cache_implementation"] = None  # there is a cache already
    output = model.generate(
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        past_key_values=settings.branch(prefilled.cache),
        use_cache=True,
        **generate_arguments,
    )
    if prefilled.steered.any():
        sequences = output if isinstance(output, Tensor) else output.sequences
        check_continued(prefilled.cache, sequences.shape[1] - 1, type(model).__name__)
    return output


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
