"""Harmony of a tune: chords for melodies that have none, transposition to another key, and the parallel mode.

In: a `Tune`. Out: a `Tune`. Knows nothing of instruments or sound.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from mllm import facts
from mllm.instruct_data.scores import BAR_QUARTERS, QUALITIES, Chord, Tune

_CANDIDATES: dict[str, tuple[tuple[int, str, float], ...]] = {
    "major": (
        (0, "maj", 0.10),
        (2, "min", -0.05),
        (4, "min", -0.25),
        (5, "maj", 0.05),
        (7, "maj", 0.05),
        (7, "7", 0.00),
        (9, "min", -0.05),
    ),
    "minor": (
        (0, "min", 0.10),
        (2, "dim", -0.30),
        (3, "maj", -0.05),
        (5, "min", 0.05),
        (7, "maj", 0.05),
        (7, "7", 0.00),
        (8, "maj", -0.05),
        (10, "maj", -0.05),
    ),
}
"""Per mode: degree of the root in semitones above the tonic, quality, and how readily the chord is used."""

_MOVES: dict[tuple[int, int], float] = {
    (7, 0): 0.30,
    (7, 5): -0.50,
    (7, 2): -0.40,
    (2, 7): 0.20,
    (5, 7): 0.10,
    (5, 0): 0.05,
    (0, 5): 0.05,
    (0, 7): 0.05,
    (9, 2): 0.10,
    (9, 5): 0.10,
    (8, 5): 0.10,
    (10, 3): 0.15,
    (3, 8): 0.10,
    (2, 0): -0.30,
}
"""Reward for going from one root degree to another; moves not named cost a little."""

_OTHER_MOVE = -0.15
_CHANGE_INSIDE_BAR = -0.15
_TO_MINOR = {4: 3, 9: 8, 11: 10}
_TO_MAJOR = {3: 4, 8: 9, 10: 11}


def tonic_of(key: str) -> int:
    """Pitch class of the tonic of one of `facts.KEYS`."""
    return facts.key_index(key) % 12


def mode_of(key: str) -> str:
    """Either "major" or "minor"."""
    return key.partition(" ")[2]


def harmonise(tune: Tune, *, slots_per_bar: int = 1) -> Tune:
    """The tune with chords of its key fitted to voice 0, `slots_per_bar` chords a bar (1 or 2), ending on the tonic.

    Chords are chosen by dynamic programming over how long chord tones sound and over usual functional moves.
    """
    slot = BAR_QUARTERS[tune.meter] / slots_per_bar
    count = round(tune.bars * slots_per_bar)
    candidates = _CANDIDATES[mode_of(tune.key)]
    fit = _fit(tune, slot, count)
    score = fit[0] + np.array([1.0 if degree == 0 else 0.0 for degree, _, _ in candidates])
    moves = np.array([[_move(a[0], b[0]) for b in candidates] for a in candidates])
    came_from: list[NDArray[np.intp]] = []
    for index in range(1, count):
        inside = 0.0 if index % slots_per_bar == 0 else _CHANGE_INSIDE_BAR
        step = moves + inside * (1 - np.eye(len(candidates)))
        total = score[:, None] + step
        came_from.append(total.argmax(axis=0))
        score = total.max(axis=0) + fit[index]
    score = score + np.array([3.0 if degree == 0 else 0.0 for degree, _, _ in candidates])
    path = [int(score.argmax())]
    for back in reversed(came_from):
        path.append(int(back[path[-1]]))
    tonic = tonic_of(tune.key)
    chords = []
    for index, choice in enumerate(reversed(path)):
        degree, quality, _ = candidates[choice]
        root = (tonic + degree) % 12
        chords.append(Chord(onset=index * slot, duration=slot, root=root, quality=quality, bass=root))
    return dataclasses.replace(tune, chords=tuple(chords))


def transpose(tune: Tune, semitones: int) -> Tune:
    """The tune moved by `semitones`, key and chords with it."""
    tonic = (tonic_of(tune.key) + semitones) % 12
    notes = tune.notes.copy()
    notes[:, 2] += semitones
    chords = tuple(
        dataclasses.replace(c, root=(c.root + semitones) % 12, bass=(c.bass + semitones) % 12) for c in tune.chords
    )
    key = facts.KEYS[tonic + (12 if mode_of(tune.key) == "minor" else 0)]
    return dataclasses.replace(tune, notes=notes, chords=chords, key=key)


def flip_mode(tune: Tune) -> Tune:
    """The tune in the parallel minor or major: degrees 3, 6 and 7 are altered.

    Going to minor, the seventh stays raised over a dominant chord, or, in a tune without chords, where it rises to the
    tonic; dominant chords stay dominant.
    """
    tonic = tonic_of(tune.key)
    to_minor = mode_of(tune.key) == "major"
    table = _TO_MINOR if to_minor else _TO_MAJOR
    notes = tune.notes.copy()
    degrees = (notes[:, 2].astype(int) - tonic) % 12
    shift = np.array([table.get(int(d), int(d)) - int(d) for d in degrees], dtype=np.float64)
    if to_minor:
        leading = np.flatnonzero(degrees == 11)
        keep = [index for index in leading if _leads(tune, int(index), tonic)]
        shift[keep] = 0.0
    notes[:, 2] += shift
    chords = tuple(_flip_chord(chord, tonic, table, to_minor) for chord in tune.chords)
    key = facts.KEYS[tonic + (12 if to_minor else 0)]
    return dataclasses.replace(tune, notes=notes, chords=chords, key=key)


def chord_at(chords: tuple[Chord, ...], time: float) -> Chord | None:
    """The chord that sounds at `time` (quarter notes), if any."""
    for chord in chords:
        if chord.onset - 1e-6 <= time < chord.onset + chord.duration - 1e-6:
            return chord
    return None


def _fit(tune: Tune, slot: float, count: int) -> NDArray[np.float64]:
    """How well each candidate chord suits each slot; shape (slots, candidates), about -1.5 to 1.5."""
    tonic = tonic_of(tune.key)
    weights = np.zeros((count, 12))
    for onset, duration, pitch, voice in tune.notes:
        if voice != 0:
            continue
        for index in range(int(onset // slot), min(count, int((onset + duration - 1e-6) // slot) + 1)):
            start = max(onset, index * slot)
            overlap = min(onset + duration, (index + 1) * slot) - start
            accent = 1.6 if start - index * slot < 1e-3 else 1.0
            weights[index, (int(pitch) - tonic) % 12] += max(0.0, overlap) * accent / slot
    candidates = _CANDIDATES[mode_of(tune.key)]
    members = np.full((len(candidates), 12), -1.0)
    bias = np.zeros(len(candidates))
    for row, (degree, quality, readiness) in enumerate(candidates):
        for step in QUALITIES[quality]:
            members[row, (degree + step) % 12] = 1.0 if step < 10 else 0.7
        bias[row] = readiness
    return np.asarray(weights @ members.T + bias, dtype=np.float64)


def _move(from_degree: int, to_degree: int) -> float:
    if from_degree == to_degree:
        return 0.0
    return _MOVES.get((from_degree, to_degree), _OTHER_MOVE)


def _leads(tune: Tune, index: int, tonic: int) -> bool:
    onset, _, _, voice = tune.notes[index]
    chord = chord_at(tune.chords, float(onset))
    if chord is not None:
        return (chord.root - tonic) % 12 in (7, 11)
    later = tune.notes[index + 1 :]
    following = later[(later[:, 3] == voice) & (later[:, 0] > onset)]
    return bool(len(following) == 0 or (int(following[0, 2]) - tonic) % 12 in (0, 7, 2))


def _flip_chord(chord: Chord, tonic: int, table: dict[int, int], to_minor: bool) -> Chord:
    degree = (chord.root - tonic) % 12
    if degree == 7 and chord.quality in ("maj", "7", "sus4"):
        bass_degree = (chord.bass - tonic) % 12
        bass = chord.bass if bass_degree == 11 else (tonic + table.get(bass_degree, bass_degree)) % 12
        return dataclasses.replace(chord, bass=bass)
    if to_minor and degree == 11 and chord.quality in ("dim", "hdim7", "dim7"):
        return dataclasses.replace(chord, quality="dim7" if chord.quality != "dim" else "dim")
    mapped = [(tonic + table.get((pc - tonic) % 12, (pc - tonic) % 12)) % 12 for pc in chord.pitch_classes()]
    root = mapped[0]
    steps = tuple(sorted((pc - root) % 12 for pc in mapped))
    quality = next((name for name, shape in QUALITIES.items() if tuple(sorted(shape)) == steps), None)
    if quality is None:
        quality = {4: "maj", 3: "min"}.get((mapped[1] - root) % 12, "sus4")
    bass = (tonic + table.get((chord.bass - tonic) % 12, (chord.bass - tonic) % 12)) % 12
    return dataclasses.replace(chord, root=root, quality=quality, bass=bass)
