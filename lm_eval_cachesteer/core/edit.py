"""The edit: one addition to the cached keys and values of one prompt token."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from transformers import Cache

from ..errors import ArgumentError, SteeringError, VectorMismatchError
from .addition import Addition, Place, add_all
from .cache import attention_layers, token_columns
from .selection import select_heads, select_layers
from .vectors import SteeringVectors


@dataclass(frozen=True)
class WeightedVectors:
    """One term of a steering sum: weight * (c_keys * S_K, c_values * S_V).

    Attributes:
        name: The name it was asked for by, such as "stepwise" or a path.
        weight: Factor in the sum.
        vectors: The vectors.
    """

    name: str
    weight: float
    vectors: SteeringVectors

    def to(self, device: str | torch.device) -> "WeightedVectors":
        """The same term with its tensors on a device."""
        return replace(self, vectors=self.vectors.to(device))

    def factor(self, name: str, given: float | None) -> float:
        """The coefficient to use times the weight; as `coefficient`."""
        return self.weight * self.coefficient(name, given)

    def coefficient(self, name: str, given: float | None) -> float:
        """The coefficient to use: the given one, or the one these vectors recommend.

        Args:
            name: "c_keys" or "c_values".
            given: The user's choice; None for the recommendation.

        Raises:
            ArgumentError: The given one is not a finite number, or none is given and none is recommended.
        """
        chosen = getattr(self.vectors.metadata, f"recommended_{name}") if given is None else given
        if chosen is None and name == "c_keys":
            return 0.0
        if chosen is None:
            raise ArgumentError(
                f"The vectors {self.name!r} recommend no {name}. Pass {name}=, a finite number (the paper: 1 to 10)."
            )
        if isinstance(chosen, bool) or not isinstance(chosen, int | float) or not math.isfinite(chosen):
            raise ArgumentError(f"{name}={chosen!r} is not allowed. Allowed: a finite number, such as 6 or 0.3.")
        return float(chosen)


@dataclass(frozen=True)
class CacheEdit:
    """What is added to the cache: the scaled sum of steering vectors.

    Attributes:
        keys: Layer -> (n_kv_heads, head_dim), float32, added to the cached keys.
        values: Layer -> (n_kv_heads, head_dim of the values), float32, added to the cached values.
        position: The edited token of each row, among the cached ones: -1 is the last.
        strength: The coefficients, as messages name them.
    """

    keys: Mapping[int, Tensor]
    values: Mapping[int, Tensor]
    position: int = -1
    strength: str = "these vectors"

    @classmethod
    def build(
        cls,
        terms: Sequence[WeightedVectors],
        *,
        c_keys: float | None = None,
        c_values: float | None = None,
        layers: str | int | Iterable[int] = "1-",
        heads: str | int = "all",
        position: int = -1,
        n_layers: int | None = None,
    ) -> "CacheEdit":
        """Scales and sums steering vectors: delta_K[l] = sum of weight * c_keys * S_K[l], likewise for the values.

        Args:
            terms: The vectors and their weights.
            c_keys: Coefficient of the keys; None for what each term recommends (0 if it recommends none).
            c_values: Coefficient of the values; None for what each term recommends.
            layers: Layers to steer, see `select_layers`; layers without vectors are left alone.
            heads: KV heads to steer, see `select_heads`.
            position: The edited token, see `token_columns`.
            n_layers: Number of layers of the model; by default one more than the last layer with vectors.

        Raises:
            ArgumentError: A setting is malformed or out of range, no selected layer has vectors, or the sum is beyond
                float32 or vanishes although its terms do not.
            VectorMismatchError: The terms have vectors of different shapes.
        """
        available = sorted(set().union(*(term.vectors.layers for term in terms)))
        selected = [i for i in select_layers(layers, n_layers or available[-1] + 1) if i in available]
        if not selected:
            raise ArgumentError(f"layers={layers!r} selects none of the layers with vectors: {available}.")
        keys = {i: _sum_of(terms, "keys", c_keys, i) for i in selected}
        values = {i: _sum_of(terms, "values", c_values, i) for i in selected}
        strength = _strength(terms, c_keys, c_values)
        if not all(torch.isfinite(t).all() for t in (*keys.values(), *values.values())):
            raise ArgumentError(f"With {strength} the vectors overflow float32. Use smaller coefficients.")
        mask = select_heads(heads, keys, values)
        edit = cls(
            keys={i: keys[i] * mask[i].to(keys[i].device) for i in selected},
            values={i: values[i] * mask[i].to(values[i].device) for i in selected},
            position=position,
            strength=strength,
        )
        if edit.is_zero and any(term.factor("c_keys", c_keys) or term.factor("c_values", c_values) for term in terms):
            raise ArgumentError(
                f"With {strength} the vectors add up to zero in layers {selected}: nothing would be steered. Use other "
                "coefficients, layers or vectors; c_keys=0 and c_values=0 ask for an unsteered run."
            )
        return edit

    @cached_property
    def is_zero(self) -> bool:
        """Whether the edit changes nothing, as with both coefficients 0."""
        return not any(t.any() for tensors in (self.keys, self.values) for t in tensors.values())

    def apply(self, cache: Cache, attention_mask: Tensor | None = None) -> int:
        """Adds the vectors to one cached token of each row, in place. Every other position keeps its bits.

        The sum is taken in float32 and cast once to the cache's dtype.

        Args:
            cache: A filled cache of transformers.
            attention_mask: (batch, columns) for the cached columns, 1 for real tokens; None if nothing is padded.
                Longer masks are cut to the cached columns.

        Returns:
            The number of rows edited; rows without the token asked for (too short) are left as they are.

        Raises:
            CacheLayoutError: The cache cannot be edited.
            VectorMismatchError: The cache has other layers or shapes than the vectors.
            SteeringError: The mask does not cover the cache, or the sum cannot be represented in the cache's dtype.
        """
        layers = {layer.index: layer for layer in attention_layers(cache)}
        missing = [index for index in self.keys if index not in layers]
        if missing:
            raise VectorMismatchError(
                f"The vectors steer layers {missing}, but the cache has keys and values for layers "
                f"{sorted(layers)} only. Use vectors extracted from this model, or choose other layers."
            )
        first = next(iter(layers.values()))
        if attention_mask is None:
            attention_mask = torch.ones(len(first.keys), first.end_column, dtype=torch.long)
        if attention_mask.shape[0] != len(first.keys) or attention_mask.shape[1] < first.end_column:
            raise SteeringError(
                f"attention_mask has shape {tuple(attention_mask.shape)}, but the cache holds {len(first.keys)} rows "
                f"of {first.end_column} columns. Pass the mask of the cached prompt."
            )
        columns = token_columns(attention_mask[:, : first.end_column], self.position).cpu()
        rows = (columns >= 0).nonzero().squeeze(1)
        if len(rows) == 0:
            return 0
        places = {}
        for index in self.keys:
            layer = layers[index]
            slots = layer.slots(columns[rows])
            places[index] = Place(layer.keys, layer.values, rows.to(slots.device), slots)
        self.add_to(places)
        return len(rows)

    def add_to(self, places: Mapping[int, Place]) -> None:
        """Adds the vectors to one token of each of some rows, in place: in all layers or, where that fails, in none.

        Args:
            places: Layer -> where its tokens lie, the same rows in all layers. It covers all layers of the edit.

        Raises:
            VectorMismatchError: The shapes do not fit.
            SteeringError: A sum overflows the states' dtype, or the dtype rounds all that is added to a row away.
        """
        if self.is_zero:
            return
        additions = []
        for layer, delta in self.keys.items():
            place = places[layer]
            additions.append(Addition(f"keys of layer {layer}", place.keys, place, delta))
            additions.append(Addition(f"values of layer {layer}", place.values, place, self.values[layer]))
        add_all(additions, self.strength)


def _strength(terms: Sequence[WeightedVectors], c_keys: float | None, c_values: float | None) -> str:
    described = []
    for term in terms:
        coefficients = (term.coefficient("c_keys", c_keys), term.coefficient("c_values", c_values))
        weight = "" if term.weight == 1 else f"{term.weight:g} times "
        described.append("{}c_keys={:g} and c_values={:g}".format(weight, *coefficients))
    return ", ".join(dict.fromkeys(described))


def _sum_of(terms: Sequence[WeightedVectors], name: str, given: float | None, layer: int) -> Tensor:
    total: Tensor | None = None
    for term in terms:
        tensors: Mapping[int, Tensor] = getattr(term.vectors, name)
        if layer not in tensors:
            continue
        scaled = term.factor(f"c_{name}", given) * tensors[layer]
        if total is not None and total.shape != scaled.shape:
            raise VectorMismatchError(
                f"{name}.{layer} of {term.name!r} has shape {tuple(scaled.shape)}, the other vectors have "
                f"{tuple(total.shape)}: they come from different models. Sum vectors of one model only."
            )
        total = scaled if total is None else total + scaled
    if total is None:
        raise ArgumentError(f"No vectors for layer {layer}.")
    return total
