"""Loading a model outside the harness, and naming it without naming a machine's folders."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, CachesteerError
from .embedded import ensure_embedded_model


@dataclass(frozen=True)
class LoadedModel:
    """A model with its tokenizer and the name recorded for it."""

    model: Any
    tokenizer: Any
    model_id: str


def load_model(pretrained: str | None = None, *, device: str | None = None, dtype: str = "auto") -> LoadedModel:
    """Loads a causal language model; the embedded one by default.

    Args:
        pretrained: Hub id or folder; None for the embedded model.
        device: torch device; by default the accelerator if there is one.
        dtype: torch dtype name, or "auto" for the checkpoint's own.

    Raises:
        ArgumentError: There is no such model, or no such device.
        EmbeddedModelError: The embedded model cannot be obtained.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    check_device(device)
    name = pretrained or str(ensure_embedded_model())
    with loading(name):
        model = AutoModelForCausalLM.from_pretrained(name, dtype=dtype)
        tokenizer = AutoTokenizer.from_pretrained(name)
    return LoadedModel(model.to(device or default_device()).eval(), tokenizer, model_id_of(name))


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Names the model that cannot be loaded, in one line.

    Args:
        name: Hub id or folder.

    Raises:
        ArgumentError: What transformers raised says that there is no such model.
    """
    try:
        yield
    except CachesteerError:
        raise
    except (OSError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ArgumentError(
            f"The model {name!r} cannot be loaded ({reason}). Give a folder with a checkpoint or the id of a model on "
            "the hub; offline, one that has been loaded before."
        ) from error


def check_device(device: str | None) -> None:
    """Makes sure that a device can be used before anything long is begun.

    Args:
        device: torch device; None passes.

    Raises:
        ArgumentError: There is no such device on this machine.
    """
    if device is None:
        return
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        usable = " or ".join(dict.fromkeys(["cpu", default_device()]))
        raise ArgumentError(f"device={device!r} cannot be used on this machine. Allowed here: {usable}.") from error


def default_device() -> str:
    """The accelerator torch sees, or "cpu"."""
    import torch

    return str(torch.accelerator.current_accelerator()) if torch.accelerator.is_available() else "cpu"


def model_id_of(name_or_path: str) -> str:
    """A model's hub id, or the name of its folder."""
    path = Path(name_or_path)
    return path.resolve().name if path.is_dir() or path.is_absolute() else name_or_path
