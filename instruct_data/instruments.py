"""Which General MIDI programs play which role, how high and how low they go, and how long they sound.

In: an instrument word, a role, pitches. Out: programs and pitches in range. Knows nothing of harmony or time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mllm import facts

MELODY_WEIGHTS: dict[str, float] = {
    "piano": 0.9,
    "harpsichord": 0.8,
    "organ": 0.7,
    "accordion": 1.1,
    "acoustic guitar": 0.9,
    "electric guitar": 1.2,
    "strings": 1.2,
    "harp": 0.6,
    "choir": 0.9,
    "brass": 1.6,
    "saxophone": 2.0,
    "woodwind": 2.0,
    "flute": 2.0,
    "mallets": 1.1,
    "synthesizer": 1.0,
}
"""How often an instrument carries a tune."""

HARMONY_WEIGHTS: dict[str, float] = {
    "piano": 2.2,
    "harpsichord": 1.1,
    "organ": 1.1,
    "accordion": 1.0,
    "acoustic guitar": 1.4,
    "electric guitar": 1.2,
    "strings": 0.7,
    "harp": 1.1,
    "choir": 0.3,
    "brass": 0.4,
    "saxophone": 0.3,
    "woodwind": 0.3,
    "mallets": 0.9,
    "synthesizer": 0.9,
}
"""How often an instrument plays chords in rhythm."""

PAD_WEIGHTS: dict[str, float] = {
    "organ": 1.2,
    "accordion": 0.9,
    "strings": 1.3,
    "choir": 2.0,
    "brass": 1.0,
    "saxophone": 0.6,
    "woodwind": 0.7,
    "synthesizer": 1.6,
}
"""How often an instrument holds chords."""

ENSEMBLES: tuple[tuple[str, ...], ...] = (
    ("choir",),
    ("brass",),
    ("strings",),
    ("organ",),
    ("woodwind",),
    ("saxophone",),
    ("flute", "woodwind"),
    ("choir", "organ"),
    ("brass", "organ"),
    ("choir", "strings"),
    ("flute", "woodwind", "brass"),
    ("accordion",),
    ("harpsichord", "strings"),
    ("synthesizer",),
    ("mallets",),
    ("acoustic guitar",),
    ("harp", "flute"),
)
"""Groups that play independent parts together."""

_SLOW_PROGRAMS = frozenset({49, 50, 51, 52, 53, 54, 88, 89, 91, 92, 93, 94, 95})
"""Programs that swell too slowly for notes shorter than about a third of a second."""

_UNUSED_PROGRAMS = frozenset({31, 55, 62})
_DECAYING = frozenset({"piano", "harpsichord", "acoustic guitar", "harp", "mallets"})

_RANGES: dict[str, tuple[int, int]] = {
    "piano": (36, 93),
    "harpsichord": (41, 86),
    "organ": (36, 93),
    "accordion": (50, 88),
    "acoustic guitar": (40, 81),
    "electric guitar": (40, 84),
    "bass": (28, 52),
    "strings": (36, 93),
    "harp": (36, 93),
    "choir": (48, 79),
    "brass": (43, 82),
    "saxophone": (48, 82),
    "woodwind": (52, 86),
    "flute": (60, 94),
    "mallets": (57, 96),
    "synthesizer": (40, 91),
}
_PROGRAM_RANGES: dict[int, tuple[int, int]] = {
    9: (72, 103),
    11: (53, 89),
    12: (48, 90),
    14: (60, 77),
    40: (55, 96),
    41: (48, 84),
    42: (36, 74),
    43: (28, 55),
    56: (54, 84),
    57: (40, 72),
    58: (29, 55),
    60: (41, 77),
    64: (54, 86),
    65: (49, 80),
    66: (44, 75),
    67: (36, 68),
    68: (58, 89),
    69: (52, 80),
    70: (34, 70),
    71: (50, 89),
    72: (72, 101),
}


def pick_instrument(rng: np.random.Generator, weights: Mapping[str, float], taken: Sequence[str] = ()) -> str:
    """An instrument word drawn by weight, none of `taken`."""
    names = [name for name in weights if name not in taken] or list(weights)
    shares = np.array([weights[name] for name in names])
    return str(rng.choice(names, p=shares / shares.sum()))


def pick_program(rng: np.random.Generator, instrument: str, *, fast: bool = False, centre: float | None = None) -> int:
    """A program of `instrument`; with `fast` none that swells slowly; with `centre` one that reaches that pitch."""
    programs = [p for p in facts.programs_of_instrument(instrument) if p not in _UNUSED_PROGRAMS]
    if fast:
        programs = [p for p in programs if p not in _SLOW_PROGRAMS] or programs
    if centre is not None:
        programs = [
            p for p in programs if range_of(instrument, p)[0] <= centre <= range_of(instrument, p)[1]
        ] or programs
    return int(rng.choice(programs))


def range_of(instrument: str, program: int) -> tuple[int, int]:
    """Lowest and highest comfortable MIDI pitch."""
    return _PROGRAM_RANGES.get(program, _RANGES.get(instrument, (36, 96)))


def into_range(pitches: NDArray[np.float64], low: int, high: int) -> NDArray[np.float64]:
    """Pitches moved by octaves: first all together towards the middle, then those that are still outside one by one."""
    if len(pitches) == 0:
        return pitches
    moved = pitches + 12 * round(((low + high) / 2 - float(np.median(pitches))) / 12 * 0.75)
    moved = moved + 12 * np.ceil(np.maximum(0, low - moved) / 12) - 12 * np.ceil(np.maximum(0, moved - high) / 12)
    return np.asarray(np.where(moved < low, moved + 12, moved), dtype=np.float64)


def longest_sound_seconds(instrument: str) -> float:
    """How long a held note of the instrument stays audible."""
    return 2.5 if instrument in _DECAYING else 60.0
