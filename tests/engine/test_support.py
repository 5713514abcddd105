"""Models that cannot take the fast path are found out, by their configuration or by their logits."""

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma2Config, LlamaConfig

from lm_eval_cachesteer.engine.support import why_not

from ..conftest import HEADS, SIZES, TOKENS, build_model


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma3_text"])
def test_ordinary_models_can_and_stay_as_they_were(kind):
    model = build_model(kind)
    before = (model.config._attn_implementation, {n: p.clone() for n, p in model.state_dict().items()})
    assert why_not(model) == ""
    assert model.config._attn_implementation == before[0]
    assert all(torch.equal(before[1][name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_models_in_16_bit_can(dtype):
    assert why_not(build_model("llama").to(dtype)) == ""


def test_hybrid_models_cannot_and_it_is_logged_once(caplog):
    model = build_model("lfm2")
    assert "layers of kind conv" in why_not(model)
    assert why_not(model) == why_not(model)
    assert caplog.text.count("runs through model.generate") == 1


def test_a_rotary_embedding_that_looks_at_the_whole_batch_cannot():
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    model = AutoModelForCausalLM.from_config(LlamaConfig(**SIZES, **HEADS, **TOKENS, rope_parameters=rope))
    assert "longest sequence of a batch" in why_not(model.eval())


def test_a_model_with_attention_of_its_own_is_found_out_by_its_logits():
    """A layer that mixes neighbouring tokens would bleed from one row of a packed pass into the next."""
    model = build_model("llama")
    mlp = model.model.layers[1].mlp
    forward = mlp.forward
    mlp.forward = lambda states: forward(states) + torch.roll(states, 1, dims=1)
    assert "change its logits" in why_not(model)


def test_a_model_that_fails_in_a_packed_pass_says_so():
    model = build_model("llama")

    def broken(*_, **__):
        raise RuntimeError("no such kernel")

    model.model.layers[0].self_attn.forward = broken
    assert "failed with RuntimeError: no such kernel" in why_not(model)


def test_a_window_that_attention_is_not_told_of_is_found_out():
    """A window that is in the mask only, as in Phi-3.5-MoE: packed passes, which have none, would look too far back."""
    model = build_model("gemma3_text")
    model.model.layers[2].self_attn.sliding_window = None
    assert "keeps its window of 16 tokens from the attention of layer 2" in why_not(model)


def test_a_softcap_that_its_own_attention_leaves_out_is_not_applied():
    """Some versions of transformers run Gemma 2 with sdpa unless told otherwise."""
    model = AutoModelForCausalLM.from_config(Gemma2Config(**SIZES, **HEADS, **TOKENS)).eval()
    model.config._attn_implementation_internal = "sdpa"
    assert "leaves out the softcap" in why_not(model)
