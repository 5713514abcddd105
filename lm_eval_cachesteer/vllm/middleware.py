"""Checks steered requests as they reach vLLM's server, so that what is wrong with them is said with status 400.

Named on vLLM's command line by --middleware. The engine checks requests again; what it alone can find (an overflow, a
prompt that is too short) ends that request with status 500, and the server's log says why.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ..errors import CachesteerError, SteeringError
from .library import VectorLibrary
from .settings import KEY, SteeringSettings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class SteeringMiddleware:
    """An ASGI application around vLLM's.

    Args:
        app: vLLM's application.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._library: VectorLibrary | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Hands plain requests on as they are."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        messages: list[Message] = []
        refused: list[CachesteerError] = []

        async def receive_checked() -> Message:
            if not messages:
                messages.append(await receive())
                while messages[-1].get("more_body"):
                    messages.append(await receive())
                messages.append({})  # what marks that all was read
                try:
                    self._check(b"".join(message.get("body", b"") for message in messages), scope)
                except CachesteerError as error:
                    refused.append(error)
                    raise
            return messages.pop(0) if len(messages) > 1 else await receive()

        async def send_unless_refused(message: Message) -> None:
            if not refused:
                await send(message)

        # Checked as the body is read: by then vLLM has turned away those who may not ask.
        try:
            await self._app(scope, receive_checked, send_unless_refused)
        except CachesteerError:
            if not refused:
                raise
        if refused:
            await _refuse(str(refused[0]), send)

    def _check(self, body: bytes, scope: Message) -> None:
        if KEY.encode() not in body:
            return
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            return  # vLLM says what is wrong with it
        arguments = request.get("vllm_xargs") if isinstance(request, dict) else None
        settings = SteeringSettings.read(arguments if isinstance(arguments, dict) else None)
        if settings is None:
            return
        if self._library is None:
            self._library = VectorLibrary.of(scope["app"].state.vllm_config)
        self._library.edit(settings)
        asks_of_prompt = request.get("prompt_logprobs") is not None or (request.get("echo") and request.get("logprobs"))
        if asks_of_prompt and settings.cached is None:
            raise SteeringError(
                f"Log-probabilities of a steered prompt need {KEY}_cached, the number of prompt tokens before the "
                "edit. Give it, with a prompt of token ids, or ask for none."
            )


async def _refuse(reason: str, send: Send) -> None:
    error = {"message": reason, "type": "BadRequestError", "param": "vllm_xargs", "code": 400}
    content = json.dumps({"error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": content})
