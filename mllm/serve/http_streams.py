"""Tells an error as the last event of a stream that has begun, where the connection would else break off.

An ASGI middleware. In: errors that a route raises behind its first event, and what tells them otherwise. Out: the
answer's object as one more server-sent event, which OpenAI's clients raise as an error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

EVENTS = "text/event-stream"
Handler = Callable[[Request, Exception], Awaitable[Response]]


class StreamErrors:
    """Ends streams that fail with errors that can be told.

    Args:
        app: whose streams are meant.
        handlers: what tells errors of a kind; other errors break off as before.
    """

    def __init__(self, app: ASGIApp, handlers: Mapping[type[Exception], Handler]) -> None:
        self._app = app
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        is_stream = False

        async def noted_send(message: Message) -> None:
            nonlocal is_stream
            if message["type"] == "http.response.start":
                is_stream = Headers(raw=message["headers"]).get("content-type", "").startswith(EVENTS)
            await send(message)

        try:
            await self._app(scope, receive, noted_send)
        except RuntimeError as broken:  # what Starlette makes of an error that has a handler and comes too late for it
            error = broken.__cause__
            tell = next((tell for kind, tell in self._handlers.items() if isinstance(error, kind)), None)
            if tell is None or not isinstance(error, Exception) or not is_stream:
                raise
            told = await tell(Request(scope), error)
            await send({"type": "http.response.body", "body": b"event: error\ndata: %s\n\n" % bytes(told.body)})
