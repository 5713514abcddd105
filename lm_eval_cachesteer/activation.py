"""Activation steering from a contrast set, for the harness's own `steered` model: what cache steering is compared with.

The mean difference of the residual stream after one layer, at the last prompt token, is added at every token
(contrastive activation addition, Rimsky et al. 2024, arXiv 2312.06681).
"""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from .core.prompts import TokenPair
from .errors import ArgumentError
from .files import write_atomically


@torch.inference_mode()
def extract_activation(
    model: PreTrainedModel,
    pairs: Sequence[TokenPair],
    layer: int | None = None,
    on_pair: Callable[[], None] = lambda: None,
) -> tuple[str, Tensor]:
    """Extracts an activation vector.

    Args:
        model: A decoder-only model.
        pairs: Contrast pairs.
        layer: The layer after which the stream is read; by default the middle one.
        on_pair: Called after each pair.

    Returns:
        The layer's name inside the model without its head, and the vector: (hidden size,) float32.

    Raises:
        ArgumentError: There are no pairs, or the model has no such layer.
    """
    layers = decoder_layers(model)
    if not pairs:
        raise ArgumentError("No contrast pairs to extract from.")
    number = len(layers) // 2 if layer is None else layer
    if not 0 <= number < len(layers):
        raise ArgumentError(f"layer={number} is not one of the model's layers, 0 to {len(layers) - 1}.")
    name = list(layers)[number]

    def last(tokens: Sequence[int]) -> Tensor:
        captured.clear()
        model.base_model(torch.tensor([list(tokens)], device=model.device), use_cache=False)
        return captured[0].double()

    captured: list[Tensor] = []
    hook = layers[name].register_forward_hook(
        lambda _module, _inputs, output: captured.append((output[0] if isinstance(output, tuple) else output)[0, -1])
    )
    total = torch.zeros((), dtype=torch.float64, device=model.device)
    try:
        for pair in pairs:
            total = total + last(pair.positive) - last(pair.negative)
            on_pair()
    finally:
        hook.remove()
    return name, (total / len(pairs)).float().cpu()


def decoder_layers(model: PreTrainedModel) -> dict[str, nn.Module]:
    """The model's decoder layers by their names inside `model.base_model`, in order.

    Raises:
        ArgumentError: They are not found.
    """
    count = model.config.get_text_config(decoder=True).num_hidden_layers
    for name, module in model.base_model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return {f"{name}.{i}": layer for i, layer in enumerate(module)}
    raise ArgumentError(f"No list of {count} decoder layers in {type(model).__name__}: it cannot be steered this way.")


def save_for_harness(path: Path, layer: str, vector: Tensor, coefficient: float = 1.0) -> None:
    """Writes what `lm_eval --model steered --model_args steer_path=PATH` reads (harness: hf_steered.SteeredModel).

    The harness reads a `torch.save` file with `weights_only=False`; we only ever write one.

    Raises:
        StorageError: The file cannot be written.
    """
    content = io.BytesIO()
    torch.save({layer: {"action": "add", "steering_vector": vector, "steering_coefficient": coefficient}}, content)
    write_atomically(path, content.getvalue())
