"""KVSteerer, the Python API, against the oracle and against plain generate."""

import copy

import pytest
import torch
from transformers import DynamicCache, StaticCache

from lm_eval_cachesteer import KVSteerer, SteeringVectors
from lm_eval_cachesteer.core.edit import WeightedVectors
from lm_eval_cachesteer.errors import ArgumentError, CachesteerError, SteeringError, VectorMismatchError

from . import oracle
from .conftest import build_model, make_vectors

IDS = torch.tensor([[257, 257, 5, 6, 7], [1, 2, 3, 4, 5]])
MASK = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
OPTIONS = {"max_new_tokens": 10, "do_sample": False, "pad_token_id": 257, "eos_token_id": None}


def expected(model, vectors, ck, cv, offset=None, new_tokens=10):
    keys = {i: ck * vectors.keys[i] for i in (1, 2, 3)}
    values = {i: cv * vectors.values[i] for i in (1, 2, 3)}
    tail = [] if offset is None else [offset]
    return [oracle.greedy(model, ids + tail, keys, values, new_tokens) for ids in ([5, 6, 7], [1, 2, 3, 4, 5])]


@pytest.mark.parametrize("offset", [None, 10])
@pytest.mark.parametrize("implementation", [None, "dynamic", "static"])
def test_steer_returns_prompt_and_steered_answer(llama, vectors, offset, implementation):
    steerer = KVSteerer(vectors, offset_token=offset)
    out = steerer.steer(
        llama, input_ids=IDS, attention_mask=MASK, ck=0.3, cv=2.0, cache_implementation=implementation, **OPTIONS
    )
    assert torch.equal(out[:, :5], IDS)
    assert out[:, 5:].tolist() == expected(llama, vectors, 0.3, 2.0, offset)
    plain = llama.generate(IDS, attention_mask=MASK, **OPTIONS)
    assert out.shape == plain.shape
    assert not torch.equal(out, plain)


@pytest.mark.parametrize("kind", ["dynamic", "static"])
def test_sliding_window_models_steer_in_every_layout(kind):
    """A prompt longer than the window, in the layouts that forget it."""
    model = build_model("gemma3_text")
    vectors = make_vectors(model, scale=2.0)
    prompt = list(range(3, 43))
    keys = {i: torch.zeros_like(vectors.keys[i]) for i in (1, 2, 3)}
    values = {i: 3.0 * vectors.values[i] for i in (1, 2, 3)}
    out = KVSteerer(vectors).steer(model, torch.tensor([prompt]), cv=3.0, cache_implementation=kind, **OPTIONS)
    assert out[0, 40:].tolist() == oracle.greedy(model, prompt, keys, values, 10)
    assert out[0, 40:].tolist() != oracle.greedy(model, prompt, {}, {}, 10)


def test_a_users_own_empty_cache_is_used(llama, vectors):
    cache = StaticCache(config=llama.config, max_cache_len=32)
    out = KVSteerer(vectors).steer(llama, IDS, MASK, cv=2.0, past_key_values=cache, **OPTIONS)
    assert out[:, 5:].tolist() == expected(llama, vectors, 0.0, 2.0)
    assert int(cache.get_seq_length()) == 14
    with pytest.raises(ArgumentError, match="an empty past_key_values"):
        KVSteerer(vectors).steer(llama, IDS, MASK, cv=2.0, past_key_values=cache, **OPTIONS)


def test_the_output_object_is_generates_own(llama, vectors):
    out = KVSteerer(vectors, offset_token=10).steer(
        llama, IDS, MASK, cv=2.0, return_dict_in_generate=True, output_scores=True, **OPTIONS
    )
    assert out.sequences[:, 5:].tolist() == expected(llama, vectors, 0.0, 2.0, 10)
    assert len(out.scores) == 10


def test_zero_coefficients_equal_plain_generate(llama, vectors):
    plain = llama.generate(IDS, attention_mask=MASK, **OPTIONS)
    assert torch.equal(KVSteerer(vectors).steer(llama, IDS, MASK, ck=0.0, cv=0.0, **OPTIONS), plain)


def test_max_length_means_prompt_and_answer(llama, vectors):
    options = OPTIONS | {"max_length": 12}
    options.pop("max_new_tokens")
    out = KVSteerer(vectors, offset_token=10).steer(llama, IDS, MASK, cv=2.0, **options)
    assert out[:, 5:].tolist() == expected(llama, vectors, 0.0, 2.0, 10, new_tokens=7)


def test_the_bare_edit_serves_ones_own_loop(llama, vectors):
    cache = DynamicCache()
    with torch.no_grad():
        llama(IDS[:, :-1], attention_mask=MASK[:, :-1], past_key_values=cache)
    before = cache.layers[2].values.clone()
    assert KVSteerer(vectors, cv=2.0).edit(cache, MASK) == 2
    difference = cache.layers[2].values - before
    torch.testing.assert_close(difference[:, :, -1], 2.0 * vectors.values[2].expand(2, -1, -1))
    assert not difference[:, :, :-1].any()


def test_the_model_is_left_as_it_was(vectors):
    model = build_model("llama")
    state = copy.deepcopy(model.state_dict())
    modules = {name: (module.forward, dict(module._forward_hooks)) for name, module in model.named_modules()}
    config = copy.deepcopy(model.config.to_dict())
    KVSteerer(vectors).steer(model, IDS, MASK, cv=2.0, **OPTIONS)
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert modules == {name: (m.forward, dict(m._forward_hooks)) for name, m in model.named_modules()}
    assert config == model.config.to_dict()
    assert not any(m._forward_pre_hooks for m in model.modules())


def test_prompts_that_cannot_be_steered_are_errors(llama, vectors):
    with pytest.raises(SteeringError, match=r"Rows \[0\] have no cached token at position -1"):
        KVSteerer(vectors).steer(llama, torch.tensor([[5]]), cv=2.0, **OPTIONS)
    with pytest.raises(SteeringError, match=r"Rows \[0\] have no cached token at position -4"):
        KVSteerer(vectors, position=-4).steer(llama, IDS, MASK, cv=2.0, **OPTIONS)
    with pytest.raises(SteeringError, match="padded on the right"):
        KVSteerer(vectors).steer(llama, IDS, MASK.flip(1), cv=2.0, **OPTIONS)
    with pytest.raises(ArgumentError, match="Allowed: dynamic, static"):
        KVSteerer(vectors).steer(llama, IDS, MASK, cv=2.0, cache_implementation="quantized", **OPTIONS)


def test_models_the_vectors_do_not_fit_are_refused(vectors, tmp_path):
    gpt2 = build_model("gpt2")
    with pytest.raises(VectorMismatchError, match="model_type"):
        KVSteerer(vectors).steer(gpt2, IDS, MASK, cv=2.0)
    vectors.save(tmp_path / "v.safetensors")
    with pytest.raises(VectorMismatchError, match="model_type"):
        KVSteerer.from_pretrained(str(tmp_path / "v.safetensors"), model=gpt2)


def test_saving_and_loading_a_folder(llama, vectors, tmp_path):
    KVSteerer(vectors, ck=0.2, cv=3.0).save_pretrained(tmp_path / "mine")
    loaded = KVSteerer.from_pretrained(str(tmp_path / "mine"), model=llama, device="cpu")
    assert loaded.terms[0].vectors.sha256 == vectors.sha256
    assert loaded.terms[0].vectors.metadata.recommended_c_keys == 0.2
    out = loaded.steer(llama, IDS, MASK, **OPTIONS)
    assert out[:, 5:].tolist() == expected(llama, vectors, 0.2, 3.0)


def test_pushing_to_the_hub_uploads_the_same_folder(vectors, tmp_path, monkeypatch):
    calls = []

    class Api:
        def __init__(self, token=None):
            calls.append(("token", token))

        def create_repo(self, repo_id, private, exist_ok):
            calls.append(("create", repo_id, private, exist_ok))

        def upload_folder(self, repo_id, folder_path):
            calls.append(("upload", repo_id, SteeringVectors.load(f"{folder_path}/steering.safetensors").sha256))
            return "commit"

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    assert KVSteerer(vectors).push_to_hub("me/vectors", private=True, token="t") == "commit"
    assert calls == [("token", "t"), ("create", "me/vectors", True, True), ("upload", "me/vectors", vectors.sha256)]


def test_sums_cannot_be_saved_and_need_one_offset(llama, tmp_path):
    one = make_vectors(llama, seed=1, offset_token="\n", offset_token_id=10)
    two = make_vectors(llama, seed=2)
    terms = [WeightedVectors("one", 1.0, one), WeightedVectors("two", 0.5, two)]
    with pytest.raises(ArgumentError, match="different offset tokens"):
        KVSteerer(terms)
    with pytest.raises(CachesteerError, match="Save its parts"):
        KVSteerer(terms, offset_token=None).save_pretrained(tmp_path)
    assert KVSteerer(one).offset_token == 10
