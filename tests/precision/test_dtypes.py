"""float32, bfloat16, float16: one sum in float32, one cast, and an error where the cast would lose the edit."""

import pytest
import torch
from transformers import DynamicCache

from lm_eval_cachesteer import KVSteerer, SteeringVectors
from lm_eval_cachesteer.core.edit import CacheEdit, WeightedVectors
from lm_eval_cachesteer.errors import ArgumentError, SteeringError

from .. import oracle
from ..conftest import build_model, make_vectors, random_texts
from ..harness.support import counts, generation, likelihood, rolling
from .support import answering_in_tokens, assert_cast_once, every_dtype, shortfalls, tokens_of, watched_edits

LAYERS = (1, 2, 3)
NAMES = ["float32", "bfloat16", "float16"]
# Rounding in other orders moves a log-probability of these models by less than this.
CLOSE = {"float32": 1e-3, "bfloat16": 0.2, "float16": 0.05}


@pytest.fixture
def steered(backend, vectors_file):
    def build(**arguments):
        return backend(**({"vectors": str(vectors_file), "c_keys": 0.3, "c_values": 1.7, "layers": "1-"} | arguments))

    return build


def scaled(vectors, c_keys=0.3, c_values=1.7):
    return {i: c_keys * vectors.keys[i] for i in LAYERS}, {i: c_values * vectors.values[i] for i in LAYERS}


def vectors_of(llama, value, layer=3):
    """Vectors that are zero but for one component."""
    keys = {i: torch.zeros(2, 8) for i in LAYERS}
    values = {i: torch.zeros(2, 8) for i in LAYERS}
    values[layer][1, 5] = value
    return SteeringVectors(keys, values, make_vectors(llama).metadata)


def filled_cache(dtype, seed=0):
    cache = DynamicCache()
    torch.manual_seed(seed)
    for i in range(4):
        cache.update(torch.randn(2, 2, 3, 8).to(dtype), torch.randn(2, 2, 3, 8).to(dtype), i)
    return cache


def states(cache):
    return [tensor.clone() for layer in cache.layers for tensor in (layer.keys, layer.values)]


class TestTheSum:
    @pytest.mark.parametrize("engine", ["auto", "generate"])
    @pytest.mark.parametrize("name", NAMES)
    def test_is_taken_in_float32_and_cast_once_wherever_the_backend_edits(self, steered, engine, name):
        lm = steered(dtype=name, engine=engine)
        shared = random_texts(1, 30, 30, seed=3)[0]
        texts = [*random_texts(5, 2, 40), *(shared + text for text in random_texts(4, 2, 20, seed=1))]
        with watched_edits() as seen:
            lm.generate_until(generation(texts), disable_tqdm=True)
            lm.loglikelihood(likelihood([(text, " yes") for text in texts]), disable_tqdm=True)
            lm.loglikelihood_rolling(rolling(texts), disable_tqdm=True)
        assert_cast_once(seen, getattr(torch, name))
        assert counts(lm, "generate_until") == (9, 9, 0)
        assert counts(lm, "loglikelihood") == (9, 9, 0)

    @pytest.mark.parametrize("dtype", every_dtype())
    def test_is_the_same_through_kvsteerer(self, vectors, dtype):
        model = build_model("llama").to(dtype)
        steerer = KVSteerer(vectors, ck=0.3, cv=1.7)
        ids = torch.tensor([[5, 6, 7, 8]])
        with watched_edits() as seen:
            out = steerer.steer(model, ids, max_new_tokens=4, do_sample=False, pad_token_id=257, eos_token_id=None)
        assert_cast_once(seen, dtype)
        keys, values = scaled(vectors)
        assert max(shortfalls(model, ids[0].tolist(), out[0, 4:].tolist(), keys, values)) <= 0.1

    def test_keeps_the_bits_of_wider_states(self, vectors):
        cache = filled_cache(torch.float64)
        before = cache.layers[1].values[:, :, -1].clone()
        CacheEdit.build([WeightedVectors("v", 1.0, vectors)], c_values=0.7).apply(cache)
        delta = 0.7 * vectors.values[1]
        assert torch.equal(cache.layers[1].values[:, :, -1], before + delta.double())

    def test_of_nothing_keeps_negative_zeros(self, vectors):
        cache = filled_cache(torch.float16)
        cache.layers[1].values[:, :, -1] = -0.0
        CacheEdit.build([WeightedVectors("v", 1.0, vectors)], c_keys=0, c_values=0).apply(cache)
        assert torch.signbit(cache.layers[1].values[:, :, -1]).all()


@pytest.mark.parametrize("engine", ["auto", "generate"])
@pytest.mark.parametrize("name", NAMES)
def test_answers_equal_the_oracle_on_the_same_model_up_to_rounding(steered, backend, tokenizer, vectors, engine, name):
    lm = answering_in_tokens(steered(dtype=name, engine=engine))
    keys, values = scaled(vectors)
    texts = random_texts(6, 3, 40)
    prompts = [tokenizer.encode(text) for text in texts]
    answers = lm.generate_until(generation(texts), disable_tqdm=True)
    for prompt, answer in zip(prompts, answers, strict=True):
        assert max(shortfalls(lm.model, prompt, tokens_of(answer), keys, values)) <= CLOSE[name]
    unsteered = answering_in_tokens(backend(dtype=name, engine=engine))
    assert answers != unsteered.generate_until(generation(texts), disable_tqdm=True)
    found = lm.loglikelihood(likelihood([(text, " yes") for text in texts]), disable_tqdm=True)
    expected, unsteered = (
        [oracle.loglikelihood(lm.model, prompt, tokenizer.encode(" yes"), *edit)[0] for prompt in prompts]
        for edit in ((keys, values), ({}, {}))
    )
    assert [logprob for logprob, _ in found] == pytest.approx(expected, abs=CLOSE[name])
    assert max(abs(one - other) for one, other in zip(expected, unsteered, strict=True)) > 3 * CLOSE[name]


class TestOverflow:
    @pytest.mark.parametrize("engine", ["auto", "generate"])
    def test_of_float16_stops_the_run_and_names_the_coefficients(self, steered, engine):
        lm = steered(dtype="float16", engine=engine, c_values=1e6)
        message = (
            r"c_keys=0\.3 and c_values=1e\+06 the edited values of layer 1 overflow float16, whose largest .* 65504"
        )
        with pytest.raises(SteeringError, match=message):
            lm.generate_until(generation(["some text"]), disable_tqdm=True)
        with pytest.raises(SteeringError, match=message):
            lm.loglikelihood(likelihood([("some text", " yes")]), disable_tqdm=True)

    def test_of_bfloat16_is_found_where_float32_still_holds_the_sum(self, llama):
        edit = CacheEdit.build([WeightedVectors("v", 1.0, vectors_of(llama, 3.4e38))], c_values=1.0)
        edit.apply(filled_cache(torch.float32))
        with pytest.raises(SteeringError, match="edited values of layer 3 overflow bfloat16"):
            edit.apply(filled_cache(torch.bfloat16))

    def test_of_float32_is_found_before_the_run(self, llama):
        terms = [WeightedVectors("v", 2.0, vectors_of(llama, 3e38))]
        with pytest.raises(ArgumentError, match="2 times c_keys=0 and c_values=1 the vectors overflow float32"):
            CacheEdit.build(terms, c_values=1.0)

    def test_leaves_every_layer_as_it_was(self, llama):
        cache = filled_cache(torch.float16)
        before = states(cache)
        vectors = vectors_of(llama, 1e6)
        vectors.values[1][0, 0] = 1.0  # an earlier layer could be edited
        with pytest.raises(SteeringError):
            CacheEdit.build([WeightedVectors("v", 1.0, vectors)], c_values=1.0).apply(cache)
        assert all(torch.equal(*pair) for pair in zip(states(cache), before, strict=True))

    def test_of_the_model_itself_is_told_apart(self, vectors):
        cache = filled_cache(torch.float16)
        cache.layers[2].keys[0, 0, -1, 0] = float("inf")
        with pytest.raises(SteeringError, match="keys of layer 2 hold NaN or infinity before anything is added"):
            CacheEdit.build([WeightedVectors("v", 1.0, vectors)], c_values=1.0).apply(cache)


class TestNoEffect:
    @pytest.mark.parametrize("engine", ["auto", "generate"])
    @pytest.mark.parametrize("name", ["bfloat16", "float16"])
    def test_coefficients_that_the_cast_rounds_away_are_an_error_not_a_run(self, steered, engine, name):
        small = {"c_keys": 0.0, "c_values": 1e-7, "engine": engine}
        wide = steered(dtype="float32", **small)
        wide.generate_until(generation(["some text"]), disable_tqdm=True)
        assert counts(wide, "generate_until") == (1, 1, 0)
        lm = steered(dtype=name, **small)
        message = rf"c_values=1e-07 the edit is lost to rounding: . of . prompts keep every bit of their {name} cache"
        with pytest.raises(SteeringError, match=message):
            lm.generate_until(generation(["some text", "another"]), disable_tqdm=True)
        with pytest.raises(SteeringError, match=message):
            lm.loglikelihood(likelihood([("some text", " yes")]), disable_tqdm=True)

    def test_one_row_that_keeps_all_its_bits_is_enough(self, llama):
        cache = filled_cache(torch.bfloat16)
        cache.layers[3].values[:, 1, -1, 5] = torch.tensor([0.0, 4.0])
        before = states(cache)
        edit = CacheEdit.build([WeightedVectors("v", 1.0, vectors_of(llama, 1e-3))], c_values=1.0)
        with pytest.raises(SteeringError, match=r"1 of 2 prompts keep every bit .* larger than 0\.001"):
            edit.apply(cache)
        assert all(torch.equal(*pair) for pair in zip(states(cache), before, strict=True))

    def test_coefficients_below_float32_are_refused_before_the_run(self, steered):
        with pytest.raises(ArgumentError, match="c_keys=0 and c_values=1e-60 the vectors add up to zero"):
            steered(c_keys=0.0, c_values=1e-60)

    def test_vectors_that_cancel_are_refused(self, steered, vectors_file):
        with pytest.raises(ArgumentError, match="-1 times c_keys=0 and c_values=2 the vectors add up to zero"):
            steered(vectors=f"{vectors_file}+-1*{vectors_file}", c_keys=0.0, c_values=2.0)

    def test_vectors_of_zeros_are_refused(self, steered, llama, tmp_path):
        vectors_of(llama, 0.0).save(tmp_path / "zero.safetensors")
        with pytest.raises(ArgumentError, match=r"zero in layers \[1, 2, 3\]: nothing would be steered"):
            steered(vectors=str(tmp_path / "zero.safetensors"))
        lm = steered(vectors=str(tmp_path / "zero.safetensors"), c_keys=0.0, c_values=0.0)
        assert lm.plan.edit is None
