"""Music for tests of tasks that is not rendered: tracks that are given, whose recordings need not be there.

In: tracks, or files of benchmarks. Out: an `mllm.eval.music.Music`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import soundfile

from mllm.eval.music import Music
from mllm.instruct_data.tracks import Track
from tests import random_tracks


@dataclasses.dataclass(frozen=True, kw_only=True)
class KnownMusic(Music):
    """Music whose short pieces are these."""

    tracks: tuple[Track, ...] = ()

    def short(self) -> list[Track]:
        """The given tracks."""
        return list(self.tracks)


def of(count: int, *, seed: int = 0, size: float = 1.0) -> KnownMusic:
    """Pieces with random facts; `seed` is that of the run, the pieces are the same."""
    tracks = tuple(random_tracks.tracks(count, split="test"))
    return KnownMusic(folder=Path("nowhere"), tracks=tracks, seed=seed, size=size, tell=lambda _: None)


def with_files(key: str, folder: Path, *, seed: int = 0, told: list[str] | None = None) -> Music:
    """No rendered music, and files under a key."""
    return Music(
        folder=folder / "music",
        places={key: folder},
        seed=seed,
        tell=lambda text: None if told is None else told.append(text),
    )


def write_tone(path: Path) -> None:
    """A short recording, a wav whatever its name ends with."""
    with path.open("wb") as file:
        soundfile.write(file, 0.3 * np.sin(np.arange(4800) / 10), 24_000, format="WAV")
