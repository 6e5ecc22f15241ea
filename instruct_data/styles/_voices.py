"""Three voices below a tune, as in a chorale: complete chords, small moves, few parallel fifths or octaves.

In: a passage and the tune over it. Out: rows (onset, duration in quarter notes, pitch, velocity) of alto, tenor and
bass. Knows nothing of instruments.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from mllm.instruct_data.patterns import Row
from mllm.instruct_data.scores import Chord
from mllm.instruct_data.styles._chance import happens
from mllm.instruct_data.styles._harmony import SCALES
from mllm.instruct_data.styles._melody import chord_tones
from mllm.instruct_data.styles._plan import Passage

Voicing = tuple[int, int, int, int]
"""Pitches of soprano, alto, tenor and bass."""

_ALTO, _TENOR, _BASS = (53, 74), (47, 67), (38, 60)
_MIDDLES = (64, 56, 48)
_VELOCITIES = (76.0, 74.0, 80.0)
_PAIRS = tuple(itertools.combinations(range(4), 2))


def lower_voices(
    passage: Passage, top: Sequence[Row], rng: np.random.Generator, *, repeats: float, passing: float = 0.3
) -> list[list[Row]]:
    """Alto, tenor and bass below `top`.

    Args:
        passage: gives the chords.
        top: the tune; where it rests, its last pitch counts.
        rng: decides on passing notes.
        repeats: longest note in quarter notes; longer chords are sounded again.
        passing: share of falling or rising thirds that are filled.
    """
    voices: list[list[Row]] = [[], [], []]
    before: Voicing | None = None
    place = 0
    soprano = round(top[0][2]) if top else 67
    for chord in passage.chords:
        while place < len(top) and top[place][0] <= chord.onset + 0.01:
            soprano = round(top[place][2])
            place += 1
        before = _next(chord, soprano, before)
        count = max(1, round(chord.duration / repeats))
        part = chord.duration / count
        for voice, pitch in enumerate(before[1:]):
            rows = ((chord.onset + i * part, part * 0.97, float(pitch), _VELOCITIES[voice]) for i in range(count))
            voices[voice].extend(rows)
    scale = {(passage.tonic + step) % 12 for step in SCALES[passage.mode]}
    return [_with_passing_notes(rows, scale, rng, passing) for rows in voices]


def _next(chord: Chord, soprano: int, before: Voicing | None) -> Voicing:
    """The best voicing of a chord below a soprano after the voicing before."""
    best: tuple[float, Voicing] | None = None
    altos = chord_tones(chord, max(_ALTO[0], soprano - 12), min(_ALTO[1], soprano))
    tenors = chord_tones(chord, *_TENOR)
    basses = [pitch for pitch in range(_BASS[0], _BASS[1] + 1) if pitch % 12 == chord.bass]
    for alto in altos or [soprano - 3]:
        for tenor in tenors:
            if tenor > alto or alto - tenor > 12:
                continue
            for bass in basses:
                if bass > tenor:
                    continue
                voicing = (soprano, alto, tenor, bass)
                cost = _cost(voicing, before, chord)
                if best is None or cost < best[0]:
                    best = (cost, voicing)
    if best is None:
        low = basses[0]
        return soprano, max(low, soprano - 5), max(low, soprano - 9), low
    return best[1]


def _cost(voicing: Voicing, before: Voicing | None, chord: Chord) -> float:
    root, third, *others = chord.pitch_classes()
    classes = {pitch % 12 for pitch in voicing}
    cost = 9.0 * len({root, third} - classes) + 4.0 * len(set(others) - classes)
    cost += 3.0 if sum(pitch % 12 == third for pitch in voicing) > 1 else 0.0
    cost += 0.05 * sum(abs(pitch - middle) for pitch, middle in zip(voicing[1:], _MIDDLES, strict=True))
    if before is None:
        return cost
    moves = [now - then for now, then in zip(voicing, before, strict=True)]
    cost += 0.5 * (abs(moves[1]) + abs(moves[2])) + 0.25 * abs(moves[3]) + (3.0 if abs(moves[3]) > 12 else 0.0)
    for high, low in _PAIRS:
        if moves[high] and moves[low] and (moves[high] > 0) == (moves[low] > 0):
            interval = (voicing[high] - voicing[low]) % 12
            if interval in (0, 7) and interval == (before[high] - before[low]) % 12:
                cost += 8.0
    return cost


def _with_passing_notes(rows: list[Row], scale: set[int], rng: np.random.Generator, share: float) -> list[Row]:
    """Thirds filled by the note of the scale between them, in the second half of notes of a beat or more."""
    done: list[Row] = []
    for row, following in itertools.pairwise(rows):
        onset, duration, pitch, velocity = row
        leap = following[2] - pitch
        between = [
            p for p in range(int(min(pitch, following[2])) + 1, int(max(pitch, following[2]))) if p % 12 in scale
        ]
        if abs(leap) in (3, 4) and len(between) == 1 and 0.9 <= duration <= 2.1 and happens(rng, share):
            done.append((onset, duration / 2, pitch, velocity))
            done.append((onset + (following[0] - onset) / 2, duration / 2, float(between[0]), velocity - 6))
        else:
            done.append(row)
    return done + rows[-1:]
