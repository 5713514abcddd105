"""Where keys and values lie: rows that grow in place, and the shared prefixes they branch from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

# Shared tokens that rows read together; fewer are copied into each row.
_MIN_READ_TOGETHER = 192


def is_read_together(shared_tokens: int) -> bool:
    """Whether rows that share this many tokens read them in place; merging costs more than copying few of them."""
    return shared_tokens >= _MIN_READ_TOGETHER


@dataclass(frozen=True, eq=False)
class Segment:
    """Tokens whose keys and values are computed once and read by every row that continues them.

    Attributes:
        keys: Layer -> (n_kv_heads, tokens, head_dim).
        values: Layer -> (n_kv_heads, tokens, head_dim of the values).
        start: Position of the first token in its sequence.
        end: Position after the last token.
        parent: The tokens before; None at the start of a sequence.
    """

    keys: Mapping[int, Tensor]
    values: Mapping[int, Tensor]
    start: int
    end: int
    parent: Segment | None

    def chain(self) -> Iterator[Segment]:
        """This segment and those before it, last first."""
        segment: Segment | None = self
        while segment is not None:
            yield segment
            segment = segment.parent


class RowStore:
    """Keys and values of a batch of rows, written in place; capacity grows by copying rarely, not at each step.

    Rows hold their own tokens only, from column 0 on, whatever their lengths; what they share lies in segments.

    Args:
        slots: Number of rows.
        capacity: Tokens a row can hold at first.
        most: Tokens a row will ever have to hold; None if that is not known.

    Attributes:
        keys: Layer -> (slots, n_kv_heads, capacity, head_dim); allocated at the first write.
        values: Layer -> (slots, n_kv_heads, capacity, head_dim of the values).
        windows: Layer -> to how many tokens, its own included, a token attends; None for all.
        lengths: Tokens held by each row.
    """

    def __init__(self, slots: int, capacity: int, most: int | None = None) -> None:
        self.slots = slots
        self.capacity = capacity
        self.most = most
        self.keys: dict[int, Tensor] = {}
        self.values: dict[int, Tensor] = {}
        self.windows: dict[int, int | None] = {}
        self.lengths = [0] * slots

    def write(self, layer: int, slots: Tensor, columns: Tensor, keys: Tensor, values: Tensor) -> None:
        """Stores new tokens of one layer.

        Args:
            layer: Layer number.
            slots: (tokens,) int64.
            columns: (tokens,) int64.
            keys: (n_kv_heads, tokens, head_dim).
            values: (n_kv_heads, tokens, head_dim of the values).
        """
        self._allocate(layer, keys, values)
        self.keys[layer][slots, :, columns] = keys.transpose(0, 1)
        self.values[layer][slots, :, columns] = values.transpose(0, 1)

    def _allocate(self, layer: int, *like: Tensor) -> None:
        """Makes room for a layer at its first use: zeros, as masked columns are multiplied by 0 and must be finite."""
        if layer not in self.keys:
            self.keys[layer], self.values[layer] = (
                tensor.new_zeros(self.slots, tensor.shape[0], self.capacity, tensor.shape[2]) for tensor in like
            )

    def adopt(self, slot: int, segment: Segment) -> None:
        """Copies a segment and all before it into a row, for passes that know no segments."""
        for part in segment.chain():
            for layer, keys in part.keys.items():
                self._allocate(layer, keys, part.values[layer])
                self.keys[layer][slot, :, part.start : part.end] = keys
                self.values[layer][slot, :, part.start : part.end] = part.values[layer]
        self.lengths[slot] = segment.end

    def reserve(self, capacity: int) -> None:
        """Makes room for rows of this many tokens, half as much again to spare further copies."""
        if capacity <= self.capacity:
            return
        larger = self.capacity + self.capacity // 2
        self.capacity = max(capacity, larger if self.most is None else min(larger, self.most))
        used = max(self.lengths)
        for tensors in (self.keys, self.values):
            for layer, old in tensors.items():
                tensors[layer] = old.new_zeros(*old.shape[:2], self.capacity, old.shape[3])
                tensors[layer][:, :, :used] = old[:, :, :used]

    def move(self, source: int, target: int) -> None:
        """Puts one row in the place of another."""
        length = self.lengths[source]
        for tensors in (self.keys, self.values):
            for tensor in tensors.values():
                tensor[target, :, :length] = tensor[source, :, :length]
        self.lengths[target] = length

    def segment(self, slot: int, parent: Segment | None) -> Segment:
        """The tokens of a row as a segment that others can branch from (a view, no copy)."""
        length = self.lengths[slot]
        start = parent.end if parent is not None else 0
        return Segment(
            keys={layer: tensor[slot, :, :length] for layer, tensor in self.keys.items()},
            values={layer: tensor[slot, :, :length] for layer, tensor in self.values.items()},
            start=start,
            end=start + length,
            parent=parent,
        )


def on_device(indices: list[int], device: torch.device) -> Tensor:
    """Indices as a tensor."""
    return torch.tensor(indices, dtype=torch.long).to(device)
