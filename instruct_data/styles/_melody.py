"""Tunes: motifs that are repeated, moved and varied over the chords of a passage, with a rest at the end of phrases.

In: a passage and what kind of tune is wanted. Out: rows (onset, duration in quarter notes, pitch, velocity) of one
voice. Knows nothing of instruments but the middle of their range.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools

import numpy as np

from mllm.instruct_data.patterns import Row
from mllm.instruct_data.scores import QUALITIES, Chord
from mllm.instruct_data.styles._chance import happens, one_of, pick
from mllm.instruct_data.styles._harmony import SCALES
from mllm.instruct_data.styles._plan import Passage

_SIMPLE_CELLS: tuple[tuple[tuple[float, ...], bool], ...] = (
    ((1.0,), False),
    ((0.5, 0.5), False),
    ((0.75, 0.25), False),
    ((0.5, 0.25, 0.25), False),
    ((0.25, 0.25, 0.5), False),
    ((0.25, 0.25, 0.25, 0.25), False),
    ((2.0,), False),
    ((1.5, 0.5), False),
    ((0.5, 1.0, 0.5), True),
    ((0.75, 0.75, 0.5), True),
    ((0.5, 0.5, 0.5, 0.5), False),
    ((3.0,), False),
    ((4.0,), False),
)
"""Rhythms of one or several beats, and whether they stand against the beat."""
_COMPOUND_CELLS: tuple[tuple[tuple[float, ...], bool], ...] = (
    ((1.5,), False),
    ((1.0, 0.5), False),
    ((0.5, 0.5, 0.5), False),
    ((0.75, 0.25, 0.5), False),
    ((0.5, 1.0), True),
    ((3.0,), False),
    ((1.0, 0.25, 0.25), False),
)
_SCHEMES = ("abac", "aabc", "abbc", "aaac", "abcc")
"""Which bars of a phrase share a motif; "c" ends it."""
_LOWEST, _HIGHEST = -6, 15
"""Bounds of a tune, in semitones from its tonic."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Character:
    """What kind of tune is wanted."""

    density: float = 1.5
    """Notes a beat that are aimed at."""
    syncopation: float = 0.0
    """In [0, 1]."""
    leaps: float = 0.25
    """Share of moves that are not steps."""
    rests: float = 0.06
    """Share of notes off the beat that are left out."""
    sixteenths: bool = True
    """Whether there are notes shorter than an eighth."""


@dataclasses.dataclass(frozen=True)
class _Motif:
    """A bar of a tune without pitches."""

    durations: tuple[float, ...]
    moves: tuple[int, ...]
    """Steps of the scale from the note before."""


def tune(passage: Passage, rng: np.random.Generator, character: Character, centre: float) -> list[Row]:
    """A tune for a passage.

    Args:
        passage: gives chords, meter and mode.
        rng: one that starts the same for passages of one material gives them the same tune.
        character: what is wanted.
        centre: MIDI pitch around which the tune lies.
    """
    base = round(centre - 4 + (passage.tonic - (centre - 4) + 6) % 12 - 6)
    motifs = {letter: _motif(rng, passage, character) for letter in "abd"}
    seeds = rng.integers(2**31, size=64)
    rows: list[Row] = []
    last = one_of(rng, (0, 4, 7, 7))
    for phrase, first in enumerate(range(0, passage.bars, 4)):
        scheme = one_of(rng, _SCHEMES) if phrase % 2 == 0 else _SCHEMES[phrase % len(_SCHEMES)]
        length = min(4, passage.bars - first)
        for bar in range(length):
            letter = "c" if bar == length - 1 else scheme[bar].replace("c", "d")
            onset = passage.onset + (first + bar) * passage.quarters
            noise = np.random.default_rng((int(seeds[(phrase * 4 + bar) % 64]), bar))
            ends = first + bar == passage.bars - 1
            motif = _ending(noise, passage, ends) if letter == "c" else motifs[letter]
            if letter == "d" or (letter == "a" and bar == 2 and happens(noise, 0.4)):
                motif = _varied(noise, motif)
            new, last = _sung(noise, passage, character, motif, onset, last, home=ends)
            rows.extend((start, duration, base + pitch, velocity) for start, duration, pitch, velocity in new)
    return rows


def in_parallel(passage: Passage, rows: list[Row], steps: int) -> list[Row]:
    """A second voice so many steps of the scale from a tune (negative below), on chord tones where the tune is."""
    second = []
    for onset, duration, pitch, velocity in rows:
        chord = passage.chord_at(onset)
        allowed, tones = _pitches(chord.root, chord.quality, passage.tonic, passage.mode)
        scale = tones if int(pitch - passage.tonic) % 12 in {tone % 12 for tone in tones} else allowed
        relative = _moved(allowed, pitch - 60 - passage.tonic, steps)
        second.append((onset, duration, 60.0 + passage.tonic + _nearest(scale, relative), velocity - 8))
    return second


def long_notes(passage: Passage, centre: float) -> list[Row]:
    """A slow second voice: one chord tone a chord, moving as little as it can; thirds and sevenths first."""
    rows: list[Row] = []
    last = centre
    for chord in passage.chords:
        classes = chord.pitch_classes()
        wanted = [classes[1], classes[-1]]
        pitches = [round(last + (pc - last + 6) % 12 - 6) for pc in wanted]
        pitch = min(pitches, key=lambda candidate: abs(candidate - last) + 0.4 * abs(candidate - centre))
        rows.append((chord.onset, chord.duration * 0.97, float(pitch), 74.0))
        last = 0.8 * pitch + 0.2 * centre
    return rows


def _motif(rng: np.random.Generator, passage: Passage, character: Character) -> _Motif:
    durations = _rhythm(rng, passage, character)
    moves: list[int] = []
    direction = one_of(rng, (-1, 1))
    for _ in durations:
        if happens(rng, 0.35):
            direction = -direction
        size = one_of(rng, (2, 2, 3, 4)) if happens(rng, character.leaps) else one_of(rng, (1, 1, 1, 1, 0))
        moves.append(direction * size)
    return _Motif(durations, tuple(moves))


def _rhythm(rng: np.random.Generator, passage: Passage, character: Character) -> tuple[float, ...]:
    compound = passage.beat == 1.5
    cells = {}
    for cell, against in _COMPOUND_CELLS if compound else _SIMPLE_CELLS:
        beats = sum(cell) / passage.beat
        weight = float(np.exp(-2.0 * abs(len(cell) / beats - character.density))) / beats**0.5
        if min(cell) < 0.5 and not character.sixteenths:
            continue
        cells[cell] = weight * (character.syncopation if against else 1.0 - 0.5 * character.syncopation)
    left = passage.quarters
    durations: list[float] = []
    while left > 0.01:
        fitting = {cell: weight for cell, weight in cells.items() if sum(cell) <= left + 0.01}
        cell = pick(rng, fitting)
        durations.extend(cell)
        left -= sum(cell)
    return tuple(durations)


def _varied(rng: np.random.Generator, motif: _Motif) -> _Motif:
    """Two of its moves turned round."""
    moves = list(motif.moves)
    for _ in range(2):
        place = int(rng.integers(len(moves)))
        moves[place] = -moves[place]
    return _Motif(motif.durations, tuple(moves))


def _ending(rng: np.random.Generator, passage: Passage, ends: bool) -> _Motif:
    """One long note, sometimes after a short way to it."""
    bar, beat = passage.quarters, passage.beat
    if ends or happens(rng, 0.5) or bar <= 2 * beat:
        return _Motif((bar * (1.0 if ends else 0.75),), (-1,))
    return _Motif((beat, bar - 2 * beat), (one_of(rng, (-1, 1)), -1))


def _sung(
    rng: np.random.Generator,
    passage: Passage,
    character: Character,
    motif: _Motif,
    start: float,
    last: int,
    *,
    home: bool,
) -> tuple[list[tuple[float, float, int, float]], int]:
    """A bar with pitches relative to the tonic, and its last pitch."""
    rows: list[tuple[float, float, int, float]] = []
    onset = start
    for duration, step in zip(motif.durations, motif.moves, strict=True):
        chord = passage.chord_at(onset)
        allowed, tones = _pitches(chord.root, chord.quality, passage.tonic, passage.mode)
        move = step
        if (last > _HIGHEST - 4 and move > 0) or (last < _LOWEST + 4 and move < 0):
            move = -move
        target = _moved(allowed, last, move)
        on_beat = (onset - start) % passage.beat < 0.01
        if on_beat or duration >= passage.beat:
            target = _nearest(tones, target)
        if home and chord.root == passage.tonic:
            target = _nearest((-12, 0, 12), target)
        if on_beat or not happens(rng, character.rests):
            accent = 6.0 if on_beat else 0.0
            rows.append((onset, duration * 0.96, target, 84.0 + accent))
        last = min(max(target, _LOWEST), _HIGHEST)
        onset += duration
    return rows, last


@functools.lru_cache(maxsize=4096)
def _pitches(root: int, quality: str, tonic: int, mode: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Notes that go with a chord, and its own tones: semitones from the tonic, over four octaves.

    A tone of the chord that is not in the scale takes the place of its neighbours there.
    """
    tones = {(root - tonic + step) % 12 for step in QUALITIES[quality]}
    foreign = tones - set(SCALES[mode])
    scale = {step for step in SCALES[mode] if not any((step - tone) % 12 in (1, 11) for tone in foreign)} | tones
    octaves = (-24, -12, 0, 12, 24)
    return tuple(sorted(o + s for o in octaves for s in scale)), tuple(sorted(o + s for o in octaves for s in tones))


def _nearest(pitches: tuple[int, ...], target: float) -> int:
    return min(pitches, key=lambda pitch: abs(pitch - target))


def _moved(pitches: tuple[int, ...], start: float, steps: int) -> int:
    """The pitch so many places above or below `start`."""
    here = bisect.bisect_left(pitches, _nearest(pitches, start))
    return pitches[min(max(here + steps, 0), len(pitches) - 1)]


def chord_tones(chord: Chord, low: int, high: int) -> list[int]:
    """All pitches of a chord from `low` to `high`."""
    classes = set(chord.pitch_classes())
    return [pitch for pitch in range(low, high + 1) if pitch % 12 in classes]
