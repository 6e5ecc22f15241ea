"""`mllm data`: its actions, and what `encode` makes, finds, prints and returns, on a tiny model."""

from __future__ import annotations

import json
import sys
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from mllm import cli, registry
from tests.tiny_checkpoint import write_checkpoint, write_music

SUMMARY = "windows: {made} made, {found} found; recordings failed: {failed}; audio: {seconds} s; store: {size} bytes\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"), reference_tokenizer)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_music(tmp_path_factory.mktemp("music"))
    (folder / "copy.wav").write_bytes((folder / "one.wav").read_bytes())
    return folder


@pytest.fixture(scope="module")
def data(music: Path) -> Path:
    """Four distinct stretches (6 windows, 23.5 s), three failures."""
    conversations: list[list[dict[str, Any]]] = [
        [{"path": "one.wav"}, {"path": "copy.wav"}],
        [{"path": str(music / "two.wav")}],
        [{"path": "long.wav"}, {"path": "long.wav", "start": 4, "end": 7.5}],
        [{"path": "missing.wav"}],
        [{"path": "one.wav"}, {"path": "silent.wav"}],
    ]
    lines = ["{not json"]
    for parts in conversations:
        content = [{"type": "audio", **part} for part in parts]
        lines.append(json.dumps({"messages": [{"role": "user", "content": [*content, {"type": "text", "text": "?"}]}]}))
    path = music / "data.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of `mllm data` with these words."""
    status = cli.main(["data", *map(str, words)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def size_of(store: Path) -> int:
    return sum(path.stat().st_size for path in (store / "shards").rglob("*.safetensors"))


def contents_of(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (store / "shards").rglob("*.safetensors")}


@pytest.mark.parametrize("words", [(), ("--help",)], ids=["nothing", "help"])
def test_all_actions_are_listed(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, *words)
    assert (status, err) == (0, "")
    assert out.startswith("usage: mllm data ACTION ...\n")
    listed = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
    assert listed == sorted(["encode", *registry.names("data action")])
    assert "build" in listed


def test_help_of_an_action_shows_its_options_only(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "build", "--help")
    assert (status, err) == (0, "")
    assert out.startswith("usage: mllm data build [CONFIG.yaml]")
    assert "--hours" in out
    assert "--store" not in out
    assert "--store" in run(capsys, "encode", "--help")[1]


def test_what_is_not_installed_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("mllm.instruct_data", "pyarrow"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    status, out, err = run(capsys, "build", "--hours", "1", "--out", "x")
    assert (status, out) == (2, "")
    assert err == "mllm: mllm data build needs pyarrow, which is not installed: pip install 'mllm-music[data]'\n"
    assert run(capsys)[0] == 0


def test_encode_and_encode_again(
    model: Path, data: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "new" / "store"
    words = ("encode", data, "--store", store, "--model", model)
    status, out, err = run(capsys, *words)
    expected: dict[str, Any] = {"failed": 3, "seconds": "23.5", "size": size_of(store)}
    assert (status, out) == (1, SUMMARY.format(made=6, found=0, **expected))
    failures = err.splitlines()
    assert len(failures) == 3
    assert failures[0].startswith(f"mllm: {data} line 1: not JSON")
    assert failures[1].startswith(f"mllm: {data} line 5: {music / 'missing.wav'} does not exist")
    assert failures[2].startswith(f"mllm: {data} line 6: {music / 'silent.wav'} is silent")
    assert run(capsys, *words) == (1, SUMMARY.format(made=0, found=6, **expected), err)


def test_a_folder_or_a_recording(
    model: Path, music: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    status, out, err = run(capsys, "encode", music / "one.wav", "--store", store, "--model", model)
    assert (status, err) == (0, "")
    assert out == SUMMARY.format(made=1, found=0, failed=0, seconds="2.0", size=size_of(store))
    status, out, err = run(capsys, "encode", music, "--store", store, "--model", model)
    assert status == 1
    assert out == SUMMARY.format(made=4, found=1, failed=1, seconds="20.0", size=size_of(store))
    assert err.startswith(f"mllm: {music / 'silent.wav'} is silent")


def test_a_bounded_store(model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("encode", music, "--store", tmp_path / "store", "--model", model)
    run(capsys, *words)
    gib = size_of(tmp_path / "store") / 2**30
    status, _, err = run(capsys, "encode", music, "--store", tmp_path / "b", "--model", model, "--max-gib", 0.9 * gib)
    assert status == 1
    assert err.splitlines()[1].endswith("went to make room for others; give a larger --max-gib to keep all")
    assert size_of(tmp_path / "b") <= 0.9 * gib * 2**30


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("encod", "x.jsonl"),
            "'encod' is nothing that can be done with data (did you mean 'encode'?); expected one of",
        ),
        (("encode", "--store", "s"), "no data was given"),
        (("encode", "x.jsonl"), "--store is missing; give the directory"),
        (("encode", "missing.jsonl", "--store", "s"), "missing.jsonl does not exist; give a JSONL file"),
        (("encode", ".", "--store", "s"), "holds no audio file"),
        (("encode", "good.jsonl", "--store", "good.jsonl"), "good.jsonl is a file; give the directory of a store"),
        (("encode", "good.jsonl", "--store", "."), "holds something that is no store"),
        (("encode", "good.jsonl", "--store", "s", "--model", "nowhere"), "there is no model at 'nowhere'"),
        (("encode", "good.jsonl", "--store", "s", "--workers", "0"), "workers"),
        (("encode", "good.jsonl", "--store", "s", "--max-gib", "-1"), "max_gib"),
        (("encode", "good.jsonl", "--store", "s", "--shop", "3"), "--shop"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_arguments(
    words: tuple[str, ...],
    said: str,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.jsonl").write_text('{"messages": [{"role": "user", "content": "Hello"}]}\n')
    chosen = words if "--model" in words else (*words, "--model", str(model))
    status, out, err = run(capsys, *chosen)
    assert (status, out) == (2, "")
    assert said in err
    assert err.startswith("mllm: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "s").exists()


def test_an_altered_encoder_is_refused(
    model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    altered = tmp_path / "model"
    for path in model.rglob("*"):
        if path.is_file():
            target = altered / path.relative_to(model)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    (altered / "audio_encoder" / "notes.txt").write_text("other")
    status, out, err = run(capsys, "encode", music, "--store", tmp_path / "s", "--model", altered)
    assert (status, out) == (2, "")
    assert "is not the one that the checkpoint was trained with" in err


def test_a_damaged_shard_is_told(model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("encode", music / "one.wav", "--store", tmp_path / "s", "--model", model)
    run(capsys, *words)
    (shard,) = (tmp_path / "s").rglob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:-1])
    status, _, err = run(capsys, *words)
    assert status == 1
    assert err.startswith(f"mllm: {shard} is damaged")
    assert "delete it" in err
    shard.unlink()
    assert run(capsys, *words)[0] == 0


@pytest.mark.slow
def test_workers_make_the_same(model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = run(capsys, "encode", data, "--store", tmp_path / "alone", "--model", model)
    together = run(capsys, "encode", data, "--store", tmp_path / "together", "--model", model, "--workers", "2")
    assert together[:2] == alone[:2]
    assert sorted(together[2].splitlines()) == sorted(alone[2].splitlines())
    assert contents_of(tmp_path / "together") == contents_of(tmp_path / "alone")


def test_a_worker_that_dies_is_told(
    model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pool:
        def __init__(self, *given: Any, **settings: Any) -> None:
            pass

        def submit(self, *given: Any) -> Any:
            raise BrokenExecutor

        def shutdown(self, **settings: Any) -> None:
            pass

    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", Pool)
    words = ("encode", music / "one.wav", "--store", tmp_path / "s", "--model", model, "--workers", "2")
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert "one of 2 worker processes died" in err
