"""Tells in a header of every answer where less than the whole of a recording was heard.

An ASGI middleware. In: answers of any route. Out: the same, with a `Warning` where one is due.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

from mllm.serve import heard
from mllm.serve.http_routes import warning

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeardHeader:
    """Adds the header to answers that have none yet."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with heard.collected() as parts:

            async def send_with_header(message: Message) -> None:
                if message["type"] == "http.response.start":
                    headers = MutableHeaders(raw=message["headers"])
                    for name, value in warning([(one.seconds_heard, one.total_seconds) for one in parts]).items():
                        headers.setdefault(name, value)
                await send(message)

            await self._app(scope, receive, send_with_header)
