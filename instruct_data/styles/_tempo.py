"""Tempo of a piece: steady, stepping at a section, or moving, and fitted to a wished length.

In: sections, a tempo, a random generator. Out: tempos in the order of time. Knows nothing of notes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from mllm.instruct_data.composition import TempoFrom
from mllm.instruct_data.patterns import beat_quarters
from mllm.instruct_data.styles._chance import happens, one_of

SLOWEST_BPM, FASTEST_BPM = 40.0, 230.0


class Part(Protocol):
    """What is asked of a section."""

    @property
    def onset(self) -> float:
        """Where it begins, in quarter notes."""
        ...

    @property
    def end(self) -> float:
        """Where it ends."""
        ...

    @property
    def quarters(self) -> float:
        """Length of a bar."""
        ...

    @property
    def bars(self) -> int:
        """Number of bars."""
        ...


def tempos(rng: np.random.Generator, share: float, bpm: float, parts: Sequence[Part]) -> tuple[TempoFrom, ...]:
    """The tempos of a piece; in `share` of the pieces there is a change."""
    first = TempoFrom(onset=0.0, bpm=bpm)
    if not happens(rng, share):
        return (first,)
    manner = one_of(rng, ("step", "ritardando", "accelerando", "interlude") if len(parts) > 2 else ("ritardando",))
    last = parts[-1]
    if manner == "ritardando":
        begin = last.end - min(4 if last.bars > 4 else 2, last.bars) * last.quarters
        slow = bpm * rng.uniform(0.6, 0.8)
        return (first, TempoFrom(onset=begin, bpm=bpm), TempoFrom(onset=last.end, bpm=slow, gradual=True))
    place = int(rng.integers(1, len(parts) - 1))
    ratio = float(rng.uniform(1.12, 1.35))
    if manner == "accelerando":
        fast = TempoFrom(onset=parts[place].end, bpm=bpm * ratio, gradual=True)
        return (first, TempoFrom(onset=parts[place].onset, bpm=bpm), fast)
    changed = TempoFrom(onset=parts[place].onset, bpm=bpm * ratio if happens(rng, 0.5) else bpm / ratio)
    if manner == "interlude":
        return (first, changed, TempoFrom(onset=parts[place].end, bpm=bpm))
    return (first, changed)


def seconds_of(tempos: Sequence[TempoFrom], end: float, meter: str) -> float:
    """How long the music up to `end` quarter notes lasts."""
    beat = beat_quarters(meter)
    total = 0.0
    for place, tempo in enumerate(tempos):
        following = tempos[place + 1] if place + 1 < len(tempos) else None
        until = following.onset if following else end
        beats = (until - tempo.onset) / beat
        if following is not None and following.gradual and abs(following.bpm - tempo.bpm) > 1e-6:
            total += 60 * beats * math.log(following.bpm / tempo.bpm) / (following.bpm - tempo.bpm)
        else:
            total += 60 * beats / tempo.bpm
    return total


def fitted(
    tempos: Sequence[TempoFrom], end: float, meter: str, seconds: float, largest_miss: float
) -> tuple[TempoFrom, ...]:
    """All tempos by one ratio faster or slower, so that the length is off by `largest_miss` of `seconds` at most."""
    actual = seconds_of(tempos, end, meter)
    ratio = actual / min(max(actual, seconds * (1 - largest_miss)), seconds * (1 + largest_miss))
    bounded = (min(max(tempo.bpm * ratio, SLOWEST_BPM), FASTEST_BPM) for tempo in tempos)
    return tuple(dataclasses.replace(tempo, bpm=round(bpm, 2)) for tempo, bpm in zip(tempos, bounded, strict=True))
