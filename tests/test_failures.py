"""A training that runs out of memory or disk says so in a sentence; any other error stays what it is."""

from __future__ import annotations

import contextlib
import mmap
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import safetensors.torch
import torch
from datasets.arrow_writer import ArrowWriter

from mllm.errors import CheckpointError, ConfigError, TrainingError
from mllm.strict_io import write_json, write_tensors
from mllm.train import failures
from mllm.train.fitting import Need
from mllm.train.memory import Sizes
from mllm.train.run_config import RunConfig, read

TOO_MANY_BYTES = 2**46
"""64 TiB, more than a process can be given addresses for together with what it has."""


def config(*words: str) -> RunConfig:
    return read(None, ["out=made", "data.train=songs.jsonl", *words])


ONE_BILLION = Sizes(
    linear=10**9,
    linear_bytes=2 * 10**9,
    frozen_bytes=10**8,
    trained=10**6,
    item_bytes=2,
    width=2048,
    inner=8192,
    layers=16,
    vocabulary=32000,
)


def sentence(fail: Callable[[], object], *words: str, need: Need | None = None) -> str:
    def train() -> None:
        with failures.told(config(*words)) as situation:
            situation.need = None if need is None else lambda: need
            fail()

    with pytest.raises(TrainingError) as error:
        train()
    return str(error.value)


def map_too_much() -> None:
    mmap.mmap(-1, 2 * TOO_MANY_BYTES)


@pytest.mark.parametrize(
    "allocate",
    [
        lambda: torch.empty(2**60, dtype=torch.uint8),
        lambda: torch.zeros(2**59, 2),
        lambda: bytearray(2**60),
        lambda: np.empty(2**60, np.uint8),
        map_too_much,
    ],
    ids=["torch", "torch-zeros", "python", "numpy", "mmap"],
)
def test_an_allocation_that_is_too_large(allocate: Callable[[], object]) -> None:
    told = sentence(allocate, "train.rows_at_once=4", need=Need(sizes=ONE_BILLION, row_tokens=1024, longest=100))
    assert re.search(
        r"has not enough memory for this training: it takes about \d+\.\d\d GiB by calculation, and "
        r"\d+\.\d\d are there; with train\.rows_at_once=\d it takes \d+\.\d\d; "
        "start the same command with these settings: a run that was begun goes on$",
        told,
    )


def test_what_changes_what_is_learnt_needs_a_run_of_its_own() -> None:
    need = Need(sizes=ONE_BILLION, row_tokens=200, longest=100)
    told = sentence(lambda: bytearray(2**60), "train.gradient_checkpointing=true", need=need)
    assert "with model.quantisation=int8 it takes" in told
    assert told.endswith("that changes what is learnt, so a run that was begun needs another out and work")


def test_where_no_setting_is_enough() -> None:
    need = Need(sizes=ONE_BILLION, row_tokens=100, longest=100)
    told = sentence(lambda: bytearray(2**60), "train.gradient_checkpointing=true", "model.quantisation=nf4", need=need)
    assert "no setting takes less: take a smaller backbone, more memory" in told


def test_memory_that_is_short_before_the_training_is_told_too() -> None:
    assert "has not enough memory to prepare this training" in sentence(lambda: bytearray(2**60))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small disk on which nothing has room any more."""
    place = tmp_path_factory.mktemp("full")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a file system")
    try:
        with contextlib.suppress(OSError), (place / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(b"\0" * 4096)
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def write_arrow(path: Path) -> None:
    features = datasets.Features({"ids": datasets.List(datasets.Value("int32"))})
    with ArrowWriter(path=str(path), features=features) as writer:
        for _ in range(100):
            writer.write({"ids": list(range(1000))})
        writer.finalize()


TENSORS = {"weight": torch.zeros(100_000)}
WRITERS: dict[str, Callable[[Path], Any]] = {
    "text": lambda path: path.write_text("a" * 100_000),
    "json": lambda path: write_json({"text": "a" * 100_000}, path),
    "tensors": lambda path: write_tensors(TENSORS, path),
    "safetensors": lambda path: safetensors.torch.save_file(TENSORS, path),
    "torch": lambda path: torch.save(TENSORS, path),
    "torch-legacy": lambda path: torch.save(TENSORS, path, _use_new_zipfile_serialization=False),
    "arrow": write_arrow,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk(writer: str, full: Path) -> None:
    told = sentence(lambda: WRITERS[writer](full / writer))
    assert told.startswith("the disk of made.training or of made is full; make room, and start the same command again")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("writer", ["text", "torch-legacy"])
def test_a_device_without_room(writer: str) -> None:
    assert "is full; make room" in sentence(lambda: WRITERS[writer](Path("/dev/full")))


def read_damaged(path: Path) -> None:
    torch.save(TENSORS, path)
    path.write_bytes(path.read_bytes()[:1000])
    torch.load(path, weights_only=True)


def raising(error: Exception) -> Callable[[Path], object]:
    def fail(path: Path) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    "fail",
    [
        raising(ConfigError("out is missing")),
        raising(CheckpointError("it is not there")),
        raising(KeyboardInterrupt()),  # type: ignore[arg-type]
        lambda path: (path / "absent").read_text(),
        lambda path: torch.zeros(2) + torch.zeros(3),
        lambda path: read_damaged(path / "state.pt"),
        lambda path: safetensors.torch.load_file(__file__),
        lambda path: TENSORS["absent"],
    ],
)
def test_other_errors_pass_as_they_are(fail: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(BaseException) as plain:  # noqa: PT011 (whichever it is)
        fail(tmp_path)
    with pytest.raises(BaseException) as told, failures.told(config()):  # noqa: PT011
        fail(tmp_path)
    assert type(told.value) is type(plain.value)
    assert str(told.value) == str(plain.value)
    assert not isinstance(told.value, TrainingError)


def test_nothing_is_said_where_nothing_fails() -> None:
    with failures.told(config()):
        pass
