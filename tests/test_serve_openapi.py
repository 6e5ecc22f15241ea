"""What the OpenAPI document says of our routes is so: schemathesis sends what it admits, and what it does not."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import httpx2
import jsonschema
import pytest
import schemathesis
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks, formats

from mllm.listener import Listener
from mllm.serve_settings import ServeSettings
from tests.listener_server import serving
from tests.tiny_checkpoint import RATE_HZ, tone

EXAMPLES = 20
POST = ("/v1/captions", "/v1/describe")
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


def sound() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tone(1.0, 220.0), RATE_HZ, format="WAV")
    return file.getvalue()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving(Listener.load(), ServeSettings()) as address:
        yield address


@pytest.fixture(scope="module")
def schema(server: str) -> Any:
    files = [sound(), sound()[:99], b"", b"<html>"]
    urls = [f"data:audio/wav;base64,{base64.b64encode(file).decode()}" for file in files]
    formats.register_string_format("binary", st.sampled_from(files))
    formats.register_string_format("uri", st.sampled_from([*urls, "http://127.0.0.1/a.wav", "file:///etc/passwd"]))
    return schemathesis.openapi.from_url(f"{server}/openapi.json")


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("path", POST)
def test_answers_are_as_documented(server: str, schema: Any, path: str, mode: GenerationMode) -> None:
    statuses = set()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(schema[path]["POST"].as_strategy(mode))
    def ask(case: Any) -> None:
        statuses.add(case.call_and_validate(base_url=server, timeout=60, checks=CHECKS).status_code)

    ask()
    assert statuses >= ({200, 400} if mode is GenerationMode.POSITIVE else {400})


def test_readiness_is_as_documented(server: str) -> None:
    document = httpx2.get(f"{server}/openapi.json", timeout=60).json()["paths"]["/ready"]["get"]["responses"]
    with serving(None, ServeSettings()) as unready:
        answer = httpx2.get(f"{unready}/ready", timeout=60)
    assert answer.status_code == 503
    jsonschema.validate(answer.json(), document["503"]["content"]["application/json"]["schema"])
    assert httpx2.get(f"{server}/ready", timeout=60).status_code == 200
    assert "200" in document
