"""`cachesteer serve`, and a client that knows nothing of steering but the request's arguments."""

import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

pytest.importorskip("vllm")

from ..conftest import make_vectors
from .support import LONGEST, character_tokenizer, plain_tokens, prompts, steered_tokens

NEW = 16
ENCODE = character_tokenizer().encode
PATIENCE_S = 240


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server(tiny_folder, shelf, tmp_path_factory):
    """The address of a server."""
    port, log = free_port(), tmp_path_factory.mktemp("server") / "log"
    command = [
        *(sys.executable, "-m", "lm_eval_cachesteer", "serve", "--pretrained", tiny_folder, "--vectors", shelf),
        *("--port", port, "--", "--dtype", "float32", "--enforce-eager", "--served-model-name", "tiny"),
        *("--max-model-len", LONGEST, "--max-num-seqs", 32),
    ]
    alone = {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    with log.open("w") as output:
        process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output, env=os.environ | alone)
    address, until = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE_S
    try:
        while True:
            assert process.poll() is None, log.read_text()[-4000:]
            assert time.monotonic() < until, log.read_text()[-4000:]
            try:
                urlopen(f"{address}/health", timeout=5)  # noqa: S310
                break
            except (URLError, OSError):
                time.sleep(1)
        yield address
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def post(server):
    """Sends a request; returns status and answer."""

    def send(path="/v1/completions", **body):
        asked = {"model": "tiny", "max_tokens": NEW, "temperature": 0} | body
        request = Request(  # noqa: S310
            f"{server}{path}", json.dumps(asked).encode(), {"content-type": "application/json"}
        )
        try:
            with urlopen(request, timeout=120) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, json.load(error)

    return send


def text_of(tokens):
    return character_tokenizer().decode(tokens, skip_special_tokens=True)


@pytest.fixture(scope="module")
def expected(tiny):
    vectors = make_vectors(tiny, seed=1)

    def answer(text, c_values):
        tokens = ENCODE(text)
        if c_values is None:
            return text_of(plain_tokens(tiny, tokens, NEW))
        return text_of(steered_tokens(tiny, vectors, tokens, c_values, NEW))

    return answer


def test_each_request_is_steered_as_it_asks(post, expected):
    texts = prompts(32)
    strengths = [(None, 2.0, -1.5, 1.0)[i % 4] for i in range(len(texts))]

    def ask(pair):
        text, c_values = pair
        arguments = {} if c_values is None else {"cachesteer": "one", "cachesteer_c_values": c_values}
        return post(prompt=text, vllm_xargs=arguments)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, zip(texts, strengths, strict=True)))
    for (status, answer), text, c_values in zip(answers, texts, strengths, strict=True):
        assert status == 200, answer
        assert answer["choices"][0]["text"] == expected(text, c_values)
        assert answer["kv_transfer_params"] == (None if c_values is None else {"cachesteer": {"edited": True}})


def test_the_offset_token_is_appended_by_the_server(post, expected):
    arguments = {"cachesteer": "noted", "cachesteer_c_values": 2.0}
    status, answer = post(prompt="some text", vllm_xargs=arguments)
    assert (status, answer["choices"][0]["text"]) == (200, expected("some text\n", 2.0))
    assert answer["usage"]["prompt_tokens"] == len(ENCODE("some text"))
    status, answer = post(prompt=ENCODE("some text"), vllm_xargs=arguments)
    assert (status, answer["choices"][0]["text"]) == (200, expected("some text\n", 2.0))


def test_chats_are_steered_too(post, expected):
    said = [{"role": "user", "content": "Why?"}]
    text = character_tokenizer().apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    for c_values in (None, 2.0):
        arguments = {} if c_values is None else {"cachesteer": "one", "cachesteer_c_values": c_values}
        status, answer = post("/v1/chat/completions", messages=said, vllm_xargs=arguments)
        assert (status, answer["choices"][0]["message"]["content"]) == (200, expected(text, c_values))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cachesteer": "nothing"}, "No vectors are known as 'nothing'. Known for this model: noted, one, two."),
        ({"cachesteer": "../shelf/one"}, "No vectors are known as '../shelf/one'."),
        ({"cachesteer": "one", "cachesteer_c_values": "strong"}, "cachesteer_c_values='strong' is not allowed."),
        ({"cachesteer": "one", "cachesteer_layers": "9"}, "layers='9' asks for '9'"),
    ],
)
def test_bad_requests_are_400_and_the_server_goes_on(post, expected, arguments, message):
    status, answer = post(prompt="some text", vllm_xargs=arguments)
    assert status == 400
    assert message in answer["error"]["message"]
    assert post(prompt="some text")[1]["choices"][0]["text"] == expected("some text", None)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("a", {"cachesteer": "one", "cachesteer_c_values": 2.0}),
        ("ab", {"cachesteer": "one", "cachesteer_c_values": 1e-12}),
    ],
)
def test_what_only_the_engine_finds_ends_that_request_alone(post, expected, text, arguments):
    status, _ = post(prompt=text, vllm_xargs=arguments)
    assert status == 500
    assert post(prompt="some text")[1]["choices"][0]["text"] == expected("some text", None)


def test_scores_of_a_steered_prompt(post, tiny):
    from .. import oracle

    context, continuation = ENCODE("a context"), ENCODE(" and more")
    arguments = {"cachesteer": "one", "cachesteer_c_values": 2.0, "cachesteer_cached": len(context) - 1}
    asked = {"prompt": context + continuation, "echo": True, "logprobs": 1, "max_tokens": 1}
    status, answer = post(**asked, vllm_xargs=arguments)
    assert status == 200
    found = answer["choices"][0]["logprobs"]["token_logprobs"][len(context) : len(context) + len(continuation)]
    vectors = make_vectors(tiny, seed=1)
    keys, values = {i: 0 * vectors.keys[i] for i in (1, 2, 3)}, {i: 2.0 * vectors.values[i] for i in (1, 2, 3)}
    assert sum(found) == pytest.approx(oracle.loglikelihood(tiny, context, continuation, keys, values)[0], abs=1e-3)


def test_the_harness_evaluates_it_as_any_server(server, tiny_folder, tmp_path):
    """lm_eval's own client; the arguments travel in --gen_kwargs."""
    steering = '{"max_gen_toks": 8, "vllm_xargs": {"cachesteer": "one", "cachesteer_c_values": 2.0}}'
    place = f"base_url={server}/v1/completions,model=tiny,tokenizer={tiny_folder},tokenized_requests=False"
    answers = {}
    for name, given in (("plain", '{"max_gen_toks": 8}'), ("steered", steering)):
        command = [
            *(sys.executable, "-m", "lm_eval_cachesteer", "--model", "local-completions", "--model_args", place),
            *("--tasks", "cachesteer_offline_open", "--limit", "4", "--gen_kwargs", given),
            *("--output_path", tmp_path / name, "--log_samples"),
        ]
        finished = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert finished.returncode == 0, finished.stderr[-3000:]
        (path,) = (tmp_path / name).rglob("samples_*.jsonl")
        samples = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        answers[name] = [sample["resps"][0][0] for sample in samples if sample["filter"] == samples[0]["filter"]]
    assert len(answers["plain"]) == len(answers["steered"]) == 4
    assert answers["plain"] != answers["steered"]
