"""Asks a language model behind any OpenAI-compatible address, and keeps a log from which a killed run goes on.

In: chats, lists of {"role", "content"}. Out: the texts of the answers, in the order of the chats. Each attempt is one
line of the log, a JSON object with the hash of its request; what the log holds an answer to is not asked again, whoever
serves the model. A last line that was cut off is removed. Redirects are not followed and no proxy is used. Knows
neither what is asked nor what answers are good for, and never writes the key.
"""

from __future__ import annotations

import dataclasses
import hashlib
import http.client
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import filelock

from mllm.errors import ConfigError, EndpointError

Chat: TypeAlias = Sequence[Mapping[str, str]]

_LARGEST_ANSWER_BYTES = 4 * 1024 * 1024
_LONGEST_WAIT_SECONDS = 60.0
_SHOWN_CHARACTERS = 300
_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
"""Statuses below 500 after which the same request may be answered."""
_HOPELESS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
"""Statuses that all other requests would have, too."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EndpointSettings:
    """Which model is asked, and how."""

    base: str
    """Address before "/chat/completions", such as "http://127.0.0.1:8000/v1"."""
    model: str
    """Name by which the server knows the model."""
    key_variable: str | None = None
    """Environment variable that holds the key; None: no key is sent."""
    temperature: float = 0.7
    """At least 0."""
    seed: int | None = 0
    """Sent with each request; None: none is sent."""
    max_tokens: int = 400
    """Longest answer."""
    timeout_seconds: float = 120.0
    """Until an attempt must be answered."""
    attempts: int = 6
    """At most for one request; only 408, 429, 5xx, lost connections and unreadable answers are tried again."""
    first_wait_seconds: float = 1.0
    """Before the second attempt; doubled before each further one. A longer Retry-After is obeyed, up to a minute."""
    concurrency: int = 4
    """Requests in flight at once."""

    def __post_init__(self) -> None:
        address = urlsplit(self.base)
        problems = []
        try:
            address.port  # noqa: B018 - reading it is what fails
        except ValueError as error:
            problems.append(f"base is {self.base!r}: {error}")
        if address.scheme not in ("http", "https") or not address.hostname:
            problems.append(f"base is {self.base!r}, expected an address such as 'http://127.0.0.1:8000/v1'")
        if address.username is not None or address.query or address.fragment:
            problems.append(
                "base has a user, a query or a fragment; give the key with key_variable, the rest not at all"
            )
        if not self.model:
            problems.append("model is empty")
        if self.key_variable is not None and not os.environ.get(self.key_variable):
            problems.append(f"the environment variable {self.key_variable} (key_variable) is not set")
        if min(self.attempts, self.concurrency, self.max_tokens) < 1:
            problems.append("attempts, concurrency and max_tokens must be at least 1")
        if self.temperature < 0 or self.timeout_seconds <= 0 or self.first_wait_seconds < 0:
            problems.append("temperature and first_wait_seconds must be at least 0, timeout_seconds more")
        if problems:
            raise ConfigError(f"endpoint: {'; '.join(problems)}")


class Endpoint:
    """A model that is asked, with the log of all that was asked and answered; use it in a `with`.

    Args:
        settings: which model, and how.
        log: file of the log; made where it is not there, gone on with where it is.

    Raises:
        ConfigError: the log is in use by another run, or has a line that is none of a log.
    """

    def __init__(self, settings: EndpointSettings, log: Path) -> None:
        self._settings = settings
        self._key = os.environ[settings.key_variable].strip() if settings.key_variable is not None else None
        self._log = _Log(log, secret=self._key)
        self._pool = ThreadPoolExecutor(max_workers=settings.concurrency, thread_name_prefix="endpoint")
        self._stopped = threading.Event()

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._log.close()

    def answers(self, chats: Iterable[Chat]) -> Iterator[str | EndpointError]:
        """The answer to each chat, in their order; an error for one that has none. Chats are taken as needed.

        Raises:
            EndpointError: no request can be answered: the key is refused, or the address is another one.
        """
        waiting: list[Future[str | EndpointError]] = []
        in_flight: dict[str, Future[str | EndpointError]] = {}
        for chat in chats:
            body = self._body(chat)
            key = request_hash(body)
            future = in_flight.get(key)
            if future is None:
                future = in_flight[key] = self._pool.submit(self._answer, key, body)
            waiting.append(future)
            while len(waiting) > 2 * self._settings.concurrency:
                yield waiting.pop(0).result()
            if len(in_flight) > 4 * self._settings.concurrency:
                in_flight = {name: one for name, one in in_flight.items() if not one.done()}
        for future in waiting:
            yield future.result()

    def refuse(self, chat: Chat, why: str) -> None:
        """Note that the answer to a chat is not used, once for each reason."""
        self._log.refuse(request_hash(self._body(chat)), why)

    def _body(self, chat: Chat) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._settings.model,
            "messages": [dict(message) for message in chat],
            "temperature": self._settings.temperature,
            "max_tokens": self._settings.max_tokens,
        }
        return body if self._settings.seed is None else {**body, "seed": self._settings.seed}

    def _answer(self, key: str, body: dict[str, Any]) -> str | EndpointError:
        """The answer that the log holds, or the first that comes; whoever closes the endpoint ends the waiting."""
        if (known := self._log.answer(key)) is not None:
            return known
        problem, after = "was not asked", 0.0
        for attempt in range(self._settings.attempts):
            wait = 0.0 if attempt == 0 else self._settings.first_wait_seconds * 2 ** (attempt - 1)
            if attempt and self._stopped.wait(min(max(wait, after), _LONGEST_WAIT_SECONDS)):
                break
            reply = _post(self._settings, self._key, body)
            self._log.attempt(key, body, reply)
            if reply.answer is not None:
                return reply.answer
            problem, after = reply.problem, reply.retry_after_seconds
            if reply.hopeless:
                raise EndpointError(self._without_key(f"{self._settings.base}: {problem}"))
            if not reply.again:
                break
        return EndpointError(self._without_key(f"{self._settings.base}: {problem} (request {key[:12]})"))

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text


def request_hash(body: Mapping[str, Any]) -> str:
    """Content hash of a request: equal for equal models, messages and settings, whatever the address."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Reply:
    """What came of one attempt."""

    status: int | None = None
    body: Any = None
    """JSON where it was JSON, else the beginning of the text."""
    answer: str | None = None
    problem: str = ""
    again: bool = False
    """Whether another attempt may help."""
    hopeless: bool = False
    """Whether no other request would be answered either."""
    retry_after_seconds: float = 0.0


def _post(settings: EndpointSettings, key: str | None, body: Mapping[str, Any]) -> _Reply:
    """One attempt."""
    address = urlsplit(settings.base)
    connect = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    connection = connect(str(address.hostname), address.port, timeout=settings.timeout_seconds)
    deadline = time.monotonic() + settings.timeout_seconds
    try:
        connection.request("POST", f"{address.path.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers)
        response = connection.getresponse()
        content = _read(response, deadline)
    except (OSError, http.client.HTTPException) as error:
        return _Reply(problem=f"does not answer ({type(error).__name__}: {error})", again=True)
    finally:
        connection.close()
    return _judged(response.status, content, response.headers)


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


def _judged(status: int, content: bytes, headers: http.client.HTTPMessage) -> _Reply:
    """What a response means."""
    text = content.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    shown = text[:_SHOWN_CHARACTERS]
    kept = body if body is not None else shown
    if status != HTTPStatus.OK:
        redirected = 300 <= status < 400
        where = f" to {headers.get('Location')}; give the address that answers as base" if redirected else f": {shown}"
        return _Reply(
            status=status,
            body=kept,
            problem=f"{'redirects' if redirected else f'answers with status {status}'}{where}",
            again=status in _AGAIN or status >= 500,
            hopeless=redirected or status in _HOPELESS,
            retry_after_seconds=_seconds(headers.get("Retry-After")),
        )
    choice = _first_choice(body)
    if choice is None:
        return _Reply(status=status, body=kept, problem=f"gives no chat completion: {shown}", again=True)
    if choice.get("finish_reason") == "length":
        return _Reply(status=status, body=kept, problem="the answer is longer than max_tokens")
    return _Reply(status=status, body=kept, answer=choice["message"]["content"].strip())


def _first_choice(body: Any) -> dict[str, Any] | None:
    """The first choice of a chat completion that has a text."""
    choices = body.get("choices") if isinstance(body, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    return choice if isinstance(choice, dict) and isinstance(content, str) and content.strip() else None


def _seconds(header: str | None) -> float:
    """Of a Retry-After in seconds; 0 where it is a date or absent."""
    return float(header) if header is not None and header.strip().isdigit() else 0.0


class _Log:
    """Lines of JSON, one an attempt, and what they answer."""

    def __init__(self, path: Path, *, secret: str | None) -> None:
        self._secret = secret
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = filelock.FileLock(f"{path}.lock")
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise ConfigError(f"{path}: another run is writing this log; wait for it, or name another file") from error
        try:
            self._answers, self._refused = _read_log(path)
            self._file = path.open("a", encoding="utf-8")
        except BaseException:
            self._lock.release()
            raise
        self._writing = threading.Lock()

    def answer(self, key: str) -> str | None:
        return self._answers.get(key)

    def attempt(self, key: str, request: Mapping[str, Any], reply: _Reply) -> None:
        line = {"key": key, "request": request, "status": reply.status, "response": reply.body}
        if reply.answer is None:
            line["problem"] = reply.problem
        else:
            line["answer"] = reply.answer
        with self._writing:
            self._write(line)
            if reply.answer is not None:
                self._answers[key] = reply.answer

    def refuse(self, key: str, why: str) -> None:
        with self._writing:
            if (key, why) not in self._refused:
                self._refused.add((key, why))
                self._write({"key": key, "refused": why})

    def close(self) -> None:
        self._file.close()
        self._lock.release()

    def _write(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=False)
        if self._secret:
            text = text.replace(json.dumps(self._secret, ensure_ascii=False)[1:-1], "***")
        self._file.write(f"{text}\n")
        self._file.flush()


def _read_log(path: Path) -> tuple[dict[str, str], set[tuple[str, str]]]:
    """Answers and refusals that a log holds; a last line without its end is cut off the file."""
    if not path.exists():
        return {}, set()
    answers: dict[str, str] = {}
    refused: set[tuple[str, str]] = set()
    whole = 0
    with path.open("rb+") as file:
        for number, raw in enumerate(file, start=1):
            if not raw.endswith(b"\n"):
                break
            try:
                line = json.loads(raw)
                key = line["key"]
            except (ValueError, TypeError, KeyError) as error:
                raise ConfigError(
                    f"{path}: line {number} is none of this log; name another file, or mend it"
                ) from error
            whole += len(raw)
            if "answer" in line:
                answers[key] = line["answer"]
            elif "refused" in line:
                refused.add((key, line["refused"]))
        file.truncate(whole)
    return answers, refused
