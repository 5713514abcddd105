"""`vllm-cachesteer` beside `hf-cachesteer` and the harness's own vLLM model, on one checkpoint."""

import gc

import pytest

pytest.importorskip("vllm")

from lm_eval_cachesteer.errors import ArgumentError, ResponseCacheError, SteeringError
from lm_eval_cachesteer.harness.arguments import SteeringArguments
from lm_eval_cachesteer.harness.backend import CacheSteerLM
from lm_eval_cachesteer.harness.vllm_backend import VLLMCacheSteerLM
from lm_eval_cachesteer.vllm.harness_model import harness_module

from ..conftest import random_texts
from ..harness.support import counts, generation, likelihood, rolling
from .support import LONGEST, SHARED, prompts

STEERED = {"c_keys": 0.5, "c_values": 2.0}
ENGINE = {"dtype": "float32", "enforce_eager": True, "max_model_len": LONGEST}
CONTEXTS = [*random_texts(6, 2, 60), SHARED, "", "x"]
PAIRS = [(context, " " + choice) for context in CONTEXTS for choice in ("yes", "no way", "n")]


def ended(lm):
    from vllm.distributed import cleanup_dist_env_and_memory

    lm.model.llm_engine.engine_core.shutdown()
    del lm.model
    gc.collect()
    cleanup_dist_env_and_memory()


@pytest.fixture(scope="module")
def theirs(tiny_folder):
    """Builds hf-cachesteer."""

    def build(**arguments):
        return CacheSteerLM(pretrained=str(tiny_folder), device="cpu", batch_size=8, max_length=LONGEST, **arguments)

    return build


@pytest.fixture(scope="module")
def lm(tiny_folder, shelf):
    """One engine, steered anew by each test."""
    built = VLLMCacheSteerLM(str(tiny_folder), vectors=str(shelf / "one.safetensors"), **STEERED, **ENGINE)
    yield built
    ended(built)


@pytest.fixture
def steer(lm, shelf):
    """Steers the engine; returns what another backend takes for the same."""

    def again(vectors="one", **arguments):
        given = {"vectors": str(shelf / f"{vectors}.safetensors") if vectors else None} | arguments
        lm.steer(SteeringArguments(**given))
        return given

    return again


@pytest.mark.parametrize(
    "arguments",
    [
        STEERED | {"offset_token": "none"},
        STEERED | {"offset_token": "\n"},
        {"vectors": "noted", "c_values": 2.0},
        STEERED | {"position": -3},
        STEERED | {"position": 0, "offset_token": "\n"},
        STEERED | {"layers": "2", "heads": 2},
        STEERED | {"c_values": -1.5},
        {"c_keys": 0.0, "c_values": 0.0, "offset_token": "\n"},
        {"vectors": None},
        STEERED | {"answer_prompt": "\nSo:", "answer_tokens": 4, "offset_token": "\n"},
        STEERED | {"answer_prompt": "\nSo:", "answer_tokens": 4, "offset_token": "\n", "answer_stage": "steered"},
        STEERED | {"answer_prompt": "\nSo:", "answer_tokens": 4, "answer_stage": "steered"},
    ],
)
def test_answers_counts_and_scores_are_those_of_hf_cachesteer(lm, theirs, steer, arguments):
    other = theirs(**steer(**arguments))
    texts = ["a", "ab", *prompts(20)]
    found, expected = lm.generate_until(generation(texts)), other.generate_until(generation(texts))
    assert sum(one != two for one, two in zip(found, expected, strict=True)) == 0
    scored, wanted = lm.loglikelihood(likelihood(PAIRS)), other.loglikelihood(likelihood(PAIRS))
    assert [one[0] for one in scored] == pytest.approx([one[0] for one in wanted], abs=1e-3)
    assert [one[1] for one in scored] == [one[1] for one in wanted]
    rows = [text for text in texts if len(text) > 1]
    whole, wanted = lm.loglikelihood_rolling(rolling(rows)), other.loglikelihood_rolling(rolling(rows))
    assert whole == pytest.approx(wanted, abs=2e-3)
    for request_type in ("generate_until", "answer_stage", "loglikelihood", "loglikelihood_rolling"):
        if request_type in other.counts.by_type:
            assert counts(lm, request_type) == counts(other, request_type)


def test_stop_strings_end_answers(lm, theirs, steer):
    other, texts = theirs(**steer(**STEERED)), prompts(12)
    whole = other.generate_until(generation(texts))
    stop = whole[0][3:5]
    assert lm.generate_until(generation(texts, until=[stop])) == [text.split(stop)[0] for text in whole]
    assert counts(lm, "generate_until") == (12, 12, 0)


@pytest.mark.parametrize("settings", [{"max_gen_toks": 1}, {"temperature": 0.0}])
def test_generation_arguments_mean_the_same(lm, theirs, steer, settings):
    other = theirs(**steer(**STEERED))
    requests = generation(prompts(12), **settings)
    assert lm.generate_until(requests) == other.generate_until(requests)


def test_likelihoods_can_be_left_unsteered(lm, theirs, steer):
    steer(**STEERED, offset_token="\n", steer_loglikelihood=False)
    found, expected = lm.loglikelihood(likelihood(PAIRS)), theirs().loglikelihood(likelihood(PAIRS))
    assert [one[0] for one in found] == pytest.approx([one[0] for one in expected], abs=1e-3)
    assert counts(lm, "loglikelihood") == (len(PAIRS), 0, 0)


def test_prompts_that_are_too_long_are_cut_from_the_left_and_the_offset_stays(lm, steer, tokenizer):
    steer(**STEERED, offset_token="\n")
    (long,) = random_texts(1, 900, 900)
    room = LONGEST - 12 - 1
    assert lm.generate_until(generation([long])) == lm.generate_until(generation([long[-room:]]))
    assert counts(lm, "generate_until") == (2, 2, 0)


def test_an_edit_lost_to_rounding_is_an_error_that_names_the_coefficients(lm, steer):
    steer(c_values=1e-12)
    with pytest.raises(SteeringError, match="With c_keys=0 and c_values=1e-12 the edit is lost to rounding"):
        lm.generate_until(generation(["some text"]))


def test_what_is_recorded(lm, theirs, steer, tmp_path):
    given = steer(**STEERED, offset_token="\n")
    lm.generate_until(generation(["some text", "more"]))
    info, other = lm.get_model_info()["steering"], theirs(**given).get_model_info()["steering"]
    same = {"vectors", "layers", "heads", "position", "offset_token", "answer_prompt", "steer_loglikelihood", "model"}
    assert {name: info[name] for name in same} == {name: other[name] for name in same}
    assert info["counts"]["generate_until"]["interventions"] == 2
    assert info["versions"]["vllm"].startswith("0.")
    first = lm.fingerprint
    assert first != other["fingerprint"]  # the engines round differently: their answers must not be mixed
    steer(**STEERED, offset_token="none")
    assert lm.fingerprint != first


def test_a_response_cache_belongs_to_one_configuration(lm, steer, tmp_path):
    from lm_eval.api.model import CachingLM

    steer(**STEERED)
    CachingLM(lm, str(tmp_path / "cache.db"))
    steer(c_values=3.0)
    with pytest.raises(ResponseCacheError, match="holds answers of"):
        CachingLM(lm, str(tmp_path / "cache.db"))


def test_without_vectors_answers_and_scores_are_bit_for_bit_those_of_the_harness(lm, steer, tiny_folder, request):
    """Last in this module: it ends the engine."""
    steer(None)
    texts = [text for text in prompts(16) if text]
    answers = lm.generate_until(generation(texts))
    scores = lm.loglikelihood(likelihood(PAIRS))
    whole = lm.loglikelihood_rolling(rolling(texts))
    ended(lm)
    plain = harness_module().VLLM(str(tiny_folder), **ENGINE)
    lm.model = plain.model
    assert answers == plain.generate_until(generation(texts))
    assert scores == plain.loglikelihood(likelihood(PAIRS))
    assert whole == plain.loglikelihood_rolling(rolling(texts))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kv_memory": 4}, "kv_memory given: an argument of hf-cachesteer"),
        ({"draft_tokens": 0, "share_prefixes": False}, "draft_tokens, share_prefixes given"),
        ({"vectorz": "one"}, "Unknown model argument 'vectorz' .did you mean 'vectors'"),
        ({"max_modellen": 3}, "Unknown model argument 'max_modellen' .did you mean 'max_model_len'"),
        ({"scheduler_cls": "x"}, "scheduler_cls given, which steering itself needs"),
        ({"kv_transfer_config": {}}, "kv_transfer_config given, which steering itself needs"),
        ({"vectors": "nothing"}, "No vectors are known as 'nothing'"),
        ({"c_values": 3}, "c_values given without vectors"),
        ({"pretrained": "no/such"}, "The model 'no/such' cannot be loaded"),
    ],
)
def test_bad_arguments_are_named_before_an_engine_starts(tiny_folder, monkeypatch, arguments, message):
    monkeypatch.setattr(harness_module().VLLM, "__init__", lambda *_, **__: pytest.fail("an engine starts"))
    with pytest.raises(ArgumentError, match=message):
        VLLMCacheSteerLM(**({"pretrained": str(tiny_folder)} | arguments))
