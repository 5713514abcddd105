"""What a model does with its cache, found by trying it on a few tokens."""

import logging
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import Cache, PreTrainedModel, StaticCache

from .architecture import accepted_arguments
from .devices import input_device

logger = logging.getLogger(__name__)

_TOKENS = (3, 1, 4, 1, 5, 9, 2)
_CACHED = 4
# Largest difference of logits that rounding explains, relative to the largest logit.
_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
_TOLERANCE_OF_16_BIT = 0.25

_continues: "WeakKeyDictionary[PreTrainedModel, bool]" = WeakKeyDictionary()
_padding: "WeakKeyDictionary[PreTrainedModel, bool]" = WeakKeyDictionary()
_static: "WeakKeyDictionary[PreTrainedModel, str]" = WeakKeyDictionary()


def takes_several(model: PreTrainedModel) -> bool:
    """Whether a model goes on from its cache with several tokens at once as with one after the other.

    Some recurrent layers (those of Jamba, Zamba and MiniMax) start from an empty state in that case.
    """
    if model not in _continues:
        _continues[model] = _takes_several(model)
        if not _continues[model]:
            logger.warning(
                "%s loses the state of its cache when it is fed several tokens at once: what follows a prompt is fed "
                "token by token.",
                type(model).__name__,
            )
    return _continues[model]


def takes_padding(model: PreTrainedModel) -> bool:
    """Whether rows padded on the left get the logits that they get alone.

    Models that number positions by column, such as TrOCR's decoder, give others.
    """
    if model not in _padding:
        _padding[model] = _takes_padding(model)
    return _padding[model]


def why_not_static(model: PreTrainedModel) -> str:
    """Why a model cannot run on a static cache; "" if it gives the same logits there."""
    if model not in _static:
        _static[model] = _why_not_static(model)
    return _static[model]


def _takes_several(model: PreTrainedModel) -> bool:
    cache = getattr(_feed(model, 0, _CACHED, None), "past_key_values", None)
    if cache is None:
        return True  # there is nothing to go on from
    rest = _feed(model, _CACHED, len(_TOKENS), cache).logits[0]
    return _is_close(model, rest, _whole(model)[_CACHED:])


def _takes_padding(model: PreTrainedModel) -> bool:
    padding, longer = [0] * _CACHED, _TOKENS[:_CACHED]  # some models look at padding in batches only
    ids = torch.tensor([[*padding, *_TOKENS], [*longer, *_TOKENS]])
    mask = torch.ones_like(ids)
    mask[0, :_CACHED] = 0
    return _is_close(model, _run(model, ids, mask, None).logits[0, _CACHED:], _whole(model))


def _why_not_static(model: PreTrainedModel) -> str:
    if not getattr(model, "_can_compile_fullgraph", True):  # such as GPT-Neo, whose local attention goes wrong there
        return "transformers supports none"
    expected = _whole(model)
    try:
        cache = StaticCache(config=model.config.get_text_config(decoder=True), max_cache_len=2 * len(_TOKENS))
        found = [_feed(model, 0, _CACHED, cache).logits[0]]
        found += [_feed(model, i, i + 1, cache).logits[0] for i in range(_CACHED, len(_TOKENS))]
    except (TypeError, ValueError, RuntimeError, AttributeError, KeyError, IndexError) as error:
        logger.debug("%s on a static cache: %s", type(model).__name__, error)
        return f"it fails there with {type(error).__name__}"
    return "" if _is_close(model, torch.cat(found), expected) else "it gives other logits there"


def _whole(model: PreTrainedModel) -> Tensor:
    """Logits (tokens, vocab) of one pass over all tokens."""
    logits: Tensor = _feed(model, 0, len(_TOKENS), None).logits[0]
    return logits


def _feed(model: PreTrainedModel, start: int, end: int, cache: Cache | None) -> Any:
    """The model's output for some of the tokens, after those in the cache."""
    ids = torch.tensor([_TOKENS[start:end]])
    return _run(model, ids, torch.ones(1, end, dtype=torch.long), cache)


def _run(model: PreTrainedModel, ids: Tensor, mask: Tensor, cache: Cache | None) -> Any:
    device = input_device(model)
    ids = ids % model.get_input_embeddings().num_embeddings
    positions = {}
    if "position_ids" in accepted_arguments(model):
        positions["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :].to(device)
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        return model(
            input_ids=ids.to(device), attention_mask=mask.to(device), past_key_values=cache, use_cache=True, **positions
        )


def _is_close(model: PreTrainedModel, found: Tensor, expected: Tensor) -> bool:
    allowed = _TOLERANCE.get(model.dtype, _TOLERANCE_OF_16_BIT) * float(expected.abs().max())
    return float((found - expected).abs().max()) <= allowed
