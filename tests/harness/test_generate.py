"""generate_until against the oracle, and its bookkeeping."""

import pytest
import torch

from lm_eval_cachesteer.errors import ArgumentError

from .. import oracle
from ..conftest import build_model, make_vectors, random_texts
from .support import counts, generation

EOS = 257
NEWLINE = "\n"


def expected_text(model, tokenizer, prompt, keys, values, new_tokens=12):
    tokens = oracle.greedy(model, prompt, keys, values, new_tokens, eos=EOS)
    return tokenizer.decode(tokens, skip_special_tokens=True).split("<eos>")[0]


def steered_text(model, tokenizer, prompt, values, new_tokens=12):
    keys = {i: torch.zeros_like(value) for i, value in values.items()}
    return expected_text(model, tokenizer, prompt, keys, values, new_tokens)


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("offset", [None, NEWLINE])
@pytest.mark.parametrize(("c_keys", "layers", "chosen"), [(0.0, "1-", [1, 2, 3]), (0.7, "2+3", [2, 3])])
def test_steered_answers_equal_the_oracle(
    backend, llama, tokenizer, vectors, vectors_file, batch_size, offset, c_keys, layers, chosen
):
    lm = backend(
        vectors=str(vectors_file),
        c_keys=c_keys,
        c_values=2.0,
        layers=layers,
        offset_token=offset or "none",
        batch_size=batch_size,
    )
    texts = random_texts(7, 2, 40)
    keys = {i: c_keys * vectors.keys[i] for i in chosen}
    values = {i: 2.0 * vectors.values[i] for i in chosen}
    tail = tokenizer.encode(offset or "")
    expected = [expected_text(llama, tokenizer, tokenizer.encode(text) + tail, keys, values) for text in texts]
    assert lm.generate_until(generation(texts), disable_tqdm=True) == expected
    assert counts(lm, "generate_until") == (7, 7, 0)
    plain = backend(batch_size=batch_size).generate_until(generation(texts), disable_tqdm=True)
    assert plain != expected


def test_prompts_of_one_token_run_unsteered_and_are_counted(backend, llama, tokenizer, vectors_file, caplog):
    lm = backend(vectors=str(vectors_file), c_values=2.0, offset_token="none")
    answers = lm.generate_until(generation(["a", "abc"]), disable_tqdm=True)
    assert counts(lm, "generate_until") == (2, 1, 1)
    assert "1 of 2 generate_until prompts could not be steered" in caplog.text
    plain = backend().generate_until(generation(["a", "abc"]), disable_tqdm=True)
    assert answers[0] == plain[0]
    assert answers[1] != plain[1]


def test_an_offset_token_makes_one_token_prompts_steerable(backend, vectors_file):
    lm = backend(vectors=str(vectors_file), c_values=2.0, offset_token=NEWLINE)
    lm.generate_until(generation(["a", ""]), disable_tqdm=True)
    assert counts(lm, "generate_until") == (2, 2, 0)


@pytest.mark.parametrize("new_tokens", [1, 5])
def test_the_offset_token_is_not_counted_as_generated(backend, llama, tokenizer, vectors, vectors_file, new_tokens):
    lm = backend(vectors=str(vectors_file), c_values=2.0, offset_token=NEWLINE)
    values = {i: 2.0 * vectors.values[i] for i in (1, 2, 3)}
    expected = steered_text(llama, tokenizer, tokenizer.encode("hello\n"), values, new_tokens)
    assert lm.generate_until(generation(["hello"], max_gen_toks=new_tokens), disable_tqdm=True) == [expected]


def test_an_edited_position_other_than_the_last(backend, llama, tokenizer, vectors, vectors_file):
    lm = backend(vectors=str(vectors_file), c_values=2.0, offset_token="none", position=-3)
    lm.generate_until(generation(["abcdef", "ab"]), disable_tqdm=True)
    assert counts(lm, "generate_until") == (2, 1, 1)


def test_long_prompts_are_cut_from_the_left_and_the_offset_stays(backend, llama, tokenizer, vectors, vectors_file):
    lm = backend(vectors=str(vectors_file), c_values=2.0, offset_token=NEWLINE, max_length=32)
    text = random_texts(1, 60, 60)[0]
    kept = tokenizer.encode(text)[-(32 - 12 - 1) :] + tokenizer.encode(NEWLINE)
    values = {i: 2.0 * vectors.values[i] for i in (1, 2, 3)}
    expected = steered_text(llama, tokenizer, kept, values)
    assert lm.generate_until(generation([text]), disable_tqdm=True) == [expected]


def test_no_room_for_the_prompt_is_an_error(backend):
    with pytest.raises(ArgumentError, match="leaves no room for the prompt"):
        backend(max_length=12).generate_until(generation(["abc"]), disable_tqdm=True)


def test_stop_strings_end_answers(backend, vectors_file):
    lm = backend(vectors=str(vectors_file), c_values=2.0)
    whole = lm.generate_until(generation(random_texts(5, 5, 30)), disable_tqdm=True)
    stop = whole[0][3:5]
    stopped = lm.generate_until(generation(random_texts(5, 5, 30), until=[stop]), disable_tqdm=True)
    assert stopped == [text.split(stop)[0] for text in whole]


def test_thinking_is_cut_off(backend, vectors_file):
    whole = backend(vectors=str(vectors_file), c_values=2.0).generate_until(generation(["abcde"]), disable_tqdm=True)[0]
    end = whole[4]
    lm = backend(vectors=str(vectors_file), c_values=2.0, think_end_token=end)
    assert lm.generate_until(generation(["abcde"]), disable_tqdm=True) == [whole.split(end)[-1].lstrip()]


def test_a_zero_edit_and_no_vectors_are_the_same_run(backend, vectors_file):
    texts = random_texts(5, 2, 30)
    zero = backend(vectors=str(vectors_file), c_keys=0.0, c_values=0.0)
    assert zero.generate_until(generation(texts), disable_tqdm=True) == backend().generate_until(
        generation(texts), disable_tqdm=True
    )
    assert counts(zero, "generate_until") == (5, 0, 0)


def test_sums_of_vectors_are_steered_by_the_sum(backend, llama, tokenizer, tmp_path):
    one, two = make_vectors(llama, seed=1), make_vectors(llama, seed=2)
    one.save(tmp_path / "one.safetensors")
    two.save(tmp_path / "two.safetensors")
    lm = backend(vectors=f"0.5*{tmp_path}/one.safetensors+{tmp_path}/two.safetensors", c_values=2.0)
    values = {i: 2.0 * (0.5 * one.values[i] + two.values[i]) for i in (1, 2, 3)}
    prompt = "a prompt"
    assert lm.generate_until(generation([prompt]), disable_tqdm=True) == [
        steered_text(llama, tokenizer, tokenizer.encode(prompt), values)
    ]


class TestSecondStage:
    """answer_prompt: response, then the prompt, then a few greedy tokens."""

    PROMPT = "\nSo:"

    def expected_fresh(self, llama, tokenizer, context, response):
        tokens = tokenizer.encode(context) + tokenizer.encode(response + self.PROMPT)
        answer = oracle.greedy(llama, tokens, {}, {}, 4, eos=EOS)
        return response + self.PROMPT + tokenizer.decode(answer, skip_special_tokens=True)

    def test_fresh_is_an_unsteered_prefill_of_everything(self, backend, llama, tokenizer, vectors_file):
        texts = random_texts(5, 3, 30)
        steered = {"vectors": str(vectors_file), "c_values": 2.0, "offset_token": NEWLINE}
        responses = backend(**steered).generate_until(generation(texts), disable_tqdm=True)
        lm = backend(**steered, answer_prompt=self.PROMPT, answer_tokens=4)
        expected = [self.expected_fresh(llama, tokenizer, t, r) for t, r in zip(texts, responses, strict=True)]
        assert lm.generate_until(generation(texts), disable_tqdm=True) == expected
        assert counts(lm, "answer_stage") == (5, 0, 0)

    @pytest.mark.parametrize("kind", ["llama", "gemma3_text"])
    def test_steered_goes_on_from_the_edited_cache(self, backend, tokenizer, kind, tmp_path):
        """Prompts and responses of mixed lengths, with full attention and with windows shorter than them."""
        model = build_model(kind)
        vectors = make_vectors(model)
        vectors.save(tmp_path / "v.safetensors")
        texts = random_texts(5, 3, 30)
        steered = {"pretrained": model, "tokenizer": tokenizer, "vectors": str(tmp_path / "v.safetensors")}
        steered |= {"c_values": 2.0, "offset_token": NEWLINE, "max_length": 256}
        responses = backend(**steered).generate_until(generation(texts), disable_tqdm=True)
        lm = backend(**steered, answer_prompt=self.PROMPT, answer_tokens=4, answer_stage="steered")
        found = lm.generate_until(generation(texts), disable_tqdm=True)
        for text, response, answer in zip(texts, responses, found, strict=True):
            tail = tokenizer.encode(NEWLINE) + tokenizer.encode(response + self.PROMPT)
            tokens = self.oracle_continuation(model, tokenizer.encode(text), tail, vectors)
            assert answer == response + self.PROMPT + tokenizer.decode(tokens, skip_special_tokens=True)
        assert counts(lm, "answer_stage") == (5, 5, 0)

    def oracle_continuation(self, model, prompt, tail, vectors):
        """Edits the prompt's last token, feeds the tail one token at a time, decodes greedily."""
        values = {i: 2.0 * vectors.values[i] for i in (1, 2, 3)}
        cache, _ = oracle.steered_cache(model, prompt, {i: torch.zeros(2, 8) for i in values}, values)
        for position, token in enumerate(tail, start=len(prompt)):
            logits = oracle.step(model, cache, token, position)
        produced = []
        for position in range(len(prompt) + len(tail), len(prompt) + len(tail) + 4):
            produced.append(int(logits.argmax()))
            if produced[-1] == EOS:
                break
            logits = oracle.step(model, cache, produced[-1], position)
        return produced
