"""What the server says of a request before the engine sees it."""

import asyncio
import json
from types import SimpleNamespace

import pytest

from lm_eval_cachesteer.vllm.middleware import SteeringMiddleware

from ..conftest import make_vectors


@pytest.fixture
def post(llama, tmp_path):
    """Sends a body through the middleware; returns status and answer, which an application echoes."""
    make_vectors(llama).save(tmp_path / "mine.safetensors")
    connection = SimpleNamespace(kv_connector_extra_config={"vectors": str(tmp_path)})
    model = SimpleNamespace(hf_config=llama.config, model="tiny-llama")
    state = SimpleNamespace(vllm_config=SimpleNamespace(kv_transfer_config=connection, model_config=model))

    async def echo(scope, receive, send):
        if scope.get("stranger"):
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    def run(body, stranger=False, chunk=7):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        parts = [content[i : i + chunk] for i in range(0, len(content), chunk)] or [b""]
        waiting = [{"type": "http.request", "body": part, "more_body": part is not parts[-1]} for part in parts]
        sent = []

        async def receive():
            return waiting.pop(0)

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "stranger": stranger, "app": SimpleNamespace(state=state)}
        asyncio.run(SteeringMiddleware(echo)(scope, receive, send))
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)

    return run


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "a"},
        {"prompt": "cachesteer", "vllm_xargs": {"session_id": "a"}},
        {"prompt": "a", "vllm_xargs": {"cachesteer": "mine", "cachesteer_c_values": 3}},
        {"prompt": [1, 2], "echo": True, "logprobs": 1, "vllm_xargs": {"cachesteer": "mine", "cachesteer_cached": 1}},
        b'{"cachesteer": ',
        b'["cachesteer"]',
        b'{"vllm_xargs": "cachesteer"}',
        b"",
    ],
)
def test_what_is_no_fault_of_steering_reaches_the_server_as_it_is(post, body):
    assert post(body) == (200, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize(
    ("arguments", "more", "message"),
    [
        ({"cachesteer": "other"}, {}, "No vectors are known as 'other'. Known for this model: mine."),
        ({"cachesteer": "../mine"}, {}, "No vectors are known as '../mine'."),
        ({"cachesteer": "mine", "cachesteer_c_values": "strong"}, {}, "cachesteer_c_values='strong' is not allowed."),
        ({"cachesteer": "mine", "cachesteer_layers": "9-"}, {}, "layers='9-' asks for '9-'"),
        ({"cachesteer": "mine", "cachesteer_heads": 1000}, {}, "heads=1000 is out of range"),
        ({"cachesteer": "mine", "cachesteer_c_values": 1e39}, {}, "the vectors overflow float32"),
        ({"cachesteer": "mine"}, {"echo": True, "logprobs": 1}, "need cachesteer_cached"),
        ({"cachesteer": "mine"}, {"prompt_logprobs": 0}, "need cachesteer_cached"),
    ],
)
def test_faults_are_400_and_one_line(post, arguments, more, message):
    status, answer = post({"prompt": "a", "vllm_xargs": arguments} | more)
    error = json.loads(answer)["error"]
    assert status == 400
    assert message in error["message"]
    assert "\n" not in error["message"]
    assert (error["code"], error["param"]) == (400, "vllm_xargs")


def test_those_who_may_not_ask_learn_nothing(post):
    assert post({"prompt": "a", "vllm_xargs": {"cachesteer": "other"}}, stranger=True) == (401, b"")
