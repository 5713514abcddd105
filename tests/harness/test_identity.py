"""Without vectors, or with a zero edit, results equal the harness's own `hf` model."""

import pytest
import torch
from lm_eval.models.huggingface import HFLM

from ..conftest import random_texts
from .support import generation, likelihood, rolling

ZERO = {"c_keys": 0.0, "c_values": 0.0, "offset_token": "none"}


@pytest.fixture(params=["no vectors", "zero edit"])
def pair(request, backend, llama_folder, vectors_file):
    """Builds our backend and HFLM with the same arguments."""

    def build(engine="auto", **arguments):
        ours = {"engine": engine}
        if request.param == "zero edit":
            ours |= {"vectors": str(vectors_file)} | ZERO
        theirs = HFLM(**({"pretrained": str(llama_folder), "device": "cpu", "batch_size": 4} | arguments))
        return backend(**ours, **arguments), theirs

    return build


@pytest.mark.parametrize("batch_size", [1, 3, 16])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"until": ["e", "zz"]},
        {"do_sample": True, "temperature": 0.8, "top_k": 20},
        {"num_beams": 3},
        {"repetition_penalty": 1.3},
        {"max_gen_toks": 1},
    ],
)
def test_generation(pair, batch_size, settings):
    sampled = settings.get("do_sample", False)
    ours, theirs = pair("generate" if sampled else "auto", batch_size=batch_size)
    answers = []
    for lm in (ours, theirs):
        torch.manual_seed(5)
        texts = random_texts(9, 2, 60)
        if sampled:
            texts = random_texts(9, 30, 30)  # no padding, so that equal draws follow
        answers.append(lm.generate_until(generation(texts, **settings), disable_tqdm=True))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "arguments", [{"max_length": 40}, {"add_bos_token": True}, {"think_end_token": "e"}, {"truncation": True}]
)
def test_generation_with_model_arguments(pair, arguments):
    ours, theirs = pair(**arguments)
    texts = random_texts(6, 2, 60)
    assert ours.generate_until(generation(texts), disable_tqdm=True) == theirs.generate_until(
        generation(texts), disable_tqdm=True
    )


@pytest.mark.parametrize("batch_size", [1, 3, 16])
@pytest.mark.parametrize("arguments", [{}, {"max_length": 40}, {"logits_cache": False}])
def test_loglikelihood(pair, batch_size, arguments):
    ours, theirs = pair(batch_size=batch_size, **arguments)
    pairs = [(c, " " + t) for c in [*random_texts(5, 1, 60), "", "x"] for t in ("yes", "no way", "n")]
    found = ours.loglikelihood(likelihood(pairs), disable_tqdm=True)
    expected = theirs.loglikelihood(likelihood(pairs), disable_tqdm=True)
    assert [f[0] for f in found] == pytest.approx([e[0] for e in expected], abs=1e-4)
    assert [f[1] for f in found] == [e[1] for e in expected]


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("max_length", [24, 200])
def test_loglikelihood_rolling(pair, batch_size, max_length):
    ours, theirs = pair(batch_size=batch_size, max_length=max_length)
    texts = random_texts(5, 2, 80)
    found = ours.loglikelihood_rolling(rolling(texts), disable_tqdm=True)
    expected = theirs.loglikelihood_rolling(rolling(texts), disable_tqdm=True)
    assert found == pytest.approx(expected, abs=1e-3)


def test_batch_size_auto_gives_the_same_answers(pair):
    ours, _ = pair(batch_size="auto")
    _, theirs = pair(batch_size=4)
    texts = random_texts(6, 2, 30)
    assert ours.generate_until(generation(texts), disable_tqdm=True) == theirs.generate_until(
        generation(texts), disable_tqdm=True
    )
    pairs = [(c, " yes") for c in texts]
    found = ours.loglikelihood(likelihood(pairs), disable_tqdm=True)
    expected = theirs.loglikelihood(likelihood(pairs), disable_tqdm=True)
    assert [f[0] for f in found] == pytest.approx([e[0] for e in expected], abs=1e-4)
    rolled = ours.loglikelihood_rolling(rolling(texts), disable_tqdm=True)
    assert rolled == pytest.approx(theirs.loglikelihood_rolling(rolling(texts), disable_tqdm=True), abs=1e-3)
