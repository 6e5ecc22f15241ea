"""Streams that fail in the middle: errors that can be told end them, others break them off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from mllm.errors import AudioError, MllmError
from mllm.serve.http_app import tell_errors
from mllm.serve.http_errors import tell_mllm_error
from mllm.serve.http_streams import StreamErrors


def app() -> FastAPI:
    made = FastAPI()

    @made.get("/{kind}/{media}")
    async def answer(kind: str, media: str) -> StreamingResponse:
        async def words() -> AsyncIterator[str]:
            yield "data: one\n\n"
            if kind == "told":
                raise AudioError("it is silent")
            if kind == "bug":
                raise RuntimeError("a bug")

        return StreamingResponse(words(), media_type=f"text/{media}")

    made.add_middleware(StreamErrors, handlers={MllmError: tell_mllm_error})
    tell_errors(made)
    return made


def get(path: str) -> httpx2.Response:
    async def ask() -> httpx2.Response:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app()), base_url="http://x") as client:
            return await client.get(path)

    return asyncio.run(ask())


def test_the_last_event_is_the_error() -> None:
    first, last, end = get("/told/event-stream").text.split("\n\n")
    assert (first, end) == ("data: one", "")
    event, data = last.split("\n")
    assert event == "event: error"
    error = json.loads(data.removeprefix("data: "))["error"]
    assert error == {"message": "it is silent", "type": "Unprocessable Entity", "param": None, "code": 422}


def test_streams_that_do_not_fail_are_as_they_were() -> None:
    assert get("/well/event-stream").text == "data: one\n\n"


@pytest.mark.parametrize("path", ["/told/plain", "/bug/event-stream"])
def test_others_break_off(path: str) -> None:
    with pytest.raises(RuntimeError):
        get(path)
