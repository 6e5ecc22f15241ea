"""A piece of music as it is written: what styles compose, what rendering plays, and what is true of it.

In: nothing. Out: the types between `styles/` and rendering. All times are quarter notes from the beginning. Knows
nothing of sound, and no seconds but the tempo.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from mllm.errors import ConfigError
from mllm.facts import INSTRUMENTS, METERS
from mllm.instruct_data.scores import Chord
from mllm.instruct_data.tracks import MODES

ARTICULATIONS = ("legato", "normal", "staccato")


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeyFrom:
    """The key from a moment on."""

    onset: float
    tonic: int
    """Pitch class, C = 0."""
    mode: str
    """One of `MODES`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TempoFrom:
    """The tempo from a moment on."""

    onset: float
    bpm: float
    """Beats a minute, beats as `patterns.beat_quarters` counts them."""
    gradual: bool = False
    """Whether the tempo moves evenly from the one before, which holds at its own onset, to this one at this onset."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the form."""

    onset: float
    end: float
    name: str
    """Such as "intro", "verse", "chorus", "bridge", "solo", "break", "outro", or "A", "B"."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """What one player plays."""

    instrument: str
    """One of `facts.INSTRUMENTS`."""
    program: int
    """General MIDI program, 0 to 127; for drums the kit."""
    role: str
    """One of "melody", "counter", "harmony", "pad", "bass", "drums"."""
    gain_db: float
    """Loudness relative to other lines, at most 0."""
    articulation: str = "normal"
    """One of `ARTICULATIONS`."""
    rows: NDArray[np.float64]
    """Shape (notes, 4): onset and duration in quarter notes, MIDI pitch, velocity (1 to 127). Sorted by onset. Where
    the player rests, there are no rows: that is how instruments enter and stop."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Composition:
    """One piece."""

    title: str
    family: str
    """Pieces of one family fall on the same side of a split."""
    style: str
    """In words, such as "jazz swing": the name of a file in `styles/` with spaces, or of a collection of tunes."""
    source: str
    """"generated", or the collection that the tune is from."""
    licence: str
    meter: str
    """One of `facts.METERS`; the same throughout."""
    end: float
    """Where the last bar ends."""
    keys: tuple[KeyFrom, ...]
    """The first at 0."""
    tempos: tuple[TempoFrom, ...]
    """The first at 0 and not gradual."""
    chords: tuple[Chord, ...]
    sections: tuple[Section, ...]
    """Without gaps from 0 to `end`."""
    lines: tuple[Line, ...]
    swing: float = 0.5
    """Where in a beat of a quarter its second eighth stands, in [0.5, 0.7]."""
    dynamics: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    """(onset, dB): straight lines between these; at most 0, at least -18."""
    drum_pattern: str | None = None
    """Name of what the drums play; None where none play."""
    moods: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        problems = []
        if self.meter not in METERS:
            problems.append(f"meter is {self.meter!r}")
        if not self.keys or self.keys[0].onset != 0 or any(key.mode not in MODES for key in self.keys):
            problems.append("keys do not begin at 0 with known modes")
        if not self.tempos or self.tempos[0].onset != 0 or self.tempos[0].gradual:
            problems.append("tempos do not begin at 0")
        if any(line.instrument not in INSTRUMENTS or line.articulation not in ARTICULATIONS for line in self.lines):
            problems.append("a line has an unknown instrument or articulation")
        if not self.sections or self.sections[0].onset != 0 or self.sections[-1].end != self.end:
            problems.append("sections do not cover the piece")
        if problems:
            raise ConfigError(f"composition {self.title!r}: {'; '.join(problems)}")
