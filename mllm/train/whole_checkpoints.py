"""Checkpoints of a training that are known to be whole: a run that is killed while it writes one goes on from another.

In: directories `checkpoint-N` of the Trainer. Out: the last one in which every file is as it was written. A checkpoint
gets its mark after all of its files were written by all processes; the mark lists them. Knows nothing of their content.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from mllm.strict_io import write_json
from mllm.train import launch

MARK = "complete.json"
_NAME = re.compile(r"checkpoint-(\d+)")


class MarkWhole(TrainerCallback):
    """Gives each checkpoint its mark, once all processes have written their part.

    Args:
        wait: returns when every process has called it.
    """

    def __init__(self, wait: Any) -> None:
        self._wait = wait

    def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:  # noqa: ARG002 (the Trainer's form)
        """Called by the Trainer behind each checkpoint."""
        self._wait()
        if launch.is_first():
            mark(Path(args.output_dir) / f"checkpoint-{state.global_step}")


def mark(directory: Path) -> None:
    """Say that a checkpoint is whole."""
    write_json({"files": _files(directory)}, directory / MARK)


def last_whole(work: Path) -> Path | None:
    """The checkpoint of the most steps that is whole; None if there is none."""
    return next((path for path in sorted(_checkpoints(work), key=_steps, reverse=True) if is_whole(path)), None)


def is_whole(directory: Path) -> bool:
    """Whether a checkpoint holds every file that its mark lists, in its size, and no other."""
    try:
        listed = json.loads((directory / MARK).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(listed == _files(directory))


def clear_behind(work: Path, kept: Path | None) -> None:
    """Remove what was left half-written: every checkpoint of more steps than `kept`."""
    steps = -1 if kept is None else _steps(kept)
    for path in _checkpoints(work):
        if _steps(path) > steps:
            shutil.rmtree(path)


def _checkpoints(work: Path) -> list[Path]:
    return [path for path in work.glob("checkpoint-*") if _NAME.fullmatch(path.name) and path.is_dir()]


def _steps(directory: Path) -> int:
    match = _NAME.fullmatch(directory.name)
    assert match is not None
    return int(match[1])


def _files(directory: Path) -> dict[str, int]:
    return {
        path.relative_to(directory).as_posix(): path.stat().st_size
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != MARK
    }
