"""Decode steps on CPUs: weight matrices laid out once for products with few rows.

A product with a handful of rows spends much of its time rearranging the weight matrix, at every step again. MKL can
keep the rearranged matrix for one number of rows, the size of the decode batch. What is computed stays the same.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Packed weights are a second copy of the weights; larger models are run as they are.
_SHARE_OF_FREE_MEMORY = 0.25
# With more rows the rearrangement no longer matters.
_MOST_ROWS = 64


class PackedWeights:
    """The linear layers of a model, packed for batches of one size.

    Args:
        model: The model; its own weights stay as they are.
        rows: The number of rows they are packed for. Somewhat fewer are filled up, other numbers take the usual way.
    """

    def __init__(self, model: nn.Module, rows: int) -> None:
        self.rows = rows
        self._layers = _linear_layers(model)
        self._forwards = [_packed(layer, rows) for layer in self._layers]
        self._states = [_state(layer) for layer in self._layers]

    @property
    def is_current(self) -> bool:
        """Whether the model's weights are still those that were packed."""
        return self._states == [_state(layer) for layer in self._layers]

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


def can_pack(model: nn.Module, rows: int) -> bool:
    """Whether packing is possible and affordable here: float32 on a CPU with MKL, and memory for a second copy."""
    layers = _linear_layers(model)
    if not 2 <= rows <= _MOST_ROWS or not layers or not hasattr(torch.ops.mkl, "_mkl_linear"):
        return False
    needed = sum(layer.weight.numel() * layer.weight.element_size() for layer in layers)
    return bool(needed <= _SHARE_OF_FREE_MEMORY * psutil.virtual_memory().available)


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


def _packed(layer: nn.Linear, rows: int) -> Callable[[Tensor], Tensor]:
    weight, bias = layer.weight.detach(), layer.bias
    packed = torch.ops.mkl._mkl_reorder_linear_weight(weight, rows)

    def forward(states: Tensor) -> Tensor:
        given = states.shape[-2]
        if not rows // 2 <= given <= rows or states.numel() != given * weight.shape[1] or states.dtype != torch.float32:
            return F.linear(states, weight, bias)
        if given < rows:
            states = F.pad(states, (0, 0, 0, rows - given))
        product: Tensor = torch.ops.mkl._mkl_linear(states, packed, weight, bias, rows)
        return product[..., :given, :]

    return forward
