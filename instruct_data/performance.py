"""A layer in quarter notes becomes a part in seconds, as a player would play it, and what sounds when is worked out.

In: layers, tempo, swing, looseness. Out: parts in seconds and the intervals in which each instrument sounds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mllm import facts
from mllm.instruct_data import instruments
from mllm.instruct_data.layers import Layer
from mllm.instruct_data.synth import Part

LEAST_SOUND_SECONDS = 1.5
"""An instrument that sounds for less than this in a clip is left out of it."""
LEAST_DRUM_HITS = 6
QUIETEST_PART_DB = -12.0
MOST_JITTER_SECONDS = 0.015
_JOIN_SECONDS = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timing:
    """How the timeline of a clip relates to quarter notes."""

    quarter_seconds: float
    lead_seconds: float
    """What is cut away before the clip starts; negative where the music starts later."""
    seconds: float
    """Length of the clip."""
    swing: float = 0.5
    """Where in a quarter its second eighth starts, in [0.5, 0.7]."""
    jitter_seconds: float = 0.0
    """Standard deviation of onsets, at most `MOST_JITTER_SECONDS` each."""


def perform(layers: Sequence[Layer], timing: Timing, rng: np.random.Generator) -> tuple[Part, ...]:
    """Parts for `layers`, the loudest at 0 dB, without those that hardly sound within the clip."""
    parts = [_in_seconds(layer, timing, rng) for layer in layers]
    return tuple(loudest_at_zero([part for part in parts if sounds_enough(part, timing.seconds)]))


def activity(parts: Sequence[Part], seconds: float) -> dict[str, tuple[tuple[float, float], ...]]:
    """Per instrument, in the order of `facts.INSTRUMENTS`: when it sounds, seconds; gaps up to a second are bridged."""
    found = {}
    for name in facts.INSTRUMENTS:
        spans = [np.clip(part.notes[:, :2], 0, seconds) for part in parts if part.instrument == name]
        if spans:
            joined = _union(np.concatenate(spans), _JOIN_SECONDS)
            found[name] = tuple((round(start, 3), round(stop, 3)) for start, stop in joined)
    return found


def _in_seconds(layer: Layer, timing: Timing, rng: np.random.Generator) -> Part:
    lead, seconds, quarter_seconds = timing.lead_seconds, timing.seconds, timing.quarter_seconds
    onsets = swung(layer.rows[:, 0], timing.swing)
    offsets = swung(layer.rows[:, 0] + layer.rows[:, 1], timing.swing)
    shake = np.clip(rng.normal(0, timing.jitter_seconds, len(onsets)), -MOST_JITTER_SECONDS, MOST_JITTER_SECONDS)
    start = onsets * quarter_seconds - lead + shake
    stop = offsets * quarter_seconds - lead + shake
    stop = np.minimum(np.maximum(stop, start + 0.04), start + instruments.longest_sound_seconds(layer.instrument))
    velocity = np.clip(layer.rows[:, 3] * rng.uniform(0.82, 1.12) + rng.normal(0, 5, len(onsets)), 38, 125)
    notes = np.column_stack([start, stop, layer.rows[:, 2], np.round(velocity)])
    notes = notes[(notes[:, 0] < seconds) & (notes[:, 1] > -max(0.0, lead))]
    return Part(
        instrument=layer.instrument,
        program=layer.program,
        gain_db=layer.gain_db,
        notes=without_clashes(notes[np.argsort(notes[:, 0], kind="stable")]),
    )


def swung(times: NDArray[np.float64], swing: float) -> NDArray[np.float64]:
    """Quarter-note times with the second half of each beat starting at `swing` of it."""
    whole = np.floor(times)
    part = times - whole
    return np.asarray(
        whole + np.where(part < 0.5, part * 2 * swing, swing + (part - 0.5) * 2 * (1 - swing)), dtype=np.float64
    )


def without_clashes(notes: NDArray[np.float64]) -> NDArray[np.float64]:
    """A note of one pitch ends before the next of that pitch starts; of two that start together one is kept."""
    kept = np.ones(len(notes), dtype=bool)
    last: dict[int, int] = {}
    for index in range(len(notes)):
        pitch = int(notes[index, 2])
        before = last.get(pitch)
        if before is not None and notes[index, 0] - notes[before, 0] < 0.03:
            notes[before, 1] = max(notes[before, 1], notes[index, 1])
            kept[index] = False
            continue
        if before is not None and notes[before, 1] > notes[index, 0] - 0.005:
            notes[before, 1] = notes[index, 0] - 0.005
        last[pitch] = index
    return notes[kept]


def sounds_enough(part: Part, seconds: float) -> bool:
    """Whether a listener to the first `seconds` could say that the part plays."""
    inside = part.notes[(part.notes[:, 0] >= 0) & (part.notes[:, 0] < seconds)]
    if part.is_drums:
        return len(inside) >= LEAST_DRUM_HITS
    clipped = np.clip(part.notes[:, :2], 0, seconds)
    return len(inside) > 0 and sum(stop - start for start, stop in _union(clipped, 0.0)) >= min(
        LEAST_SOUND_SECONDS, seconds / 4
    )


def loudest_at_zero(parts: list[Part]) -> list[Part]:
    """Parts with their gains moved so that the loudest has 0 dB, and none less than `QUIETEST_PART_DB`."""
    if not parts:
        return parts
    loudest = max(part.gain_db for part in parts)
    return [dataclasses.replace(p, gain_db=max(QUIETEST_PART_DB, p.gain_db - loudest)) for p in parts]


def _union(spans: NDArray[np.float64], gap: float) -> list[tuple[float, float]]:
    """Intervals joined where they overlap or are at most `gap` apart; empty ones left out."""
    joined: list[tuple[float, float]] = []
    for start, stop in sorted((float(a), float(b)) for a, b in spans if b > a):
        if joined and start <= joined[-1][1] + gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], stop))
        else:
            joined.append((start, stop))
    return joined
