from dataclasses import replace

import pytest
from transformers import Gemma3TextConfig, LlamaConfig, T5Config

from lm_eval_cachesteer.core.architecture import Architecture, check_architecture
from lm_eval_cachesteer.errors import ArgumentError, VectorMismatchError

from ..conftest import CONFIGS


def test_fingerprints_read_what_matters():
    llama = Architecture.of(CONFIGS["llama"]())
    assert llama == Architecture("llama", 4, 32, 2, 8, {"": 10000.0})
    assert Architecture.of(CONFIGS["gpt2"]()) == Architecture("gpt2", 4, 32, 4, 8, {})
    gemma = Architecture.of(Gemma3TextConfig())
    assert set(gemma.rope_base) == {"full_attention", "sliding_attention"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_hidden_layers": 5}, "n_layers: vectors 4, model 5"),
        ({"num_key_value_heads": 4}, "n_kv_heads: vectors 2, model 4"),
        ({"head_dim": 16}, "head_dim: vectors 8, model 16"),
        ({"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}, "rope_base: .*10000.*500000"),
    ],
)
def test_each_difference_is_refused_with_both_sides(change, message):
    ours = CONFIGS["llama"]()
    theirs = LlamaConfig(**(ours.to_dict() | change))
    with pytest.raises(VectorMismatchError, match=message):
        check_architecture("v", Architecture.of(ours), Architecture.of(theirs))


def test_other_model_types_are_refused_and_unknown_ones_pass():
    llama = Architecture.of(CONFIGS["llama"]())
    with pytest.raises(VectorMismatchError, match="model_type: vectors 'qwen2', model 'llama'"):
        check_architecture("v", replace(llama, model_type="qwen2"), llama)
    check_architecture("v", None, llama)
    check_architecture("v", llama, llama)


def test_encoder_decoders_are_refused():
    with pytest.raises(ArgumentError, match="t5 is an encoder-decoder"):
        Architecture.of(T5Config())
