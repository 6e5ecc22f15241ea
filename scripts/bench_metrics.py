"""Measures how long `mllm eval metrics` takes for many captions.

    python scripts/bench_metrics.py [--count 10000] [--processes 2]

Predictions and references are made up from a fixed seed: sentences of words of music and of made-up rare ones, 30 to 60
words a caption, half of the words of a prediction from its reference. Prints one JSON object: seconds from the start of
the process that scores to its end (imports, reading, every figure but BERTScore, 1000 resamples) and the figures.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jsonargparse import auto_cli

from mllm.errors import MllmError

SYLLABLES = ("ba", "con", "der", "el", "fi", "gra", "hu", "in", "jo", "ka", "lo", "mer", "no", "ol", "pri", "qua", "ru")
ENDINGS = ("", "s", "ing", "ed", "ly", "ness", "er", "tion")
COMMON = (
    *(
        "the",
        "a",
        "of",
        "and",
        "with",
        "is",
        "in",
        "this",
        "song",
        "track",
        "music",
        "features",
        "piano",
        "guitar",
        "drums",
    ),
    *(
        "bass",
        "slow",
        "fast",
        "tempo",
        "melody",
        "vocals",
        "male",
        "female",
        "singing",
        "strings",
        "synth",
        "beat",
        "jazz",
    ),
    *(
        "playing",
        "soft",
        "loud",
        "mood",
        "calm",
        "energetic",
        "sad",
        "happy",
        "acoustic",
        "electric",
        "recording",
        "rock",
    ),
    *("sounds", "like", "background", "rhythm", "chords", "percussion", "pop", "folk", "electronic", "low", "quality"),
)
"""English words of captions; seven words of ten are these, the others are made of syllables."""


def write(path: Path, count: int) -> None:
    """Lines of predictions and references.

    Args:
        path: of the file.
        count: number of lines.
    """
    rng = random.Random(7)
    rare = ["".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) + rng.choice(ENDINGS) for _ in range(6000)]
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            right = _caption(rng, rare, [])
            said = _caption(rng, rare, right.split())
            file.write(json.dumps({"id": str(number), "prediction": said, "references": [right]}) + "\n")


def _caption(rng: random.Random, rare: list[str], known: list[str]) -> str:
    """Sentences of 8 to 15 words; half of the words are those of `known` at the same place, where there are such."""
    words: list[str] = []
    for place in range(rng.randint(30, 60)):
        if place < len(known) and rng.random() < 0.5:
            words.append(known[place].rstrip(".").lower())
        else:
            words.append(rng.choice(COMMON) if rng.random() < 0.7 else rng.choice(rare))
    sentences = []
    while words:
        length = rng.randint(8, 15)
        sentences.append(" ".join(words[:length]).capitalize() + ".")
        words = words[length:]
    return " ".join(sentences)


def run(count: int = 10_000, processes: int = 2) -> int:
    """Measures and prints.

    Args:
        count: number of captions.
        processes: that score at once.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.jsonl"
        write(path, count)
        command = [sys.executable, "-m", "mllm", "eval", "metrics", "--predictions", str(path), "--json"]
        began = time.perf_counter()
        done = subprocess.run(  # noqa: S603 -- ourselves
            [*command, "--processes", str(processes)], capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - began
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return 1
    report = json.loads(done.stdout)
    figures = {name: value for name, value in report.items() if isinstance(value, float)}
    print(json.dumps({"count": count, "processes": processes, "seconds": round(seconds, 1), "figures": figures}))
    return 0


def main() -> int:
    """Run with the arguments of the command line."""
    try:
        return int(auto_cli(run) or 0)
    except MllmError as error:
        print(f"bench_metrics: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
