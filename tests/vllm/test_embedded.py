"""A real model, real questions: `vllm-cachesteer` against `hf-cachesteer`."""

import gc
import json

import pytest

pytest.importorskip("vllm")

from lm_eval_cachesteer.harness.backend import CacheSteerLM
from lm_eval_cachesteer.harness.vllm_backend import VLLMCacheSteerLM
from lm_eval_cachesteer.sources.folders import tasks_folder

from ..harness.support import counts, generation, likelihood

pytestmark = pytest.mark.model

SETTINGS = {"vectors": "stepwise", "max_length": 1024}
NEW = 48


def questions(count):
    """Questions of mixed lengths from the shipped tasks, some with others before them."""
    folder = tasks_folder() / "offline"
    lines = [line for name in ("open_prompts", "choice", "word_problems") for line in _lines(folder / f"{name}.jsonl")]
    texts = [next(value for value in line.values() if isinstance(value, str) and " " in value) for line in lines]
    chosen = texts[:: max(1, len(texts) // count)][:count]
    return [text if i % 3 else "\n".join([*chosen[: i % 7], text]) for i, text in enumerate(chosen)]


def _lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def chat(lm, texts):
    return [lm.apply_chat_template([{"role": "user", "content": text}]) for text in texts]


def test_answers_and_likelihoods_are_those_of_hf_cachesteer(embedded_folder):
    theirs = CacheSteerLM(device="cpu", batch_size=16, **SETTINGS)
    texts = chat(theirs, questions(66))
    assert len(set(texts)) >= 64
    requests = generation(texts, max_gen_toks=NEW)
    pairs = [(text, choice) for text in texts[:8] for choice in (" A", " Because it is")]
    expected, scores = theirs.generate_until(requests), theirs.loglikelihood(likelihood(pairs))
    ties = theirs.counts.summary()["generate_until"]["near_ties"]
    del theirs
    gc.collect()
    ours = VLLMCacheSteerLM(dtype="float32", enforce_eager=True, max_num_batched_tokens=256, **SETTINGS)
    found, scored = ours.generate_until(requests), ours.loglikelihood(likelihood(pairs))
    differing = sum(one != other for one, other in zip(found, expected, strict=True))
    print(f"{differing} of {len(texts)} answers differ, {ties} have near ties")
    assert differing <= 0.01 * len(texts)
    assert counts(ours, "generate_until") == (66, 66, 0)
    assert [one[0] for one in scored] == pytest.approx([one[0] for one in scores], abs=5e-3)
    assert [one[1] for one in scored] == [one[1] for one in scores]
