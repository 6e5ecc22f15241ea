"""What a request may cost: the size of its body, its time, and its place in a bounded queue.

An ASGI middleware around every route. In: requests. Out: the same, or 408, 413, 429 and 504 as OpenAI's API tells them.
It counts bodies while they arrive, whatever their header says. Knows nothing of audio and no routes.
"""

from __future__ import annotations

import asyncio
import math
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from mllm.serve.http_errors import BodyRefusedError, error_response
from mllm.serve_settings import ServeSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_RETRY_SECONDS = 60


class RequestLimits:
    """Limits of all requests that bring work, which are those with a body.

    Args:
        app: what is limited.
        settings: the limits.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app = app
        self._settings = settings
        self._running = 0
        self._held_bytes = 0
        self._usual_seconds = 1.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._settings.max_upload_bytes:
            await error_response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self._too_large, headers={"Connection": "close"})(
                scope, receive, send
            )
            return
        if self._running >= self._settings.max_requests:
            await error_response(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"{self._running} requests are being answered or wait; try again later",
                headers={"Retry-After": self._retry_after, "Connection": "close"},
            )(scope, receive, send)
            return
        began = time.monotonic()
        self._running += 1
        try:
            await self._limited(scope, receive, send, began)
        finally:
            self._running -= 1
            self._usual_seconds += 0.1 * (time.monotonic() - began - self._usual_seconds)

    async def _limited(self, scope: Scope, receive: Receive, send: Send, began: float) -> None:
        body = _Body(self, receive, began + self._settings.upload_seconds)
        has_begun = False

        async def noted_send(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            async with asyncio.timeout(self._settings.request_seconds):
                await self._app(scope, body.receive, noted_send)
        except TimeoutError:
            if has_begun:
                raise  # part of an answer is out: the connection ends, which tells the client
            await error_response(
                HTTPStatus.GATEWAY_TIMEOUT,
                f"the request was not answered within {self._settings.request_seconds:g} s; ask for less",
                headers={"Connection": "close"},
            )(scope, receive, send)
        finally:
            self._held_bytes -= body.length

    def take(self, body: _Body, length: int) -> None:
        """Count a piece of a body.

        Raises:
            BodyRefusedError: it makes the body, or all bodies together, too large.
        """
        body.length += length
        self._held_bytes += length
        if body.length > self._settings.max_upload_bytes:
            raise BodyRefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self._too_large, {"Connection": "close"})
        if self._held_bytes > self._settings.max_held_bytes:
            raise BodyRefusedError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too many recordings are being received at once; try again later",
                {"Retry-After": self._retry_after, "Connection": "close"},
            )

    @property
    def upload_seconds(self) -> float:
        """Until a body must have arrived."""
        return self._settings.upload_seconds

    @property
    def _too_large(self) -> str:
        return (
            f"the request is larger than {self._settings.max_upload_mib} MiB; "
            "send fewer, shorter or compressed recordings"
        )

    @property
    def _retry_after(self) -> str:
        return str(min(LONGEST_RETRY_SECONDS, max(1, math.ceil(self._usual_seconds))))


class _Body:
    """The body of one request as it arrives."""

    def __init__(self, limits: RequestLimits, receive: Receive, deadline: float) -> None:
        self.length = 0
        self._limits = limits
        self._receive = receive
        self._deadline = deadline
        self._is_complete = False

    async def receive(self) -> Message:
        if self._is_complete:
            return await self._receive()  # waits for the client to hang up
        try:
            async with asyncio.timeout(self._deadline - time.monotonic()):
                message = await self._receive()
        except TimeoutError as error:
            raise BodyRefusedError(
                HTTPStatus.REQUEST_TIMEOUT,
                f"the request did not arrive within {self._limits.upload_seconds:g} s; send it faster, or less",
                {"Connection": "close"},
            ) from error
        if message["type"] == "http.request":
            self._is_complete = not message.get("more_body", False)
            self._limits.take(self, len(message.get("body", b"")))
        return message
