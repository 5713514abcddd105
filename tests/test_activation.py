"""Activation vectors against hooks, and the file against the harness's own model."""

import pytest
import torch
from lm_eval.models.hf_steered import SteeredModel

from lm_eval_cachesteer.activation import extract_activation, save_for_harness
from lm_eval_cachesteer.core.prompts import TokenPair
from lm_eval_cachesteer.errors import ArgumentError

from .conftest import build_model, byte_tokenizer

PAIRS = [TokenPair((5, 6, 7, 9), (8, 9)), TokenPair((1, 2, 3), (4, 4, 4, 4, 3))]


@pytest.mark.parametrize(("kind", "name"), [("llama", "layers.1"), ("gpt2", "h.1"), ("gemma3_text", "layers.1")])
def test_the_vector_is_the_mean_difference_after_the_layer(kind, name):
    model, seen = build_model(kind), []
    module = dict(model.base_model.named_modules())[name]
    handle = module.register_forward_hook(
        lambda _module, _inputs, out: seen.append((out[0] if isinstance(out, tuple) else out)[0, -1])
    )
    with torch.no_grad():
        for pair in PAIRS:
            for tokens in (pair.positive, pair.negative):
                model(torch.tensor([list(tokens)]))
    handle.remove()
    expected = ((seen[0] - seen[1]) + (seen[2] - seen[3])) / 2
    found_name, found = extract_activation(model, PAIRS, layer=1)
    assert found_name == name
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_the_harness_adds_it_at_every_token(llama, tmp_path):
    name, vector = extract_activation(llama, PAIRS, layer=1)
    path = tmp_path / "new" / "activation.pt"
    save_for_harness(path, name, vector, 2.0)
    steered = SteeredModel(pretrained=llama, steer_path=str(path), tokenizer=byte_tokenizer(), device="cpu")
    tokens = torch.tensor([[5, 6, 7]])
    handle = llama.model.layers[1].register_forward_hook(
        lambda _module, _inputs, out: (out[0] + 2 * vector, *out[1:]) if isinstance(out, tuple) else out + 2 * vector
    )
    with torch.no_grad():
        expected = llama(tokens).logits
    handle.remove()
    torch.testing.assert_close(steered._model_call(tokens), expected)


@pytest.mark.parametrize(("pairs", "layer", "said"), [([], 0, "No contrast pairs"), (PAIRS, 99, "layer=99")])
def test_what_cannot_be_is_refused(llama, pairs, layer, said):
    with pytest.raises(ArgumentError, match=said):
        extract_activation(llama, pairs, layer)
