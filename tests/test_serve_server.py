"""`mllm serve` as a process: vLLM's server with our routes, the reference checkpoint, and real requests."""

from __future__ import annotations

import base64
import collections
import contextlib
import importlib.metadata
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import soundfile
from transformers import PreTrainedTokenizerFast

from mllm.listener import Listener
from mllm.serve import http_page
from tests.test_serve_http import assert_is_error, data_url, upload
from tests.tiny_checkpoint import RATE_HZ, tone, write_catalogue, write_checkpoint, write_music

DEMO = Path(__file__).parents[1] / "mllm" / "data" / "demo.mp3"
KEY = {"Authorization": "Bearer of tests"}
SECONDS_TO_START = 400
DOCUMENT_EXAMPLES = 6
"""For each operation of the OpenAPI document, of each kind."""


def has_plug_in() -> bool:
    """Whether vLLM is there, and the checkout is installed with its routes as a plug-in."""
    entries = importlib.metadata.entry_points(group="vllm.endpoint_plugins", name="mllm_http")
    return importlib.util.find_spec("vllm") is not None and bool(entries)


pytestmark = [
    pytest.mark.skipif(not has_plug_in(), reason="vLLM or our plug-in of it is not installed (make install-serve)"),
    pytest.mark.slow,
    pytest.mark.timeout(600),
]


def children(process_id: int) -> dict[int, str]:
    """Processes below a process, with their command lines."""
    found: dict[int, str] = {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process_id:
                found[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


@contextlib.contextmanager
def serving(log: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[bytes], Path]]:
    """A server of its own: its address, its process, and what it says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "mllm", "serve", "--port", str(port), *options]
    environment = {**os.environ, "VLLM_API_KEY": "of tests", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with log.open("wb") as output, subprocess.Popen(words, env=environment, stdout=output, stderr=output) as server:
        address = f"http://127.0.0.1:{port}"
        began = time.monotonic()
        try:
            while True:
                assert server.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() - began < SECONDS_TO_START, log.read_text()[-3000:]
                with contextlib.suppress(httpx2.TransportError):
                    if httpx2.get(f"{address}/ready", timeout=30).status_code == 200:
                        break
                time.sleep(1.0)
            yield address, server, log
        finally:
            server.send_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[bytes], Path]]:
    with serving(tmp_path_factory.mktemp("server") / "log", "--max-upload-mib", "4") as one:
        yield one


@pytest.fixture
def server(process: tuple[str, subprocess.Popen[bytes], Path]) -> str:
    return process[0]


def chat(server: str, *parts: dict[str, Any], **others: Any) -> httpx2.Response:
    body = {"model": "mllm", "temperature": 0, "max_tokens": 40, "messages": [{"role": "user", "content": parts}]}
    return httpx2.post(f"{server}/v1/chat/completions", headers=KEY, json={**body, **others}, timeout=120)


def audio(file: Path) -> dict[str, Any]:
    return {"type": "audio_url", "audio_url": {"url": data_url(file)}}


QUESTION = {"type": "text", "text": "What is the key?"}


def test_our_routes_say_what_transformers_says(server: str) -> None:
    listener = Listener.load()
    found = httpx2.post(f"{server}/v1/describe", headers=KEY, files=upload(DEMO), timeout=120).json()
    expected = listener.describe(DEMO).to_json()
    assert found.pop("confidence") == pytest.approx(expected.pop("confidence"), abs=2e-4)
    assert found == expected
    answer = httpx2.post(f"{server}/v1/captions", headers=KEY, json={"audio": data_url(DEMO)}, timeout=120).json()
    whole = listener.caption(DEMO)
    (one,) = answer["data"]
    assert one["caption"] == whole.text
    assert one["confidence"] == pytest.approx(whole.confidence, abs=2e-4)
    assert one["seconds_heard"] == pytest.approx(whole.seconds_heard, abs=1e-3)


def test_keys(server: str) -> None:
    assert httpx2.get(f"{server}/health").status_code == 200
    for path in ("/v1/captions", "/v1/describe", "/v1/chat/completions", "/invocations", "/tokenize", "/detokenize"):
        assert_is_error(httpx2.post(server + path, json={}), 401, "the API key is missing or wrong")
    wrong = {"Authorization": "Bearer of test"}
    assert_is_error(httpx2.get(f"{server}/v1/models", headers=wrong), 401, "the API key is missing or wrong")
    assert httpx2.get(f"{server}/v1/models", headers=KEY).status_code == 200
    for path, file in http_page.files().items():
        assert httpx2.get(server + path).content == file.content
    assert_is_error(httpx2.get(f"{server}/page/nothing.js"), 401, "the API key is missing or wrong")


def test_bad_chats(server: str, tmp_path: Path) -> None:
    broken = tone(2.0, 220.0)
    broken[777] = np.nan
    soundfile.write(tmp_path / "nan.wav", broken, RATE_HZ, subtype="FLOAT")
    soundfile.write(tmp_path / "many.wav", np.tile(tone(2.0, 220.0)[:, None], 30), RATE_HZ)
    (tmp_path / "page.mp3").write_bytes(b"<html>" * 100)
    assert_is_error(chat(server, audio(tmp_path / "nan.wav"), QUESTION), 422, "samples that are not numbers")
    assert_is_error(chat(server, audio(tmp_path / "many.wav"), QUESTION), 422, "has 30 channels")
    assert_is_error(chat(server, audio(tmp_path / "page.mp3"), QUESTION), 415, "is not audio that can be opened")
    assert_is_error(chat(server, *[audio(tmp_path / "page.mp3")] * 40), 400, "40 recordings were sent; at most 8")
    away = {"type": "audio_url", "audio_url": {"url": "http://127.0.0.1/a.wav"}}
    assert_is_error(chat(server, away, QUESTION), 400, "not among those that this server was allowed")
    junk = {"type": "input_audio", "input_audio": {"data": "@@@@", "format": "wav"}}
    assert_is_error(chat(server, junk, QUESTION), 400, "not valid base64")
    assert_is_error(chat(server, {"type": "audo", "x": 1}), 400, "a part of a message is not understood")
    assert_is_error(chat(server, {"type": "text", "text": "piano " * 9000}), 400, "maximum context length")
    assert_is_error(chat(server, QUESTION, model="gpt"), 404, "`gpt` does not exist")
    url = f"{server}/v1/chat/completions"
    headers = {**KEY, "Content-Type": "application/json"}
    assert_is_error(httpx2.post(url, headers=headers, content=b'{"model":'), 400, "the body is not valid JSON")
    big = (b" " * 2**16 for _ in range(96))
    assert_is_error(httpx2.post(url, headers=headers, content=big), 413, "larger than 4 MiB")
    assert "G# minor" in chat(server, audio(DEMO), QUESTION).json()["choices"][0]["message"]["content"]


TEMPO = {
    "type": "function",
    "function": {
        "name": "set_tempo",
        "description": "Sets the tempo.",
        "parameters": {
            "type": "object",
            "properties": {"bpm": {"enum": [60, 90]}},
            "required": ["bpm"],
            "additionalProperties": False,
        },
    },
}
BY_NAME = {"type": "function", "function": {"name": "set_tempo"}}


@pytest.mark.parametrize("choice", ["required", BY_NAME])
def test_tools_are_called_and_their_results_are_read(server: str, choice: Any) -> None:
    """As a client of OpenAI's does it: the answer goes back as it came, with what the tool gave."""
    asked: dict[str, Any] = {"tools": [TEMPO], "tool_choice": choice, "parallel_tool_calls": False, "max_tokens": 300}
    message = chat(server, audio(DEMO), QUESTION, **asked).json()["choices"][0]["message"]
    (call,) = message["tool_calls"]
    assert call["function"]["name"] == "set_tempo"
    assert json.loads(call["function"]["arguments"])["bpm"] in {60, 90}
    conversation = [
        {"role": "user", "content": [audio(DEMO), QUESTION]},
        message,
        {"role": "tool", "tool_call_id": call["id"], "content": "done"},
        {"role": "user", "content": "What is the key?"},
    ]
    answer = chat(server, messages=conversation, tools=[TEMPO], tool_choice="none").json()
    assert answer["choices"][0]["message"]["content"].strip()
    conversation[2]["tool_call_id"] = "another"
    refused = chat(server, messages=conversation, tools=[TEMPO])
    assert_is_error(refused, 400, "messages[2].tool_call_id: no message before has a call 'another'")


def test_which_tools_there_may_be(server: str) -> None:
    answer = chat(server, audio(DEMO), QUESTION, tools=[TEMPO]).json()["choices"][0]
    assert answer["message"]["content"].strip()
    assert not answer["message"].get("tool_calls")
    bare = {"type": "function", "function": {"name": "stop"}}
    called = chat(server, QUESTION, tools=[bare], tool_choice="required", max_tokens=300).json()
    (call,) = called["choices"][0]["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {}
    impossible = {"type": "function", "function": {"name": "stop", "parameters": {"enum": []}}}
    refused = chat(server, QUESTION, tools=[impossible], tool_choice="required")
    assert_is_error(refused, 400, "decoding cannot be restricted to the parameters of these functions")
    twice = chat(server, QUESTION, tools=[TEMPO, TEMPO])
    assert_is_error(twice, 400, "tools[1].function.name: there is a tool 'set_tempo' before")


def test_a_call_is_streamed(server: str) -> None:
    body = {
        "model": "mllm",
        "temperature": 0,
        "max_tokens": 300,
        "messages": [{"role": "user", "content": [audio(DEMO), QUESTION]}],
        "tools": [TEMPO],
        "tool_choice": BY_NAME,
        "stream": True,
    }
    with httpx2.stream("POST", f"{server}/v1/chat/completions", headers=KEY, json=body, timeout=120) as answer:
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: {")]
    calls = [call for event in events for call in event["choices"][0]["delta"].get("tool_calls") or []]
    assert "".join(call["function"].get("name") or "" for call in calls) == "set_tempo"
    assert json.loads("".join(call["function"].get("arguments") or "" for call in calls))["bpm"] in {60, 90}


HALF = "\ud800"
"""Of a surrogate pair; JSON can write it, UTF-8 cannot."""
ENDLESS = {"json": {"$ref": "#"}}
FULL_OF_ITEMS = {"type": "array", "minItems": 10**9}
BAD_VALUES: list[tuple[dict[str, Any], str]] = [
    ({"top_k": 10**30}, "top_k: holds an integer of more than 64 bits"),
    ({"structured_outputs": {"json": {"title": 10**30}}}, "structured_outputs: holds an integer of more than 64 bits"),
    ({"stop": [HALF]}, "stop: holds text with half of a surrogate pair"),
    ({"bad_words": [HALF]}, "bad_words: holds text with half of a surrogate pair"),
    ({"request_id": HALF}, "request_id: holds text with half of a surrogate pair"),
    ({"structured_outputs": {"json": FULL_OF_ITEMS}}, "more than 100000 items"),
    ({"structured_outputs": {"json": json.dumps(FULL_OF_ITEMS)}}, "more than 100000 items"),
    ({"structured_outputs": {"grammar": f"start: %json {json.dumps(FULL_OF_ITEMS)}"}}, "a grammar with %json"),
    ({"structured_outputs": ENDLESS}, "no answer can be given in the form that was asked for"),
    ({"structured_outputs": {"regex": "\\p{L}"}}, "no answer can be given in the form"),
    ({"structured_outputs": {"grammar": "root ::= root"}}, "no answer can be given in the form"),
    (
        {"structured_outputs": {"json": {"type": "string", "pattern": "^a{1000}$"}}},
        "no answer can be given in the form",
    ),
    ({"structured_outputs": {"choice": ["a"]}, "allowed_token_ids": [1]}, "no answer can be given in the form"),
    ({"structured_outputs": {"choice": ["a"]}, "bad_words": ["a"]}, "no answer can be given in the form"),
]
"""What vLLM answers with status 500, or dies of."""


@pytest.mark.parametrize(("fields", "said"), BAD_VALUES)
def test_bad_values(server: str, fields: dict[str, Any], said: str) -> None:
    asked = {"model": "mllm", "max_tokens": 20, **fields}
    for path, question in (
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": [QUESTION]}]}),
        ("/invocations", {"messages": [{"role": "user", "content": [QUESTION]}]}),
        ("/v1/completions", {"prompt": "Hello."}),
    ):
        body = json.dumps({**asked, **question})
        answer = httpx2.post(
            server + path, headers={**KEY, "Content-Type": "application/json"}, content=body, timeout=120
        )
        assert_is_error(answer, 400, said)
    assert httpx2.get(f"{server}/health").status_code == 200


def test_forms_that_can_be_kept_to(server: str) -> None:
    answer = chat(server, QUESTION, structured_outputs={"choice": ["a", "b"]})
    assert answer.json()["choices"][0]["message"]["content"] in {"a", "b"}
    asked = {"model": "mllm", "input": "Hello.", "max_output_tokens": 20, "structured_outputs": ENDLESS}
    answer = httpx2.post(f"{server}/v1/responses", headers=KEY, json=asked, timeout=120)
    assert_is_error(answer, 400, "no answer can be given in the form")
    answer = httpx2.post(
        f"{server}/v1/responses", headers=KEY, json={**asked, "structured_outputs": {"choice": ["a"]}}, timeout=120
    )
    assert answer.status_code == 200, answer.text


def test_streams_with_forms_that_are_not_understood(server: str) -> None:
    form = {"json": {"type": "nope"}}
    asked = {"model": "mllm", "input": "Hello.", "stream": True, "structured_outputs": form}
    answer = httpx2.post(f"{server}/v1/responses", headers=KEY, json=asked, timeout=120)
    event, data = answer.text.rstrip("\n").split("\n\n")[-1].split("\n")
    assert event == "event: error"
    error = json.loads(data.removeprefix("data: "))["error"]
    assert error["code"] == 400
    assert "Grammar error" in error["message"]


def test_routes_of_vllm_that_are_left_out(server: str) -> None:
    paths = httpx2.get(f"{server}/openapi.json", headers=KEY, timeout=60).json()["paths"]
    assert {"/v1/chat/completions", "/v1/responses", "/v1/messages", "/tokenize", "/v1/captions"} <= set(paths)
    for path in ("/v1/systemone", "/scale_elastic_ep", "/is_scaling_elastic_ep"):
        assert path not in paths
        assert_is_error(httpx2.post(server + path, headers=KEY, json={}), 404, f"there is nothing at {path}")


def test_bodies_that_are_no_json_object(server: str) -> None:
    url = f"{server}/invocations"
    headers = {**KEY, "Content-Type": "application/json"}
    assert_is_error(httpx2.post(url, headers=headers, content=b"[" * 100_000), 400, "nested too deeply")
    deep = b'{"a":' * 3000 + b"1" + b"}" * 3000
    assert_is_error(httpx2.post(url, headers=headers, content=deep), 400, "nested too deeply")
    answer = httpx2.post(f"{server}/v1/chat/completions", headers={**KEY, "Content-Type": "text/plain"}, content=b"{}")
    assert_is_error(answer, 400, "Only 'application/json' is allowed")


def test_no_operation_of_the_document_fails(server: str) -> None:
    """What schemathesis makes of the document; what is refused at once is mended where a body is to be right."""
    schemathesis = pytest.importorskip("schemathesis")
    hypothesis = pytest.importorskip("hypothesis")
    from schemathesis.generation import GenerationMode

    schema = schemathesis.openapi.from_url(f"{server}/openapi.json", headers=KEY)
    known = {name for one in schema.raw_schema["components"]["schemas"].values() for name in one.get("properties", {})}
    statuses: collections.Counter[int] = collections.Counter()

    plain = {
        "model": "mllm",
        "messages": [{"role": "user", "content": "Hello."}],
        "prompt": "Hello.",
        "input": "Hello.",
    }

    def ask(case: Any) -> None:
        if isinstance(case.body, dict) and case.meta.generation.mode is GenerationMode.POSITIVE:
            case.body = {name: plain.get(name, value) for name, value in case.body.items() if name in known}
        answer = case.call_and_validate(headers=KEY, timeout=60, checks=[schemathesis.checks.not_a_server_error])
        statuses[answer.status_code] += 1

    settings = hypothesis.settings(
        max_examples=DOCUMENT_EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in GenerationMode:
            with contextlib.suppress(hypothesis.errors.Unsatisfiable):  # nothing can be wrong where nothing is sent
                settings(hypothesis.given(operation.as_strategy(mode))(ask))()
    assert statuses[200] > 20, statuses
    assert statuses[400] > 100, statuses
    assert chat(server, QUESTION).status_code == 200


def test_unknown_fields_are_refused(server: str) -> None:
    answer = chat(server, QUESTION, temprature=0.5)
    assert_is_error(answer, 400, "the field 'temprature' is not known; did you mean 'temperature'?")
    assert answer.json()["error"]["param"] == "temprature"
    assert_is_error(
        chat(server, QUESTION, stream=True, colour="red"), 400, "the field 'colour' is not known; leave it out"
    )
    url = f"{server}/v1/completions"
    asked = {"model": "mllm", "prompt": "Hello.", "max_tokens": 2}
    answer = httpx2.post(url, headers=KEY, json={**asked, "max_token": 2}, timeout=120)
    assert_is_error(answer, 400, "the field 'max_token' is not known; did you mean 'max_tokens'?")
    assert httpx2.post(url, headers=KEY, json={**asked, "suffix": None, "colour": None}, timeout=120).status_code == 200
    assert chat(server, QUESTION, top_k=1, min_tokens=1, colour=None, store=False).status_code == 200


def test_chats_tell_where_less_than_the_whole_was_heard(server: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "minutes.flac", np.tile(tone(60.0, 220.0)[::3], 5), RATE_HZ // 3)
    answer = chat(server, audio(tmp_path / "minutes.flac"), QUESTION)
    assert answer.status_code == 200, answer.text
    assert "s of the 300 s" in answer.headers["warning"]
    assert "warning" not in chat(server, audio(DEMO), QUESTION).headers


def test_a_decoder_that_dies_takes_nothing_with_it(
    process: tuple[str, subprocess.Popen[bytes], Path], tmp_path: Path
) -> None:
    server, running, _ = process
    decoders = [one for one, words in children(running.pid).items() if "mllm.serve.decode_worker" in words]
    assert decoders
    for one in decoders:
        os.kill(one, signal.SIGSEGV)
    soundfile.write(tmp_path / "new.wav", tone(3.0, 333.0), RATE_HZ)
    answer = httpx2.post(f"{server}/v1/captions", headers=KEY, files=upload(tmp_path / "new.wav"), timeout=120)
    assert answer.status_code == 200, answer.text
    assert httpx2.get(f"{server}/health").status_code == 200


def test_a_client_that_hangs_up_in_a_stream_frees_its_place(server: str) -> None:
    body = {"model": "mllm", "stream": True, "max_tokens": 1500, "ignore_eos": True}
    messages = [{"role": "user", "content": "What is a chorale?"}]
    url = f"{server}/v1/chat/completions"
    with httpx2.stream("POST", url, headers=KEY, json={**body, "messages": messages}, timeout=120) as answer:
        assert next(answer.iter_lines()).startswith("data: ")
    for _ in range(100):
        metrics = httpx2.get(f"{server}/metrics", headers=KEY).text.splitlines()
        (running,) = [line for line in metrics if line.startswith("vllm:num_requests_running{")]
        if running.endswith(" 0.0"):
            break
        time.sleep(0.1)
    else:
        pytest.fail(running)


def test_the_log_holds_nothing_of_what_was_sent(process: tuple[str, subprocess.Popen[bytes], Path]) -> None:
    server, _, log = process
    word = "unmistakable"
    assert chat(server, {"type": "text", "text": f"What is {word}?"}).status_code == 200
    files = {"file": (f"{word}.mp3", DEMO.read_bytes())}
    assert httpx2.post(f"{server}/v1/captions", headers=KEY, files=files, timeout=120).status_code == 200
    written = log.read_text()
    assert word not in written
    assert "of tests" not in written
    assert base64.b64encode(DEMO.read_bytes()[:30]).decode() not in written


def test_items_of_a_catalogue(tmp_path: Path, reference_tokenizer: PreTrainedTokenizerFast) -> None:
    model = write_checkpoint(tmp_path / "model", reference_tokenizer, head_dim=32, takes_items=True)
    catalogue, music = write_catalogue(tmp_path / "songs"), write_music(tmp_path / "music")
    one, other = ({"type": "item", "item": f"song-{number}"} for number in (1, 3))
    said = Listener.load(model, catalogue=catalogue).respond
    recording = {"type": "audio", "path": str(music / "one.wav")}
    with serving(tmp_path / "log", "--model", str(model), "--catalog", str(catalogue)) as (server, _, _):
        for sent, known in (([one, QUESTION], []), ([other, audio(music / "one.wav"), one, QUESTION], [recording])):
            parts = [known[0] if known and part["type"] == "audio_url" else part for part in sent]
            answer = chat(server, *sent)
            assert answer.status_code == 200, answer.text
            expected = said([{"role": "user", "content": parts}], max_new_tokens=40).text
            assert answer.json()["choices"][0]["message"]["content"].strip() == expected
        missing = {"type": "item", "item": "song-8"}
        assert_is_error(chat(server, missing, QUESTION), 404, "there is no item 'song-8' among the 5 of the catalogue")
        assert_is_error(chat(server, {"type": "item", "item": 7}, QUESTION), 400, "messages")
        assert_is_error(chat(server, *[one] * 65, QUESTION), 400, "65 catalogue items were sent; at most 64")
        assert chat(server, one, QUESTION).status_code == 200


def test_copies_of_the_model_answer_behind_one_address(tmp_path: Path) -> None:
    with serving(tmp_path / "log", "--", "--data-parallel-size", "2") as (address, _, _):
        answers = [chat(address, audio(DEMO), QUESTION).json()["choices"][0]["message"]["content"] for _ in range(4)]
        assert all("G# minor" in answer for answer in answers)
        metrics = httpx2.get(f"{address}/metrics", headers=KEY).text
    finished = [line for line in metrics.splitlines() if line.startswith("vllm:request_success_total")]
    assert {line.partition('engine="')[2][0] for line in finished if not line.endswith(" 0.0")} == {"0", "1"}
