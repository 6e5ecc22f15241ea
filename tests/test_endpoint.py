"""Tests of `instruct_data.endpoint` against a real server on this machine, killed runs among them."""

from __future__ import annotations

import collections
import dataclasses
import http.server
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mllm.errors import ConfigError, EndpointError
from mllm.instruct_data.endpoint import Endpoint, EndpointSettings

KEY = "sk-not-to-be-seen"


class Model:
    """A server that answers each chat with its last message in capitals, or as `behave` wants it."""

    def __init__(self) -> None:
        self.asked: collections.Counter[str] = collections.Counter()
        self.keys: set[str | None] = set()
        self.bodies: list[dict[str, Any]] = []
        self.behave: Callable[[str, int], tuple[int, dict[str, str], bytes] | None] = lambda text, times: None
        self.lock = threading.Lock()
        self.at_once = self.most_at_once = 0
        model = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                model.serve(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named so by the base class
                """Says nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def serve(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        text = body["messages"][-1]["content"]
        with self.lock:
            self.asked[text] += 1
            times = self.asked[text]
            self.bodies.append(body)
            self.keys.add(handler.headers["Authorization"])
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        given = self.behave(text, times)
        status, headers, content = given or (200, {}, completion(text.upper()))
        with self.lock:
            self.at_once -= 1
        if handler.path != "/v1/chat/completions":
            status, content = 404, b"no such place"
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


def completion(text: str, finish_reason: str = "stop") -> bytes:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    return json.dumps({"choices": [choice]}).encode()


@pytest.fixture
def model() -> Iterator[Model]:
    served = Model()
    thread = threading.Thread(target=served.server.serve_forever, daemon=True)
    thread.start()
    yield served
    served.server.shutdown()
    served.server.server_close()
    thread.join()


def settings(served: Model, /, **changes: Any) -> EndpointSettings:
    given = EndpointSettings(base=served.base, model="tiny", first_wait_seconds=0.02, timeout_seconds=5.0)
    return dataclasses.replace(given, **changes)


def chat(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "Write."}, {"role": "user", "content": text}]


def ask(settings: EndpointSettings, log: Path, *texts: str) -> list[str | EndpointError]:
    with Endpoint(settings, log) as endpoint:
        return list(endpoint.answers(chat(text) for text in texts))


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_answers_come_in_order_and_are_asked_once(model: Model, tmp_path: Path) -> None:
    model.behave = lambda text, times: time.sleep(0.05 if text == "a0" else 0.0)  # type: ignore[func-returns-value]
    texts = [f"a{number}" for number in range(30)]
    log = tmp_path / "logs" / "log.jsonl"
    assert ask(settings(model), log, *texts, "a3", "a29") == [text.upper() for text in [*texts, "a3", "a29"]]
    assert set(model.asked.values()) == {1}
    assert 1 < model.most_at_once <= 4
    assert ask(settings(model), log, *texts) == [text.upper() for text in texts]
    assert model.asked.total() == 30
    assert model.bodies[0] == {
        "model": "tiny",
        "messages": chat(model.bodies[0]["messages"][-1]["content"]),
        "temperature": 0.7,
        "max_tokens": 400,
        "seed": 0,
    }
    assert all(line["request"]["messages"] and line["response"]["choices"] for line in lines(log))


def test_another_temperature_is_another_request(model: Model, tmp_path: Path) -> None:
    ask(settings(model), tmp_path / "log", "x")
    ask(settings(model, temperature=0.0), tmp_path / "log", "x")
    assert model.asked["x"] == 2


def test_it_waits_and_tries_again(model: Model, tmp_path: Path) -> None:
    def busy(text: str, times: int) -> tuple[int, dict[str, str], bytes] | None:
        return {1: (429, {"Retry-After": "1"}, b"busy"), 2: (503, {}, b"<html>"), 3: (200, {}, b"{gar")}.get(times)

    model.behave = busy
    began = time.monotonic()
    assert ask(settings(model), tmp_path / "log", "x") == ["X"]
    assert 1.0 <= time.monotonic() - began < 4.0
    assert [line["status"] for line in lines(tmp_path / "log")] == [429, 503, 200, 200]
    assert ["problem" in line for line in lines(tmp_path / "log")] == [True, True, True, False]


def test_who_never_answers_is_an_error_of_that_chat(model: Model, tmp_path: Path) -> None:
    def odd(text: str, times: int) -> tuple[int, dict[str, str], bytes] | None:
        answers = {
            "bad": (400, {}, b'{"error": "too long"}'),
            "never": (200, {}, b'{"choices": []}'),
            "long": (200, {}, completion("cut", "length")),
        }
        return answers.get(text)

    model.behave = odd
    bad, never, long, good = ask(settings(model, attempts=3), tmp_path / "log", "bad", "never", "long", "good")
    assert isinstance(bad, EndpointError)
    assert "status 400" in str(bad)
    assert "too long" in str(bad)
    assert isinstance(never, EndpointError)
    assert "gives no chat completion" in str(never)
    assert isinstance(long, EndpointError)
    assert "max_tokens" in str(long)
    assert good == "GOOD"
    assert model.asked == {"bad": 1, "never": 3, "long": 1, "good": 1}


def test_a_slow_answer_is_given_up(model: Model, tmp_path: Path) -> None:
    model.behave = lambda text, times: time.sleep(1.0) if times == 1 else None  # type: ignore[func-returns-value]
    assert ask(settings(model, timeout_seconds=0.3), tmp_path / "log", "x") == ["X"]
    assert "does not answer" in lines(tmp_path / "log")[0]["problem"]


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [(401, {}, "status 401"), (404, {}, "status 404"), (307, {"Location": "http://elsewhere/v1"}, "http://elsewhere")],
)
def test_what_no_request_would_survive_ends_the_run(
    model: Model, tmp_path: Path, status: int, headers: dict[str, str], said: str
) -> None:
    model.behave = lambda text, times: (status, headers, b"no")
    with pytest.raises(EndpointError, match=said):
        ask(settings(model), tmp_path / "log", "x")
    assert model.asked["x"] == 1


def test_the_key_is_sent_and_never_written(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", KEY)
    model.behave = lambda text, times: (400, {}, f"bad key {KEY}".encode()) if text == "x" else None
    refused, good = ask(settings(model, key_variable="A_KEY"), tmp_path / "log", "x", f"say {KEY}")
    assert model.keys == {f"Bearer {KEY}"}
    assert KEY not in (tmp_path / "log").read_text()
    assert KEY not in str(refused)
    assert good == f"say {KEY}".upper()


def test_a_torn_line_is_cut_off_and_asked_again(model: Model, tmp_path: Path) -> None:
    log = tmp_path / "log"
    ask(settings(model, concurrency=1), log, "x", "y")
    log.write_bytes(log.read_bytes()[:-20])
    assert ask(settings(model), log, "x", "y") == ["X", "Y"]
    assert model.asked == {"x": 1, "y": 2}
    assert [line["answer"] for line in lines(log)] == ["X", "Y"]


def test_refusals_are_logged_once(model: Model, tmp_path: Path) -> None:
    for _ in range(2):
        with Endpoint(settings(model), tmp_path / "log") as endpoint:
            assert list(endpoint.answers([chat("x")])) == ["X"]
            endpoint.refuse(chat("x"), "names a tuba")
            endpoint.refuse(chat("x"), "names a tuba")
    answered, refused = lines(tmp_path / "log")
    assert refused == {"key": answered["key"], "refused": "names a tuba"}


def test_two_runs_do_not_share_a_log(model: Model, tmp_path: Path) -> None:
    with (
        Endpoint(settings(model), tmp_path / "log"),
        pytest.raises(ConfigError, match="another run is writing"),
    ):
        Endpoint(settings(model), tmp_path / "log")


def test_a_file_that_is_no_log_stays_as_it_is(model: Model, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("tags,captions\nrock,A song\n")
    with pytest.raises(ConfigError, match="line 1 is none of this log"):
        Endpoint(settings(model), tmp_path / "log")
    assert (tmp_path / "log").read_text() == "tags,captions\nrock,A song\n"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base": "localhost:8000"}, "base is 'localhost:8000'"),
        ({"base": "http://user:secret@host/v1"}, "has a user"),
        ({"key_variable": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE"),
        ({"base": "http://host:port/v1"}, "Port could not be cast"),
        ({"attempts": 0}, "at least 1"),
        ({"model": ""}, "model is empty"),
    ],
)
def test_refused_settings(model: Model, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        settings(model, **changes)


KILLED = """
    import sys
    from pathlib import Path
    from mllm.instruct_data.endpoint import Endpoint, EndpointSettings
    with Endpoint(EndpointSettings(base=sys.argv[1], model="tiny", concurrency=3), Path(sys.argv[2])) as endpoint:
        chats = ([{"role": "system", "content": "Write."}, {"role": "user", "content": f"a{n}"}] for n in range(200))
        for answer in endpoint.answers(chats):
            print(answer, flush=True)
"""


def test_a_killed_run_goes_on_without_asking_again(model: Model, tmp_path: Path) -> None:
    model.behave = lambda text, times: time.sleep(0.03)  # type: ignore[func-returns-value]
    log = tmp_path / "log"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), model.base, str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for _ in range(40):
            run.stdout.readline()
        os.kill(run.pid, signal.SIGKILL)
    with log.open("rb") as file:
        answered = sum(line.endswith(b"\n") for line in file)
    assert 40 <= answered < 150
    asked_before = dict(model.asked)
    texts = [f"a{number}" for number in range(200)]
    assert ask(settings(model), log, *texts) == [text.upper() for text in texts]
    again = [text for text in texts if model.asked[text] > 1]
    # Only what was in flight when it was killed, and so had no answer in the log, is asked twice.
    assert len(again) <= 3
    assert model.asked.total() == 200 + len(again)
    assert all(asked_before[text] == 1 for text in again)
