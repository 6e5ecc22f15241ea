"""Small folders of one's own, sound fonts and builds of them, for tests of `mllm data build`."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pretty_midi
import soundfile

from mllm.instruct_data import build, build_config
from mllm.instruct_data.build import Finished

ROOT = Path(__file__).parents[1]
RATE_HZ = 8000
KEYS = ("C major", "A minor", "D minor", "G major")
INSTRUMENTS = ("piano", "acoustic guitar; drums", "flute; bass", "piano; strings")


def write_tone(path: Path, hertz: float, *, seconds: float = 1.2) -> Path:
    """A recording."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hertz * times), RATE_HZ)
    return path


def write_rows(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A table of recordings; the folder is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def write_music(folder: Path, *, count: int, first: int = 0) -> Path:
    """A folder of recordings with facts and captions; the folder is returned."""
    rows = []
    for number in range(first, first + count):
        write_tone(folder / f"song {number}.wav", 100 + number)
        rows.append(
            {
                "file_name": f"song {number}.wav",
                "caption": f"Recording number {number}.",
                "tempo": 60 + number % 100,
                "key": KEYS[number % len(KEYS)],
                "instruments": INSTRUMENTS[number % len(INSTRUMENTS)],
            }
        )
    return write_rows(folder, rows)


def own(folder: Path, **more: Any) -> dict[str, Any]:
    """A folder as a source."""
    return {"name": "folder", "path": str(folder), "licence": "CC0-1.0", **more}


def write_fonts(folder: Path) -> list[str]:
    """Two sound fonts of different names."""
    shipped = next(Path(pretty_midi.__file__).parent.glob("*.sf2"))
    folder.mkdir(parents=True, exist_ok=True)
    return [str(shutil.copyfile(shipped, folder / name)) for name in ("heard.sf2", "kept.sf2")]


def render(fonts: Sequence[str], **more: Any) -> dict[str, Any]:
    """The section of rendered pieces, short and plain."""
    settings = {"pieces": 4, "seconds": [5, 8], "fonts": fonts[:1], "held_out_fonts": fonts[1:], "effects": False}
    return settings | {"scores": {"music21": False}} | more


def make(out: Path, settings: Mapping[str, Any], *, told: list[str] | None = None) -> Finished:
    """Build in this process."""
    config = build_config.read(None, given={"workers": 1, **settings, "out": str(out)})
    said: list[str] = [] if told is None else told
    return build.build(config, said.append, lambda sentence: None)


def contents(folder: Path) -> dict[str, str]:
    """The hash of every file below a folder, by path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def command(*words: object) -> list[str]:
    """`mllm data build` as a process of its own."""
    return [sys.executable, "-m", "mllm", "data", "build", *map(str, words)]


def environment() -> dict[str, str]:
    """Of such a process, in which this source is imported."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
