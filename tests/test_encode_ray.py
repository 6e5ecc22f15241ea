"""`mllm data encode --ray`: on a Ray that is started here, and where there is none."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import threading
from pathlib import Path

import psutil
import pytest
from transformers import PreTrainedTokenizerFast

from mllm import cli
from mllm.errors import EncodingError
from mllm.messages import Audio
from mllm.train import encode, encode_ray, recordings
from mllm.train.recordings import Mention
from tests.tiny_checkpoint import write_checkpoint, write_music

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
# Ray leaves sockets and the pipes of its processes to the garbage collector, and announces changes of its defaults and
# of the option that keeps a dead worker from being started again (pyproject.toml).
rays_own_warnings = pytest.mark.filterwarnings(
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::FutureWarning:ray",
    "ignore::DeprecationWarning:ray",
    "ignore:`ray_remote_args` is deprecated",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"), reference_tokenizer)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_music(tmp_path_factory.mktemp("music"))


def contents_of(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (store / "shards").rglob("*.safetensors")}


@needs_ray
@rays_own_warnings
@pytest.mark.slow
def test_ray_makes_the_same(model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for name, words in (("alone", []), ("ray", ["--ray", "local"])):
        given = ["encode", str(music), "--store", str(tmp_path / name), "--model", str(model), *words]
        status = cli.main(["data", *given])
        captured = capsys.readouterr()
        told = [line for line in captured.err.splitlines() if line.startswith("mllm: ")]
        printed.append((status, captured.out, told))
    alone, cluster = printed
    assert alone[0] == 1
    assert "silent.wav is silent" in alone[2][0]
    assert cluster == alone
    assert len(contents_of(tmp_path / "ray")) > 1
    assert contents_of(tmp_path / "ray") == contents_of(tmp_path / "alone")


@needs_ray
@rays_own_warnings
@pytest.mark.slow
def test_a_worker_that_is_killed_is_told(model: Path, music: Path, tmp_path: Path) -> None:
    killed: list[int] = []
    over = threading.Event()

    def kill_the_first_worker() -> None:
        while not killed and not over.wait(0.01):
            for process in psutil.Process().children(recursive=True):
                try:
                    command = " ".join(process.cmdline())
                except psutil.Error:
                    continue
                if "MapWorker" in command:
                    os.kill(process.pid, signal.SIGKILL)
                    killed.append(process.pid)
                    return

    killer = threading.Thread(target=kill_the_first_worker)
    killer.start()
    config = encode.EncodeConfig(model=str(model), store=tmp_path / "store")
    try:
        with pytest.raises(EncodingError, match=r"one of up to 1 Ray workers died.*run this again"):
            encode.encode(recordings.mentions([music]), config, encode_ray.on_ray("local"), lambda outcome: None)
    finally:
        over.set()
        killer.join()
    assert killed


@needs_ray
@rays_own_warnings
def test_no_cluster_at_the_address(
    model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    words = ["encode", str(music), "--store", str(tmp_path / "s"), "--model", str(model), "--ray", "auto"]
    assert cli.main(["data", *words]) == 2
    assert "there is no Ray cluster at 'auto'; give host:port" in capsys.readouterr().err


def test_ray_that_is_not_installed_is_told(
    model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ray", "ray.data"):
        monkeypatch.setitem(sys.modules, name, None)
    words = ["encode", str(music), "--store", str(tmp_path / "s"), "--model", str(model), "--ray", "local"]
    assert cli.main(["data", *words]) == 2
    said = "mllm: --ray needs Ray Data, which is not installed: pip install 'mllm-music[ray]', or leave --ray out\n"
    assert capsys.readouterr() == ("", said)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("source", [Path("/music/ä b.wav"), b"RIFF\x00\xff"], ids=["path", "bytes"])
def test_tasks_travel_unchanged(source: Path | bytes) -> None:
    mention = Mention(audio=Audio(source=source, start=1.5, end=None), place="data.jsonl line 3")
    task = encode.Task(mention=mention, content="c" * 64)
    assert encode_ray._read(encode_ray._written(task)) == task
