"""The examples under docs/examples: they run as they stand there, against the server that they are written for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.test_serve_server import has_plug_in, serving

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "examples"
DEMO = ROOT / "mllm" / "data" / "demo.mp3"
NOBODY = "http://127.0.0.1:9"
"""A port that nothing listens on."""

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("server") / "log") as (address, _, _):
        yield address


def run(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def curl(server: str, *words: str | Path, key: str = "of tests") -> subprocess.CompletedProcess[str]:
    return run(FOLDER / "curl.sh", *words, MLLM_URL=server, MLLM_API_KEY=key)


def said(answer: Mapping[str, Any]) -> str:
    text = answer["choices"][0]["message"]["content"]
    assert isinstance(text, str)
    return text


@pytest.mark.skipif(not has_plug_in(), reason="vLLM or our plug-in of it is not installed (make install-serve)")
@pytest.mark.slow
@pytest.mark.timeout(600)
class TestAgainstTheServer:
    """`mllm serve` as a process."""

    def test_the_openai_package(self, server: str, tmp_path: Path) -> None:
        client, address = FOLDER / "openai_client.py", ["--base-url", f"{server}/v1"]
        done = run(sys.executable, client, DEMO, *address, OPENAI_API_KEY="of tests")
        assert (done.returncode, done.stderr) == (0, "")
        first, answer, second, follow_up = done.stdout.splitlines()
        assert (first, second) == ("> What is the key?", "> Which instruments do you hear?")
        assert "G# minor" in answer
        assert "guitar" in follow_up
        shutil.copy(DEMO, tmp_path / "demo.other")
        words: list[str | Path] = [tmp_path / "demo.other", "What is the key?", "--api-key", "of tests"]
        done = run(sys.executable, client, *words, *address)
        assert done.stdout.splitlines() == [first, answer]
        done = run(sys.executable, client, DEMO, "--api-key", "wrong", *address)
        assert done.returncode == 1
        assert "the API key is missing or wrong" in done.stderr
        (tmp_path / "page.mp3").write_text("<html>")
        done = run(sys.executable, client, tmp_path / "page.mp3", *address, OPENAI_API_KEY="of tests")
        assert done.returncode == 1
        assert "415" in done.stderr

    @needs_curl
    def test_curl(self, server: str, tmp_path: Path) -> None:
        odd = tmp_path / 'a "song"; type=text, \\n (1) & $HOME é.mp3'
        shutil.copy(DEMO, odd)
        for file in (DEMO, odd):
            done = curl(server, "caption", file, "tags")
            assert (done.returncode, done.stderr) == (0, "")
            (one,) = json.loads(done.stdout)["data"]
            assert one["name"] == file.name.replace('"', "%22")  # as forms spell it
            assert "acoustic guitar" in one["tags"]
            assert json.loads(curl(server, "describe", file).stdout)["key"] == "G# minor"
        question = 'What is the "key"?\n\tSay \\ it. é'
        done = curl(server, "chat", odd, question)
        assert (done.returncode, done.stderr) == (0, "")
        assert said(json.loads(done.stdout))
        assert "G# minor" in said(json.loads(curl(server, "chat", DEMO).stdout))

    @needs_curl
    def test_what_curl_is_refused(self, server: str, tmp_path: Path) -> None:
        (tmp_path / "page.mp3").write_text("<html>")
        for what in ("caption", "chat"):
            done = curl(server, what, tmp_path / "page.mp3")
            assert done.returncode == 22
            assert json.loads(done.stdout)["error"]["code"] == 415
        done = curl(server, "describe", DEMO, key="")
        assert done.returncode == 22
        assert json.loads(done.stdout)["error"]["code"] == 401


@needs_curl
def test_curl_says_what_it_needs(tmp_path: Path) -> None:
    for words in ([], ["sing", DEMO], ["chat"], ["describe", DEMO, "more"]):
        done = curl(NOBODY, *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("usage: ")
    done = curl(NOBODY, "chat", tmp_path / "nothing.mp3")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no file" in done.stderr
    assert curl(NOBODY, "chat", DEMO).returncode == 7


@needs_curl
def test_the_key_stands_on_no_command_line(tmp_path: Path) -> None:
    seen = tmp_path / "words"
    fake = tmp_path / "curl"
    fake.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{seen}\n')
    fake.chmod(0o700)
    done = run(FOLDER / "curl.sh", "describe", DEMO, MLLM_API_KEY="secret", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 0
    assert "/v1/describe" in seen.read_text()
    assert "secret" not in seen.read_text()


def test_the_notebook_is_code_without_outputs() -> None:
    notebook = json.loads((FOLDER / "clients.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 4
    for cell in cells:
        assert (cell["outputs"], cell["execution_count"]) == ([], None)
        compile("".join(cell["source"]), cell["id"], "exec")
