"""Errors as OpenAI's API tells them: a status, and one sentence in `{"error": {"message", "type", "param", "code"}}`.

In: our errors. Out: statuses and responses. Knows no routes and no vLLM.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from mllm.errors import AudioError, AudioLimitError, ItemError, MllmError, NotAudioError

_STATUS: tuple[tuple[type[MllmError], HTTPStatus], ...] = (
    (AudioLimitError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (NotAudioError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (AudioError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ItemError, HTTPStatus.NOT_FOUND),
    (MllmError, HTTPStatus.BAD_REQUEST),
)
"""The first that fits counts."""


class RequestError(MllmError):
    """A request that is answered with a status of its own.

    Args:
        status: of HTTP, 4xx or 5xx.
        message: one sentence.
        headers: of the response.
        param: the field that is meant.
    """

    def __init__(
        self, status: HTTPStatus, message: str, *, headers: Mapping[str, str] | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.param = param


class BodyRefusedError(HTTPException):
    """A body that is refused while it arrives; frameworks pass this kind on instead of calling the body malformed."""


def status_of(error: MllmError) -> HTTPStatus:
    """The status that an error is told with."""
    if isinstance(error, RequestError):
        return error.status
    return next(status for kind, status in _STATUS if isinstance(error, kind))


def error_object(status: int, message: str, *, param: str | None = None) -> dict[str, Any]:
    """What stands under `error` in a response."""
    return {"message": message, "type": HTTPStatus(status).phrase, "param": param, "code": int(status)}


def error_response(
    status: int, message: str, *, headers: Mapping[str, str] | None = None, param: str | None = None
) -> JSONResponse:
    """A response that tells an error."""
    content = {"error": error_object(status, message, param=param)}
    return JSONResponse(content, status_code=int(status), headers=dict(headers or {}))


def response_of(error: MllmError) -> JSONResponse:
    """The response to a request that failed with one of our errors."""
    if isinstance(error, RequestError):
        return error_response(error.status, str(error), headers=error.headers, param=error.param)
    return error_response(status_of(error), str(error))


async def tell_mllm_error(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001 (as Starlette calls it)
    """Handler of every `MllmError` that a route lets pass."""
    assert isinstance(error, MllmError)
    return response_of(error)


async def tell_validation_error(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
    """Handler of bodies that do not fit the model of a route: the first thing that is wrong, without its value."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if not isinstance(first, Mapping):  # vLLM's own of a body that is not called JSON is a sentence
        return error_response(HTTPStatus.BAD_REQUEST, str(first))
    place = ".".join(str(step) for step in first["loc"][1:] if isinstance(step, int) or step.isidentifier())
    what = f"{first['msg'][0].lower()}{first['msg'][1:]}"
    if first["type"] == "json_invalid":
        return error_response(HTTPStatus.BAD_REQUEST, "the body is not valid JSON; send one object")
    return error_response(HTTPStatus.BAD_REQUEST, f"{place or 'the body'}: {what}", param=place or None)


async def tell_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Handler of what Starlette itself refuses: unknown paths, wrong methods, refused bodies."""
    assert isinstance(error, HTTPException)
    message = str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND:
        message = f"there is nothing at {request.url.path}; /docs shows what there is"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = Headers(error.headers).get("allow", "another method")
        message = f"{request.method} is not possible at {request.url.path}; expected {allowed}"
    return error_response(error.status_code, message, headers=error.headers)
