"""The proof on a real model: SmolLM2-135M-Instruct, embedded."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lm_eval_cachesteer import KVSteerer
from lm_eval_cachesteer.cli.demo import METRICS, RUNS, _read_run
from lm_eval_cachesteer.harness.backend import CacheSteerLM
from lm_eval_cachesteer.sources.folders import tasks_folder
from lm_eval_cachesteer.sources.models import load_model

from . import oracle
from .harness.support import generation, likelihood, rolling

pytestmark = pytest.mark.model

HUB = Path(__file__).parents[2] / "shared" / "hub"
BIN = Path(sys.executable).parent
NEW_TOKENS = 24


@pytest.fixture(scope="module")
def loaded(embedded_folder):
    return load_model(str(embedded_folder), device="cpu")


@pytest.fixture(scope="module")
def prompts(loaded):
    """Chat prompts of different lengths."""
    lines = (tasks_folder() / "demo" / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines[:6]]
    return [
        loaded.tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
        )
        for question in questions
    ]


def build(arguments=None, **more):
    return CacheSteerLM(**({"device": "cpu", "batch_size": 4} | (arguments or {}) | more))


def test_the_checkpoint_is_the_model_it_says(loaded):
    assert loaded.model_id == "SmolLM2-135M-Instruct-Q4_1"
    assert loaded.model.num_parameters() == 134_515_008
    assert loaded.model.dtype == torch.float32
    assert loaded.tokenizer.eos_token == "<|im_end|>"
    assert "<|im_start|>assistant" in loaded.tokenizer.chat_template


@pytest.mark.parametrize("batch_size", [1, 4])
def test_shipped_vectors_steer_as_the_oracle_says(loaded, prompts, batch_size):
    """The backend with nothing but `vectors=stepwise` equals the oracle, token for token."""
    (term,) = KVSteerer.from_pretrained("stepwise").terms
    metadata = term.vectors.metadata
    layers = range(1, 30)
    keys = {i: metadata.recommended_c_keys * term.vectors.keys[i] for i in layers}
    values = {i: metadata.recommended_c_values * term.vectors.values[i] for i in layers}
    found = build(vectors="stepwise", batch_size=batch_size).generate_until(
        generation(prompts, max_gen_toks=NEW_TOKENS), disable_tqdm=True
    )
    for prompt, answer in zip(prompts, found, strict=True):
        ids = loaded.tokenizer.encode(prompt) + loaded.tokenizer.encode("\n")
        tokens = oracle.greedy(loaded.model, ids, keys, values, NEW_TOKENS, eos=loaded.tokenizer.eos_token_id)
        assert answer == loaded.tokenizer.decode(tokens, skip_special_tokens=True)


def test_the_unsteered_run_equals_the_harness(embedded_folder, prompts):
    from lm_eval.models.huggingface import HFLM

    ours = build(vectors="stepwise", c_keys=0.0, c_values=0.0, offset_token="none")
    theirs = HFLM(pretrained=str(embedded_folder), device="cpu", batch_size=4)
    requests = generation(prompts, max_gen_toks=NEW_TOKENS)
    assert ours.generate_until(requests, disable_tqdm=True) == theirs.generate_until(requests, disable_tqdm=True)
    pairs = [(prompt, continuation) for prompt in prompts[:3] for continuation in ("A", " Because it is light.")]
    found = ours.loglikelihood(likelihood(pairs), disable_tqdm=True)
    expected = theirs.loglikelihood(likelihood(pairs), disable_tqdm=True)
    assert [f[0] for f in found] == pytest.approx([e[0] for e in expected], abs=1e-4)
    assert [f[1] for f in found] == [e[1] for e in expected]
    texts = ["A short text about the sea.", "Another one."]
    rolled = ours.loglikelihood_rolling(rolling(texts), disable_tqdm=True)
    assert rolled == pytest.approx(theirs.loglikelihood_rolling(rolling(texts), disable_tqdm=True), abs=1e-3)


def test_greedy_texts_do_not_depend_on_the_batch(prompts):
    """Batch sizes, order and sharing; a text may differ only where two tokens nearly tied, and that is counted."""
    requests = generation([prompt for prompt in prompts for _ in range(2)], max_gen_toks=NEW_TOKENS)
    reference = build(vectors="stepwise", batch_size=1).generate_until(requests, disable_tqdm=True)
    for arguments in (
        {"batch_size": 4},
        {"batch_size": 16},
        {"batch_size": "auto"},
        {"batch_size": 16, "share_prefixes": False},
        {"batch_size": 16, "draft_tokens": 0},
        {"batch_size": 4, "engine": "generate"},
    ):
        lm = build(vectors="stepwise", **arguments)
        found = lm.generate_until(requests[::-1], disable_tqdm=True)[::-1]
        different = sum(one != other for one, other in zip(found, reference, strict=True))
        assert different <= lm.counts.summary()["generate_until"]["near_ties"]


def test_the_demo_steers_without_looping(embedded_folder, tmp_path):
    """At least 80 % of 50 held-out answers in numbered steps against under 5 %, at most 10 points more loops."""
    subprocess.run([BIN / "cachesteer", "demo", "--out", tmp_path], check=True, capture_output=True)
    scores = {}
    for name in RUNS:
        run = _read_run(tmp_path / name, 0.0)
        assert len(run.samples) == 50
        scores[name] = {metric: run.results["results"]["cachesteer_demo"][f"{metric},response"] for metric in METRICS}
    assert scores["stepwise"]["stepwise"] >= 0.80
    assert scores["baseline"]["stepwise"] < 0.05
    assert scores["stepwise"]["looping"] <= scores["baseline"]["looping"] + 0.10


@pytest.mark.skipif(not HUB.is_dir(), reason="needs a folder with the hub's datasets")
def test_the_harnesss_own_tasks_run_steered(embedded_folder, tmp_path):
    """Generation and multiple choice, chat-templated; every request is steered."""
    limit = 20
    subprocess.run(
        [
            *(BIN / "lm_eval", "--model", "hf-cachesteer", "--model_args", "vectors=stepwise"),
            *("--tasks", "gsm8k_cot_zeroshot,arc_challenge,commonsense_qa,piqa", "--limit", str(limit)),
            *("--batch_size", "10", "--gen_kwargs", "max_gen_toks=64", "--apply_chat_template"),
            *("--output_path", tmp_path),
        ],
        cwd=HUB,
        check=True,
        capture_output=True,
        env=os.environ | {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1"},
    )
    (path,) = tmp_path.rglob("results_*.json")
    counts = json.loads(path.read_text())["config"]["steering"]["counts"]
    responses = counts["generate_until"]
    assert responses["requests"] == responses["interventions"] == limit
    assert responses["not_steered"] == 0
    choices = counts["loglikelihood"]
    assert choices["requests"] == choices["interventions"] == limit * (4 + 5 + 2)
    assert choices["not_steered"] == 0
