"""Answers of the backend do not depend on how they are computed: engine, batch, order, sharing."""

import random

import pytest
import torch

from lm_eval_cachesteer.errors import ArgumentError

from ..conftest import build_model, make_vectors, random_texts
from .support import counts, generation, likelihood, rolling

HEADER = random_texts(1, 60, 60, seed=3)[0]
SAMPLED = {"do_sample": True, "temperature": 1.2}


def texts():
    return [*random_texts(6, 2, 60), *(HEADER + text for text in random_texts(6, 2, 40, seed=1)), "a", ""]


@pytest.fixture
def steered(backend, vectors_file):
    def build(**arguments):
        return backend(**({"vectors": str(vectors_file), "c_values": 2.0, "offset_token": "\n"} | arguments))

    return build


@pytest.mark.parametrize("engine", ["auto", "generate"])
@pytest.mark.parametrize("batch_size", [1, 4, 16, "auto"])
@pytest.mark.parametrize(("share_prefixes", "draft_tokens"), [(True, 4), (False, 4), (True, 0)])
def test_greedy_texts_and_scores_are_the_same(steered, engine, batch_size, share_prefixes, draft_tokens):
    lm = steered(engine=engine, batch_size=batch_size, share_prefixes=share_prefixes, draft_tokens=draft_tokens)
    reference = steered()
    assert lm.generate_until(generation(texts())) == reference.generate_until(generation(texts()))
    pairs = [(text, choice) for text in texts() for choice in (" yes", " no", " yet")]
    found, expected = lm.loglikelihood(likelihood(pairs)), reference.loglikelihood(likelihood(pairs))
    assert [f[0] for f in found] == pytest.approx([e[0] for e in expected], abs=1e-4)
    whole = [text for text in texts() if text]
    assert lm.loglikelihood_rolling(rolling(whole)) == pytest.approx(
        reference.loglikelihood_rolling(rolling(whole)), abs=1e-3
    )
    assert lm.fingerprint == reference.fingerprint
    assert lm.counts.summary() == reference.counts.summary()


def test_steering_anew_equals_a_model_loaded_anew(steered):
    lm, other = steered(), steered(c_values=7.0, layers="2-")
    requests = generation(texts())
    before = lm.generate_until(requests)
    lm.steer(other.arguments)
    assert lm.generate_until(requests) == other.generate_until(requests) != before
    assert lm.fingerprint == other.fingerprint
    assert lm.counts.summary() == other.counts.summary()


@pytest.mark.parametrize(("batch_size", "draft_tokens"), [(1, 4), (4, 0), (4, 9), (16, 4)])
def test_a_seed_gives_the_same_sampled_text_in_any_batch_and_order(steered, batch_size, draft_tokens):
    requests = generation([*texts(), *texts()[:3]], **SAMPLED)
    torch.manual_seed(7)
    expected = steered(batch_size=5).generate_until(requests)
    order = list(range(len(texts())))
    random.Random(2).shuffle(order)
    shuffled = [requests[i] for i in order] + requests[len(order) :]
    torch.manual_seed(7)
    found = steered(batch_size=batch_size, draft_tokens=draft_tokens).generate_until(shuffled)
    assert found[: len(order)] == [expected[i] for i in order]
    assert found[len(order) :] == expected[len(order) :]
    assert expected[:3] != expected[-3:]  # repeats of a prompt draw their own numbers
    torch.manual_seed(8)
    assert steered(batch_size=batch_size).generate_until(requests) != expected


def test_requests_with_different_arguments_keep_their_places(steered):
    some, others = random_texts(4, 5, 30), random_texts(4, 5, 30, seed=4)
    mixed = [r for pair in zip(generation(some), generation(others, max_gen_toks=3), strict=True) for r in pair]
    found = steered().generate_until(mixed)
    assert found[0::2] == steered().generate_until(generation(some))
    assert found[1::2] == steered().generate_until(generation(others, max_gen_toks=3))


def test_beams_go_through_generate_are_steered_and_logged_once(steered, caplog):
    lm = steered()
    requests = generation(random_texts(9, 5, 30), num_beams=3)
    answers = lm.generate_until(requests)
    assert counts(lm, "generate_until") == (9, 9, 0)
    assert caplog.text.count("beam search is done by generate") == 1
    assert answers == steered(engine="generate").generate_until(requests)
    assert answers != steered(c_values=0.0).generate_until(requests)


def test_hybrid_models_go_through_generate_and_are_steered(backend, tokenizer, tmp_path, caplog):
    model = build_model("lfm2")
    make_vectors(model, layers=[1, 3]).save(tmp_path / "v.safetensors")
    same_length = random_texts(5, 20, 20)
    arguments = {"pretrained": model, "tokenizer": tokenizer, "max_length": 200}
    steered = backend(**arguments, vectors=str(tmp_path / "v.safetensors"), c_values=2.0)
    answers = steered.generate_until(generation(same_length))
    assert counts(steered, "generate_until") == (5, 5, 0)
    assert "layers of kind conv" in caplog.text
    assert answers != backend(**arguments).generate_until(generation(same_length))


def test_near_ties_are_counted(backend, llama, tokenizer):
    """A model without preferences ties at every token."""
    model = build_model("llama")
    with torch.no_grad():
        model.lm_head.weight.zero_()
    lm = backend(pretrained=model, tokenizer=tokenizer, max_length=200)
    lm.generate_until(generation(random_texts(5, 5, 30)))
    assert lm.counts.summary()["generate_until"]["near_ties"] == 5
    clear = backend()
    clear.generate_until(generation(random_texts(5, 5, 30)))
    assert clear.counts.summary()["generate_until"]["near_ties"] == 0


def test_the_progress_bar_shows_requests_and_tokens_per_second(backend, capsys):
    lm = backend()
    lm.generate_until(generation(random_texts(5, 5, 30)))
    generated = capsys.readouterr().err
    lm.loglikelihood(likelihood([(text, " yes") for text in random_texts(5, 5, 30)]))
    scored = capsys.readouterr().err
    for request_type, shown in (("generate_until", generated), ("loglikelihood", scored)):
        assert f"Running {request_type} requests" in shown
        assert "5/5" in shown
        assert "tokens/s" in shown


@pytest.mark.parametrize(
    ("argument", "allowed"),
    [
        ({"engine": "fast"}, "auto .* or generate"),
        ({"kv_memory": 0}, "GiB"),
        ({"kv_memory": "4"}, "GiB"),
        ({"share_prefixes": 1}, "true or false"),
        ({"compile": "yes"}, "true or false"),
        ({"draft_tokens": -1}, "at least 0"),
        ({"draft_tokens": 1.5}, "whole number"),
        ({"draft_tokens": True}, "whole number"),
    ],
)
def test_bad_arguments_are_refused(backend, argument, allowed):
    with pytest.raises(ArgumentError, match=allowed):
        backend(**argument)


def test_a_budget_smaller_than_any_prefix_changes_nothing_but_speed(steered):
    reference = steered().generate_until(generation(texts()))
    assert steered(kv_memory=1e-6).generate_until(generation(texts())) == reference
