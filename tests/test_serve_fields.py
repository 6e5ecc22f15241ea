"""Unknown fields of a body: which they are, what is said of them, and that a route is else as it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from mllm.serve.http_app import tell_errors
from mllm.serve.http_fields import refuse_unknown_fields, sentence, unknown_fields
from tests.test_serve_http import assert_is_error

KNOWN = ("model", "messages", "temperature", "top_p", "stream")


class Asked(BaseModel):
    """As vLLM's requests: what is not declared is passed over."""

    model_config = ConfigDict(extra="allow")

    model: str
    temperature: float | None = None
    stop: str | None = Field(default=None, alias="until")


def app() -> FastAPI:
    made = FastAPI()

    @made.post("/strict", tags=["asked"])
    @made.post("/lenient")
    async def answer(asked: Asked, request: Request) -> StreamingResponse:
        async def words() -> AsyncIterator[str]:
            yield f"{asked.model} "
            yield f"{len(await request.body())}"

        return StreamingResponse(words(), media_type="text/event-stream")

    @made.post("/{anything}")
    async def catch_all(anything: str) -> str:
        return anything

    refuse_unknown_fields(made, ["/strict", "/v1/not/there"], passed_over=["store"])
    tell_errors(made)
    return made


def post(path: str, **request: Any) -> httpx2.Response:
    async def ask() -> httpx2.Response:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app()), base_url="http://x") as client:
            return await client.post(path, **request)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("content", "unknown"),
    [
        ({"model": "m", "messages": []}, []),
        ({"temprature": 0, "model": "m"}, ["temprature"]),
        ({"a": 1, "top_p": 1, "b": {}}, ["a", "b"]),
        ({"a": None}, []),
        ({"a": False}, ["a"]),
        ([{"a": 1}], []),
        ("a", []),
        (None, []),
    ],
)
def test_which_they_are(content: Any, unknown: list[str]) -> None:
    assert unknown_fields(content, KNOWN) == unknown


@pytest.mark.parametrize(
    ("unknown", "said"),
    [
        (["temprature"], "the field 'temprature' is not known; did you mean 'temperature'?"),
        (["store"], "the field 'store' is not known; leave it out"),
        (["a", "b"], "the fields 'a', 'b' are not known; leave them out"),
        (
            ["temprature", "b", "topp"],
            "the fields 'temprature', 'b', 'topp' are not known; did you mean 'temperature' and 'top_p'?",
        ),
        (["a", "b", "c", "d", "e"], "the fields 'a', 'b', 'c' and 2 more are not known; leave them out"),
        (["x" * 100_000], f"the field {'x' * 64!r} is not known; leave it out"),
    ],
)
def test_what_is_said(unknown: list[str], said: str) -> None:
    assert sentence(unknown, KNOWN) == said


def test_a_route_refuses_them_and_answers_else() -> None:
    answer = post("/strict", json={"model": "m", "temprature": 0})
    assert_is_error(answer, 400, "the field 'temprature' is not known; did you mean 'temperature'?")
    assert answer.json()["error"]["param"] == "temprature"
    for body in (
        {"model": "m"},
        {"model": "m", "temperature": 1, "until": "x", "stop": "x", "other": None, "store": 1},
    ):
        answer = post("/strict", json=body)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert answer.text == f"m {len(answer.request.content)}"
    assert post("/lenient", json={"model": "m", "temprature": 0}).status_code == 200


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (b'{"model":', "application/json", "the body is not valid JSON"),
        (b"\xff", "application/json", ""),
        (b"[" * 100_000, "application/json", ""),
        (b"[" * 100_000, "text/plain", ""),
        (b"\xff", "text/plain", ""),
        (b"", "text/plain", ""),
        (b'{"modle": "m"}', "application/json", "the field 'modle' is not known; did you mean 'model'?"),
        (json.dumps([{"modle": 1}]).encode(), "application/json", "the body: input should be a valid dictionary"),
    ],
)
def test_bodies_of_another_kind_are_told_as_before(content: bytes, kind: str, said: str) -> None:
    assert_is_error(post("/strict", content=content, headers={"Content-Type": kind}), 400, said)


def test_the_document_and_the_order_of_the_routes_stay() -> None:
    made = app()
    paths = made.openapi()["paths"]
    assert paths["/strict"]["post"]["tags"] == ["asked"]
    assert paths["/strict"]["post"]["requestBody"] == paths["/lenient"]["post"]["requestBody"]
    assert [path for path in paths if not path.startswith("/{")] == ["/lenient", "/strict"]
