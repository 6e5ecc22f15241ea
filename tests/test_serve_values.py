"""Values that an engine dies of or fails with: which are found, at what depth, and what is said."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel

from mllm.serve.http_app import tell_errors
from mllm.serve.http_checks import check_before, leave_out
from mllm.serve.http_errors import RequestError
from mllm.serve.http_values import MOST_ITEMS, refuse_bad_values, restricts_the_answer
from tests.test_serve_http import assert_is_error

HALF = "\ud800"
"""Of a surrogate pair; JSON can write it, UTF-8 cannot."""
MANY = {"type": "array", "minItems": MOST_ITEMS + 1}


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        "",
        0.5,
        {"seed": -(2**63), "prompt": ["😀", "ü", "\x00"], "top_k": 2**64 - 1, "temperature": float("nan")},
        {"json": "{", "structural_tag": "[" * 100_000, "grammar": 'root ::= "json"'},
        {"json": {"properties": {"minItems": {"type": "integer"}, "maxItems": {"maxItems": MOST_ITEMS}}}},
        {"minItems": -(10**9), "maxItems": True},
    ],
)
def test_others_pass(content: Any) -> None:
    refuse_bad_values(content)


@pytest.mark.parametrize(
    ("content", "param", "said"),
    [
        ({"stop": [HALF]}, "stop", "stop: holds text with half of a surrogate pair"),
        ({"messages": [{"role": "user", "content": HALF}]}, "messages", "messages: holds text with half"),
        ({HALF: 1}, None, "the body: holds text with half"),
        ({"metadata": {HALF: 1}}, "metadata", "metadata: holds text with half"),
        ([HALF], None, "the body: holds text with half"),
        ({"top_k": 2**64}, "top_k", "top_k: holds an integer of more than 64 bits"),
        ({"logit_bias": {"1": [[-(2**63) - 1]]}}, "logit_bias", "logit_bias: holds an integer of more than 64 bits"),
        ({"tools": [MANY]}, "tools", "tools: minItems and maxItems come to more than 100000 items"),
        ({"response_format": {"schema": {"maxItems": 1e9}}}, "response_format", "come to more than 100000 items"),
        ({"a": [{"minItems": MOST_ITEMS}, {"maxItems": 1}]}, "a", "come to more than 100000 items"),
        ({"structured_outputs": {"json": json.dumps(MANY)}}, "structured_outputs", "more than 100000 items"),
        ({"x": {"structural_tag": json.dumps([MANY])}}, "x", "x: minItems and maxItems come to more than 100000 items"),
        ({"structured_outputs": {"grammar": "start: %json {}"}}, "structured_outputs", "a grammar with %json is not"),
    ],
)
def test_what_is_refused(content: Any, param: str | None, said: str) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        refuse_bad_values(content)
    assert caught.value.param == param
    assert caught.value.status == 400


def test_depth_does_not_matter() -> None:
    deep: Any = {"stop": HALF}
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RequestError, match="surrogate"):
        refuse_bad_values({"x": deep})


@pytest.mark.parametrize(
    ("content", "restricts"),
    [
        (None, False),
        ([], False),
        ({"structured_outputs": None, "text": {}, "output_config": {"effort": "low"}}, False),
        ({"structured_outputs": {"regex": ""}}, True),
        ({"response_format": {"type": "json_object"}}, True),
        ({"tools": [{"type": "function"}]}, True),
        ({"text": {"format": {"type": "json_object"}}}, True),
        ({"output_config": {"format": {"type": "json_schema"}}}, True),
    ],
)
def test_what_restricts_the_answer(content: Any, restricts: bool) -> None:
    assert restricts_the_answer(content) is restricts


class Asked(BaseModel):
    """A body that FastAPI reads."""

    x: Any = None


def app() -> FastAPI:
    made = FastAPI()

    @made.post("/declared")
    async def declared(asked: Asked) -> Any:
        return asked.x

    @made.post("/own")
    async def own(request: Request) -> Any:
        return await request.json()

    @made.get("/own")
    async def read() -> str:
        return "read"

    @made.post("/gone")
    async def gone() -> None: ...

    leave_out(made, ["/gone", "/never/there"])
    check_before(made, lambda route: "POST" in route.methods, lambda _: lambda _, content: refuse_bad_values(content))
    tell_errors(made)
    return made


def post(path: str, content: bytes) -> httpx2.Response:
    async def ask() -> httpx2.Response:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app()), base_url="http://x") as client:
            return await client.post(path, content=content, headers={"Content-Type": "application/json"})

    return asyncio.run(ask())


@pytest.mark.parametrize("path", ["/declared", "/own"])
def test_routes_that_are_checked(path: str) -> None:
    assert post(path, b'{"x": 7}').status_code == 200
    assert_is_error(post(path, b'{"x": "\\ud800"}'), 400, "x: holds text with half of a surrogate pair")
    assert_is_error(post(path, b"[" * 100_000), 400, "")


def test_deep_bodies_of_routes_that_read_them_themselves() -> None:
    assert_is_error(post("/own", b"[" * 100_000), 400, "the body is nested too deeply; send a flatter one")


def test_routes_that_are_left_out() -> None:
    assert_is_error(post("/gone", b"{}"), 404, "there is nothing at /gone")
    assert list(app().openapi()["paths"]["/own"]) == ["get", "post"]
