"""Our routes over HTTP with the transformers model behind them, for tests that need no vLLM.

Everything is real: the checkpoint, the sockets, uvicorn. What vLLM adds (batches, restricted decoding) is not here.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import uvicorn
from fastapi import FastAPI

from mllm.answer import Answer
from mllm.listener import Listener
from mllm.messages import Message
from mllm.serve.fetch import Fetcher
from mllm.serve.http_app import add_routes
from mllm.serve.http_connections import close_silent
from mllm.serve_settings import ServeSettings


class ListenerSpeaker:
    """Answers one conversation after the other."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._lock = asyncio.Lock()

    @property
    def model_names(self) -> Collection[str]:
        return ["mllm"]

    async def say(
        self, messages: Sequence[Message], *, max_new_tokens: int, schema: Mapping[str, Any] | None = None
    ) -> Answer:
        async with self._lock:
            return await asyncio.to_thread(self._listener.respond, list(messages), max_new_tokens=max_new_tokens)


@contextlib.contextmanager
def serving(listener: Listener | None, settings: ServeSettings, fetcher: Fetcher | None = None) -> Iterator[str]:
    """A server in a thread of its own; gives its address. Without a listener it stands before its model is loaded."""
    app = FastAPI()
    speaker = None if listener is None else ListenerSpeaker(listener)

    def the_speaker() -> ListenerSpeaker:
        if speaker is None:
            raise RuntimeError("there is no model yet")
        return speaker

    nowhere = Fetcher((), max_bytes=settings.max_upload_bytes, seconds=settings.fetch_seconds)
    add_routes(app, the_speaker, fetcher or nowhere, settings)
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
