"""Recordings that tasks make of rendered ones: kept where they are made, joined end to end, with exact facts.

In: tracks of rendered pieces. Out: samples, files that are whole whenever they are there, and the tracks of what was
joined. Knows no questions.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from mllm.facts import INSTRUMENTS
from mllm.instruct_data import coding
from mllm.instruct_data.synth import SAMPLE_RATE_HZ
from mllm.instruct_data.tracks import Span, Track

Samples = NDArray[np.float32]


def samples_of(track: Track) -> Samples:
    """The samples of a rendered piece, mono at `SAMPLE_RATE_HZ`."""
    samples, rate_hz = soundfile.read(track.path, dtype="float32")
    assert (rate_hz, samples.ndim) == (SAMPLE_RATE_HZ, 1), f"{track.path} is not as rendering makes it"
    return np.asarray(samples, dtype=np.float32)


def keep(path: Path, make: Callable[[], Samples], *, rate_hz: int = SAMPLE_RATE_HZ) -> Path:
    """A FLAC file of samples, made where it is absent; written beside its name first, so that what is there is whole.

    Returns:
        `path`.
    """
    if not path.is_file():
        beside = path.with_name(f"{path.name}.{os.getpid()}.half")
        beside.write_bytes(coding.encode(make(), rate_hz, "flac"))
        beside.replace(path)
    return path


def join(parts: Sequence[Track], path: Path, *, identity: str) -> tuple[Track, tuple[float, ...]]:
    """Pieces end to end as one recording, made where it is absent.

    Args:
        parts: rendered pieces, in order.
        path: of the recording.
        identity: its id.

    Returns:
        its track, with what follows from the parts; and when each part begins, in seconds.
    """
    lengths = [round((part.seconds or 0.0) * SAMPLE_RATE_HZ) for part in parts]
    begins = tuple(float(begin) / SAMPLE_RATE_HZ for begin in np.cumsum([0, *lengths[:-1]]))
    keep(path, lambda: np.concatenate([_fitted(part, count) for part, count in zip(parts, lengths, strict=True)]))
    placed = list(zip(begins, parts, strict=True))
    activity = _activity(placed)
    track = dataclasses.replace(
        parts[0],
        id=identity,
        path=str(path),
        family=identity,
        title=None,
        seconds=sum(lengths) / SAMPLE_RATE_HZ,
        tempo_bpm=None,
        tempo_curve=tuple((at + begin, bpm) for begin, part in placed for at, bpm in part.tempo_curve or ()),
        beats=None,
        downbeats=None,
        meter=None,
        key=None,
        keys=tuple((at + begin, key) for begin, part in placed for at, key in part.keys or ()),
        chords=None,
        activity=activity,
        instruments=tuple(activity),
        absent=tuple(name for name in INSTRUMENTS if name not in activity),
        sections=None,
        registers=None,
        density=None,
        dynamics=None,
        drum_pattern=None,
        style=None,
        moods=None,
        vocals="choir" in activity,
    )
    return track, begins


def _fitted(part: Track, count: int) -> Samples:
    """The samples of a piece, as many as its track says."""
    samples = samples_of(part)[:count]
    return np.pad(samples, (0, count - len(samples)))


def _activity(placed: Sequence[tuple[float, Track]]) -> dict[str, tuple[Span, ...]]:
    """When each instrument sounds in what was joined."""
    found: dict[str, list[Span]] = {}
    for begin, part in placed:
        for name, spans in (part.activity or {}).items():
            found.setdefault(name, []).extend((at + begin, to + begin) for at, to in spans)
    return {name: tuple(found[name]) for name in INSTRUMENTS if name in found}
