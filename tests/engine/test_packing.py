"""Packed weights compute what the layers compute, and leave the model as it was."""

import pytest
import torch
from torch import nn

from lm_eval_cachesteer.engine import forward
from lm_eval_cachesteer.engine.packing import PackedWeights, can_pack

from .. import oracle
from .support import decode, mixed_prompts

pytestmark = pytest.mark.skipif(not hasattr(torch.ops.mkl, "_mkl_linear"), reason="torch without MKL")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("given", [1, 4, 5, 8, 9, 30])
def test_products_are_those_of_the_layer_for_any_number_of_rows(bias, given):
    layer = nn.Linear(33, 17, bias=bias)
    states = torch.randn(1, given, 33)
    with torch.no_grad():
        expected = layer(states)
        with PackedWeights(layer, rows=8).attached():
            assert "forward" in layer.__dict__
            torch.testing.assert_close(layer(states), expected, rtol=1e-5, atol=1e-5)
    assert "forward" not in layer.__dict__


def test_altered_weights_are_noticed():
    layer = nn.Linear(8, 8)
    packed = PackedWeights(layer, rows=4)
    assert packed.is_current
    with torch.no_grad():
        layer.weight.mul_(2)
    assert not packed.is_current


def test_what_cannot_be_packed_is_left_alone():
    assert can_pack(nn.Linear(8, 8), 16)
    assert not can_pack(nn.Linear(8, 8), 1)
    assert not can_pack(nn.Linear(8, 8), 500)
    assert not can_pack(nn.Linear(8, 8).to(torch.bfloat16), 16)
    assert not can_pack(nn.Conv1d(1, 1, 1), 16)
    wrapped = nn.Linear(8, 8)
    wrapped.forward = lambda states: states  # as accelerate's hooks do
    assert not can_pack(wrapped, 16)


def test_decoding_with_packed_weights_equals_the_oracle(llama, monkeypatch):
    monkeypatch.setattr(forward, "_STEPS_WORTH_PACKING", 1)
    attached = []
    monkeypatch.setattr(
        PackedWeights,
        "attached",
        lambda self, original=PackedWeights.attached: attached.append(self.rows) or original(self),
    )
    prompts = mixed_prompts()
    expected = [oracle.greedy(llama, prompt, {}, {}, 12) for prompt in prompts]
    assert [response.tokens for response in decode(llama, prompts, rows=6)] == expected
    assert attached == [6]
