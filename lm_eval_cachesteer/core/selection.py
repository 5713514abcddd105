"""Which layers and which KV heads are steered."""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from ..errors import ArgumentError

LAYERS_HELP = "N (one layer), N- (from N on), N-M (a range), a list such as 1+4+7-9, or all"
HEADS_HELP = "all, or a whole number k of at least 1 (the k heads of largest norm)"

# Longer numbers are no layer and no number of heads, and too long ones Python does not read.
_NUMBER = re.compile("[0-9]{1,9}")


def select_layers(spec: str | int | Iterable[int], n_layers: int) -> list[int]:
    """Reads a layer selection.

    Args:
        spec: "1-" (from layer 1 on), "4-20", "7", "all", parts joined by "+" or ","; or a number, or a list of
            numbers. A number always means that layer alone.
        n_layers: Number of layers of the model.

    Returns:
        Layer numbers, ascending.

    Raises:
        ArgumentError: The selection is malformed, empty, or names a layer the model lacks.
    """
    if isinstance(spec, str):
        parts = [part.strip() for part in spec.replace(",", "+").split("+")]
    elif isinstance(spec, int):
        parts = [str(spec)]
    else:
        parts = [str(layer) for layer in spec]
    chosen: set[int] = set()
    for part in parts:
        chosen.update(_layers_of_part(part, spec, n_layers))
    if not chosen:
        raise ArgumentError(f"layers={spec!r} selects no layer. Allowed: {LAYERS_HELP}.")
    return sorted(chosen)


def _layers_of_part(part: str, spec: object, n_layers: int) -> range:
    if part == "all":
        return range(n_layers)
    first, dash, last = part.partition("-")
    if _NUMBER.fullmatch(first) is None or (last and _NUMBER.fullmatch(last) is None):
        raise ArgumentError(f"layers={spec!r} is malformed at {part!r}. Allowed: {LAYERS_HELP}.")
    start = int(first)
    end = int(last) if last else (n_layers - 1 if dash else start)
    if not start <= end < n_layers:
        raise ArgumentError(
            f"layers={spec!r} asks for {part!r}, but the model has layers 0 to {n_layers - 1}. Allowed: {LAYERS_HELP}."
        )
    return range(start, end + 1)


def select_heads(spec: str | int, keys: Mapping[int, Tensor], values: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """Picks the KV heads to steer, over all layers together.

    Args:
        spec: "all", or k for the k heads (layer and head together) whose scaled key and value vectors have the
            largest joint L2 norm.
        keys: Layer -> (n_kv_heads, head_dim), already scaled by the coefficient.
        values: Layer -> (n_kv_heads, head_dim), already scaled by the coefficient.

    Returns:
        Layer -> (n_kv_heads, 1) mask, 1.0 for heads that are steered.

    Raises:
        ArgumentError: `spec` is malformed or out of range.
    """
    norms = {layer: keys[layer].square().sum(1) + values[layer].square().sum(1) for layer in keys}
    if spec == "all":
        return {layer: torch.ones(len(norm), 1) for layer, norm in norms.items()}
    total = sum(len(norm) for norm in norms.values())
    count = int(spec) if isinstance(spec, int) or _NUMBER.fullmatch(spec) else 0
    if isinstance(spec, bool) or not 1 <= count <= total:
        raise ArgumentError(
            f"heads={spec!r} is out of range: the selected layers have {total} KV heads. Allowed: {HEADS_HELP}."
        )
    ranked = torch.cat(list(norms.values())).topk(count).indices
    chosen = torch.zeros(total, 1)
    chosen[ranked] = 1.0
    return dict(zip(norms, torch.split(chosen, [len(norm) for norm in norms.values()]), strict=True))
