"""Decode steps on CPUs: weight matrices laid out once for products with few rows.

A product with a handful of rows spends much of its time rearranging the weight matrix, at every step again. MKL can
keep the rearranged matrix, for one number of rows; passes are filled up to such a number. What is computed stays the
same.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Packed weights are a further copy of the weights for each number of rows, about twice as large as the weights
# themselves; what finds no room is run as it is.
_SHARE_OF_FREE_MEMORY = 0.25
_TIMES_AS_LARGE = 2
# With more rows the rearrangement no longer matters; with fewer a matrix is read as it is.
_MOST_ROWS = 64
_FEWEST_ROWS = 4
# MKL computes rows in groups.
_MULTIPLE = 8


class PackedWeights:
    """The linear layers of a model, packed for products of certain numbers of rows.

    Args:
        model: The model; its own weights stay as they are.
        rows: Most rows of the products that they are meant for.
        sizes: The numbers of rows (`packable_sizes`). Products with other numbers take the usual way.
    """

    def __init__(self, model: nn.Module, rows: int, sizes: Sequence[int]) -> None:
        self.rows = rows
        self.sizes = sorted(sizes)
        self._layers = _linear_layers(model)
        self._forwards = [_packed(layer, self.sizes) for layer in self._layers]
        self._states = [_state(layer) for layer in self._layers]

    @property
    def is_current(self) -> bool:
        """Whether the model's weights are still those that were packed."""
        return self._states == [_state(layer) for layer in self._layers]

    def filled(self, rows: int) -> int:
        """To how many rows so many should be filled up."""
        return rows if rows < _FEWEST_ROWS else next((size for size in self.sizes if size >= rows), rows)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Uses the packed weights while the block lasts."""
        try:
            for layer, forward in zip(self._layers, self._forwards, strict=True):
                layer.forward = forward  # type: ignore[method-assign, assignment]
            yield
        finally:
            for layer in self._layers:
                layer.__dict__.pop("forward", None)


def packable_sizes(model: nn.Module, rows: int) -> list[int]:
    """The numbers of rows worth packing a model for, where at most so many are fed at a time.

    None unless it computes in float32 on a CPU with MKL; as many, the largest first, as there is memory for.
    """
    layers = _linear_layers(model)
    if not _FEWEST_ROWS <= rows <= _MOST_ROWS or not layers or not hasattr(torch.ops.mkl, "_mkl_linear"):
        return []
    sizes = sorted({-(-most // _MULTIPLE) * _MULTIPLE for most in (rows, rows // 2)}, reverse=True)
    needed = _TIMES_AS_LARGE * sum(layer.weight.numel() * layer.weight.element_size() for layer in layers)
    return sizes[: int(_SHARE_OF_FREE_MEMORY * psutil.virtual_memory().available / needed)]


def _linear_layers(model: nn.Module) -> list[nn.Linear]:
    """Plain linear layers in float32 on the CPU that nobody has altered."""
    return [
        module
        for module in model.modules()
        if type(module) is nn.Linear
        and type(module.weight) is nn.Parameter  # torchao puts quantized tensors of other types there
        and module.weight.dtype == torch.float32
        and module.weight.device.type == "cpu"
        and not module.weight.is_inference()
        and "forward" not in module.__dict__
    ]


def _state(layer: nn.Linear) -> tuple[int, int]:
    return layer.weight.data_ptr(), layer.weight._version


def _packed(layer: nn.Linear, sizes: Sequence[int]) -> Callable[[Tensor], Tensor]:
    weight, bias, width = layer.weight.detach(), layer.bias, layer.in_features
    packed: Mapping[int, Tensor] = {size: torch.ops.mkl._mkl_reorder_linear_weight(weight, size) for size in sizes}

    def forward(states: Tensor) -> Tensor:
        rows = states.numel() // width
        if rows in packed and states.dtype == torch.float32:
            product: Tensor = torch.ops.mkl._mkl_linear(states, packed[rows], weight, bias, rows)
            return product
        return F.linear(states, weight, bias)

    return forward
