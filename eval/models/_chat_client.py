"""A client of OpenAI's chat completions: one request in, what came of it out.

A request that may be answered later is tried again, with growing waits. Redirects are not followed and no proxy is
used; the key is in no message. Knows neither questions nor recordings.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from mllm.errors import ConfigError, EndpointError

_LARGEST_ANSWER_BYTES = 16 * 1024 * 1024
_LONGEST_WAIT_SECONDS = 60.0
_SHOWN_CHARACTERS = 300
_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
"""Statuses below 500 after which the same request may be answered."""


class RefusedError(EndpointError):
    """A request that the server understood and does not answer, however often it is sent."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChatClient:
    """Who is asked, and how patiently. May be used by several threads."""

    base: str
    """Address before "/chat/completions", such as "http://127.0.0.1:8000/v1"."""
    key: str | None = dataclasses.field(default=None, repr=False)
    """Sent with each request; None: none is."""
    timeout_seconds: float = 300.0
    """Until an attempt must be answered."""
    attempts: int = 5
    """At most for one request; only 408, 429, 5xx, lost connections and unreadable answers are tried again."""
    first_wait_seconds: float = 1.0
    """Before the second attempt; doubled before each further one. A longer Retry-After is obeyed, up to a minute."""

    def __post_init__(self) -> None:
        address = urlsplit(self.base)
        try:
            usable = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
        except ValueError:
            usable = False
        if not usable or address.username is not None or address.query or address.fragment:
            raise ConfigError(
                f"{re.sub('//[^/]*@', '//***@', self.base)!r} is no address of a server; expected one such as "
                "'http://127.0.0.1:8000/v1', without a key in it"
            )

    def get(self, path: str) -> Any:
        """The JSON under `base` and a path, asked for once.

        Raises:
            RefusedError: the server answers with another status than 200.
            EndpointError: it does not answer, or not with JSON.
        """
        answer, problem, _ = self._attempt("GET", path, None)
        if problem is not None:
            raise problem
        return answer

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON that answers a request.

        Raises:
            RefusedError: the server refuses it.
            EndpointError: none of the attempts was answered.
        """
        content = json.dumps(dict(body)).encode()
        for attempt in range(self.attempts):
            answer, problem, wait = self._attempt("POST", path, content)
            if problem is None:
                return answer
            if isinstance(problem, RefusedError) or attempt + 1 == self.attempts:
                raise problem
            time.sleep(min(max(wait, self.first_wait_seconds * 2**attempt), _LONGEST_WAIT_SECONDS))
        raise AssertionError("attempts is at least 1")

    def _attempt(self, method: str, path: str, content: bytes | None) -> tuple[Any, EndpointError | None, float]:
        """What came of one attempt: the JSON, or the problem and after how many seconds to ask again."""
        try:
            status, headers, body = self._exchange(method, path, content)
        except (OSError, http.client.HTTPException) as error:
            return None, self._problem(f"does not answer ({type(error).__name__}: {error})"), 0.0
        text = body.decode("utf-8", "replace")
        if status != HTTPStatus.OK:
            again = status in _AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR
            said = f"answers with status {status}: {text[:_SHOWN_CHARACTERS]}"
            return None, self._problem(said, refused=not again), _seconds(headers.get("Retry-After"))
        try:
            return json.loads(text), None, 0.0
        except ValueError:
            return None, self._problem(f"does not answer with JSON: {text[:_SHOWN_CHARACTERS]}"), 0.0

    def _exchange(self, method: str, path: str, content: bytes | None) -> tuple[int, http.client.HTTPMessage, bytes]:
        address = urlsplit(self.base)
        connect = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        headers = {"Accept": "application/json"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        connection = connect(str(address.hostname), address.port, timeout=self.timeout_seconds)
        try:
            connection.request(method, f"{address.path.rstrip('/')}{path}", content, headers)
            response = connection.getresponse()
            return response.status, response.headers, _read(response, time.monotonic() + self.timeout_seconds)
        finally:
            connection.close()

    def _problem(self, said: str, *, refused: bool = False) -> EndpointError:
        kind = RefusedError if refused else EndpointError
        return kind(self._hidden(f"{self.base} {said}"))

    def _hidden(self, text: str) -> str:
        return text.replace(self.key, "***") if self.key else text


def _read(response: http.client.HTTPResponse, deadline: float) -> bytes:
    """The body, as far as it is no longer than an answer can be, and comes in time."""
    content = b""
    while chunk := response.read1(1 << 16):
        content += chunk
        if len(content) > _LARGEST_ANSWER_BYTES:
            raise http.client.HTTPException(f"more than {_LARGEST_ANSWER_BYTES} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError("the answer was not complete in time")
    return content


def _seconds(header: str | None) -> float:
    """Of a Retry-After in seconds; 0 where it is a date or absent."""
    return float(header) if header is not None and header.strip().isdigit() else 0.0
