"""Our routes: captions, descriptions, readiness.

In: requests, and something that answers conversations. Out: a router for any FastAPI app, with its OpenAPI document.
Knows no engine: vLLM's stands behind `Speaker` in `mllm.serve.vllm_http`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from http import HTTPStatus
from importlib import resources
from pathlib import PurePath
from typing import Any, Protocol, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from mllm import captions, describe
from mllm.answer import MAX_NEW_TOKENS, Answer
from mllm.errors import MllmError
from mllm.messages import Audio, Message, Text
from mllm.serve.http_body import BodyReader, CaptionForm, CaptionRequest, DescribeForm, DescribeRequest, Named
from mllm.serve.http_errors import RequestError, error_object, error_response, status_of

UNHEARD_SECONDS = 0.5
"""From so much unheard sound on, a warning is given."""
READY_SECONDS = 10.0
"""How long an answer shows that the model answers, and how long one is waited for."""

Result = TypeVar("Result")


class Speaker(Protocol):
    """Answers conversations."""

    @property
    def model_names(self) -> Collection[str]:
        """What a request may call the model; the first is what answers call it."""

    async def say(
        self, messages: Sequence[Message], *, max_new_tokens: int, schema: Mapping[str, Any] | None = None
    ) -> Answer:
        """The most probable answer; with a JSON schema, one that it admits, where the speaker can see to that.

        Raises:
            MllmError: the conversation cannot be answered.
        """


class Caption(BaseModel):
    """What is told of one recording, or why nothing is."""

    index: int
    """Which recording of the request, from 0."""
    name: str
    """Its file name, if it has one."""
    caption: str | None = None
    tags: list[str] | None = None
    """With style `tags` only."""
    confidence: float | None = None
    """Geometric mean of the probabilities of the words, in [0, 1]."""
    seconds_heard: float | None = None
    total_seconds: float | None = None
    error: dict[str, Any] | None = None
    """As the error of a whole request."""


class Captions(BaseModel):
    """Answer of `POST /v1/captions`."""

    object: str = "list"
    model: str
    style: captions.Style
    data: list[Caption]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Routes:
    speaker: Callable[[], Speaker]
    reader: BodyReader
    answered_at: list[float] = dataclasses.field(default_factory=list)
    """When the model answered last; at most one entry."""

    async def captions(self, request: Request) -> Response:
        """A caption for each recording of the request: one sentence, all that is told, or tags.

        Recordings come as files of a form (`file`, several times for several) or in JSON (`audio`). If some of several
        cannot be heard, each of them has an `error` in place of a caption; if none can, the request fails.
        """
        options, recordings = await self.reader.read(request, CaptionRequest, CaptionForm)
        self._check_model(options.model)
        question = captions.question(options.style)
        length = options.max_tokens or MAX_NEW_TOKENS

        async def caption(index: int, one: Named) -> Caption | MllmError:
            try:
                answer = await self._ask(one, question, length, None)
            except MllmError as error:
                return error
            is_tags = options.style == "tags"
            return Caption(
                index=index,
                name=PurePath(one.name).name,
                caption=captions.text(options.style, answer.text),
                tags=captions.tags(answer.text) if is_tags else None,
                confidence=round(answer.confidence, 4),
                seconds_heard=round(answer.seconds_heard, 3),
                total_seconds=round(answer.total_seconds, 3),
            )

        each = [caption(i, one) for i, one in enumerate(recordings)]
        results = await _unless_gone(request, asyncio.gather(*each))
        errors = [one for one in results if isinstance(one, MllmError)]
        if len(errors) == len(results):
            raise errors[0]
        data = [
            Caption(index=i, name=PurePath(recordings[i].name).name, error=error_object(status_of(one), str(one)))
            if isinstance(one, MllmError)
            else one
            for i, one in enumerate(results)
        ]
        unheard = [(one.seconds_heard or 0.0, one.total_seconds or 0.0) for one in data]
        content = Captions(model=self._name, style=options.style, data=data).model_dump(exclude_none=True)
        return JSONResponse(content, headers=warning(unheard))

    async def describe(self, request: Request) -> Response:
        """Tempo, key, meter and instruments of one recording, each with its confidence, as `mllm describe --json`."""
        options, recordings = await self.reader.read(request, DescribeRequest, DescribeForm)
        self._check_model(options.model)
        if len(recordings) != 1:
            raise RequestError(HTTPStatus.BAD_REQUEST, f"{len(recordings)} recordings were sent; expected one")
        length = options.max_tokens or describe.MAX_NEW_TOKENS
        asked = self._ask(recordings[0], describe.QUESTION, length, describe.answer_schema())
        answer = await _unless_gone(request, asked)
        description = describe.read(answer, minimum_confidence=options.min_confidence)
        return JSONResponse(description.to_json(), headers=warning([(answer.seconds_heard, answer.total_seconds)]))

    async def ready(self) -> Response:
        """200 when a model is loaded and answers; asked often, it lets the model answer once in ten seconds."""
        try:
            if not self.answered_at or time.monotonic() - self.answered_at[0] > READY_SECONDS:
                async with asyncio.timeout(READY_SECONDS):
                    await self.speaker().say(_message("Hello."), max_new_tokens=1)
                self._note()
        except Exception:  # noqa: BLE001 (whatever it is: the model does not answer)
            message = "the model does not answer yet, or no longer"
            return error_response(HTTPStatus.SERVICE_UNAVAILABLE, message, headers={"Retry-After": "5"})
        return JSONResponse({"status": "ready", "model": self._name})

    async def _ask(self, one: Named, question: str, length: int, schema: Mapping[str, Any] | None) -> Answer:
        if isinstance(one.audio, MllmError):
            raise one.audio
        if one.audio.source == b"":
            raise RequestError(HTTPStatus.BAD_REQUEST, f"{one.name} is empty (0 bytes); send the whole audio file")
        answer = await self.speaker().say(_message(question, one.audio), max_new_tokens=length, schema=schema)
        self._note()
        return answer

    def _note(self) -> None:
        self.answered_at[:] = [time.monotonic()]

    def _check_model(self, name: str | None) -> None:
        names = self.speaker().model_names
        if name is not None and name not in names:
            raise RequestError(
                HTTPStatus.NOT_FOUND, f"there is no model {name!r} here; expected {' or '.join(map(repr, names))}"
            )

    @property
    def _name(self) -> str:
        return next(iter(self.speaker().model_names))


def make_router(speaker: Callable[[], Speaker], reader: BodyReader) -> APIRouter:
    """The routes.

    Args:
        speaker: gives who answers; called for each request, as routes are there before a model is.
        reader: of bodies.
    """
    routes = _Routes(speaker=speaker, reader=reader)
    router = APIRouter(tags=["music"])
    router.add_api_route(
        "/v1/captions",
        routes.captions,
        methods=["POST"],
        response_model=Captions,
        responses=_ERRORS,
        openapi_extra=_body(CaptionRequest, CaptionForm, {"type": "array", "items": _FILE}),
    )
    router.add_api_route(
        "/v1/describe",
        routes.describe,
        methods=["POST"],
        responses={200: {"content": {"application/json": {"schema": _description_schema()}}}, **_ERRORS},
        response_class=Response,
        openapi_extra=_body(DescribeRequest, DescribeForm, _FILE),
    )
    router.add_api_route("/ready", routes.ready, methods=["GET"], responses=_error_responses({503: "no model answers"}))
    return router


def warning(heard: Sequence[tuple[float, float]]) -> dict[str, str]:
    """A header that tells where less than the whole was heard; none where all was.

    Args:
        heard: seconds heard and length, for each recording.
    """
    missed = [(some, whole) for some, whole in heard if whole - some > UNHEARD_SECONDS]
    if not missed:
        return {}
    sentences = "; ".join(f"heard {some:.0f} s of the {whole:.0f} s" for some, whole in missed)
    return {"Warning": f'299 mllm "{sentences}"'}


def _message(text: str, *audios: Audio) -> tuple[Message, ...]:
    return (Message(role="user", parts=(*audios, Text(text=text))),)


async def _unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """The result of `work`, which is given up when the client hangs up. The body must have been read."""
    task = asyncio.ensure_future(work)
    gone = asyncio.create_task(_hang_up(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise RequestError(HTTPStatus.BAD_REQUEST, "the client hung up")
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _description_schema() -> dict[str, Any]:
    text = (resources.files("mllm") / "schema" / "describe.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    del schema["$schema"], schema["properties"]["id"]
    return schema


def _body(json_type: type[BaseModel], form_type: type[BaseModel], files: dict[str, Any]) -> dict[str, Any]:
    """Both forms of a body, for the OpenAPI document."""
    form = form_type.model_json_schema()
    form["properties"] = {"file": files, **form["properties"]}
    form["required"] = ["file"]
    as_json = json_type.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = as_json.pop("$defs", {})
    as_json["properties"]["audio"] = _inlined(as_json["properties"]["audio"], definitions)
    content = {"multipart/form-data": {"schema": form}, "application/json": {"schema": as_json}}
    return {"requestBody": {"required": True, "content": content}}


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema without references."""
    if isinstance(schema, list):
        return [_inlined(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {**definitions[schema["$ref"].rpartition("/")[2]], **{k: v for k, v in schema.items() if k != "$ref"}}
    return {key: _inlined(value, definitions) for key, value in schema.items()}


_FILE = {"type": "string", "format": "binary"}
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "integer"},
            },
        }
    },
}


def _error_responses(statuses: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"description": what, "content": {"application/json": {"schema": _ERROR_SCHEMA}}}
        for status, what in statuses.items()
    }


_ERRORS = _error_responses(
    {
        400: "the request is not what is expected",
        401: "the API key is missing or wrong",
        404: "there is no such model",
        408: "the request arrived too slowly",
        413: "the request or a recording is too large",
        415: "a file is not audio, or the body neither a form nor JSON",
        422: "a recording cannot be heard",
        429: "the server is full; Retry-After says when to come back",
        504: "it took too long",
    }
)
