"""Where the states of a token lie in vLLM's paged cache.

Attention backends lay out their pages as it suits their kernels; on CPUs keys are even transposed within a page. So the
layout is not assumed: numbered states are written to a scratch page by the backend itself, and looked up there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from vllm.model_executor.models.utils import extract_layer_index

from ..errors import CacheLayoutError

# Numbers are written digit by digit: small ones are exact in every dtype of a cache.
_BASE = 128

# Of each state of a page, by slot, head and dimension: its three indices in the page.
Places = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class LayerPages:
    """The cache of one layer in this process.

    Attributes:
        pages: (pages, ...), the engine's own storage.
        group: Number of the KV cache group.
        keys: Where keys lie in a page: three tensors of (slots, heads, head_dim).
        values: Where values lie in a page, likewise.
    """

    pages: Tensor
    group: int
    keys: Places
    values: Places

    @property
    def heads(self) -> int:
        """KV heads of the layer in this process."""
        return self.keys[0].shape[1]

    def read(self, slots: Tensor) -> tuple[Tensor, Tensor]:
        """Copies the states of tokens.

        Args:
            slots: (tokens,) int64, page number times slots of a page plus the slot.

        Returns:
            Keys and values, (tokens, heads, dimension) each.
        """
        return self.pages[self._at(slots, self.keys)], self.pages[self._at(slots, self.values)]

    def write(self, slots: Tensor, keys: Tensor, values: Tensor) -> None:
        """Replaces the states of tokens, as `read` gives them."""
        self.pages[self._at(slots, self.keys)] = keys
        self.pages[self._at(slots, self.values)] = values

    def _at(self, slots: Tensor, places: Places) -> tuple[Tensor, ...]:
        of_page = places[0].shape[0]
        page, slot = slots // of_page, slots % of_page
        return page[:, None, None], places[0][slot], places[1][slot], places[2][slot]


def find_pages(caches: Mapping[str, Tensor], layers: Mapping[str, Any], groups: Sequence[Any]) -> dict[int, LayerPages]:
    """Finds the pages of every layer of this process.

    Args:
        caches: Name of a layer -> its pages.
        layers: Name of a layer -> vLLM's attention layer.
        groups: The KV cache groups.

    Returns:
        By number of the layer.

    Raises:
        CacheLayoutError: Layers share their cache, or a page cannot be read.
    """
    group_of = {name: number for number, group in enumerate(groups) for name in group.layer_names}
    known: dict[tuple[Any, ...], tuple[Places, Places]] = {}
    found: dict[int, LayerPages] = {}
    for name, cache in caches.items():
        layer = layers[name]
        if name not in group_of or getattr(layer, "kv_sharing_target_layer_name", None):
            raise CacheLayoutError(
                f"Layer {name} shares the keys and values of another: editing them for one would edit them for both. "
                "Use hf-cachesteer for this model."
            )
        kind = (type(layer.impl), layer.num_kv_heads, layer.head_size, cache.dtype, cache.shape[1:], cache.stride()[1:])
        if kind not in known:
            known[kind] = _probe(name, layer, cache)
        found[extract_layer_index(name)] = LayerPages(cache, group_of[name], *known[kind])
    if len(found) != len(caches):
        raise CacheLayoutError("Several attention layers bear one number. Use hf-cachesteer for this model.")
    return found


def _probe(name: str, layer: Any, cache: Tensor) -> tuple[Places, Places]:
    """Finds where a page keeps each state: writes every state's number there, one digit at a time."""
    if cache.ndim != 4:
        raise CacheLayoutError(
            f"The cache of {name} has shape {tuple(cache.shape)}; expected are pages of heads, slots and states. Use "
            "another attention backend of vLLM."
        )
    slots, heads = cache.shape[2], layer.num_kv_heads
    widths = (layer.head_size, getattr(layer, "head_size_v", layer.head_size))
    total = slots * heads * sum(widths)
    numbers = torch.arange(total, device=cache.device)
    keys, values = (
        part.view(slots, heads, width)
        for part, width in zip(torch.split(numbers, [slots * heads * width for width in widths]), widths, strict=True)
    )
    page = torch.zeros_like(cache[:1])
    read, written, digit = torch.zeros(page.shape, dtype=torch.long, device=page.device), torch.ones(()), 1
    while digit <= total:
        page.zero_()
        # One more than the digit, so that what was never written stays apart from zeros.
        digits = [(part // digit % _BASE + 1).to(cache.dtype).contiguous() for part in (keys, values)]
        layer.impl.do_kv_cache_update(layer, *digits, page, torch.arange(slots, device=cache.device))
        seen = page.to(torch.float32).round().to(torch.long)
        written = seen > 0
        read += (seen - 1).clamp(min=0) * digit
        digit *= _BASE
    places = written[0].nonzero()
    order = read[0][written[0]].argsort()
    if len(places) != total or not torch.equal(read[0][written[0]][order], numbers):
        raise CacheLayoutError(
            f"The cache of {name} does not keep keys and values as they are written: its layout is not understood. Use "
            "another attention backend of vLLM."
        )
    of_keys, of_values = torch.split(places[order], [slots * heads * width for width in widths])

    def as_places(part: Tensor, width: int) -> Places:
        first, second, third = (part[:, axis].reshape(slots, heads, width) for axis in range(3))
        return first, second, third

    return as_places(of_keys, widths[0]), as_places(of_values, widths[1])
