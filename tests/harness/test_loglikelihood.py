"""loglikelihood and loglikelihood_rolling against the oracle, and their bookkeeping."""

import pytest
import torch
from lm_eval import utils

from .. import oracle
from ..conftest import random_texts
from .support import counts, likelihood, rolling

NEWLINE = "\n"
LAYERS = (1, 2, 3)


@pytest.fixture
def values(vectors):
    return {i: 2.0 * vectors.values[i] for i in LAYERS}


def no_keys(values):
    return {i: torch.zeros_like(value) for i, value in values.items()}


def requests(count=8):
    contexts = random_texts(count // 2, 2, 40)
    return [(c, " " + t) for c in contexts for t in ("yes", "n")]


@pytest.mark.parametrize("batch_size", [1, 4, 16])
@pytest.mark.parametrize("offset", [None, NEWLINE])
@pytest.mark.parametrize("logits_cache", [True, False])
def test_scores_equal_the_oracle(backend, llama, tokenizer, values, vectors_file, batch_size, offset, logits_cache):
    lm = backend(
        vectors=str(vectors_file),
        c_values=2.0,
        offset_token=offset or "none",
        batch_size=batch_size,
        logits_cache=logits_cache,
    )
    pairs = [*requests(), ("same", " a"), ("same", " b")]
    found = lm.loglikelihood(likelihood(pairs), disable_tqdm=True)
    for (context, continuation), (logprob, is_greedy) in zip(pairs, found, strict=True):
        prompt = tokenizer.encode(context) + tokenizer.encode(offset or "")
        expected, greedy = oracle.loglikelihood(llama, prompt, tokenizer.encode(continuation), no_keys(values), values)
        assert logprob == pytest.approx(expected, abs=1e-4)
        assert is_greedy == greedy
    assert counts(lm, "loglikelihood") == (10, 10, 0)


def test_single_token_choices_are_steered(backend, vectors_file):
    pairs = [("a question", letter) for letter in "ABCD"]
    steered = backend(vectors=str(vectors_file), c_values=2.0).loglikelihood(likelihood(pairs), disable_tqdm=True)
    plain = backend().loglikelihood(likelihood(pairs), disable_tqdm=True)
    assert all(abs(s[0] - p[0]) > 1e-3 for s, p in zip(steered, plain, strict=True))


def test_is_greedy_follows_the_steered_distribution(backend, llama, tokenizer, values, vectors_file):
    for context in random_texts(20, 5, 20):
        steered_first = oracle.greedy(llama, tokenizer.encode(context), no_keys(values), values, 1)
        plain_first = oracle.greedy(llama, tokenizer.encode(context), {}, {}, 1)
        if steered_first != plain_first:
            break
    assert steered_first != plain_first
    lm = backend(vectors=str(vectors_file), c_values=2.0, offset_token="none")
    pairs = [((context, ""), tokenizer.encode(context), first) for first in (steered_first, plain_first)]
    assert [greedy for _, greedy in lm._loglikelihood_tokens(pairs, disable_tqdm=True)] == [True, False]


def test_a_context_of_one_token_is_scored_plainly_and_counted(backend, vectors_file, caplog):
    lm = backend(vectors=str(vectors_file), c_values=2.0, offset_token="none")
    pairs = [("a", " yes"), ("", "yes"), ("abc", " yes")]
    found = lm.loglikelihood(likelihood(pairs), disable_tqdm=True)
    plain = backend().loglikelihood(likelihood(pairs), disable_tqdm=True)
    assert found[0][0] == pytest.approx(plain[0][0], abs=1e-5)
    assert found[1][0] == pytest.approx(plain[1][0], abs=1e-5)
    assert abs(found[2][0] - plain[2][0]) > 1e-3
    assert counts(lm, "loglikelihood") == (3, 1, 2)
    assert "2 of 3 loglikelihood prompts could not be steered" in caplog.text


def test_steer_loglikelihood_can_be_switched_off(backend, vectors_file):
    lm = backend(vectors=str(vectors_file), c_values=2.0, offset_token=NEWLINE, steer_loglikelihood=False)
    found = lm.loglikelihood(likelihood(requests()), disable_tqdm=True)
    plain = backend().loglikelihood(likelihood(requests()), disable_tqdm=True)
    assert [f[0] for f in found] == pytest.approx([p[0] for p in plain], abs=1e-5)
    assert counts(lm, "loglikelihood") == (8, 0, 0)


@pytest.mark.parametrize("offset", [None, NEWLINE])
def test_contexts_too_long_are_cut_from_the_left(backend, llama, tokenizer, values, vectors_file, offset):
    lm = backend(vectors=str(vectors_file), c_values=2.0, offset_token=offset or "none", max_length=32)
    context, continuation = random_texts(1, 60, 60)[0], " yes"
    cont = tokenizer.encode(continuation)
    kept = (tokenizer.encode(context) + tokenizer.encode(offset or ""))[-(33 - len(cont)) :]
    ((found, _),) = lm.loglikelihood(likelihood([(context, continuation)]), disable_tqdm=True)
    expected, _ = oracle.loglikelihood(llama, kept, cont, no_keys(values), values)
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("offset", [None, NEWLINE])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_rolling_windows_edit_the_last_context_token(
    backend, llama, tokenizer, values, vectors_file, offset, batch_size
):
    lm = backend(
        vectors=str(vectors_file), c_values=2.0, offset_token=offset or "none", max_length=32, batch_size=batch_size
    )
    texts = [*random_texts(3, 10, 30), random_texts(1, 90, 90)[0]]
    found = lm.loglikelihood_rolling(rolling(texts), disable_tqdm=True)
    windows = 0
    for text, logprob in zip(texts, found, strict=True):
        total = 0.0
        for context, continuation in map(
            utils.make_disjoint_window,
            utils.get_rolling_token_windows(tokenizer.encode(text), 256, 32 - bool(offset), 1),
        ):
            windows += 1
            prompt = context + tokenizer.encode(offset or "")
            total += oracle.loglikelihood(
                llama, prompt, continuation, no_keys(values), values, edit_last=offset is None
            )[0]
        assert logprob == pytest.approx(total, abs=1e-3)
    assert windows > len(texts)
    assert counts(lm, "loglikelihood_rolling") == (4, windows, 0)
    assert lm.max_length == 32
