"""Models behind an address: against our own routes with a real checkpoint, and against a server that misbehaves."""

from __future__ import annotations

import base64
import collections
import contextlib
import http.server
import io
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from transformers import PreTrainedTokenizerFast

from mllm import audio
from mllm.errors import ConfigError
from mllm.eval.model import Model, ModelSettings
from mllm.eval.models import endpoint, ultravox
from mllm.eval.models._chat_client import ChatClient
from mllm.eval.questions import Question, Said, asked
from mllm.listener import Listener
from mllm.messages import Audio, Item, Message, Text
from mllm.serve_settings import ServeSettings
from tests.listener_server import KeyGate, serving
from tests.tiny_checkpoint import RATE_HZ, tone, write_checkpoint, write_music

KEY = "sk-not-to-be-seen"
Reply = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Listener:
    return Listener.load(write_checkpoint(tmp_path_factory.mktemp("tiny"), reference_tokenizer))


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_music(tmp_path_factory.mktemp("music"))


@pytest.fixture(scope="module")
def keys() -> KeyGate:
    return KeyGate()


@pytest.fixture(scope="module")
def address(listener: Listener, keys: KeyGate) -> Iterator[str]:
    with serving(listener, ServeSettings(), keys=keys) as place:
        yield f"{place}/v1"


def question(text: str, *recordings: Path | Audio, **settings: Any) -> Question:
    sounds = [one if isinstance(one, Audio) else Audio(source=one) for one in recordings]
    told = {"id": text, "unit": "one", "template": "any", "max_new_tokens": 8, **settings}
    return Question(messages=asked(text, sounds), **told)


def respond(model: Model, *questions: Question) -> list[Said]:
    return list(model.respond(questions))


class TestOurRoutes:
    """A real checkpoint behind the routes of `mllm serve`."""

    def test_answers_are_the_listeners(self, address: str, listener: Listener, music: Path) -> None:
        model = endpoint.open_model(address, ModelSettings())
        assert model.name == "mllm"
        assert model.listens
        assert model.description == {
            "kind": "endpoint",
            "place": address,
            "model": "mllm",
            "temperature": 0,
            "seed": 0,
        }
        questions = [
            question("Which key?", music / "one.wav"),
            question("And here?", Audio(source=music / "long.wav", start=2.0, end=6.5)),
            question("Both?", music / "two.wav", music / "one.wav"),
            question("Hello", max_new_tokens=3),
        ]
        for one, said in zip(questions, model.respond(questions), strict=True):
            expected = listener.respond(one.messages, max_new_tokens=one.max_new_tokens)
            assert said.error is None
            assert said.text == expected.text
            assert said.confidence == pytest.approx(expected.confidence, abs=2e-3)  # 16 bits a sample on the way

    def test_what_it_refuses_is_an_error_of_one_answer(self, address: str, music: Path) -> None:
        model = endpoint.open_model(f"{address}#mllm", ModelSettings())
        silent, missing, heard = respond(
            model,
            question("Which?", music / "silent.wav"),
            question("Which?", music / "missing.wav"),
            question("Which?", music / "one.wav"),
        )
        assert "is silent" in str(silent.error)
        assert "missing.wav does not exist" in str(missing.error)
        assert silent.text == missing.text == ""
        assert heard.error is None

    def test_the_key_is_sent_and_told_nowhere(
        self, address: str, keys: KeyGate, music: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(keys, "key", KEY)
        with pytest.raises(ConfigError, match="answers with status 401"):
            endpoint.open_model(address, ModelSettings())
        with pytest.raises(ConfigError, match=r"the environment variable SOME_KEY \(--key-variable\) is not set"):
            endpoint.open_model(address, ModelSettings(key_variable="SOME_KEY"))
        monkeypatch.setenv("SOME_KEY", KEY)
        model = endpoint.open_model(address, ModelSettings(key_variable="SOME_KEY"))
        (said,) = respond(model, question("Which?", music / "one.wav"))
        assert said.error is None
        assert KEY not in json.dumps(dict(model.description))
        monkeypatch.setattr(keys, "key", "another")
        (refused,) = respond(model, question("Now?", music / "one.wav"))
        assert "status 401" in str(refused.error)
        assert KEY not in str(refused.error)

    def test_a_model_that_is_not_there_is_told(self, address: str) -> None:
        with pytest.raises(ConfigError, match="has no model 'mlm'; it has: mllm"):
            endpoint.open_model(f"{address}#mlm", ModelSettings())


class Server:
    """Answers each chat with its last text in capitals, or as `behave` wants it; notes what it was sent."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.asked: collections.Counter[str] = collections.Counter()
        self.models: Any = {"data": [{"id": "maker/big"}, {"id": "maker/small"}]}
        self.behave: Callable[[str, int], Reply | None] = lambda text, times: None
        self.lock = threading.Lock()
        self.at_once = self.most_at_once = 0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path == "/v1/models" and server.models is not None
                server.send(self, (200, {}, json.dumps(server.models).encode()) if found else (404, {}, b"not here"))

            def do_POST(self) -> None:
                server.serve(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named so by the base class
                """Says nothing."""

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    def serve(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        content = body["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[-1]["text"]
        with self.lock:
            self.bodies.append(body)
            self.asked[text] += 1
            times = self.asked[text]
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        given = self.behave(text, times) or (200, {}, completion(text.upper()))
        with self.lock:
            self.at_once -= 1
        self.send(handler, given)

    def send(self, handler: http.server.BaseHTTPRequestHandler, reply: Reply) -> None:
        status, headers, content = reply
        with contextlib.suppress(ConnectionError):
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)


def completion(text: str | None, **more: Any) -> bytes:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop", **more.pop("choice", {})}
    return json.dumps({"choices": [choice], **more}).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server()
    thread = threading.Thread(target=served.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield served
    served.http.shutdown()
    served.http.server_close()
    thread.join()


@pytest.fixture
def model(server: Server) -> Model:
    client = ChatClient(base=server.base, key=KEY, first_wait_seconds=0.01, timeout_seconds=5.0, attempts=3)
    return endpoint.Endpoint(client, "maker/small", ModelSettings(batch_size=16))


class TestRequests:
    """What goes to a server and what comes back."""

    def test_what_is_sent(self, model: Model, server: Server, music: Path) -> None:
        spoken = (
            Message(role="system", parts=(Text(text="Be brief."),)),
            Message(role="user", parts=(Audio(source=music / "one.wav"), Text(text="First?"))),
            Message(role="assistant", parts=(Text(text="Yes."),)),
            Message(role="user", parts=(Text(text="Why?"),)),
        )
        several = Question(id="a", messages=spoken, unit="a", template="a", max_new_tokens=5)
        respond(model, several)
        (body,) = server.bodies
        data = base64.b64encode((music / "one.wav").read_bytes()).decode()
        assert body == {
            "model": "maker/small",
            "temperature": 0,
            "seed": 0,
            "max_tokens": 5,
            "logprobs": True,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {
                    "role": "user",
                    "content": [
                        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
                        {"type": "text", "text": "First?"},
                    ],
                },
                {"role": "assistant", "content": "Yes."},
                {"role": "user", "content": "Why?"},
            ],
        }

    def test_the_stretch_that_is_meant_is_sent_and_nothing_else(
        self, model: Model, server: Server, tmp_path: Path
    ) -> None:
        samples = np.concatenate([tone(1.0, 200.0), tone(2.0, 900.0), tone(1.0, 200.0)])
        soundfile.write(tmp_path / "a.flac", samples, RATE_HZ)
        respond(model, question("Which?", Audio(source=tmp_path / "a.flac", start=1.0, end=3.0)))
        sent = server.bodies[0]["messages"][0]["content"][0]["input_audio"]
        assert sent["format"] == "wav"
        found, rate = soundfile.read(io.BytesIO(base64.b64decode(sent["data"])))
        assert rate == RATE_HZ
        assert len(found) == 2 * RATE_HZ
        assert found == pytest.approx(samples[RATE_HZ : 3 * RATE_HZ], abs=1e-4)
        respond(model, question("Whole?", tmp_path / "a.flac"))
        whole = server.bodies[1]["messages"][0]["content"][0]["input_audio"]
        assert audio.probe(base64.b64decode(whole["data"])).seconds == 4.0

    def test_answers_come_in_order_eight_at_once(self, model: Model, server: Server) -> None:
        server.behave = lambda text, times: time.sleep(0.08 if text == "t0" else 0.03)
        texts = [f"t{number}" for number in range(40)]
        said = respond(model, *map(question, [*texts, "t3"]))
        assert [one.text for one in said] == [text.upper() for text in [*texts, "t3"]]
        assert 4 <= server.most_at_once <= endpoint.CONCURRENCY == 8
        assert set(server.asked.values()) == {1}

    def test_confidence_and_fingerprint_where_they_are_told(self, model: Model, server: Server) -> None:
        chances = {"content": [{"token": "a", "logprob": math.log(0.5)}, {"token": "b", "logprob": math.log(0.125)}]}
        server.behave = lambda text, times: (
            200,
            {},
            completion(" Yes. ", choice={"logprobs": chances}, system_fingerprint="fp_1"),
        )
        assert "system_fingerprints" not in model.description
        (said,) = respond(model, question("Is it?"))
        assert said.text == "Yes."
        assert said.confidence == pytest.approx(0.25)
        assert model.description["system_fingerprints"] == ["fp_1"]
        server.behave = lambda text, times: (200, {}, completion("No.", choice={"logprobs": None}))
        assert respond(model, question("Again?"))[0].confidence is None

    def test_who_knows_no_log_probabilities_is_asked_without(self, model: Model, server: Server) -> None:
        def refuse(text: str, times: int) -> Reply | None:
            return (400, {}, b"logprobs is not supported") if "logprobs" in server.bodies[-1] else None

        server.behave = refuse
        for text in ("a", "b"):
            assert respond(model, question(text))[0].text == text.upper()
        assert ["logprobs" in body for body in server.bodies] == [True, False, False]

    def test_lost_requests_are_sent_again(self, model: Model, server: Server) -> None:
        trouble: dict[str, list[Reply]] = {
            "busy": [(429, {"Retry-After": "0"}, b"later")],
            "broken": [(500, {}, b"oh"), (503, {}, b"oh")],
            "nonsense": [(200, {}, b"<html>")],
            "never": [(500, {}, b"down"), (500, {}, b"down"), (500, {}, b"down")],
        }

        def behave(text: str, times: int) -> Reply | None:
            return trouble[text][times - 1] if times <= len(trouble[text]) else None

        server.behave = behave
        busy, broken, nonsense, never = respond(model, *map(question, trouble))
        assert (busy.text, broken.text, nonsense.text) == ("BUSY", "BROKEN", "NONSENSE")
        assert never.text == ""
        assert "answers with status 500: down" in str(never.error)
        assert dict(server.asked) == {"busy": 2, "broken": 3, "nonsense": 2, "never": 3}
        server.behave = lambda text, times: None
        assert respond(model, question("never"))[0].text == "NEVER"  # an error is not remembered

    @pytest.mark.parametrize(
        ("reply", "told"),
        [
            ((400, {}, f"bad, and your key is {KEY}".encode()), "answers with status 400: bad, and your key is ***"),
            ((302, {"Location": "http://10.0.0.1/"}, b"moved"), "answers with status 302"),
            ((200, {}, b"{}"), "gives no chat completion"),
            ((200, {}, b'{"choices": []}'), "gives no chat completion"),
            ((200, {}, b"[1, 2]"), "gives no chat completion"),
            ((200, {}, completion(None)), "gives no chat completion"),
        ],
    )
    def test_what_is_no_answer_is_told(self, model: Model, server: Server, reply: Reply, told: str) -> None:
        server.behave = lambda text, times: reply
        (said,) = respond(model, question("a"))
        assert told in str(said.error)
        assert KEY not in str(said.error)
        assert said.text == ""

    def test_what_it_cannot_be_asked(self, model: Model) -> None:
        assert model.answers(question("a", kind="choice", choices=("b", "c")))
        assert not model.answers(question("a", kind="rank"))
        assert not model.answers(question("a", kind="plain"))
        listed = (Message(role="user", parts=(Item(id="song"), Text(text="This?"))),)
        assert not model.answers(Question(id="a", messages=listed, unit="a", template="a"))


class TestOpening:
    """Which server and which model."""

    def test_the_model_is_named_where_there_are_several(self, server: Server) -> None:
        with pytest.raises(ConfigError, match="has 2 models; name one behind '#': maker/big, maker/small"):
            endpoint.open_model(server.base, ModelSettings())
        model = endpoint.open_model(f"{server.base}#maker/big", ModelSettings())
        assert model.name == "big"
        assert model.description["model"] == "maker/big"

    def test_a_server_without_a_list_takes_the_name(self, server: Server) -> None:
        server.models = None
        model = endpoint.open_model(f"{server.base}#maker/hidden", ModelSettings())
        assert respond(model, question("a"))[0].text == "A"
        assert server.bodies[0]["model"] == "maker/hidden"
        with pytest.raises(ConfigError, match="status 404"):
            endpoint.open_model(server.base, ModelSettings())
        server.models = ["something"]
        with pytest.raises(ConfigError, match="is no list of models"):
            endpoint.open_model(server.base, ModelSettings())

    @pytest.mark.parametrize(
        "place", ["127.0.0.1:8000", "ftp://a/v1", "http://", "http://me:sk-1@a/v1", "http://a:x/v1"]
    )
    def test_what_is_no_address(self, place: str) -> None:
        with pytest.raises(ConfigError, match="is no address of a server") as told:
            endpoint.open_model(place, ModelSettings())
        assert "sk-1" not in str(told.value)

    def test_nobody_there(self) -> None:
        with pytest.raises(ConfigError, match=r"does not answer .* start the server"):
            endpoint.open_model("http://127.0.0.1:9/v1", ModelSettings())
        with pytest.raises(ConfigError, match="give its address"):
            endpoint.open_model(None, ModelSettings())

    def test_ultravox_is_asked_through_a_server(self, server: Server) -> None:
        server.models = {"data": [{"id": "fixie-ai/ultravox"}]}
        model = ultravox.open_model(server.base, ModelSettings())
        assert model.name == "ultravox"
        assert respond(model, question("a"))[0].text == "A"
        for place in (None, "fixie-ai/ultravox-v0_5-llama-3_2-1b"):
            with pytest.raises(ConfigError, match="expected the address of a server that runs it"):
                ultravox.open_model(place, ModelSettings())
