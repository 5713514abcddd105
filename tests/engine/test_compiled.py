"""Compiled decode steps equal the oracle. Compiling needs a C++ compiler and takes a while, so one model only."""

import shutil

import pytest

from lm_eval_cachesteer.core.edit import CacheEdit
from lm_eval_cachesteer.engine.compiled import CompiledDecode
from lm_eval_cachesteer.engine.forward import PackedModel

from .. import oracle
from ..conftest import build_model
from .support import decode, mixed_prompts


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.parametrize("kind", ["llama", "gemma3_text"])
def test_responses_equal_the_oracle(kind):
    model = build_model(kind)
    keys, values = oracle.draw_vectors(model, [1, 2, 3], scale=2.0)
    prompts = mixed_prompts()
    lengths = [3 + 5 * (i % 4) for i in range(len(prompts))]
    expected = [oracle.greedy(model, p, keys, values, n) for p, n in zip(prompts, lengths, strict=True)]
    packed = PackedModel(model)
    found = decode(
        model, prompts, CacheEdit(keys, values), new_tokens=lengths, packed=packed, compiled=CompiledDecode(packed)
    )
    assert [response.tokens for response in found] == expected
