"""Packed weights compute what the layers compute, and leave the model as it was."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lm_eval_cachesteer.core.edit import CacheEdit
from lm_eval_cachesteer.engine import forward, packing
from lm_eval_cachesteer.engine.packing import PackedWeights, packable_sizes

from .. import oracle
from ..conftest import build_model
from .support import decode, mixed_prompts

pytestmark = pytest.mark.skipif(not hasattr(torch.ops.mkl, "_mkl_linear"), reason="torch without MKL")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("given", [1, 3, 8, 9, 16, 30])
def test_products_are_those_of_the_layer_for_any_number_of_rows(bias, given):
    layer = nn.Linear(33, 17, bias=bias)
    states = torch.randn(1, given, 33)
    with torch.no_grad():
        expected = layer(states)
        with PackedWeights(layer, 16, [16, 8]).attached():
            assert "forward" in layer.__dict__
            torch.testing.assert_close(layer(states), expected, rtol=1e-5, atol=1e-5)
    assert "forward" not in layer.__dict__


def test_few_rows_are_filled_up_to_a_packed_number():
    packed = PackedWeights(nn.Linear(8, 8), 16, [16, 8])
    assert [packed.filled(rows) for rows in (1, 3, 4, 8, 9, 16, 17, 300)] == [1, 3, 8, 8, 16, 16, 17, 300]


def test_altered_weights_are_noticed():
    layer = nn.Linear(8, 8)
    packed = PackedWeights(layer, 8, [8])
    assert packed.is_current
    with torch.no_grad():
        layer.weight.mul_(2)
    assert not packed.is_current


def test_what_cannot_be_packed_is_left_alone():
    assert packable_sizes(nn.Linear(8, 8), 1) == []
    assert packable_sizes(nn.Linear(8, 8), 500) == []
    assert packable_sizes(nn.Linear(8, 8).to(torch.bfloat16), 16) == []
    assert packable_sizes(nn.Conv1d(1, 1, 1), 16) == []
    wrapped = nn.Linear(8, 8)
    wrapped.forward = lambda states: states  # as accelerate's hooks do
    assert packable_sizes(wrapped, 16) == []


@pytest.mark.parametrize(
    ("rows", "free_copies", "sizes"),
    [(40, 17, [40, 24]), (40, 15, [40]), (40, 7, []), (16, 17, [16, 8]), (5, 17, [8]), (64, 100, [64, 32])],
)
def test_as_many_sizes_are_packed_as_there_is_memory_for(rows, free_copies, sizes, monkeypatch):
    """A quarter of the free memory may be taken; packed, weights are twice as large."""
    layer = nn.Linear(8, 8)
    free = SimpleNamespace(available=free_copies * layer.weight.numel() * 4)
    monkeypatch.setattr(packing.psutil, "virtual_memory", lambda: free)
    assert packable_sizes(layer, rows) == sizes


@pytest.mark.parametrize("kind", ["llama", "gemma3_text", "gpt2"])
@pytest.mark.parametrize(("rows", "header", "drafted"), [(6, 30, 0), (6, 200, 4), (16, 30, 4)])
def test_decoding_with_packed_weights_equals_the_oracle(kind, rows, header, drafted, monkeypatch):
    """Passes are filled up to 8, 16, 24 or 40 tokens; what is added changes nothing."""
    monkeypatch.setattr(forward, "_STEPS_WORTH_PACKING", 1)
    fed, run = set(), forward.PackedModel.run
    monkeypatch.setattr(
        forward.PackedModel, "run", lambda *given: fed.add((given[2].tokens, given[2].filling)) or run(*given)
    )
    model = build_model(kind)
    keys, values = oracle.draw_vectors(model, [1, 2, 3], scale=2.0)
    prompts = mixed_prompts(header)
    expected = [oracle.greedy(model, prompt, keys, values, 12) for prompt in prompts]
    found = decode(model, prompts, CacheEdit(keys, values), rows=rows, drafted=drafted, new_tokens=12)
    assert [response.tokens for response in found] == expected
    assert any(filling for _, filling in fed)
    assert {tokens + filling for tokens, filling in fed if filling} <= {8, 16, 24, 40}
