"""`mixed_precision_dtype`: float32 weights under autocast."""

import pytest
import torch

from .. import oracle
from ..conftest import build_model, random_texts
from ..harness.support import counts, generation, likelihood
from .support import answering_in_tokens, shortfalls, tokens_of, watched_edits

CLOSE = 0.2
# Long enough that rows read it in place instead of copying it.
HEADER = random_texts(1, 200, 200, seed=7)[0]


def texts():
    return [*random_texts(4, 3, 40), *(HEADER + text for text in random_texts(4, 3, 20, seed=1))]


@pytest.mark.parametrize("engine", ["auto", "generate"])
@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_answers_equal_the_oracle_under_the_same_autocast(backend, tokenizer, vectors, vectors_file, engine, name):
    lm = backend(vectors=str(vectors_file), c_values=1.7, mixed_precision_dtype=name, engine=engine, max_length=256)
    answering_in_tokens(lm)
    assert next(lm.model.parameters()).dtype == torch.float32
    values = {i: 1.7 * vectors.values[i] for i in (1, 2, 3)}
    keys = {i: torch.zeros_like(value) for i, value in values.items()}
    prompts = [tokenizer.encode(text) for text in texts()]
    with watched_edits() as seen:
        answers = lm.generate_until(generation(texts()), disable_tqdm=True)
        found = lm.loglikelihood(likelihood([(text, " yes") for text in texts()]), disable_tqdm=True)
    assert all(torch.equal(after, expected) for _, _, after, expected in seen)
    assert counts(lm, "generate_until") == (8, 8, 0)
    assert counts(lm, "loglikelihood") == (8, 8, 0)
    with torch.autocast("cpu", getattr(torch, name)):
        for prompt, answer, (logprob, _) in zip(prompts, answers, found, strict=True):
            assert max(shortfalls(lm.model, prompt, tokens_of(answer), keys, values)) <= CLOSE
            expected, _ = oracle.loglikelihood(lm.model, prompt, tokenizer.encode(" yes"), keys, values)
            assert logprob == pytest.approx(expected, abs=CLOSE)


def test_a_loaded_model_takes_it_as_well(backend, tokenizer, vectors_file):
    shared = {"vectors": str(vectors_file), "c_values": 1.7, "mixed_precision_dtype": "bfloat16", "max_length": 256}
    folder = backend(**shared).generate_until(generation(texts()), disable_tqdm=True)
    given = backend(pretrained=build_model("llama"), tokenizer=tokenizer, **shared)
    assert given.generate_until(generation(texts()), disable_tqdm=True) == folder


def test_it_belongs_to_the_fingerprint(backend, vectors_file):
    plain = backend(vectors=str(vectors_file)).fingerprint
    mixed = backend(vectors=str(vectors_file), mixed_precision_dtype="bfloat16").fingerprint
    other = backend(vectors=str(vectors_file), dtype="bfloat16").fingerprint
    assert len({plain, mixed, other}) == 3
