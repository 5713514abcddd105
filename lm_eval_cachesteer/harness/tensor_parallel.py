"""Tensor parallelism: each process holds some of the KV heads, and edits those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..core.cache import attention_layers
from ..core.decode import forward
from ..core.edit import CacheEdit
from ..errors import VectorMismatchError


def is_split(model: PreTrainedModel) -> bool:
    """Whether processes hold parts of this model's layers."""
    return (getattr(model, "_tp_size", None) or 1) > 1


def local_part(edit: CacheEdit, model: PreTrainedModel, device: torch.device) -> CacheEdit:
    """The part of an edit that this process's cache takes. All processes must call it: one token is fed.

    A cache with 1/n of the vectors' heads holds those of this process's number, in order. A cache with all heads, as
    where a plan leaves the attention whole, takes the whole edit.

    Raises:
        VectorMismatchError: The cache has another number of heads.
    """
    ids = torch.zeros(1, 1, dtype=torch.long, device=device)
    cache = forward(model, ids, torch.ones_like(ids), None, keep=1).past_key_values
    layers = {layer.index: layer for layer in attention_layers(cache)}

    def parts(deltas: Mapping[int, Tensor], of: str) -> dict[int, Tensor]:
        held = {index: getattr(layer, of).shape[1] for index, layer in layers.items()}
        return {i: _part(delta, held[i], i) if i in held else delta for i, delta in deltas.items()}

    return replace(edit, keys=parts(edit.keys, "keys"), values=parts(edit.values, "values"))


def _part(delta: Tensor, held: int, layer: int) -> Tensor:
    if held == len(delta):
        return delta
    processes, rank = torch.distributed.get_world_size(), torch.distributed.get_rank()
    if held * processes != len(delta):
        raise VectorMismatchError(
            f"Layer {layer} has {held} KV heads in each of {processes} processes, but the vectors have {len(delta)}. "
            "Start as many processes as divide the KV heads evenly, or use parallelize=True instead of tp_plan."
        )
    return delta[rank * held : (rank + 1) * held]
