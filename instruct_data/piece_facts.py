"""What is exactly true of a rendered piece, because it was composed and played so.

In: a composition, its performance and the finished samples. Out: a `Track` with every field that a score decides.
Knows no sound font and writes no files.
"""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from mllm import facts
from mllm.instruct_data import patterns
from mllm.instruct_data.composition import Composition
from mllm.instruct_data.performance import activity, swung
from mllm.instruct_data.playing import Performance, written_swing
from mllm.instruct_data.scores import BAR_QUARTERS
from mllm.instruct_data.synth import SAMPLE_RATE_HZ, Part
from mllm.instruct_data.tracks import Track

MINOR_MODES = ("minor", "dorian")
"""Modes that sound minor: their third is small."""
_MINOR_QUALITIES = ("min", "min7", "min6", "dim", "dim7", "hdim7")
_DECIMALS = 4
_SOFTEST_DB = -60.0


def track_of(
    composition: Composition,
    performance: Performance,
    samples: NDArray[np.float32],
    *,
    track_id: str,
    path: str,
    split: str,
) -> Track:
    """The track of a finished piece.

    Args:
        composition: what was written.
        performance: how it was played.
        samples: what is heard, at `SAMPLE_RATE_HZ`; of these the loudness is measured.
        track_id: its id.
        path: of the recording, from the folder of the data set on.
        split: one of `tracks.SPLITS`.
    """
    clock, parts, seconds = performance.clock, performance.parts, performance.seconds
    beats = _grid(composition, performance, patterns.beat_quarters(composition.meter))
    downbeats = _grid(composition, performance, BAR_QUARTERS[composition.meter])
    curve = clock.curve(composition.end)
    sounding = activity(parts, seconds)
    return Track(
        id=track_id,
        path=path,
        seconds=seconds,
        source="rendered",
        licence=composition.licence,
        split=split,
        family=composition.family if composition.source != "generated" else f"generated {track_id}",
        title=composition.title,
        tempo_bpm=_longest_tempo(curve, float(clock.seconds(composition.end))),
        tempo_curve=curve,
        beats=beats,
        downbeats=downbeats,
        meter=composition.meter,
        key=_longest_key(composition, performance),
        keys=_keys(composition, performance),
        chords=_chords(composition, performance) or None,
        activity=sounding,
        instruments=tuple(sounding),
        absent=tuple(name for name in facts.INSTRUMENTS if name not in sounding),
        sections=_sections(composition, performance),
        registers=_registers(parts),
        density=round(sum(len(part.notes) for part in parts) / seconds, 3),
        dynamics=_dynamics(samples, downbeats, float(clock.seconds(composition.end))),
        drum_pattern=(composition.drum_pattern if "drums" in sounding else None) or "none",
        style=composition.style,
        moods=composition.moods,
        vocals="choir" in sounding,
    )


def key_name(tonic: int, mode: str) -> str:
    """A key such as "F# dorian", its tonic spelt as in `facts.KEYS`."""
    tonics = facts.MINOR_TONICS if mode in MINOR_MODES else facts.MAJOR_TONICS
    return f"{tonics[tonic % 12]} {mode}"


def chord_name(root: int, quality: str) -> str:
    """A chord in Harte's notation such as "G#:min7", its root spelt as the tonic of such a key would be."""
    tonics = facts.MINOR_TONICS if quality in _MINOR_QUALITIES else facts.MAJOR_TONICS
    return f"{tonics[root % 12]}:{quality}"


def longest_mode(composition: Composition) -> str:
    """The mode in which most of the composition is, in quarter notes."""
    held: dict[str, float] = defaultdict(float)
    ends = [*(key.onset for key in composition.keys[1:]), composition.end]
    for key, end in zip(composition.keys, ends, strict=True):
        held[key.mode] += end - key.onset
    return max(held, key=lambda mode: held[mode])


def _times(performance: Performance, *quarters: float) -> tuple[float, ...]:
    return tuple(round(float(time), _DECIMALS) for time in performance.clock.seconds(quarters))


def _grid(composition: Composition, performance: Performance, step: float) -> tuple[float, ...]:
    """Times of every multiple of `step` quarters within the piece."""
    return _times(performance, *np.arange(0.0, composition.end - 1e-6, step))


def _longest_tempo(curve: tuple[tuple[float, float], ...], end: float) -> float:
    held: dict[float, float] = defaultdict(float)
    for (start, bpm), stop in zip(curve, [*(time for time, _ in curve[1:]), end], strict=True):
        held[bpm] += stop - start
    return round(float(max(held, key=lambda bpm: held[bpm])), 2)


def _keys(composition: Composition, performance: Performance) -> tuple[tuple[float, str], ...]:
    times = (0.0, *_times(performance, *(key.onset for key in composition.keys[1:])))
    names = [key_name(key.tonic, key.mode) for key in composition.keys]
    kept = [index for index, name in enumerate(names) if index == 0 or name != names[index - 1]]
    return tuple((times[index], names[index]) for index in kept)


def _longest_key(composition: Composition, performance: Performance) -> str:
    held: dict[str, float] = defaultdict(float)
    keys = _keys(composition, performance)
    ends = [*(time for time, _ in keys[1:]), performance.seconds]
    for (start, name), end in zip(keys, ends, strict=True):
        held[name] += end - start
    return max(held, key=lambda name: held[name])


def _chords(composition: Composition, performance: Performance) -> tuple[tuple[float, float, str], ...]:
    """Chords as they are played, that is swung as the notes are; equal ones in a row are one."""
    named: list[tuple[float, float, str]] = []
    for chord in composition.chords:
        edges = swung(np.array([chord.onset, chord.onset + chord.duration]), written_swing(composition))
        start, stop = _times(performance, *np.clip(edges, 0.0, composition.end))
        name = chord_name(chord.root, chord.quality)
        if named and named[-1][2] == name and start <= named[-1][1] + 1e-3:
            named[-1] = (named[-1][0], stop, name)
        elif stop > start:
            named.append((start, stop, name))
    return tuple(named)


def _sections(composition: Composition, performance: Performance) -> tuple[tuple[float, float, str], ...]:
    edges = [_times(performance, section.onset, section.end) for section in composition.sections]
    return tuple((start, stop, one.name) for (start, stop), one in zip(edges, composition.sections, strict=True))


def _registers(parts: tuple[Part, ...]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for name in facts.INSTRUMENTS:
        pitches = [part.notes[:, 2] for part in parts if part.instrument == name and not part.is_drums]
        if pitches:
            together = np.concatenate(pitches)
            found[name] = (int(together.min()), int(together.max()))
    return found


def _dynamics(
    samples: NDArray[np.float32], downbeats: tuple[float, ...], end: float
) -> tuple[tuple[float, float], ...]:
    """(beginning, loudness) of each bar: the mean power of what is heard, in dB relative to the loudest bar."""
    edges = [min(round(time * SAMPLE_RATE_HZ), len(samples)) for time in (*downbeats, end)]
    powers = [
        float(np.mean(np.square(samples[start:stop], dtype=np.float64))) if stop > start else 0.0
        for start, stop in itertools.pairwise(edges)
    ]
    loudest = max([*powers, 1e-12])
    decibels = [max(_SOFTEST_DB, 10 * float(np.log10(max(power, 1e-12) / loudest))) for power in powers]
    return tuple((time, round(value, 1) + 0.0) for time, value in zip(downbeats, decibels, strict=True))
