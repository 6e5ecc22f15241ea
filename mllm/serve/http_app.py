"""Puts our routes, the page, limits and the telling of errors into an app, whoever made it.

In: a FastAPI app, something that answers, limits. Out: the same app with more in it. Knows no engine.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import mllm
from mllm.errors import MllmError
from mllm.serve import http_page
from mllm.serve.fetch import Fetcher
from mllm.serve.http_body import BodyReader
from mllm.serve.http_errors import tell_http_exception, tell_mllm_error, tell_validation_error
from mllm.serve.http_heard import HeardHeader
from mllm.serve.http_limits import RequestLimits
from mllm.serve.http_routes import Speaker, make_router
from mllm.serve_settings import ServeSettings


def add_routes(app: FastAPI, speaker: Callable[[], Speaker], fetcher: Fetcher, settings: ServeSettings) -> None:
    """Add the routes and the page, and the limits around all routes of the app.

    Args:
        app: before it has served.
        speaker: gives who answers; called for each request.
        fetcher: of recordings on the web.
        settings: the limits.
    """
    app.title, app.version = "mllm", mllm.__version__
    app.include_router(make_router(speaker, BodyReader(fetcher, settings)))
    app.include_router(http_page.make_router())
    app.add_middleware(HeardHeader)
    app.add_middleware(RequestLimits, settings=settings)
    tell_errors(app)


def tell_errors(app: FastAPI) -> None:
    """Have errors told as OpenAI's API tells them; what the app had for them before is replaced."""
    app.add_exception_handler(MllmError, tell_mllm_error)
    app.add_exception_handler(HTTPException, tell_http_exception)
    app.add_exception_handler(RequestValidationError, tell_validation_error)
    app.add_exception_handler(ClientDisconnect, _nobody_is_there)


async def _nobody_is_there(request: Request, error: Exception) -> Response:  # noqa: ARG001 (as Starlette calls it)
    """The client hung up in the middle of its request."""
    return Response(status_code=400)
