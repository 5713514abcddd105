"""What a model must share with another for the same vectors to make sense, and the check that it does."""

import hashlib
import inspect
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import ArgumentError, VectorMismatchError

# Kinds of layers, as configurations name them, that remember a state instead of keys and values.
_KEYLESS = {"conv", "linear_attention", "mamba", "mamba2", "recurrent", "moe", "mlp"}


@dataclass(frozen=True)
class Architecture:
    """The architecture fingerprint of a decoder-only model.

    Attributes:
        model_type: transformers model type, such as "llama".
        n_layers: Number of decoder layers.
        hidden_size: Width of the residual stream.
        n_kv_heads: Key-value heads of a layer; of the first, where layers differ.
        head_dim: Width of a head; of the first layer, where layers differ.
        rope_base: Rotary base by attention type ("" where a model has one for all); empty without rotary embedding.
    """

    model_type: str
    n_layers: int
    hidden_size: int
    n_kv_heads: int
    head_dim: int
    rope_base: dict[str, float]

    @classmethod
    def of(cls, config: Any) -> "Architecture":
        """Reads the fingerprint from a transformers configuration.

        Raises:
            ArgumentError: The model is an encoder-decoder, or none of its layers keeps keys and values.
        """
        if getattr(config, "is_encoder_decoder", False):
            raise ArgumentError(
                f"{config.model_type} is an encoder-decoder model. KV cache steering edits the prompt's cache of a "
                "decoder-only model: use one, such as any AutoModelForCausalLM."
            )
        text = config.get_text_config(decoder=True)
        without = layers_without_keys(text)
        if without and len(without) == len(text.layer_types):
            raise ArgumentError(
                f"{config.model_type} keeps no keys and values: all its layers are of kind "
                f"{' or '.join(sorted(set(text.layer_types)))}. KV cache steering edits those of a prompt: use a model "
                "with attention layers."
            )
        n_heads = _read(text, "num_attention_heads") or 0
        hidden_size = _read(text, "hidden_size")
        return cls(
            model_type=text.model_type,
            n_layers=text.num_hidden_layers,
            hidden_size=hidden_size,
            n_kv_heads=_read(text, "num_key_value_heads") or n_heads,
            head_dim=_read(text, "head_dim") or (hidden_size // n_heads if n_heads else 0),
            rope_base=dict(_rope_bases(_read(text, "rope_parameters"))),
        )

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def accepted_arguments(model: Any) -> frozenset[str]:
    """Names of the arguments a model's forward takes, looking through adapters such as PEFT's."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return frozenset(inspect.signature(base.forward).parameters)


def layers_without_keys(config: Any) -> list[int]:
    """Numbers of the layers that remember a state, or nothing, instead of keys and values.

    Args:
        config: The configuration of a text model; one that names no kinds of layers has no such layers.
    """
    return [i for i, kind in enumerate(getattr(config, "layer_types", None) or ()) if kind in _KEYLESS]


def check_chunks(config: Any, longest: int) -> None:
    """Refuses texts longer than a chunk where layers attend within chunks only, as in Llama 4.

    An edit of a chunk's last token would not reach, in those layers, what follows.

    Args:
        config: The model's configuration.
        longest: Tokens that an edited text may have.

    Raises:
        ArgumentError: A text may be longer than a chunk.
    """
    text = config.get_text_config(decoder=True)
    chunk = getattr(text, "attention_chunk_size", None)
    if chunk and longest > chunk and "chunked_attention" in (getattr(text, "layer_types", None) or ()):
        raise ArgumentError(
            f"Layers of {config.model_type} attend within chunks of {chunk} tokens, so that an edit at the end of a "
            f"chunk would not reach what follows; texts may have {longest} here. Use max_length={chunk}, or shorter "
            "texts in Python."
        )


def _read(config: Any, name: str) -> Any:
    """A setting of a configuration, or None; that of the first layer where layers differ, as in Gemma 4."""
    layers = getattr(config, "per_layer_config", None)
    return getattr(layers[0] if layers else config, name, None)


def _rope_bases(parameters: Any) -> Iterator[tuple[str, float]]:
    if not isinstance(parameters, dict):
        return
    if parameters.get("rope_theta") is not None:
        yield "", float(parameters["rope_theta"])
    for attention_type, nested in parameters.items():
        if isinstance(nested, dict) and nested.get("rope_theta") is not None:
            yield attention_type, float(nested["rope_theta"])


def text_sha256(text: str | None) -> str:
    """SHA-256 of a text in UTF-8; "" for no text."""
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def check_architecture(name: str, vectors: Architecture | None, model: Architecture) -> None:
    """Refuses vectors that cannot act on a model.

    Args:
        name: Name of the vectors, for the message.
        vectors: Fingerprint recorded with the vectors; None (unknown) passes.
        model: Fingerprint of the model.

    Raises:
        VectorMismatchError: Any part of the fingerprint differs; names both sides.
    """
    if vectors is None:
        return
    theirs, ours = asdict(vectors), asdict(model)
    differing = [part for part in theirs if theirs[part] != ours[part]]
    if differing:
        parts = "; ".join(f"{part}: vectors {theirs[part]!r}, model {ours[part]!r}" for part in differing)
        raise VectorMismatchError(
            f"The vectors {name!r} were made for another model ({parts}). Extract vectors from this model: "
            "cachesteer extract --contrast NAME --pretrained MODEL."
        )
