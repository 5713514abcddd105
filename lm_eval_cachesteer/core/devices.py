"""Where a model takes its inputs when its parts lie on several devices, or nowhere until they are needed."""

import torch
from transformers import PreTrainedModel


def input_device(model: PreTrainedModel) -> torch.device:
    """Where inputs go: the device of the model's first parameter.

    Offloaded parameters lie on the "meta" device, which holds no numbers. accelerate brings them, and the inputs with
    them, to a device that computes; inputs then come from the CPU.
    """
    device: torch.device = model.device
    return torch.device("cpu") if device.type == "meta" else device


def is_offloaded(model: PreTrainedModel) -> bool:
    """Whether some parameters lie elsewhere and are brought in for each pass."""
    return any(parameter.is_meta for parameter in model.parameters())
