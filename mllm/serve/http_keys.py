"""API keys, for every path but those that tell only whether the server lives, and the files of the page.

An ASGI middleware that `mllm serve` puts outermost. vLLM's own asks for keys under a few prefixes only (`/invocations`
and `/tokenize` are not among them) and tells 401 in a shape of its own; the comparison, in constant time, is vLLM's.
In: requests. Out: the same, or 401.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from vllm import envs
from vllm.entrypoints.serve.middleware.authenticate import AuthenticationMiddleware

from mllm.serve import http_page
from mllm.serve.http_errors import error_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

OPEN_PATHS = frozenset({"/health", "/ready", "/ping", *http_page.files()})
"""The page is the same for everybody and holds no secret; it asks for a key when the API wants one."""


class ApiKeys:
    """Lets pass what has a key, where the server has keys."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._checker: AuthenticationMiddleware | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if not await self._is_refused(scope):
            await self._app(scope, receive, send)
            return
        await error_response(
            HTTPStatus.UNAUTHORIZED,
            "the API key is missing or wrong; send it as: Authorization: Bearer KEY",
            headers={"WWW-Authenticate": "Bearer", "Connection": "close"},
        )(scope, receive, send)

    async def _is_refused(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] == "OPTIONS":  # no key goes with a browser's question beforehand
            return False
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        keys = [key for key in (scope["app"].state.args.api_key or [envs.VLLM_API_KEY]) if key]
        if not keys or path in OPEN_PATHS:
            return False
        if self._checker is None:
            self._checker = AuthenticationMiddleware(self._app, keys)
        return not self._checker.verify_token(Headers(scope=scope))
