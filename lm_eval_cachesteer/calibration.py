"""Strength without labels: the coefficients at which the steered model departs from its baseline by a given dose.

The dose of an edit is a high percentile of the Kullback-Leibler divergence, token by token, of the steered next-token
distributions from the unsteered ones, over the first tokens of the unsteered answers (both read the same tokens).
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from .core.decode import PaddedBatch, Prefilled, forward, prefill
from .core.edit import CacheEdit, WeightedVectors
from .core.vectors import SteeringVectors
from .errors import ArgumentError

PERCENTILE = 0.95
# The search stops at a dose this close to the target, relatively, or where coefficients lie this close together.
_DOSE_TOLERANCE = 0.01
_COEFFICIENT_TOLERANCE = 1e-3
_LARGEST_COEFFICIENT = 1024.0


@dataclass(frozen=True)
class Calibration:
    """Coefficients found for a dose.

    Attributes:
        c_keys: Coefficient of the keys.
        c_values: Coefficient of the values.
        dose: What they do, in nats.
        tried: Every c_values tried, with its dose, in the order tried.
    """

    c_keys: float
    c_values: float
    dose: float
    tried: list[tuple[float, float]]


class DoseMeter:
    """Measures doses on some prompts; these are prefilled and answered once.

    Args:
        model: A decoder-only model.
        prompts: Token ids of the prompts, offset token included, two tokens at least.
        tokens: How many tokens of each answer count.
        pad_token_id: Any valid token.
        batch_size: Prompts in one batch.
        on_batch: Called with the number of prompts prepared so far.

    Raises:
        ArgumentError: There are no prompts, or one is too short to be steered.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        prompts: Sequence[Sequence[int]],
        *,
        tokens: int = 16,
        pad_token_id: int = 0,
        batch_size: int = 8,
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> None:
        if not prompts or min(map(len, prompts)) < 2:
            raise ArgumentError(
                f"{len(prompts)} prompts, the shortest of {min(map(len, prompts), default=0)} tokens: at least one "
                "prompt is needed, and two tokens in each, so that one is cached when the edit is made."
            )
        self.model = model
        self._batches: list[_Answered] = []
        for start in range(0, len(prompts), batch_size):
            rows = prompts[start : start + batch_size]
            self._batches.append(_answer(model, PaddedBatch.of(rows, pad_token_id, model.device), tokens))
            on_batch(start + len(rows))

    def dose(self, edit: CacheEdit) -> float:
        """The dose of an edit, in nats: the 95th percentile over all prompts and tokens."""
        found = [self._divergences(batch, edit) for batch in self._batches]
        return float(torch.cat(found).quantile(PERCENTILE))

    def _divergences(self, batch: "_Answered", edit: CacheEdit) -> Tensor:
        """KL(steered || unsteered) of each token, float64."""
        cache = copy.deepcopy(batch.prefilled.cache)
        edit.apply(cache, batch.prefilled.attention_mask)
        logits = forward(self.model, batch.fed, batch.mask, cache, keep=batch.fed.shape[1]).logits
        steered: Tensor = logits[:, -batch.fed.shape[1] :].double().log_softmax(-1)
        return (steered.exp() * (steered - batch.unsteered)).sum(-1).clamp(min=0).flatten()


def calibrate(
    meter: DoseMeter, vectors: SteeringVectors, *, target: float = 1.0, keys_per_value: float = 0.0
) -> Calibration:
    """Finds coefficients of a dose: doubling until it is passed, then bisection.

    Args:
        meter: Measures doses on the model.
        vectors: The vectors.
        target: The dose, in nats.
        keys_per_value: c_keys / c_values.

    Raises:
        ArgumentError: The target is not above 0, or no coefficient reaches it.
    """
    if not (math.isfinite(target) and target > 0):
        raise ArgumentError(f"A dose of {target!r} nats is not possible. Give a number above 0, such as 1.")
    terms = [WeightedVectors(vectors.metadata.kind, 1.0, vectors)]
    n_layers = meter.model.config.get_text_config(decoder=True).num_hidden_layers
    tried: list[tuple[float, float]] = []

    def dose_of(c_values: float) -> float:
        edit = CacheEdit.build(terms, c_keys=keys_per_value * c_values, c_values=c_values, n_layers=n_layers)
        tried.append((c_values, meter.dose(edit)))
        return tried[-1][1]

    low, high = 0.0, 1.0
    while (found := dose_of(high)) < target:
        low, high = high, 2 * high
        if high > _LARGEST_COEFFICIENT:
            raise ArgumentError(
                f"No c_values up to {_LARGEST_COEFFICIENT:g} reaches a dose of {target:g} nats; {low:g} gives "
                f"{found:.3g}. Choose a smaller target, or other vectors."
            )
    while abs(found - target) > _DOSE_TOLERANCE * target and high - low > _COEFFICIENT_TOLERANCE * high:
        middle = (low + high) / 2
        found = dose_of(middle)
        low, high = (middle, high) if found < target else (low, middle)
    c_values, dose = min(tried, key=lambda pair: abs(pair[1] - target))
    return Calibration(keys_per_value * c_values, c_values, dose, tried)


@dataclass(frozen=True)
class _Answered:
    """A batch of prompts in the cache and the beginnings of their unsteered answers.

    Attributes:
        prefilled: All prompt tokens but the last.
        fed: (batch, tokens): the last prompt token, then the answer without its last token.
        mask: (batch, columns) for all of these.
        unsteered: (batch, tokens, vocab) float64 log-probabilities.
    """

    prefilled: Prefilled
    fed: Tensor
    mask: Tensor
    unsteered: Tensor


def _answer(model: PreTrainedModel, batch: PaddedBatch, tokens: int) -> _Answered:
    prefilled = prefill(model, batch.without_last(), None)
    cache = copy.deepcopy(prefilled.cache)
    fed, mask, logits = batch.input_ids[:, -1:], batch.attention_mask, []
    for number in range(tokens):
        step = forward(model, fed[:, -1:], mask, cache, keep=1).logits[:, -1:]
        logits.append(step.double().log_softmax(-1))
        if number < tokens - 1:
            fed = torch.cat([fed, step[:, -1].argmax(-1, keepdim=True)], dim=1)
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
    return _Answered(prefilled, fed, mask, torch.cat(logits, dim=1))
