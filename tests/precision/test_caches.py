"""Cache classes of `generate`, asked for in every place a user can: steered exactly, or refused by name."""

import json
import shutil

import lm_eval
import pytest
import torch
from lm_eval.tasks import TaskManager
from transformers import GenerationConfig, QuantizedCache

from lm_eval_cachesteer import KVSteerer
from lm_eval_cachesteer.core.generation import GenerateSettings
from lm_eval_cachesteer.errors import ArgumentError, CacheLayoutError

from .. import oracle
from ..conftest import build_model, make_vectors, random_texts
from ..harness.support import counts, generation
from .support import answering_in_tokens, tokens_of, watched_edits, without_end

NEEDS_ACCELERATOR = pytest.mark.skipif(not torch.accelerator.is_available(), reason="offloading needs an accelerator")
STEERED = [
    "dynamic",
    "static",
    "hybrid",
    "sliding_window",
    pytest.param("offloaded", marks=NEEDS_ACCELERATOR),
    pytest.param("offloaded_static", marks=NEEDS_ACCELERATOR),
]
# The fp8 backend of quantized caches needs no further package.
REFUSED = {"quantized": {"cache_config": {"backend": "fp8"}}, "paged": {}}
KV = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 257, "eos_token_id": None}


@pytest.fixture(params=["llama", "gemma3_text"])
def case(request, backend, tokenizer, tmp_path):
    """A backend on a model with full attention, or with windows that the prompts exceed."""
    model = build_model(request.param)
    vectors = make_vectors(model)
    vectors.save(tmp_path / "v.safetensors")
    arguments = {"pretrained": model, "tokenizer": tokenizer, "vectors": str(tmp_path / "v.safetensors")}
    return model, vectors, backend(**arguments, c_values=2.0, max_length=200)


@pytest.mark.parametrize("name", STEERED)
def test_generation_arguments_name_a_cache_and_it_is_steered(case, tokenizer, name):
    model, vectors, lm = case
    values = {i: 2.0 * vectors.values[i] for i in (1, 2, 3)}
    keys = {i: torch.zeros_like(value) for i, value in values.items()}
    texts = random_texts(6, 2, 40)
    expected = [oracle.greedy(model, tokenizer.encode(text), keys, values, 12, eos=257) for text in texts]
    with watched_edits() as seen:
        answers = answering_in_tokens(lm).generate_until(
            generation(texts, cache_implementation=name), disable_tqdm=True
        )
    assert [tokens_of(answer) for answer in answers] == [without_end(tokens) for tokens in expected]
    assert seen
    assert counts(lm, "generate_until") == (6, 6, 0)


@pytest.mark.parametrize("name", REFUSED)
def test_caches_that_cannot_be_edited_are_refused_in_generation_arguments(case, name):
    _, _, lm = case
    requests = generation(["some text"], cache_implementation=name, **REFUSED[name])
    with pytest.raises(ArgumentError, match=f"cache_implementation='{name}' is not supported: .* Allowed: dynamic"):
        lm.generate_until(requests, disable_tqdm=True)
    assert counts(lm, "generate_until") == (0, 0, 0)


@pytest.mark.parametrize("settings", [{"num_beams": 3}, {"num_beams": 2, "do_sample": True}])
def test_a_static_cache_refuses_several_beams(case, settings):
    _, _, lm = case
    with pytest.raises(ArgumentError, match="cannot follow . continuations of a steered prompt at once"):
        lm.generate_until(generation(["some text"], cache_implementation="static", **settings), disable_tqdm=True)


@pytest.mark.parametrize(
    "settings",
    [
        {"prefill_chunk_size": 4},
        pytest.param(
            {"cache_implementation": "static", "max_cache_len": 99},
            marks=pytest.mark.skipif(not hasattr(GenerationConfig(), "max_cache_len"), reason="no such setting"),
        ),
    ],
)
def test_other_ways_of_generate_go_on_from_the_edited_cache(case, settings):
    _, _, lm = case
    for text in random_texts(3, 20, 40):
        expected = lm.generate_until(generation([text]), disable_tqdm=True)
        assert lm.generate_until(generation([text], **settings), disable_tqdm=True) == expected


@pytest.mark.parametrize("settings", [{"prompt_lookup_num_tokens": 3}, {"assistant_early_exit": 1}])
def test_assisted_decoding_is_refused_since_it_feeds_the_prompt_again(case, settings):
    _, _, lm = case
    with pytest.raises(ArgumentError, match="generate would use assisted generation, which does not go on from"):
        lm.generate_until(generation(["some text"], **settings), disable_tqdm=True)


class TestDefaultsOfACheckpoint:
    @pytest.fixture
    def checkpoint(self, llama_folder, tmp_path):
        def build(**settings):
            folder = tmp_path / "checkpoint"
            shutil.copytree(llama_folder, folder)
            (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 257} | settings))
            return str(folder)

        return build

    @pytest.mark.parametrize("name", ["static", "hybrid"])
    def test_are_steered(self, backend, checkpoint, vectors_file, name):
        shared = {"vectors": str(vectors_file), "c_values": 2.0}
        expected = backend(**shared).generate_until(generation(random_texts(3, 5, 30)), disable_tqdm=True)
        lm = backend(pretrained=checkpoint(cache_implementation=name), **shared)
        assert lm.generate_until(generation(random_texts(3, 5, 30)), disable_tqdm=True) == expected
        assert counts(lm, "generate_until") == (3, 3, 0)

    def test_or_refused(self, backend, checkpoint, vectors_file):
        lm = backend(pretrained=checkpoint(cache_implementation="quantized"), vectors=str(vectors_file))
        with pytest.raises(ArgumentError, match="cache_implementation='quantized' is not supported"):
            lm.generate_until(generation(["some text"]), disable_tqdm=True)

    def test_beams_are_followed(self, backend, checkpoint, vectors_file):
        shared = {"vectors": str(vectors_file), "c_values": 2.0}
        texts = random_texts(3, 5, 30)
        expected = backend(**shared).generate_until(generation(texts, num_beams=3), disable_tqdm=True)
        lm = backend(pretrained=checkpoint(num_beams=3), **shared)
        assert lm.generate_until(generation(texts), disable_tqdm=True) == expected


def test_the_whole_way_through_the_harness(backend, llama_folder, vectors_file, tmp_path):
    """gen_kwargs as the command line takes them."""
    texts = random_texts(4, 5, 30)
    (tmp_path / "docs.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (tmp_path / "task.yaml").write_text(
        "task: tiny_text\noutput_type: generate_until\ndoc_to_text: '{{text}}'\ndoc_to_target: x\n"
        "generation_kwargs: {until: [], max_gen_toks: 6}\nmetric_list: [{metric: exact_match}]\n"
        f"dataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {tmp_path}/docs.jsonl\ntest_split: test\n"
    )
    model_args = {"pretrained": str(llama_folder), "vectors": str(vectors_file), "c_values": 2.0}
    settings = {
        "tasks": ["tiny_text"],
        "task_manager": TaskManager(include_path=str(tmp_path), include_defaults=False),
        "bootstrap_iters": 0,
    }

    def evaluate(gen_kwargs):
        lm = backend(**model_args)
        return lm_eval.simple_evaluate(model=lm, gen_kwargs=gen_kwargs, **settings)

    found = evaluate("cache_implementation=static")
    counted = found["config"]["steering"]["counts"]["generate_until"]
    assert (counted["requests"], counted["interventions"], counted["not_steered"]) == (4, 4, 0)
    answers = {sample["doc"]["text"]: sample["resps"][0][0] for sample in found["samples"]["tiny_text"]}
    dynamic = backend(**model_args).generate_until(generation(texts, max_gen_toks=6), disable_tqdm=True)
    assert answers == dict(zip(texts, dynamic, strict=True))
    with pytest.raises(ArgumentError, match="cache_implementation='quantized' is not supported"):
        evaluate("cache_implementation=quantized")


def test_as_a_model_argument_it_is_unknown(backend, vectors_file):
    with pytest.raises(ArgumentError, match="Unknown model argument 'cache_implementation'"):
        backend(vectors=str(vectors_file), cache_implementation="quantized")


class TestKVSteerer:
    IDS = torch.tensor([[5, 6, 7, 8]])

    def test_takes_a_generation_config(self, llama, vectors):
        steerer = KVSteerer(vectors)
        expected = steerer.steer(llama, self.IDS, cv=2.0, **KV)
        config = GenerationConfig(cache_implementation="static", **KV)
        assert torch.equal(steerer.steer(llama, self.IDS, cv=2.0, generation_config=config), expected)
        beams = GenerationConfig(num_beams=3, **KV)
        found = steerer.steer(llama, self.IDS, cv=2.0, generation_config=beams)
        assert torch.equal(found, steerer.steer(llama, self.IDS, cv=2.0, num_beams=3, **KV))

    @pytest.mark.parametrize("name", REFUSED)
    def test_refuses_caches_that_cannot_be_edited(self, llama, vectors, name):
        for asked in (
            {"cache_implementation": name, **KV},
            {"generation_config": GenerationConfig(cache_implementation=name, **KV)},
        ):
            with pytest.raises(ArgumentError, match=f"cache_implementation='{name}' is not supported"):
                KVSteerer(vectors).steer(llama, self.IDS, cv=2.0, **asked)

    def test_refuses_assisted_decoding(self, llama, vectors):
        for asked in ({"prompt_lookup_num_tokens": 3}, {"assistant_model": build_model("llama", seed=1)}):
            with pytest.raises(ArgumentError, match="generate would use assisted generation"):
                KVSteerer(vectors).steer(llama, self.IDS, cv=2.0, **asked, **KV)

    def test_refuses_a_quantized_cache_object(self, llama, vectors):
        try:
            cache = QuantizedCache("fp8", llama.config)
        except ValueError:
            pytest.skip("this transformers has no such cache")
        with pytest.raises(CacheLayoutError, match="Layer 0 of the cache is quantized"):
            KVSteerer(vectors).steer(llama, self.IDS, cv=2.0, past_key_values=cache, **KV)

    @pytest.mark.parametrize("backend_name", ["quanto", "hqq"])
    def test_refuses_the_caches_of_other_packages(self, llama, vectors, backend_name):
        pytest.importorskip("optimum.quanto" if backend_name == "quanto" else "hqq")
        cache = QuantizedCache(backend_name, llama.config, nbits=4, q_group_size=8)
        with pytest.raises(CacheLayoutError, match="Layer 0 of the cache is quantized"):
            KVSteerer(vectors).steer(llama, self.IDS, cv=2.0, past_key_values=cache, **KV)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator")
@pytest.mark.parametrize("name", ["offloaded", "offloaded_static"])
def test_offloading_without_an_accelerator_is_refused(llama, name):
    with pytest.raises(ArgumentError, match=f"cache_implementation='{name}' moves .* needs an accelerator"):
        GenerateSettings.of(llama, {"cache_implementation": name})
