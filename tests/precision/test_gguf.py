"""`gguf_file=`: weights in 4 to 32 bits, steered as the oracle steers the same model."""

import pytest
import torch

from lm_eval_cachesteer.engine.support import why_not

from .. import oracle
from ..conftest import make_vectors, random_texts
from ..harness.support import counts, generation, likelihood
from .support import answering_in_tokens, tokens_of, without_end, write_gguf

TEXTS = random_texts(6, 2, 40)
KINDS = ["F32", "F16", "Q8_0", "Q4_0", "Q4_1"]


@pytest.fixture(scope="module")
def folder(llama, tokenizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf")
    tokenizer.save_pretrained(path / "tokenizer")
    for kind in KINDS:
        write_gguf(llama, path / f"tiny.{kind}.gguf", kind)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_steered_as_the_oracle_steers_its_weights(backend, folder, tokenizer, vectors, vectors_file, kind):
    lm = backend(
        pretrained=str(folder), gguf_file=f"tiny.{kind}.gguf", tokenizer=str(folder / "tokenizer"), dtype="float32",
        vectors=str(vectors_file), c_keys=0.3, c_values=1.7,
    )  # fmt: skip
    assert not why_not(lm.model)
    keys = {i: 0.3 * vectors.keys[i] for i in (1, 2, 3)}
    values = {i: 1.7 * vectors.values[i] for i in (1, 2, 3)}
    prompts = [tokenizer.encode(text) for text in TEXTS]
    answers = answering_in_tokens(lm).generate_until(generation(TEXTS), disable_tqdm=True)
    expected = [oracle.greedy(lm.model, prompt, keys, values, 12, eos=257) for prompt in prompts]
    assert [tokens_of(answer) for answer in answers] == [without_end(tokens) for tokens in expected]
    assert expected != [oracle.greedy(lm.model, prompt, {}, {}, 12, eos=257) for prompt in prompts]
    found = lm.loglikelihood(likelihood([(text, " yes") for text in TEXTS]), disable_tqdm=True)
    for prompt, (logprob, _) in zip(prompts, found, strict=True):
        assert logprob == pytest.approx(
            oracle.loglikelihood(lm.model, prompt, tokenizer.encode(" yes"), keys, values)[0], abs=1e-3
        )
    assert counts(lm, "generate_until") == (6, 6, 0)


def test_the_float32_file_is_the_model_it_was_written_from(backend, folder, llama):
    lm = backend(
        pretrained=str(folder), gguf_file="tiny.F32.gguf", tokenizer=str(folder / "tokenizer"), dtype="float32"
    )
    loaded = lm.model.state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in llama.state_dict().items())


def test_the_file_belongs_to_the_fingerprint(backend, folder, llama, tmp_path):
    make_vectors(llama).save(tmp_path / "v.safetensors")
    found = {
        backend(
            pretrained=str(folder), gguf_file=f"tiny.{kind}.gguf", tokenizer=str(folder / "tokenizer"),
            vectors=str(tmp_path / "v.safetensors"),
        ).fingerprint
        for kind in ("Q8_0", "Q4_0")
    }  # fmt: skip
    assert len(found) == 2
