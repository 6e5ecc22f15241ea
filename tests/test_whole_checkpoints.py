"""Which checkpoint of an interrupted training is whole: each damage that a killed process leaves is found."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from mllm.train.whole_checkpoints import MARK, MarkWhole, clear_behind, is_whole, last_whole, mark


def make(work: Path, steps: int, *, marked: bool = True) -> Path:
    directory = work / f"checkpoint-{steps}"
    (directory / "global_step").mkdir(parents=True)
    (directory / "adapter_model.safetensors").write_bytes(b"weights")
    (directory / "empty").write_bytes(b"")
    (directory / "global_step" / "state.pt").write_bytes(b"optimiser")
    if marked:
        mark(directory)
    return directory


def test_a_marked_checkpoint_is_whole_wherever_it_lies(tmp_path: Path) -> None:
    directory = make(tmp_path, 3)
    assert is_whole(directory)
    mark(directory)
    assert is_whole(directory)
    assert is_whole(directory.rename(tmp_path / "elsewhere"))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no mark": lambda directory: (directory / MARK).unlink(),
    "half a mark": lambda directory: (directory / MARK).write_text((directory / MARK).read_text()[:20]),
    "a mark that is none": lambda directory: (directory / MARK).write_text("[]"),
    "a mark of another kind": lambda directory: (directory / MARK).write_text("{}"),
    "a mark that is no text": lambda directory: (directory / MARK).write_bytes(b"\xff"),
    "truncated": lambda directory: (directory / "adapter_model.safetensors").write_bytes(b"weight"),
    "truncated within": lambda directory: (directory / "global_step" / "state.pt").write_bytes(b""),
    "missing": lambda directory: (directory / "adapter_model.safetensors").unlink(),
    "an empty file is missing": lambda directory: (directory / "empty").unlink(),
    "missing within": lambda directory: (directory / "global_step" / "state.pt").unlink(),
    "extra": lambda directory: (directory / "scheduler.pt").write_bytes(b"new"),
    "extra within": lambda directory: (directory / "global_step" / "new.pt").write_bytes(b""),
    "renamed": lambda directory: (directory / "empty").rename(directory / "other"),
    "gone": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over(damage: str, tmp_path: Path) -> None:
    good, damaged = make(tmp_path, 9), make(tmp_path, 10)
    assert last_whole(tmp_path) == damaged
    DAMAGES[damage](damaged)
    assert not is_whole(damaged)
    assert last_whole(tmp_path) == good


def test_the_last_one_is_that_of_the_most_steps(tmp_path: Path) -> None:
    assert last_whole(tmp_path / "absent") is None
    assert last_whole(tmp_path) is None
    for steps in (100, 9, 10, 2):
        make(tmp_path, steps)
    make(tmp_path, 1000, marked=False)
    for other in ("checkpoint-", "checkpoint-200a", "checkpoint-best", "old-checkpoint-300"):
        shutil.copytree(tmp_path / "checkpoint-9", tmp_path / other)
    (tmp_path / "checkpoint-400").write_bytes(b"no directory")
    assert last_whole(tmp_path) == tmp_path / "checkpoint-100"


def test_what_was_left_half_written_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for steps in (9, 10):
        make(tmp_path, steps)
    for steps in (2, 11, 100):
        make(tmp_path, steps, marked=False)
    (tmp_path / "checkpoint-best").mkdir()
    (tmp_path / "checkpoint-400").write_bytes(b"no directory")
    clear_behind(tmp_path, last_whole(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-10",
        "checkpoint-2",
        "checkpoint-400",
        "checkpoint-9",
        "checkpoint-best",
    ]
    clear_behind(tmp_path, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-400", "checkpoint-best"]
    clear_behind(tmp_path / "absent", None)


@pytest.mark.parametrize("rank", ["0", "1"])
def test_the_first_process_marks_once_all_have_written(
    rank: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", rank)
    directory = make(tmp_path, 4, marked=False)

    def wait() -> None:
        assert not (directory / MARK).exists()
        (directory / "rng_state_1.pth").write_bytes(b"of the other process")

    MarkWhole(wait).on_save(SimpleNamespace(output_dir=str(tmp_path)), SimpleNamespace(global_step=4), None)
    assert (directory / "rng_state_1.pth").exists()
    assert is_whole(directory) == (rank == "0")
