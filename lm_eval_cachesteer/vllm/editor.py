"""The workers' side of steering: makes the edits in this process's part of the cache, by the code of `core`."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from ..core.addition import Place
from ..core.edit import CacheEdit
from ..errors import CacheLayoutError, CachesteerError
from .heads import local_edit
from .messages import Order, Report
from .pages import LayerPages


class Editor:
    """Edits the cache of one worker.

    Args:
        layers: Where the cache of each of its layers lies.
        rank: This process among those that share each layer.
        size: Number of these.
    """

    def __init__(self, layers: Mapping[int, LayerPages], rank: int, size: int) -> None:
        self._layers, self._rank, self._size = layers, rank, size
        self._edits: dict[int, CacheEdit] = {}
        self._device = str(next(iter(layers.values())).pages.device) if layers else "cpu"

    def learn(self, new: Mapping[int, CacheEdit], forgotten: Iterable[int]) -> None:
        """Takes in edits that will be ordered by number, and drops others."""
        held = {number: pages.heads for number, pages in self._layers.items()}
        for number in forgotten:
            self._edits.pop(number, None)
        for number, edit in new.items():
            self._edits[number] = local_edit(edit, held, self._rank, self._size, self._device)

    def make(self, orders: Sequence[Order]) -> Report:
        """Makes edits: those that are alike together and, where that fails, each for itself."""
        report = Report()
        by_edit: dict[int, list[Order]] = {}
        for order in orders:
            by_edit.setdefault(order.edit, []).append(order)
        for number, alike in by_edit.items():
            try:
                self._make(self._edits[number], alike)
                report.made.update({order.request_id: 1 for order in alike})
            except CachesteerError as error:
                if len(alike) == 1:
                    report.failed[alike[0].request_id] = str(error)
                else:
                    for order in alike:
                        report.aggregate(self.make([order]))
        return report

    @torch.inference_mode()
    def _make(self, edit: CacheEdit, orders: Sequence[Order]) -> None:
        slots = {number: self._slots(number, orders, self._layers[number].group) for number in edit.keys}
        rows = torch.arange(len(orders), device=self._device)
        places = {}
        for number, of_layer in slots.items():
            keys, values = self._layers[number].read(of_layer)
            places[number] = Place(keys[:, :, None], values[:, :, None], rows, torch.zeros_like(rows))
        edit.add_to(places)
        for number, place in places.items():
            self._layers[number].write(slots[number], place.keys[:, :, 0], place.values[:, :, 0])

    def _slots(self, layer: int, orders: Sequence[Order], group: int) -> Tensor:
        slots = [order.slots[group] for order in orders]
        if any(slot is None for slot in slots):
            raise CacheLayoutError(
                f"Layer {layer} has a sliding window and no longer caches the token to be edited. Choose a later "
                "position."
            )
        return torch.tensor(slots, dtype=torch.long, device=self._device)
