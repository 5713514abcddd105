"""Steered requests inside the engine, token for token against transformers (tests/oracle.py)."""

import pytest

pytest.importorskip("vllm")

from vllm import SamplingParams, TokensPrompt

from lm_eval_cachesteer.vllm import scheduler as steering
from lm_eval_cachesteer.vllm.launch import engine_arguments
from lm_eval_cachesteer.vllm.settings import SteeringSettings

from ..conftest import make_vectors
from .support import SHARED, character_tokenizer, plain_tokens, prompts, steered_tokens

NEW = 24
ENCODE = character_tokenizer().encode


def ask(engine, texts, settings):
    """Answers texts, each steered by its settings (None for a plain request); returns vLLM's outputs."""
    sampling = [
        SamplingParams(
            temperature=0, max_tokens=NEW, detokenize=False, extra_args=one.to_arguments() if one is not None else None
        )
        for one in settings
    ]
    tokens = [TokensPrompt(prompt_token_ids=ENCODE(text)) for text in texts]
    return engine.generate(tokens, sampling_params=sampling, use_tqdm=False)


def tokens_of(outputs):
    return [list(output.outputs[0].token_ids) for output in outputs]


@pytest.fixture(scope="module")
def expected(tiny):
    """What transformers answers: text and settings -> tokens, computed once."""
    vectors = {"one": make_vectors(tiny, seed=1), "two": make_vectors(tiny, seed=2)}
    known = {}

    def answer(text, one):
        key = (text, one)
        if key not in known:
            if one is None:
                known[key] = plain_tokens(tiny, ENCODE(text), NEW)
            else:
                known[key] = steered_tokens(
                    tiny, vectors[one.vectors], ENCODE(text), one.c_values, NEW, c_keys=one.c_keys or 0.0
                )
        return known[key]

    return answer


STEERED = SteeringSettings("one", c_values=2.0)
MIXED = [STEERED, None, SteeringSettings("two", c_keys=0.7, c_values=1.0), SteeringSettings("one", c_values=-1.5)]

ENGINES = {
    "as it is": {},
    "prompts in small chunks": {"max_num_batched_tokens": 48, "max_num_seqs": 16},
    "without a prefix cache": {"enable_prefix_caching": False},
    "too little memory": {"num_gpu_blocks_override": 14, "max_num_seqs": 16, "max_model_len": 256},
    "without asynchronous scheduling": {"async_scheduling": False},
}


@pytest.fixture(scope="module", params=list(ENGINES))
def engine(request, start, shelf):
    built = start(**ENGINES[request.param], **engine_arguments(shelf))
    built.name = request.param
    return built


def preemptions(engine, monkeypatch):
    """A list that grows with every request that loses its cache."""
    seen = []
    scheduler = type(engine.llm_engine.engine_core.engine_core.scheduler)
    original = scheduler._preempt_request

    def preempt(self, request, *args, **kwargs):
        seen.append(request.request_id)
        return original(self, request, *args, **kwargs)

    monkeypatch.setattr(scheduler, "_preempt_request", preempt)
    return seen


def test_answers_equal_those_of_transformers(engine, expected, monkeypatch):
    """Steered alike, steered differently, and plain, side by side; then once more, from a warm prefix cache."""
    lost = preemptions(engine, monkeypatch)
    texts = prompts()
    wrong = 0
    for settings in ([STEERED] * len(texts), [None] * len(texts), (MIXED * len(texts))[: len(texts)]) * 2:
        outputs = ask(engine, texts, settings)
        for text, one, output, found in zip(texts, settings, outputs, tokens_of(outputs), strict=True):
            wrong += found != expected(text, one)
            assert output.kv_transfer_params == (None if one is None else {"cachesteer": {"edited": True}})
    assert wrong <= 0.01 * 6 * len(texts)
    assert bool(lost) is (engine.name == "too little memory")
    assert expected(texts[0], STEERED) != expected(texts[0], None)


def leaks(engine, expected):
    """Plain answers, to a prompt that was steered before, that differ from those of a fresh engine."""
    text = (SHARED + "the question" * 9)[:129]  # its next-to-last token, the edited one, is the last of a block
    (steered,) = tokens_of(ask(engine, [text], [STEERED]))
    assert steered == expected(text, STEERED)
    continued = [text + "!" * more for more in range(40)]
    found = tokens_of(ask(engine, continued, [None] * len(continued)))
    return sum(one != expected(other, None) for one, other in zip(found, continued, strict=True))


def test_edited_blocks_would_leak_if_they_could_be_shared(start, shelf, expected, monkeypatch):
    assert leaks(start(**engine_arguments(shelf)), expected) == 0
    monkeypatch.setattr(steering, "private_hasher", lambda shared, *_: shared)
    assert leaks(start(**engine_arguments(shelf)), expected) > 0


def test_clean_prefixes_are_shared(start, shelf):
    engine = start(**engine_arguments(shelf))
    ask(engine, [SHARED + "one"], [None])
    (output,) = ask(engine, [SHARED + "another"], [STEERED])
    assert output.num_cached_tokens >= 64
    (output,) = ask(engine, [SHARED + "another"], [STEERED])
    assert output.num_cached_tokens < len(SHARED)


class TestEdges:
    """One engine for what concerns single requests."""

    @pytest.fixture(scope="class")
    def engine(self, start, shelf):
        return start(**engine_arguments(shelf))

    def test_the_recorded_offset_token_is_appended_and_is_no_part_of_the_answer(self, engine, tiny):
        vectors = make_vectors(tiny, seed=1)
        texts = ["a", "some text", SHARED]
        outputs = ask(engine, texts, [SteeringSettings("noted", c_values=2.0)] * 3)
        wanted = [steered_tokens(tiny, vectors, ENCODE(text + "\n"), 2.0, NEW) for text in texts]
        assert tokens_of(outputs) == wanted
        outputs = ask(engine, texts[1:], [SteeringSettings("noted", c_values=2.0, offset="none")] * 2)
        wanted = [steered_tokens(tiny, vectors, ENCODE(text), 2.0, NEW) for text in texts[1:]]
        assert tokens_of(outputs) == wanted

    def test_coefficients_of_zero_are_a_plain_request(self, engine, expected):
        (output,) = ask(engine, ["some text"], [SteeringSettings("one", c_keys=0.0, c_values=0.0)])
        assert tokens_of([output]) == [expected("some text", None)]
        assert output.kv_transfer_params is None

    @pytest.mark.parametrize(
        ("text", "one", "message"),
        [
            ("some text", SteeringSettings("nothing"), "No vectors are known as 'nothing'"),
            ("some text", SteeringSettings("one", layers="7-"), "layers='7-' asks for"),
            ("a", STEERED, "A prompt of 1 tokens"),
            ("some text", SteeringSettings("one", position=-30), "no cached token at position -30"),
            ("some text", SteeringSettings("one", c_values=1e-12), "lost to rounding"),
        ],
    )
    def test_a_request_that_cannot_be_steered_ends_alone(self, engine, expected, text, one, message):
        texts, settings = ["before", text, "after"], [STEERED, one, None]
        first, failed, last = ask(engine, texts, settings)
        assert tokens_of([first, last]) == [expected("before", STEERED), expected("after", None)]
        assert failed.outputs[0].finish_reason == "error"
        assert not failed.outputs[0].token_ids
        told = failed.kv_transfer_params["cachesteer"]
        assert told["edited"] is False
        assert message in told["error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kv_cache_dtype": "fp8"}, "kv_cache_dtype=fp8: a quantized cache"),
        ({"scheduler_cls": None}, "a scheduler other than"),
    ],
)
def test_engines_that_cannot_steer_do_not_start(start, shelf, arguments, message):
    with pytest.raises(ValueError, match=message):
        start(**(engine_arguments(shelf) | arguments))
