"""Engines spread over processes: heads, copies of heads, layers."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("vllm")

from ..conftest import make_vectors
from .support import character_tokenizer, plain_tokens, prompts, steered_tokens, tiny_model
from .test_engine import ENCODE, MIXED, NEW

HEADS = {"tensor_parallel_size": 2, "enforce_eager": True}
# Compiled: without the warm-up for that, vLLM 0.32 cannot pass states from stage to stage on CPUs.
LAYERS = {"pipeline_parallel_size": 2}
SPREAD = {
    "heads": (2, HEADS),
    "copies of a head": (1, HEADS),
    "layers": (2, LAYERS),
    "layers, in small chunks": (2, LAYERS | {"max_num_batched_tokens": 48, "max_num_seqs": 16}),
}


@pytest.mark.parametrize("name", list(SPREAD))
def test_answers_do_not_depend_on_the_processes(name, tmp_path):
    kv_heads, arguments = SPREAD[name]
    model = tiny_model(kv_heads)
    model.save_pretrained(tmp_path / "tiny")
    character_tokenizer().save_pretrained(tmp_path / "tiny")
    vectors = {"one": make_vectors(model, seed=1), "two": make_vectors(model, seed=2)}
    (tmp_path / "shelf").mkdir()
    for known, one in vectors.items():
        one.save(tmp_path / "shelf" / f"{known}.safetensors")
    places = [tmp_path / "tiny", tmp_path / "shelf", json.dumps(arguments), tmp_path / "answers.json"]
    command = [sys.executable, "-m", "tests.vllm.ranks", *places]
    alone = {"VLLM_ENABLE_V1_MULTIPROCESSING": "1", "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=os.environ | alone)
    assert finished.returncode == 0, finished.stderr[-4000:]
    found, told = json.loads(places[-1].read_text(encoding="utf-8"))
    texts = prompts(32)
    settings = (MIXED * len(texts))[: len(texts)]
    wrong = 0
    for text, one, tokens, said in zip(texts, settings, found, told, strict=True):
        if one is None:
            expected = plain_tokens(model, ENCODE(text), NEW)
        else:
            keys = one.c_keys or 0.0
            expected = steered_tokens(model, vectors[one.vectors], ENCODE(text), one.c_values, NEW, c_keys=keys)
        wrong += tokens != expected
        assert said == (None if one is None else {"cachesteer": {"edited": True}})
    assert wrong == 0
