"""Our routes over HTTP: what they answer, and what they say of bad requests, with the reference checkpoint."""

from __future__ import annotations

import base64
import functools
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any

import httpx2
import jsonschema
import numpy as np
import pytest
import soundfile

from mllm import captions, describe
from mllm.errors import ConfigError
from mllm.listener import Listener
from mllm.serve.fetch import Fetcher
from mllm.serve_settings import ServeSettings
from tests.listener_server import serving
from tests.test_serve_fetch import Site, anywhere, running
from tests.tiny_checkpoint import RATE_HZ, tone, write_music

DEMO = Path(__file__).parents[1] / "mllm" / "data" / "demo.mp3"
SETTINGS = ServeSettings(max_upload_mib=4, upload_seconds=2.0)
UNFINISHED = b"POST /v1/captions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n{"

post = functools.partial(httpx2.post, timeout=120.0)
get = functools.partial(httpx2.get, timeout=120.0)


@pytest.fixture(scope="module")
def listener() -> Listener:
    return Listener.load()


@pytest.fixture(scope="module")
def server(listener: Listener) -> Iterator[str]:
    with serving(listener, SETTINGS) as address:
        yield address


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_music(tmp_path_factory.mktemp("music"))
    soundfile.write(folder / "minutes.flac", np.tile(tone(60.0, 220.0)[::3], 5), RATE_HZ // 3)
    return folder


def upload(*files: Path) -> list[tuple[str, tuple[str, bytes]]]:
    return [("file", (one.name, one.read_bytes())) for one in files]


def data_url(file: Path) -> str:
    return f"data:audio/mpeg;base64,{base64.b64encode(file.read_bytes()).decode()}"


def assert_is_error(answer: httpx2.Response, status: int, sentence: str) -> None:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(answer.json()) == {"error"}
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == status
    assert sentence in error["message"]
    assert "\n" not in error["message"]


def still_answers(server: str) -> None:
    assert get(f"{server}/ready").status_code == 200


class TestAnswers:
    """What is answered."""

    def test_a_description_is_that_of_the_command(self, server: str, listener: Listener) -> None:
        expected = listener.describe(DEMO).to_json()
        schema = json.loads((resources.files("mllm") / "schema" / "describe.schema.json").read_text())
        for answer in (
            post(f"{server}/v1/describe", files=upload(DEMO)),
            post(f"{server}/v1/describe", json={"audio": data_url(DEMO)}),
            post(f"{server}/v1/describe", json={"audio": {"url": data_url(DEMO)}, "model": "mllm"}),
        ):
            assert answer.status_code == 200, answer.text
            assert answer.json() == expected
            assert "warning" not in answer.headers
        jsonschema.validate(expected, schema)

    def test_fields_of_little_confidence_are_null(self, server: str) -> None:
        answer = post(f"{server}/v1/describe", files=upload(DEMO), data={"min_confidence": "1"}).json()
        assert [answer[name] for name in describe.FIELDS] == [None] * len(describe.FIELDS)

    def test_captions_in_each_style(self, server: str, listener: Listener) -> None:
        whole = listener.caption(DEMO)
        said: dict[str, Any] = {}
        for style in captions.STYLES:
            answer = post(f"{server}/v1/captions", files=upload(DEMO), data={"style": style})
            assert answer.status_code == 200, answer.text
            assert answer.json()["style"] == style
            (said[style],) = answer.json()["data"]
        assert said["long"] == {
            "index": 0,
            "name": "demo.mp3",
            "caption": whole.text,
            "confidence": round(whole.confidence, 4),
            "seconds_heard": round(whole.seconds_heard, 3),
            "total_seconds": round(whole.total_seconds, 3),
        }
        assert whole.text.startswith(said["short"]["caption"] + " ")
        assert said["tags"]["tags"] == said["tags"]["caption"].split(", ")
        assert "acoustic guitar" in said["tags"]["tags"]

    def test_several_recordings_and_stretches(self, server: str) -> None:
        body = {"audio": [data_url(DEMO), {"url": data_url(DEMO), "start": 2, "end": 7.5}]}
        first, second = post(f"{server}/v1/captions", json=body).json()["data"]
        assert (first["index"], second["index"]) == (0, 1)
        assert second["seconds_heard"] == 5.5
        form = post(f"{server}/v1/captions", files=upload(DEMO, DEMO), data={"start": "2", "end": "7.5"})
        assert [one["caption"] for one in form.json()["data"]] == [second["caption"]] * 2

    def test_a_recording_that_cannot_be_heard_fails_alone(self, server: str, music: Path) -> None:
        answer = post(f"{server}/v1/captions", files=upload(music / "silent.wav", DEMO))
        assert answer.status_code == 200
        bad, good = answer.json()["data"]
        assert bad["error"]["code"] == 422
        assert "is silent" in bad["error"]["message"]
        assert "caption" not in bad
        assert good["caption"]

    def test_it_says_where_less_than_the_whole_was_heard(self, server: str, music: Path) -> None:
        answer = post(f"{server}/v1/captions", files=upload(music / "minutes.flac"))
        assert answer.status_code == 200, answer.text
        (one,) = answer.json()["data"]
        assert one["seconds_heard"] < one["total_seconds"] == 300.0
        assert answer.headers["warning"] == f'299 mllm "heard {one["seconds_heard"]:.0f} s of the 300 s"'

    def test_recordings_of_allowed_hosts_are_fetched(self, listener: Listener) -> None:
        with running(Site(body=DEMO.read_bytes())) as site:
            host = f"127.0.0.1:{site.server_port}"
            fetcher = Fetcher([host], max_bytes=2**20, seconds=5.0, is_allowed=anywhere)
            with serving(listener, SETTINGS, fetcher) as address:
                answer = post(f"{address}/v1/describe", json={"audio": f"http://{host}/a.wav"})
                assert answer.status_code == 200, answer.text
                assert answer.json() == listener.describe(DEMO).to_json()
                assert site.asked == [(host, "/a.wav")]
                answer = post(f"{address}/v1/describe", json={"audio": "http://example.org/a.wav"})
                assert_is_error(answer, 400, "not among those that this server was allowed")

    def test_readiness(self, server: str) -> None:
        answer = get(f"{server}/ready")
        assert (answer.status_code, answer.json()) == (200, {"status": "ready", "model": "mllm"})
        with serving(None, SETTINGS) as unready:
            assert_is_error(get(f"{unready}/ready"), 503, "does not answer yet")

    def test_the_openapi_document_tells_of_both_bodies(self, server: str) -> None:
        document = get(f"{server}/openapi.json").json()
        for path in ("/v1/captions", "/v1/describe"):
            content = document["paths"][path]["post"]["requestBody"]["content"]
            assert set(content) == {"application/json", "multipart/form-data"}
            for one in content.values():
                jsonschema.Draft202012Validator.check_schema(one["schema"])
            assert "file" in content["multipart/form-data"]["schema"]["properties"]
            assert "429" in document["paths"][path]["post"]["responses"]
        assert "/ready" in document["paths"]


class TestBadRequests:
    """What is refused, and how."""

    @pytest.mark.parametrize(
        ("content", "status", "sentence"),
        [
            (b"<html>no music</html>" * 50, 415, "is not audio that can be opened"),
            (b"", 400, "is empty (0 bytes)"),
        ],
    )
    def test_files_that_are_no_audio(self, server: str, content: bytes, status: int, sentence: str) -> None:
        for path in ("captions", "describe"):
            answer = post(f"{server}/v1/{path}", files={"file": ("a.mp3", content)})
            assert_is_error(answer, status, sentence)
        still_answers(server)

    def test_samples_that_are_no_numbers(self, server: str, tmp_path: Path) -> None:
        broken = tone(2.0, 220.0)
        broken[777] = np.nan
        soundfile.write(tmp_path / "nan.wav", broken, RATE_HZ, subtype="FLOAT")
        answer = post(f"{server}/v1/describe", files=upload(tmp_path / "nan.wav"))
        assert_is_error(answer, 422, "samples that are not numbers")

    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            ({}, "the field 'audio' is missing"),
            ([], "the body: input should be a valid dictionary"),
            ({"audio": []}, "audio"),
            ({"audio": None}, "audio"),
            ({"audio": 7}, "audio"),
            ({"audio": "data:audio/wav;base64,@@@"}, "not valid base64"),
            ({"audio": "data:audio/wav;base64,"}, "holds no bytes"),
            ({"audio": "file:///etc/passwd"}, "expected data:audio/"),
            ({"audio": "/etc/passwd"}, "expected data:audio/"),
            ({"audio": "http://localhost/a.wav"}, "not among those that this server was allowed"),
            ({"audio": {"url": "data:audio/wav;base64,UklGRg==", "start": -1}}, "start"),
            ({"audio": {"url": "data:audio/wav;base64,UklGRg==", "stop": 1}}, "'audio.0.stop' is not known"),
            ({"audio": "data:audio/wav;base64,UklGRg==", "stile": "long"}, "did you mean 'style'?"),
            ({"audio": "data:audio/wav;base64,UklGRg==", "style": "epic"}, "style: input should be 'short'"),
            ({"audio": "data:audio/wav;base64,UklGRg==", "max_tokens": 0}, "max_tokens"),
            ({"audio": ["data:audio/wav;base64,UklGRg=="] * 40}, "40 recordings were sent; at most 8"),
        ],
    )
    def test_json(self, server: str, body: Any, sentence: str) -> None:
        assert_is_error(post(f"{server}/v1/captions", json=body), 400, sentence)

    def test_a_wrong_model_name(self, server: str) -> None:
        answer = post(f"{server}/v1/captions", files=upload(DEMO), data={"model": "gpt"})
        assert_is_error(answer, 404, "there is no model 'gpt' here; expected 'mllm'")

    def test_forms(self, server: str) -> None:
        url = f"{server}/v1/captions"
        assert_is_error(post(url, files={"song": ("a.mp3", b"x")}), 400, "in the field 'song'; expected 'file'")
        assert_is_error(post(url, files={"style": (None, "long")}), 400, "the form holds no file")
        assert_is_error(post(url, files={"file": (None, "text")}), 400, "holds text; expected a file")
        assert_is_error(post(url, files=[("file", ("a.mp3", b"x"))] * 40), 400, "Too many files")
        assert_is_error(post(url, files=[("file", ("a.mp3", b"x"))] * 9), 400, "9 recordings were sent")
        answer = post(f"{server}/v1/describe", files=upload(DEMO, DEMO))
        assert_is_error(answer, 400, "2 recordings were sent; expected one")
        broken = post(url, content=b"--x\r\nrubbish", headers={"Content-Type": "multipart/form-data; boundary=x"})
        assert broken.status_code == 400
        none = post(url, content=b"--x\r\n", headers={"Content-Type": "multipart/form-data"})
        assert_is_error(none, 400, "")
        still_answers(server)

    def test_bodies_of_another_kind(self, server: str) -> None:
        url = f"{server}/v1/captions"
        for kind in ("audio/mpeg", "text/plain", "application/x-www-form-urlencoded"):
            answer = post(url, content=b"x", headers={"Content-Type": kind})
            assert_is_error(answer, 415, f"the body is {kind}; expected multipart/form-data")
        for content in (b'{"audio":', b"\xff\xfe", b"[" * 100_000):
            answer = post(url, content=content, headers={"Content-Type": "application/json"})
            assert_is_error(answer, 400, "the body is not valid JSON")

    def test_other_places_and_methods(self, server: str) -> None:
        assert_is_error(get(f"{server}/v1/nothing"), 404, "there is nothing at /v1/nothing")
        assert_is_error(get(f"{server}/v1/captions"), 405, "expected POST")

    def test_a_prompt_over_the_context(self, server: str) -> None:
        answer = post(f"{server}/v1/captions", files=upload(DEMO), data={"max_tokens": "100000"})
        assert_is_error(answer, 400, "tokens")


class TestLimits:
    """Size, number and time."""

    def test_a_body_that_is_too_large(self, server: str) -> None:
        url = f"{server}/v1/captions"
        big = b"x" * (6 * 2**20)
        assert_is_error(post(url, files={"file": ("a.mp3", big)}), 413, "larger than 4 MiB")

        def unannounced() -> Iterator[bytes]:
            for _ in range(96):
                yield big[: 2**16]

        headers = {"Content-Type": "application/json"}
        assert_is_error(post(url, content=unannounced(), headers=headers), 413, "larger than 4 MiB")
        still_answers(server)

    def test_a_full_server_says_when_to_come_back(self, listener: Listener) -> None:
        with serving(listener, ServeSettings(max_requests=1)) as address, ThreadPoolExecutor(8) as threads:
            url = f"{address}/v1/captions"
            answers = list(threads.map(lambda _: post(url, files=upload(DEMO)), range(8)))
            statuses = sorted(answer.status_code for answer in answers)
            assert statuses[0] == 200
            assert statuses[-1] == 429
            assert set(statuses) == {200, 429}
            for answer in answers:
                if answer.status_code == 429:
                    assert_is_error(answer, 429, "try again later")
                    assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert post(url, files=upload(DEMO)).status_code == 200

    def test_recordings_held_at_once_are_bounded(self, listener: Listener) -> None:
        settings = ServeSettings(max_upload_mib=4, max_held_mib=1)
        with serving(listener, settings) as address:
            answer = post(f"{address}/v1/captions", files={"file": ("a.mp3", b"x" * (2 * 2**20))})
            assert_is_error(answer, 429, "too many recordings are being received at once")
            assert post(f"{address}/v1/captions", files=upload(DEMO)).status_code == 200

    def test_a_request_that_takes_too_long(self, listener: Listener) -> None:
        with serving(listener, ServeSettings(request_seconds=0.01)) as address:
            answer = post(f"{address}/v1/captions", files=upload(DEMO))
            assert_is_error(answer, 504, "was not answered within 0.01 s")

    def test_a_body_that_arrives_too_slowly(self, server: str) -> None:
        host, _, port = server.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection, connection.makefile("rb") as reply:
            connection.sendall(UNFINISHED)
            answer = reply.read()
        assert b" 408 " in answer
        assert b"did not arrive within 2 s" in answer
        still_answers(server)

    @pytest.mark.parametrize("beginning", [b"", b"POST /v1/captions HTTP/1.1\r\nHost: x\r\nX-"])
    def test_a_connection_that_sends_no_header_is_closed(self, server: str, beginning: bytes) -> None:
        host, _, port = server.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(beginning)
            assert connection.recv(4096) == b""
        still_answers(server)

    def test_clients_that_hang_up(self, server: str, music: Path) -> None:
        host, _, port = server.removeprefix("http://").partition(":")
        with pytest.raises(httpx2.TimeoutException):
            post(f"{server}/v1/captions", files=upload(music / "minutes.flac"), data={"start": "3"}, timeout=0.1)
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(UNFINISHED)
        still_answers(server)
        assert post(f"{server}/v1/captions", files=upload(DEMO)).status_code == 200


class TestSettings:
    """The options of the server."""

    def test_they_travel_in_the_environment(self) -> None:
        settings = ServeSettings(allowed_audio_hosts=("music.test", "other.test:8080"), max_audio_minutes=3.5)
        assert ServeSettings.from_environment(settings.to_environment()) == settings
        assert ServeSettings.from_environment({}) == ServeSettings()

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            ({"max_audios": 0}, "max_audios is 0; expected more than 0"),
            ({"allowed_audio_hosts": ("http://music.test",)}, "expected name or name:port"),
            ({"allowed_audio_hosts": ("music.test:http",)}, "expected name or name:port"),
        ],
    )
    def test_what_they_cannot_be(self, wrong: dict[str, Any], sentence: str) -> None:
        with pytest.raises(ConfigError, match=sentence):
            ServeSettings(**wrong)
