"""Whether a model can take the fast path: its configuration is looked at, then two short prompts are compared."""

import logging
from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers import PreTrainedModel

from ..core.decode import accepted_arguments
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

    Packed passes must give the logits of the model's own computation: two prompts of different lengths are fed side by
    side, then continued by one token each, and compared with the model's plain forward pass.
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
        return f"it has layers of kind {', '.join(sorted(kinds))}"
    if _rope_types(getattr(config, "rope_parameters", None)) & _LENGTH_DEPENDENT_ROPE:
        return "its rotary embedding depends on the longest sequence of a batch"
    missing = {"position_ids", "logits_to_keep"} - accepted_arguments(model)
    if missing:
        return f"its forward takes no {' and no '.join(sorted(missing))}"
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
    expected = torch.cat([model(torch.tensor([p], device=model.device)).logits[0] for p in prompts])
    allowed = _TOLERANCE.get(model.dtype, 0.1) * float(expected.abs().max())
    difference = float((found - expected).abs().max())
    return "" if difference <= allowed else f"packed passes change its logits by {difference:.2g}"
