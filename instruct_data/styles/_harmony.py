"""Chords that a grammar makes: phrases that begin on the tonic and end in a cadence, loops, and blues choruses.

In: a mode, a number of bars, how a style harmonises, a random generator. Out: chords of each bar, relative to the
tonic, so that they fit any key. Knows nothing of meter, instruments or form.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mllm.instruct_data.scores import QUALITIES
from mllm.instruct_data.styles._chance import one_of, pick

SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}
"""Semitones above the tonic. In minor, the seventh is raised over the dominant."""

_DIATONIC: dict[str, dict[int, tuple[str, str]]] = {
    "major": {
        0: ("maj", "maj7"),
        2: ("min", "min7"),
        4: ("min", "min7"),
        5: ("maj", "maj7"),
        7: ("maj", "7"),
        9: ("min", "min7"),
        11: ("dim", "hdim7"),
    },
    "minor": {
        0: ("min", "min7"),
        2: ("dim", "hdim7"),
        3: ("maj", "maj7"),
        5: ("min", "min7"),
        7: ("maj", "7"),
        8: ("maj", "maj7"),
        10: ("maj", "7"),
    },
    "dorian": {
        0: ("min", "min7"),
        2: ("min", "min7"),
        3: ("maj", "maj7"),
        5: ("maj", "7"),
        7: ("min", "min7"),
        10: ("maj", "maj7"),
    },
    "mixolydian": {
        0: ("maj", "7"),
        2: ("min", "min7"),
        5: ("maj", "maj7"),
        7: ("min", "min7"),
        9: ("min", "min7"),
        10: ("maj", "maj7"),
    },
}
"""Per mode: root in semitones above the tonic -> its triad and its chord of the seventh."""

_MOVES: dict[str, dict[int, dict[int, float]]] = {
    "major": {
        0: {5: 3.0, 9: 2.5, 7: 2.0, 2: 2.0, 4: 1.0},
        2: {7: 4.0, 5: 0.5, 11: 0.3},
        4: {9: 3.0, 5: 2.0},
        5: {7: 3.0, 0: 2.0, 2: 1.5},
        7: {0: 3.0, 9: 1.5, 5: 0.2},
        9: {2: 2.5, 5: 3.0, 7: 1.0, 4: 0.5},
        11: {0: 3.0},
    },
    "minor": {
        0: {5: 3.0, 8: 2.5, 10: 1.2, 7: 2.0, 3: 0.7, 2: 0.7},
        2: {7: 4.0},
        3: {8: 2.5, 5: 1.5},
        5: {7: 3.0, 0: 1.8, 10: 0.7, 2: 0.7},
        7: {0: 4.0, 8: 1.0},
        8: {5: 2.0, 10: 1.3, 3: 0.5, 7: 2.0, 2: 0.8},
        10: {3: 1.0, 0: 2.0, 8: 1.0},
    },
    "dorian": {
        0: {5: 4.0, 10: 2.5, 2: 1.0, 3: 0.8, 7: 1.0},
        2: {0: 1.5, 5: 1.5, 7: 1.0},
        3: {10: 1.0, 5: 2.5, 2: 0.5},
        5: {0: 4.0, 10: 1.2, 7: 1.0},
        7: {0: 2.0, 5: 1.5, 10: 0.7},
        10: {0: 3.0, 5: 2.0, 3: 0.4},
    },
    "mixolydian": {
        0: {10: 4.0, 5: 2.5, 7: 1.2, 2: 0.8},
        2: {10: 1.5, 5: 1.0, 7: 0.8, 0: 0.5},
        5: {0: 3.0, 10: 2.0},
        7: {0: 2.0, 10: 1.0, 5: 1.0},
        9: {10: 1.0, 7: 1.0},
        10: {0: 3.0, 5: 2.0},
    },
}
"""How readily one chord follows another."""

_CADENCES: dict[str, dict[str, tuple[tuple[int, ...], ...]]] = {
    "major": {
        "full": ((2, 7, 0), (5, 7, 0), (7, 0), (2, 7, 0)),
        "half": ((2, 7), (5, 7), (0, 7), (9, 7)),
        "plagal": ((5, 0),),
        "deceptive": ((5, 7, 9), (2, 7, 9)),
    },
    "minor": {
        "full": ((5, 7, 0), (2, 7, 0), (8, 7, 0), (7, 0)),
        "half": ((5, 7), (8, 7), (0, 7)),
        "plagal": ((5, 0),),
        "deceptive": ((5, 7, 8), (2, 7, 8)),
    },
    "dorian": {
        "full": ((5, 10, 0), (10, 5, 0), (2, 7, 0), (5, 7, 0)),
        "half": ((0, 5), (10, 5), (0, 10)),
        "plagal": ((5, 0),),
        "deceptive": ((5, 10), (10, 5)),
    },
    "mixolydian": {
        "full": ((5, 10, 0), (10, 5, 0), (7, 10, 0), (10, 0)),
        "half": ((0, 10), (5, 10), (0, 7)),
        "plagal": ((5, 0),),
        "deceptive": ((7, 10), (5, 10)),
    },
}

_LOOPS: dict[str, tuple[tuple[int, ...], ...]] = {
    "major": ((0, 7, 9, 5), (0, 9, 5, 7), (0, 5, 9, 7), (0, 4, 5, 7), (0, 9, 2, 7), (0, 5, 0, 7), (0, 2, 5, 7)),
    "minor": ((0, 8, 5, 7), (0, 5, 8, 7), (0, 8, 10, 0), (0, 10, 8, 7), (0, 5, 0, 7), (0, 5, 10, 0), (0, 0, 8, 7)),
    "dorian": ((0, 5, 0, 5), (0, 5, 10, 0), (0, 10, 5, 0), (0, 3, 10, 5), (0, 2, 5, 0), (0, 7, 5, 0)),
    "mixolydian": ((0, 10, 5, 0), (0, 0, 10, 5), (0, 10, 0, 5), (0, 5, 10, 0), (0, 10, 0, 10), (0, 7, 10, 0)),
}

_TELLING: dict[str, tuple[int, ...]] = {"minor": (7,), "dorian": (5, 2), "mixolydian": (10, 7)}
"""Chords with a note that tells a mode from its relatives; every section has one of them."""

_BLUES: dict[str, tuple[tuple[int, ...], ...]] = {
    "major": ((0, 0, 0, 0, 5, 5, 0, 0, 7, 5, 0, 7), (0, 5, 0, 0, 5, 5, 0, 0, 7, 5, 0, 0)),
    "minor": ((0, 0, 0, 0, 5, 5, 0, 0, 8, 7, 0, 7), (0, 5, 0, 0, 5, 5, 0, 0, 2, 7, 0, 0)),
    "dorian": ((0, 5, 0, 0, 5, 5, 0, 0, 10, 5, 0, 0), (0, 0, 0, 0, 5, 5, 0, 0, 7, 5, 0, 0)),
    "mixolydian": ((0, 5, 0, 0, 5, 5, 0, 0, 10, 5, 0, 0), (0, 10, 0, 0, 5, 10, 0, 0, 7, 5, 0, 10)),
}

_BLUES_QUALITIES: dict[str, dict[int, str]] = {
    "major": {0: "maj6", 5: "maj6", 7: "7"},
    "minor": {0: "min7", 2: "hdim7", 5: "min7", 7: "7", 8: "maj7"},
    "dorian": {0: "min7", 5: "7", 7: "min7", 10: "maj6"},
    "mixolydian": {0: "7", 5: "maj6", 7: "min7", 10: "maj"},
}
"""Blues chords that keep to their mode: the tonic's seventh is flat in mixolydian alone."""


class Relative(NamedTuple):
    """A chord as seen from the tonic."""

    root: int
    """Semitones above the tonic."""
    quality: str
    bass: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manner:
    """How a style harmonises."""

    kinds: Mapping[str, float] = dataclasses.field(default_factory=lambda: {"phrases": 1.0})
    """Weights of "phrases", "loop" and "blues"; drawn once a piece."""
    colour: str = "dominant"
    """Which chords get a seventh: "triads", "dominant", "soft" (some), "sevenths" (all), "blues"."""
    chords_a_bar: Mapping[int, float] = dataclasses.field(default_factory=lambda: {1: 0.85, 2: 0.15})
    bars_a_chord: int = 1
    """How many bars a chord lasts where it lasts longer than one."""
    secondary: float = 0.0
    """Share of chords in the middle of phrases that give way to the dominant of the next."""
    inversions: float = 0.0
    """Share of chords in the middle of phrases that stand on their third."""
    suspended: float = 0.0
    """Share of triads that are suspended, where the scale has the notes."""


def progression(
    rng: np.random.Generator, manner: Manner, kind: str, mode: str, bars: int, *, closes: bool
) -> list[list[Relative]]:
    """The chords of each of `bars` bars; where `closes`, they end with a cadence on the tonic.

    From the same generator state, pieces of different lengths begin alike.
    """
    colouring = np.random.default_rng(int(rng.integers(2**62)))
    if kind == "loop":
        degrees = _loop(rng, mode, bars, manner.bars_a_chord)
    elif kind == "blues":
        degrees = _blues(rng, mode, bars)
    else:
        short = max(1, -(-bars // manner.bars_a_chord))
        degrees = [bar for bar in _phrases(rng, manner, mode, short) for _ in range(manner.bars_a_chord)][:bars]
    if closes:
        degrees[-1] = [0]
        if bars > 1 and kind != "phrases":
            degrees[-2] = [one_of(rng, _CADENCES[mode]["full"])[-2]]
    telling = _TELLING.get(mode, ())
    if telling and bars > 1 and not any(degree in telling for bar in degrees for degree in bar):
        degrees[-2 if bars < 4 else bars // 2 - 1] = [telling[0]]
    return _coloured(colouring, manner, mode, degrees)


def _phrases(rng: np.random.Generator, manner: Manner, mode: str, bars: int) -> list[list[int]]:
    """Phrases of four bars, the last one with a full cadence."""
    done: list[list[int]] = []
    while len(done) < bars:
        length = min(4, bars - len(done))
        last = len(done) + length == bars
        kind = pick(rng, {"half": 0.55, "full": 0.2, "plagal": 0.1, "deceptive": 0.15})
        slots = [pick(rng, manner.chords_a_bar) for _ in range(length - 1)] + [1]
        ending = one_of(rng, _CADENCES[mode]["full" if last else kind])
        path = _path(rng, mode, sum(slots), ending)
        for count in slots:
            done.append(path[:count])
            path = path[count:]
    return done


def _path(rng: np.random.Generator, mode: str, count: int, ending: Sequence[int]) -> list[int]:
    """`count` chords from the tonic to the end of a cadence."""
    body = count - len(ending)
    if body <= 0:
        return list(ending[-count:])
    moves = _MOVES[mode]
    path = [0]
    while len(path) < body:
        weights = dict(moves[path[-1]])
        if len(path) == body - 1:
            weights = {to: w * moves[to].get(ending[0], 0.02) for to, w in weights.items() if to != ending[0]}
        path.append(pick(rng, weights) if weights else path[-1])
    return path + list(ending)


def _loop(rng: np.random.Generator, mode: str, bars: int, bars_a_chord: int) -> list[list[int]]:
    loop = one_of(rng, _LOOPS[mode])
    return [[loop[bar // bars_a_chord % len(loop)]] for bar in range(bars)]


def _blues(rng: np.random.Generator, mode: str, bars: int) -> list[list[int]]:
    chorus = one_of(rng, _BLUES[mode])
    if bars < len(chorus):
        return [[degree] for degree in chorus[-bars:-1]] + [[0]]
    return [[chorus[bar % len(chorus)]] for bar in range(bars)]


def _coloured(
    rng: np.random.Generator, manner: Manner, mode: str, degrees: Sequence[Sequence[int]]
) -> list[list[Relative]]:
    flat = [degree for bar in degrees for degree in bar]
    chords: list[Relative] = []
    for place, degree in enumerate(flat):
        chord = Relative(degree, _quality(rng, manner, mode, degree), degree)
        inside = 0 < place < len(flat) - 2 and degree != 0
        draws = rng.random(2)
        following = flat[place + 1] if inside else 0
        if inside and draws[0] < manner.secondary and following in (2, 5, 7, 9) and mode in ("major", "minor"):
            chord = Relative((following + 7) % 12, "7", (following + 7) % 12)
        elif 0 < place < len(flat) - 1 and draws[1] < manner.inversions and chord.quality in ("maj", "min", "7"):
            chord = chord._replace(bass=(degree + QUALITIES[chord.quality][1]) % 12)
        chords.append(chord)
    taken = iter(chords)
    return [[next(taken) for _ in bar] for bar in degrees]


def _quality(rng: np.random.Generator, manner: Manner, mode: str, degree: int) -> str:
    triad, seventh = _DIATONIC[mode][degree]
    draw, other = rng.random(2)
    if manner.colour == "blues":
        return _BLUES_QUALITIES[mode].get(degree, triad)
    if manner.colour == "sevenths":
        if degree == 0 and other < 0.4:
            return {"major": "maj6", "dorian": "min6"}.get(mode, seventh)
        return seventh
    if manner.colour == "soft" and draw < 0.4:
        return seventh
    if manner.colour == "dominant" and degree == 7 and mode in ("major", "minor") and draw < 0.6:
        return seventh
    if other < manner.suspended and degree != 0 and degree not in _TELLING.get(mode, ()):
        for suspended in ("sus4", "sus2"):
            if all((degree + step) % 12 in SCALES[mode] for step in QUALITIES[suspended]):
                return suspended
    return triad
