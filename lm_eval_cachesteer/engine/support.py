"""Whether a model can take the fast path: its configuration is looked at, then two short prompts are compared."""

import logging
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..core.architecture import accepted_arguments, layers_without_keys
from ..core.cache import AttentionLayer, attention_layers
from ..core.devices import input_device, is_offloaded
from ..errors import CacheLayoutError
from .forward import PackedModel
from .passes import Feed
from .storage import RowStore

logger = logging.getLogger(__name__)

_ATTENTION_LAYERS = {"full_attention", "sliding_attention"}
# Rotary embeddings that depend on the longest sequence of the batch.
_LENGTH_DEPENDENT_ROPE = {"dynamic", "longrope"}
_PROBES = ([3, 1, 4, 1, 5], [9, 2, 6])
_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}

_reasons: "WeakKeyDictionary[PreTrainedModel, str]" = WeakKeyDictionary()


def why_not(model: PreTrainedModel) -> str:
    """Why a model cannot take the fast path; "" if it can. Logged once for each model that cannot.

    Packed passes must give the logits of the model's own computation, and keep the keys and values that its own cache
    keeps: two prompts of different lengths are fed side by side, then continued by one token each, and compared with
    the model's plain forward pass.
    """
    if model not in _reasons:
        _reasons[model] = _configuration(model) or _probe(model)
        if _reasons[model]:
            logger.warning(
                "%s runs through model.generate and padded batches, without prefix sharing: %s.",
                type(model).__name__,
                _reasons[model],
            )
    return _reasons[model]


def _configuration(model: PreTrainedModel) -> str:
    config = model.config.get_text_config(decoder=True)
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"]) - _ATTENTION_LAYERS
    if kinds:
        without = layers_without_keys(config)
        never = f"; those without keys and values, {_listed(without)}, are never steered" if without else ""
        return f"it has layers of kind {', '.join(sorted(kinds))}{never}"
    if _rope_types(getattr(config, "rope_parameters", None)) & _LENGTH_DEPENDENT_ROPE:
        return "its rotary embedding depends on the longest sequence of a batch"
    if getattr(config, "attn_logit_softcapping", None) and config._attn_implementation == "sdpa":
        return "its own attention, sdpa, leaves out the softcap that packed passes would apply"
    missing = {"position_ids", "logits_to_keep"} - accepted_arguments(model)
    if missing:
        return f"its forward takes no {' and no '.join(sorted(missing))}"
    if is_offloaded(model):
        return "its weights are offloaded"
    if len({parameter.device for parameter in model.parameters()}) > 1:
        return "it is spread over several devices"
    return ""


def _rope_types(parameters: Any) -> set[str]:
    if not isinstance(parameters, dict):
        return set()
    nested = [p for p in parameters.values() if isinstance(p, dict)]
    return {str(p.get("rope_type")) for p in (parameters, *nested)}


@torch.inference_mode()
def _probe(model: PreTrainedModel) -> str:
    vocabulary = model.get_input_embeddings().num_embeddings
    prompts = [[token % vocabulary for token in prompt] for prompt in _PROBES]
    packed = PackedModel(model)
    store = RowStore(len(prompts), capacity=8)
    whole = [list(range(len(p) - 1)) for p in prompts]
    wanted = [*whole[0], *(len(whole[0]) + i for i in whole[1])]
    try:
        with packed.attached():
            first = packed.feed(store, [Feed(p[:-1], i) for i, p in enumerate(prompts)], wanted)
            last = packed.feed(store, [Feed(p[-1:], i) for i, p in enumerate(prompts)])
    except (TypeError, ValueError, RuntimeError, AttributeError, KeyError, IndexError) as error:
        return f"a packed pass failed with {type(error).__name__}: {error}"
    if len(store.keys) != model.config.get_text_config(decoder=True).num_hidden_layers:
        return "its attention is not open to other implementations"
    found = torch.cat([first[: len(whole[0])], last[:1], first[len(whole[0]) :], last[1:]])
    plain = [_plain(model, prompt) for prompt in prompts]
    expected = torch.cat([logits for logits, _ in plain])
    if not _is_close(found, expected, model.dtype):
        return f"packed passes change its logits by {float((found - expected).abs().max()):.2g}"
    return _kept_elsewhere(store, [cache for _, cache in plain], model.dtype)


def _plain(model: PreTrainedModel, prompt: Sequence[int]) -> tuple[Tensor, Any]:
    """Logits (tokens, vocab) and cache of the model's own forward pass."""
    outputs = model(torch.tensor([list(prompt)], device=input_device(model)), use_cache=True)
    return outputs.logits[0], getattr(outputs, "past_key_values", None)


def _kept_elsewhere(store: RowStore, caches: Sequence[Any], dtype: torch.dtype) -> str:
    """Why an edit of the store would not be an edit of the model's cache; "" if it would."""
    for row, cache in enumerate(caches):
        try:
            layers = attention_layers(cache)
        except CacheLayoutError as error:
            return f"its cache cannot be read ({error})"
        borrowing = sorted(set(store.keys) - {layer.index for layer in layers})
        if borrowing:
            return f"its layers {_listed(borrowing)} attend to the keys of other layers and have none to steer"
        for layer in layers:
            window = getattr(cache.layers[layer.index], "sliding_window", None)
            if store.windows[layer.index] != window:
                return f"it keeps its window of {window} tokens from the attention of layer {layer.index}"
            reason = _kept_otherwise(store, row, layer, dtype)
            if reason:
                return reason
    return ""


def _kept_otherwise(store: RowStore, row: int, layer: AttentionLayer, dtype: torch.dtype) -> str:
    """How a layer of the cache differs from that of the store; "" if it does not."""
    columns = slice(layer.first_column, layer.end_column)
    held = layer.end_column - layer.first_column
    for name, cached, own in (
        ("keys", layer.keys[0, :, :held], store.keys[layer.index][row, :, columns]),
        ("values", layer.values[0, :, :held], store.values[layer.index][row, :, columns]),
    ):
        if cached.shape != own.shape:
            return (
                "its cache keeps latents of the keys and values that its layers attend to. c_keys scales the vectors "
                f"for those of width {layer.keys.shape[3]}, c_values for those of width {layer.values.shape[3]}"
            )
        if not _is_close(own, cached, dtype):
            return f"its cache keeps other {name} than its layers attend to"
    return ""


def _is_close(found: Tensor, expected: Tensor, dtype: torch.dtype) -> bool:
    allowed = _TOLERANCE.get(dtype, 0.1) * float(expected.abs().max())
    return float((found - expected).abs().max()) <= allowed


def _listed(layers: Sequence[int]) -> str:
    return ", ".join(map(str, layers))
