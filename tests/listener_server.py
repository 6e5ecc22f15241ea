"""Our routes over HTTP with the transformers model behind them, for tests that need no vLLM.

Everything is real: the checkpoint, the sockets, uvicorn. What vLLM adds (batches, restricted decoding) is not here; of
its routes those that the page asks are: models, and chats as streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from mllm.answer import Answer
from mllm.listener import Listener
from mllm.messages import Audio, Message, parse
from mllm.serve import heard, http_page
from mllm.serve.fetch import Fetcher
from mllm.serve.http_app import add_routes
from mllm.serve.http_connections import close_silent
from mllm.serve.http_errors import error_response
from mllm.serve_settings import ServeSettings


class ListenerSpeaker:
    """Answers one conversation after the other."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self._lock = asyncio.Lock()

    @property
    def model_names(self) -> Collection[str]:
        return ["mllm"]

    async def say(
        self, messages: Sequence[Message], *, max_new_tokens: int, schema: Mapping[str, Any] | None = None
    ) -> Answer:
        async with self._lock:
            return await asyncio.to_thread(self.listener.respond, list(messages), max_new_tokens=max_new_tokens)

    async def pieces(self, messages: Sequence[Message], wait: Callable[[], object]) -> AsyncIterator[str]:
        """The answer as it is said; `wait` is called after each piece, in the thread that says them."""
        loop = asyncio.get_running_loop()
        said: asyncio.Queue[str | None] = asyncio.Queue()

        def put(piece: str | None) -> None:
            with contextlib.suppress(RuntimeError):  # the server was stopped in the middle of an answer
                loop.call_soon_threadsafe(said.put_nowait, piece)
            if piece is not None:
                wait()

        def speak() -> None:
            try:
                self.listener.respond(list(messages), stream=put)
            finally:
                put(None)

        async with self._lock:
            speaking = asyncio.create_task(asyncio.to_thread(speak))
            while (piece := await said.get()) is not None:
                yield piece
            await speaking


class Chats:
    """The routes of chats, as streams and whole.

    Args:
        speaker: gives who answers.
        wait: called after each piece of an answer.
    """

    def __init__(self, speaker: Callable[[], ListenerSpeaker], wait: Callable[[], object]) -> None:
        self._speaker = speaker
        self._wait = wait

    async def models(self) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": one} for one in self._speaker().model_names]})

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        assert body["temperature"] == 0
        assert body["model"] in self._speaker().model_names
        messages = parse(body["messages"])
        audios = [part for message in messages for part in message.parts if isinstance(part, Audio)]
        for audio in audios:  # before the answer begins, as vLLM does, so that errors have their status
            sound = await asyncio.to_thread(self._speaker().listener.hear, audio)
            heard.note(sound.heard)
        if body.get("stream"):
            return StreamingResponse(self._events(messages), media_type="text/event-stream")
        return JSONResponse(_whole(await self._speaker().say(messages, max_new_tokens=body["max_tokens"])))

    async def _events(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        yield _event({"role": "assistant", "content": ""})
        async for piece in self._speaker().pieces(messages, self._wait):
            yield _event({"content": piece})
        yield _event({}, finish_reason="stop")
        yield "data: [DONE]\n\n"


def _whole(answer: Answer) -> dict[str, Any]:
    chances = [{"token": "", "logprob": math.log(token.probability)} for token in answer.tokens]
    message = {"role": "assistant", "content": answer.text}
    return {"choices": [{"index": 0, "message": message, "logprobs": {"content": chances}}]}


def _event(delta: dict[str, str], finish_reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return f"data: {json.dumps({'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"


class KeyGate:
    """Asks for a key on every path but those of the page; its `key` may be changed at any time, None asks for none."""

    def __init__(self) -> None:
        self.key: str | None = None

    def is_refused(self, request: Request) -> bool:
        is_open = self.key is None or request.url.path in http_page.files()
        return not is_open and request.headers.get("authorization") != f"Bearer {self.key}"


@contextlib.contextmanager
def serving(
    listener: Listener | None,
    settings: ServeSettings,
    fetcher: Fetcher | None = None,
    *,
    keys: KeyGate | None = None,
    wait: Callable[[], object] = lambda: None,
) -> Iterator[str]:
    """A server in a thread of its own; gives its address. Without a listener it stands before its model is loaded."""
    app = FastAPI()
    speaker = None if listener is None else ListenerSpeaker(listener)

    def the_speaker() -> ListenerSpeaker:
        if speaker is None:
            raise RuntimeError("there is no model yet")
        return speaker

    nowhere = Fetcher((), max_bytes=settings.max_upload_bytes, seconds=settings.fetch_seconds)
    chats = Chats(the_speaker, wait)
    app.add_api_route("/v1/models", chats.models, methods=["GET"])
    app.add_api_route("/v1/chat/completions", chats.chat, methods=["POST"])
    add_routes(app, the_speaker, fetcher or nowhere, settings)
    if keys is not None:

        @app.middleware("http")
        async def ask_for_key(request: Request, answer: Any) -> Response:
            if keys.is_refused(request):
                return error_response(401, "the API key is missing or wrong; send it as: Authorization: Bearer KEY")
            response: Response = await answer(request)
            return response

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical"))

    async def run() -> None:
        watch = asyncio.create_task(close_silent(server, settings.upload_seconds))
        await server.serve()
        watch.cancel()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            threading.Event().wait(0.02)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
