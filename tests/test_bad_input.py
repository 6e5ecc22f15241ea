"""Bad input: one clear sentence on standard error, exit status 2, no traceback, nothing half-written."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import soundfile
from transformers import PreTrainedTokenizerFast

from mllm import cli
from tests.tiny_checkpoint import RATE_HZ, tone, write_checkpoint, write_music

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"), reference_tokenizer)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good recordings, and one bad file of every kind."""
    folder = write_music(tmp_path_factory.mktemp("music"))
    (folder / "folder.wav").mkdir()
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("These are words, not sound.\n" * 100)
    soundfile.write(folder / "zero.wav", np.zeros(0, np.float32), RATE_HZ)
    soundfile.write(folder / "short.wav", tone(0.2, 440.0), RATE_HZ)
    samples = tone(3.0, 440.0)
    samples[40_000] = np.nan
    soundfile.write(folder / "nan.wav", samples, RATE_HZ, subtype="FLOAT")
    soundfile.write(folder / "whole.mp3", tone(4.0, 440.0), RATE_HZ)
    whole = (folder / "whole.mp3").read_bytes()
    (folder / "nothing.mp3").write_bytes(whole[:300])
    (folder / "truncated.mp3").write_bytes(whole[: len(whole) * 2 // 3])
    return folder


def one_sentence(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What `mllm` says of these words: one line, with exit status 2 and nothing on standard output."""
    assert cli.main([str(word) for word in words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("mllm: ")
    assert captured.err.endswith("\n")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    return captured.err


BAD_FILES = {
    "missing.wav": "does not exist; expected an audio file",
    "folder.wav": "is a directory; expected an audio file",
    "empty.wav": "is empty (0 bytes); expected an audio file",
    "nothing.mp3": "is not audio that can be opened",
    "truncated.mp3": "was cut off: its header announces 4.06 s, of which 2.",
    "text.wav": "not audio",
    "zero.wav": "zero length; expected",
    "silent.wav": "is silent",
    "nan.wav": "NaN",
    "short.wav": "has 0.20 s of sound",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(name: str, model: Path, music: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = one_sentence(capsys, "describe", music / name, "--json", "--model", model)
    assert str(music / name) in said
    assert BAD_FILES[name] in said


@pytest.mark.parametrize("name", ["missing.wav", "silent.wav", "text.wav", "truncated.mp3"])
def test_bad_files_in_every_command(
    name: str, model: Path, music: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("What?\n"))
    for words in (("caption", music / name), ("ask", music / name, "What?"), ("chat", music / name)):
        assert BAD_FILES[name] in one_sentence(capsys, *words, "--model", model)


def test_a_name_that_no_file_can_have(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("What?\n"))
    for command in ("caption", "chat"):
        assert "cannot be read (File name too long)" in one_sentence(capsys, command, "x" * 300, "--model", model)


def test_bad_files_in_a_batch(model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [*BAD_FILES, "one.wav"]
    batch = music / "batch.jsonl"
    batch.write_text("".join(json.dumps({"id": name, "path": name}) + "\n" for name in names))
    out = tmp_path / "out.jsonl"
    words = ("describe", "--batch", batch, "--out", out, "--model", model, "--max-new-tokens", "4")
    assert cli.main([str(word) for word in words]) == 1
    results = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [result["id"] for result in results] == names
    for result, expected in zip(results, BAD_FILES.values(), strict=False):
        assert expected in result["error"]
    assert results[-1]["seconds_heard"] == 2.0
    assert capsys.readouterr().err.count("\n") == 1


def remove_a_tensor(directory: Path) -> None:
    tensors = safetensors.torch.load_file(directory / WEIGHTS)
    tensors.pop(sorted(tensors)[0])
    safetensors.torch.save_file(tensors, directory / WEIGHTS)


def misspell_a_key(directory: Path) -> None:
    settings = json.loads((directory / "config.json").read_text())
    settings["max_windoes"] = settings.pop("max_windows")
    (directory / "config.json").write_text(json.dumps(settings))


def cut_the_weights(directory: Path) -> None:
    whole = (directory / WEIGHTS).read_bytes()
    (directory / WEIGHTS).write_bytes(whole[: len(whole) // 2])


def change_the_backbone(directory: Path) -> None:
    with (directory / "backbone" / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x55")


BAD_MODELS: dict[str, tuple[Callable[[Path], object], str]] = {
    "unknown": (shutil.rmtree, "there is no model at"),
    "no config": (lambda directory: (directory / "config.json").unlink(), "holds no config.json"),
    "one tensor removed": (remove_a_tensor, "missing: "),
    "a misspelt key": (misspell_a_key, "max_windoes is not a setting (did you mean 'max_windows'"),
    "cut short": (cut_the_weights, "is not a whole safetensors file"),
    "altered backbone": (change_the_backbone, "expected sha256"),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_bad_models(name: str, model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, expected = BAD_MODELS[name]
    directory = Path(shutil.copytree(model, tmp_path / "copy"))
    change(directory)
    assert expected in one_sentence(capsys, "caption", music / "one.wav", "--model", directory)
    batch, out = music / "models.jsonl", tmp_path / "out.jsonl"
    batch.write_text('{"id": 1, "path": "one.wav"}\n')
    one_sentence(capsys, "caption", "--batch", batch, "--out", out, "--model", directory)
    assert {path.name for path in tmp_path.iterdir()} <= {"copy"}


def test_a_prompt_longer_than_the_context(model: Path, music: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = one_sentence(capsys, "ask", music / "one.wav", "Which instruments? " * 200, "--model", model)
    assert "The prompt has " in said
    assert "use fewer or shorter recordings" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["captoin", "a.wav"], "there is no command 'captoin'; did you mean 'caption'? expected one of: ask, caption"),
        (["caption"], "no recording was given; expected: mllm caption FILE..."),
        (["describe"], "0 recordings were given; expected one"),
        (["describe", "a.wav", "b.wav"], "2 recordings were given; expected one"),
        (["ask", "a.wav"], '1 words were given; expected: mllm ask FILE... "question"'),
        (["ask", "a.wav", __file__], "is no question"),
        (["caption", "a.wav", "--sed", "1"], "--sed"),
        (["caption", "a.wav", "--seed", "-1"], "seed"),
        (["caption", "a.wav", "--seed"], "seed"),
        (["caption", "a.wav", "--temperature", "hot"], "temperature"),
        (["caption", "a.wav", "--max-new-tokens", "0"], "max"),
        (["describe", "a.wav", "--min-confidence", "2"], "confidence"),
        (["caption", "--batch", "in.jsonl"], "--batch IN.jsonl and --out OUT.jsonl go together"),
        (["ask", "a.wav", "--batch", "in.jsonl", "--out", "o.jsonl"], "'a.wav' was given beside --batch"),
        (["ask", "--batch", "missing.jsonl", "--out", "o.jsonl"], "the batch file missing.jsonl does not exist"),
        (["ask", "--batch", "/", "--out", "o.jsonl"], "the batch file / is a directory"),
        (["ask", "--batch", __file__, "--out", "no/such/o.jsonl"], "no/such/o.jsonl cannot be written"),
        (["ask", "--batch", __file__, "--out", "/"], "--out / is a directory"),
        (["ask", "--batch", __file__, "--out", __file__], "is the batch file itself"),
    ],
)
def test_bad_words(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert expected in one_sentence(capsys, *words)


def test_a_real_process_says_one_sentence(model: Path, music: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mllm", "describe", str(music / "silent.wav"), "--json", "--model", str(model)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"mllm: {music / 'silent.wav'} is silent")
    assert done.stderr.count("\n") == 1
