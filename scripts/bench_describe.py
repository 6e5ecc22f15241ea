"""Measures what a user waits for: `mllm describe` from process start, and the second question of a conversation.

    python scripts/bench_describe.py [--audio song.mp3] [--runs 5]

Prints one JSON object: medians in seconds, peak memory in MB, and the second question as a share of the first.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soundfile
from jsonargparse import auto_cli

from mllm import audio
from mllm.listener import Listener

DEMO = Path(__file__).parents[1] / "mllm" / "data" / "demo.mp3"
SECONDS = 30.0


def thirty_seconds(source: Path, directory: Path) -> Path:
    """An mp3 of exactly 30 s, made by repeating or cutting `source`."""
    clip = audio.load(source, sample_rate_hz=44100)
    wanted = int(SECONDS * clip.sample_rate_hz)
    samples = list(clip.samples) * (wanted // len(clip.samples) + 1)
    path = directory / "thirty.mp3"
    soundfile.write(path, samples[:wanted], clip.sample_rate_hz)
    return path


def run(audio: Path = DEMO, runs: int = 5) -> int:
    """Measures and prints.

    Args:
        audio: what is described.
        runs: repetitions of each measurement.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = thirty_seconds(audio, Path(folder))
        command = [sys.executable, "-m", "mllm", "describe", str(path), "--json"]
        seconds = []
        for _ in range(runs):
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 (our own command)
            seconds.append(time.perf_counter() - start)
        peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        listener = Listener.load(None)
        firsts, seconds_questions = [], []
        for index in range(runs):
            question = path.with_name(f"{index}.mp3")
            question.write_bytes(path.read_bytes() + b"\0" * (index + 1))  # another file for the cache, the same sound
            start = time.perf_counter()
            listener.ask([question], "What is the tempo?")
            firsts.append(time.perf_counter() - start)
            start = time.perf_counter()
            listener.ask([question], "What is the key?")
            seconds_questions.append(time.perf_counter() - start)
    first, second = statistics.median(firsts), statistics.median(seconds_questions)
    figures = {
        "describe_seconds": round(statistics.median(seconds), 2),
        "describe_peak_mb": round(peak_mb),
        "first_question_seconds": round(first, 3),
        "second_question_seconds": round(second, 3),
        "second_over_first": round(second / first, 3),
        "runs": runs,
        "cores": os.cpu_count(),
    }
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(auto_cli(run, as_positional=False))
