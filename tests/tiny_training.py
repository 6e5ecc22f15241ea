"""Settings and data of trainings that take seconds, for tests of `mllm train`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mllm.train import held_out
from mllm.train.conversations import Conversation
from mllm.train.run_config import DataSection, RunConfig, read
from tests.tiny_checkpoint import user

ROOT = Path(__file__).parents[1]
ANSWERS = ("It is in D minor.", "The piano and the flute.", "No, there is no guitar.", "At 120 beats a minute, in 3/4.")


def audio(path: Path, **bounds: float) -> dict[str, Any]:
    """A part of a message that names a recording."""
    return {"type": "audio", "path": str(path), **bounds}


def conversations(music: Path, *, count: int = 10) -> list[list[dict[str, Any]]]:
    """About stretches of different lengths, about two recordings, and about none."""
    made = []
    for number in range(count):
        stretch = audio(music / "long.wav", start=number * 1.0, end=number * 1.0 + 1.5 + 0.7 * (number % 4))
        asked: list[Any] = [stretch, "What do you hear?"]
        if number % 5 == 3:
            asked = [audio(music / "one.wav"), audio(music / "two.wav"), "Which is higher?"]
        if number % 5 == 4:
            asked = ["What is the key of this piece?"]
        made.append([*user(*asked), {"role": "assistant", "content": ANSWERS[number % len(ANSWERS)]}])
    return made


def write_lines(path: Path, conversations: Sequence[object]) -> Path:
    """A JSONL file of conversations."""
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in conversations), encoding="utf-8")
    return path


def spoil_share(music: Path, folder: Path, *, share: float) -> Path:
    """Conversations about forty recordings, of which those that are held out as a share cannot be heard."""
    files = [music / f"copy {number}.wav" for number in range(40)]
    for file in files:
        file.hardlink_to(music / "one.wav")
    answer = {"role": "assistant", "content": ANSWERS[0]}
    data = write_lines(folder / "songs.jsonl", [[*user(audio(file), "What key?"), answer] for file in files])
    _, kept = held_out.divide(DataSection(train=(str(data),), validation_share=share))
    assert kept
    for one in kept:
        assert isinstance(one, Conversation)
        for recording in one.recordings:
            file = Path(str(recording.source))
            file.unlink()
            file.write_text("no sound")
    return data


def settings(model: Path, data: Path, out: Path, *words: str) -> RunConfig:
    """Of a run of eight steps of two rows, which logs each step and keeps a checkpoint every second one."""
    return read(None, [*command_words(model, data, out), *words])


def command_words(model: Path, data: Path, out: Path) -> list[str]:
    """The same as words of a command."""
    return [
        f"model.start={model}",
        f"data.train={data}",
        f"out={out}",
        "data.max_tokens=120",
        "data.validation_share=0",
        "train.steps=8",
        "train.rows_per_step=2",
        "train.log_every=1",
        "train.save_every=2",
        "train.learning_rate=1e-2",
    ]


def environment() -> dict[str, str]:
    """Of a process of its own, in which this source is imported."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}


def train(*words: str, processes: int = 1, seconds: float = 240.0) -> subprocess.CompletedProcess[str]:
    """`mllm train` in processes of its own."""
    command = [sys.executable, "-m", "mllm", "train", *words]
    if processes > 1:
        command[1:2] = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes), "-m"]
    return subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=seconds, check=False)


def losses(out: Path) -> dict[int, float]:
    """Of each step that the last checkpoint of a run knows of."""
    states = sorted(Path(f"{out}.training").glob("checkpoint-*/trainer_state.json"), key=_steps)
    history = json.loads(states[-1].read_text(encoding="utf-8"))["log_history"]
    return {entry["step"]: entry["loss"] for entry in history if "loss" in entry}


def _steps(state: Path) -> int:
    return int(state.parent.name.removeprefix("checkpoint-"))
