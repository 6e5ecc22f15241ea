"""A composition becomes what players do, in seconds: tempo changes, swing, loose timing, articulation, dynamics.

In: a `Composition` and a random generator. Out: a `Performance`: parts in seconds, the clock that made them and the
loudness of the whole. Knows no sound font and writes no labels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mllm.instruct_data import instruments, patterns
from mllm.instruct_data.composition import Composition, Line, TempoFrom
from mllm.instruct_data.performance import loudest_at_zero, sounds_enough, swung, without_clashes
from mllm.instruct_data.synth import Part

MOST_SHIFT_SECONDS = 0.02
"""No onset is further than this from where it is written."""
MOST_DRUM_SHIFT_SECONDS = 0.006
"""No onset of drums is: they are where listeners hear the beat."""
_MOST_PUSH_SECONDS = 0.008
_MOST_LOOSENESS_SECONDS = 0.006
_MACHINE_SHARE = 0.25
"""How often everything is played exactly as written."""
_SHORTEST_NOTE_SECONDS = 0.05
_NORMAL_GAP_SECONDS = 0.06
_LEAD_SECONDS = (0.06, 0.4)
_TAIL_SECONDS = (1.0, 2.2)
_VELOCITY_SHARE = 0.5
"""How much of a change in loudness comes from playing otherwise; the rest is plain volume."""
_VELOCITY_DB = 40.0
"""How much louder a synthesiser plays a note of ten times the velocity."""
_CURVE_DECIMALS = 4


class Clock:
    """Seconds of quarter notes, exact through every change of tempo.

    Args:
        tempos: the first at 0 and not gradual.
        beat_quarters: length of the beat that the tempos count.
        lead_seconds: when quarter 0 is.
    """

    def __init__(self, tempos: Sequence[TempoFrom], *, beat_quarters: float, lead_seconds: float = 0.0) -> None:
        self._beat = beat_quarters
        self._onsets = np.array([tempo.onset for tempo in tempos], dtype=np.float64)
        self._bpm = np.array([tempo.bpm for tempo in tempos], dtype=np.float64)
        self._gradual = np.array([*(tempo.gradual for tempo in tempos[1:]), False])
        beats = np.diff(self._onsets, append=self._onsets[-1] + beat_quarters) / beat_quarters
        rise = np.diff(self._bpm, append=self._bpm[-1]) / np.maximum(beats, 1e-9)
        self._rise = np.where(self._gradual, rise, 0.0)
        lengths = self._within(np.arange(len(tempos)), beats)
        self._starts = lead_seconds + np.concatenate([[0.0], np.cumsum(lengths[:-1])])

    def seconds(self, quarters: ArrayLike) -> NDArray[np.float64]:
        """When quarter notes are, counted from the first bar line; what lies before it keeps the first tempo."""
        at = np.asarray(quarters, dtype=np.float64)
        stretch = np.maximum(np.searchsorted(self._onsets, at, side="right") - 1, 0)
        return np.asarray(self._starts[stretch] + self._within(stretch, (at - self._onsets[stretch]) / self._beat))

    def curve(self, end: float) -> tuple[tuple[float, float], ...]:
        """(time, beats a minute from then on) up to quarter `end`; the first at 0.

        A gradual change goes in steps from beat to beat, each the mean tempo of its beat, so that counting beats along
        the curve leads to where they are.
        """
        edges: list[float] = []
        for index, onset in enumerate(self._onsets):
            edges.append(float(onset))
            if self._gradual[index]:
                first = np.floor(onset / self._beat) + 1
                inner = np.arange(first, np.ceil(self._onsets[index + 1] / self._beat)) * self._beat
                edges.extend(float(edge) for edge in inner)
        edges = [edge for edge in edges if edge < end]
        times = self.seconds([*edges, end])
        beats = np.diff([*edges, end]) / self._beat
        tempos = np.round(60.0 * beats / np.diff(times), _CURVE_DECIMALS)
        kept = [0, *(index for index in range(1, len(edges)) if tempos[index] != tempos[index - 1])]
        return tuple((round(float(times[i]), _CURVE_DECIMALS) if i else 0.0, float(tempos[i])) for i in kept)

    def _within(self, stretch: NDArray[np.intp], beats: NDArray[np.float64]) -> NDArray[np.float64]:
        """Seconds from the beginning of a stretch to so many beats later: the integral of 60 / tempo."""
        bpm, rise = self._bpm[stretch], self._rise[stretch]
        steady = 60.0 * beats / bpm
        safe = np.where(rise == 0.0, 1.0, rise)
        moving = 60.0 * np.log1p(np.where(rise == 0.0, 0.0, rise * np.maximum(beats, 0.0) / bpm)) / safe
        return np.asarray(np.where((rise == 0.0) | (beats < 0), steady, moving), dtype=np.float64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Performance:
    """What is played."""

    parts: tuple[Part, ...]
    """Times in seconds from the beginning of the recording, which is before the first note."""
    seconds: float
    """Length of the recording: a whole number of hundredths."""
    clock: Clock
    volume: tuple[tuple[float, float], ...]
    """(time, dB): straight lines between these, by which the whole is to be turned down."""


def play(composition: Composition, rng: np.random.Generator) -> Performance:
    """Plays a composition; the same generator state plays it the same way.

    Lines that hardly sound are left out: nobody hears what they are.
    """
    lead = float(rng.uniform(*_LEAD_SECONDS))
    beat = patterns.beat_quarters(composition.meter)
    clock = Clock(composition.tempos, beat_quarters=beat, lead_seconds=lead)
    looseness = 0.0 if rng.random() < _MACHINE_SHARE else float(rng.uniform(0.2, 1.0))
    played = [_part(line, composition, clock, looseness, rng) for line in composition.lines]
    end = float(clock.seconds(composition.end))
    parts = loudest_at_zero([part for part in played if sounds_enough(part, end)])
    last = max([end, *(float(part.notes[:, 1].max()) for part in parts)])
    volume = tuple(
        (float(clock.seconds(onset)), decibels * (1 - _VELOCITY_SHARE)) for onset, decibels in composition.dynamics
    )
    seconds = round(last + float(rng.uniform(*_TAIL_SECONDS)), 2)
    return Performance(parts=tuple(parts), seconds=seconds, clock=clock, volume=volume)


def written_swing(composition: Composition) -> float:
    """Where second eighths stand: compound meters do not swing, their beats are divided by three."""
    return 0.5 if composition.meter in patterns.COMPOUND else composition.swing


def _part(line: Line, composition: Composition, clock: Clock, looseness: float, rng: np.random.Generator) -> Part:
    swing = written_swing(composition)
    written = line.rows[:, 0]
    start = clock.seconds(swung(written, swing))
    stop = clock.seconds(swung(written + line.rows[:, 1], swing))
    stop = start + _sounding(stop - start, "normal" if line.role == "drums" else line.articulation, rng)
    bound = MOST_DRUM_SHIFT_SECONDS if line.role == "drums" else MOST_SHIFT_SECONDS
    shift = _shifts(written, looseness, bound, rng)
    longest = instruments.longest_sound_seconds(line.instrument)
    notes = np.column_stack(
        [start + shift, np.minimum(stop, start + longest) + shift, line.rows[:, 2], _velocities(line, composition, rng)]
    )
    return Part(
        instrument=line.instrument,
        program=line.program,
        gain_db=line.gain_db,
        notes=without_clashes(notes[np.argsort(notes[:, 0], kind="stable")]),
    )


def _sounding(seconds: NDArray[np.float64], articulation: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """How long notes are held that are written `seconds` long."""
    if articulation == "legato":
        held = seconds * rng.uniform(1.0, 1.04)
    elif articulation == "staccato":
        held = np.minimum(seconds * rng.uniform(0.35, 0.6), 0.4)
    else:
        held = np.maximum(seconds * rng.uniform(0.86, 0.95), seconds - _NORMAL_GAP_SECONDS)
    return np.asarray(np.maximum(held, _SHORTEST_NOTE_SECONDS), dtype=np.float64)


def _shifts(
    written: NDArray[np.float64], looseness: float, bound: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Seconds by which notes come late, within the bound; those written together stay closer to each other."""
    push = rng.uniform(-_MOST_PUSH_SECONDS, _MOST_PUSH_SECONDS)
    moments, which = np.unique(written, return_inverse=True)
    together = rng.normal(0.0, _MOST_LOOSENESS_SECONDS, len(moments))[which]
    alone = rng.normal(0.0, _MOST_LOOSENESS_SECONDS / 4, len(written))
    return np.asarray(np.clip(looseness * (push + together + alone), -bound, bound), dtype=np.float64)


def _velocities(line: Line, composition: Composition, rng: np.random.Generator) -> NDArray[np.float64]:
    onsets, decibels = zip(*composition.dynamics, strict=True)
    wanted = np.interp(line.rows[:, 0], onsets, decibels) * _VELOCITY_SHARE
    even = line.rows[:, 3] + rng.normal(0.0, 4.0, len(line.rows))
    return np.asarray(np.clip(np.round(even * 10 ** (wanted / _VELOCITY_DB)), 20, 125), dtype=np.float64)
