"""Decode steps of fixed shape through `torch.compile`, on CUDA as a CUDA graph."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .forward import PackedModel
from .passes import Pass, RowGroup
from .storage import RowStore

# Rows are padded to a multiple of this many columns, so that few shapes are ever compiled.
COLUMNS = 256


class StaticPass(Pass):
    """One token for every row of a store, in shapes that never change; unused rows are fed a token of no importance."""

    def __init__(self, store: RowStore, device: torch.device) -> None:
        self.store = store
        self.group = StaticGroup(store, list(range(store.slots)), [0] * store.slots, [1] * store.slots, 0, device)
        self.group.columns = store.capacity
        self.groups, self.shared, self.filling = [self.group], [], 0
        self.token_slots = torch.arange(store.slots, device=device)
        self.token_columns = self.group.held
        self.position_ids = self.group.held[None]
        self.input_ids = torch.zeros_like(self.position_ids)

    def fill(self, tokens: Sequence[int]) -> None:
        """Lays out the next step: one token for each of the first rows."""
        unused = [0] * (self.store.slots - len(tokens))
        self.input_ids.copy_(torch.tensor([[*tokens, *unused]]))
        self.group.held.copy_(torch.tensor([*self.store.lengths[: len(tokens)], *unused]))


class StaticGroup(RowGroup):
    """Rows whose masks follow from a tensor of lengths, not from numbers that would be compiled in."""

    def _mask(self, start: int, end: int, columns: int, window: int | None) -> Tensor | None:
        return self._build_mask(start, end, columns, window)

    def _mask_of_groups(self, groups: int, window: int | None, dtype: torch.dtype) -> Tensor | None:
        return self._build_mask_of_groups(groups, window, dtype)


class CompiledDecode:
    """Compiled decode steps of one model.

    Args:
        packed: The model.
    """

    def __init__(self, packed: PackedModel) -> None:
        self.packed = packed
        on_cuda = packed.device.type == "cuda"
        options: Any = {"triton.cudagraphs": True} if on_cuda else {"freezing": True}
        self.forward: Callable[..., Any] = torch.compile(packed.model.forward, dynamic=False, options=options)
        self._pass: StaticPass | None = None

    def step(self, store: RowStore, tokens: Sequence[int]) -> Tensor:
        """Feeds one token to each of the store's first rows.

        Args:
            store: Rows that hold all their tokens themselves; its capacity must not change.
            tokens: One token for each row.

        Returns:
            (rows, vocab) logits.
        """
        if self._pass is None or self._pass.store is not store:
            self._pass = StaticPass(store, self.packed.device)
        self._pass.fill(tokens)
        logits = self.packed.run(self.forward, self._pass, self._pass.token_slots)
        for slot in range(len(tokens)):
            store.lengths[slot] += 1
        return logits[: len(tokens)]
