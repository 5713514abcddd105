"""What becomes of a checkpoint's weights: quantization while they are loaded, and what the fingerprint says of them."""

import importlib.util
from typing import Any

from ..errors import ArgumentError

_SWITCHES = ("load_in_8bit", "load_in_4bit")
_DETAILS = ("llm_int8_", "bnb_4bit_")


def take_quantization(arguments: dict[str, Any]) -> Any:
    """Removes what asks for quantized weights from model arguments.

    `from_pretrained` takes it in one place only, where HFLM hands on what a checkpoint says of itself.

    Args:
        arguments: Model arguments: load_in_8bit or load_in_4bit with the details that `BitsAndBytesConfig` takes
            (llm_int8_threshold, bnb_4bit_quant_type and so on), or a quantization_config, as an object or a mapping.

    Returns:
        A quantization configuration of transformers; None if none is asked for.

    Raises:
        ArgumentError: The arguments contradict each other or lack something, or bitsandbytes is not installed.
    """
    given = arguments.pop("quantization_config", None)
    names = [name for name in arguments if name in _SWITCHES or name.startswith(_DETAILS)]
    settings = {name: arguments.pop(name) for name in names}
    chosen = [name for name in _SWITCHES if settings.get(name)]
    if settings and given is not None:
        raise ArgumentError(
            f"{', '.join(names)} and quantization_config both say how weights are quantized. Give one of them."
        )
    if given is not None:
        return _from_mapping(given) if isinstance(given, dict) else given
    if len(chosen) == 2 or (not chosen and any(name.startswith(_DETAILS) for name in names)):
        raise ArgumentError(
            f"{', '.join(names)} given with {' and '.join(chosen) or 'neither load_in_8bit nor load_in_4bit'}. Set one "
            "of load_in_8bit=True and load_in_4bit=True."
        )
    if not chosen:
        return None
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ArgumentError(f"{chosen[0]}=True needs the package bitsandbytes. Install it: pip install bitsandbytes.")
    from transformers import BitsAndBytesConfig

    try:
        return BitsAndBytesConfig(**settings)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{', '.join(names)}: {error}. See BitsAndBytesConfig of transformers.") from error


def altered_weights(model: Any) -> dict[str, Any]:
    """Describes quantization and adapters of a model, which its name and dtype do not tell; empty without either."""
    found: dict[str, Any] = {}
    quantization = getattr(model.config, "quantization_config", None)
    if quantization is not None:
        found["quantization"] = quantization if isinstance(quantization, dict) else quantization.to_dict()
    adapters = getattr(model, "peft_config", None)
    if adapters:
        found["adapters"] = {
            name: {key: sorted(value) if isinstance(value, set) else value for key, value in adapter.to_dict().items()}
            for name, adapter in adapters.items()
        }
    return found


def _from_mapping(given: dict[str, Any]) -> Any:
    from transformers.quantizers import AutoQuantizationConfig

    try:
        return AutoQuantizationConfig.from_dict(dict(given))
    except (AssertionError, ImportError, KeyError, TypeError, ValueError) as error:
        raise ArgumentError(
            f"quantization_config={given!r} is not one of transformers ({error}). Give what a quantized checkpoint's "
            "config.json holds, such as {'quant_method': 'bitsandbytes', 'load_in_4bit': True}."
        ) from error
