import pytest
import torch
from transformers import DynamicCache, EncoderDecoderCache, StaticCache

from lm_eval_cachesteer.core.cache import attention_layers, check_continued, token_columns
from lm_eval_cachesteer.errors import CacheLayoutError, SteeringError

from ..conftest import build_model


@pytest.mark.parametrize(
    ("mask", "position", "expected"),
    [
        ([[0, 0, 1, 1], [1, 1, 1, 1]], -1, [3, 3]),
        ([[1, 1, 0, 0], [1, 1, 1, 0]], -1, [1, 2]),
        ([[0, 0, 1, 1], [1, 1, 1, 1]], -3, [-1, 1]),
        ([[0, 0, 1, 1], [1, 1, 1, 1]], 1, [3, 1]),
        ([[0, 0, 0, 0], [0, 1, 0, 1]], -1, [-1, 3]),
        ([[0, 1, 0, 1]], -2, [1]),
    ],
)
def test_token_columns_finds_real_tokens_whatever_the_padding(mask, position, expected):
    assert token_columns(torch.tensor(mask), position).tolist() == expected


def filled(model, cache, length):
    with torch.no_grad():
        return model(torch.arange(length)[None] % 250, past_key_values=cache, use_cache=True).past_key_values


@pytest.mark.parametrize("kind", ["dynamic", "static"])
@pytest.mark.parametrize("length", [5, 15, 16, 17, 40])
def test_sliding_and_static_layers_give_the_same_token_as_a_full_cache(kind, length):
    """Window of 16: the last token's key is found in every layout, before and after the window is full."""
    model = build_model("gemma3_text")
    config = model.config
    cache = DynamicCache(config=config) if kind == "dynamic" else StaticCache(config=config, max_cache_len=48)
    layers = attention_layers(filled(model, cache, length))
    reference = filled(model, DynamicCache(), length)  # keeps every token
    assert [layer.index for layer in layers] == [0, 1, 2, 3]
    for layer in layers:
        slot = int(layer.slots(torch.tensor([length - 1])))
        torch.testing.assert_close(layer.keys[:, :, slot], reference.layers[layer.index].keys[:, :, -1])
        torch.testing.assert_close(layer.values[:, :, slot], reference.layers[layer.index].values[:, :, -1])


def test_a_token_outside_the_sliding_window_is_refused():
    model = build_model("gemma3_text")
    layers = attention_layers(filled(model, DynamicCache(config=model.config), 40))
    with pytest.raises(CacheLayoutError, match="sliding-window layer forgets"):
        layers[0].slots(torch.tensor([3]))
    assert int(layers[1].slots(torch.tensor([3]))) == 3  # a full-attention layer still has it


def test_layers_without_keys_are_left_out():
    model = build_model("lfm2")
    with torch.no_grad():
        cache = model(torch.tensor([[1, 2, 3]]), use_cache=True).past_key_values
    assert [layer.index for layer in attention_layers(cache)] == [1, 3]


def test_quantized_caches_are_refused():
    cache = DynamicCache()
    cache.update(torch.ones(1, 2, 3, 8), torch.ones(1, 2, 3, 8), 0)
    cache.layers[0]._quantized_keys = cache.layers[0].keys
    with pytest.raises(CacheLayoutError, match="Layer 0 of the cache is quantized"):
        attention_layers(cache)


def test_layers_with_one_tensor_for_keys_and_values_are_refused():
    """As in DeepSeek-V4; an edit of the one would be an edit of the other."""
    cache = DynamicCache()
    cache.update(torch.ones(1, 2, 3, 8), torch.ones(1, 2, 3, 8), 0)
    cache.layers[0].values = cache.layers[0].keys
    with pytest.raises(CacheLayoutError, match="Layer 0 keeps the same numbers as keys and as values"):
        attention_layers(cache)


def test_a_cache_that_was_dropped_while_decoding_is_found_out():
    cache = DynamicCache()
    cache.update(torch.ones(1, 2, 3, 8), torch.ones(1, 2, 3, 8), 0)
    check_continued(cache, 3, "Toy")
    with pytest.raises(SteeringError, match="Toy dropped the edited cache of 3 tokens .* of the 4 tokens"):
        check_continued(cache, 4, "Toy")


def test_encoder_decoder_and_foreign_caches_are_refused():
    with pytest.raises(CacheLayoutError, match="encoder-decoder"):
        attention_layers(EncoderDecoderCache(DynamicCache(), DynamicCache()))
    with pytest.raises(CacheLayoutError, match="Expected a transformers Cache, got tuple"):
        attention_layers(())
