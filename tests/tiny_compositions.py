"""Small compositions made by hand, for tests of playing and recording."""

from __future__ import annotations

from typing import Any

import numpy as np

from mllm.instruct_data.composition import Composition, KeyFrom, Line, Section, TempoFrom
from mllm.instruct_data.scores import Chord

BARS = 8
END = 4.0 * BARS


def line(rows: list[tuple[float, float, float, float]], **changes: Any) -> Line:
    """A line of piano unless said otherwise."""
    values: dict[str, Any] = {"instrument": "piano", "program": 0, "role": "melody", "gain_db": 0.0}
    return Line(**{**values, **changes}, rows=np.array(rows, dtype=np.float64).reshape(-1, 4))


def drum_line(end: float = END) -> Line:
    """Kick and snare in turn, one a quarter."""
    rows = [(float(beat), 0.2, 36.0 if beat % 2 == 0 else 38.0, 110.0) for beat in range(int(end))]
    return line(rows, instrument="drums", role="drums")


def composition(**changes: Any) -> Composition:
    """Eight bars of 4/4 at 120: piano all through, flute in bars 3 and 4, bass from bar 5, drums in the last two."""
    melody = [(float(beat), 1.0, 60.0 + beat % 5, 90.0) for beat in range(int(END))]
    flute = [(8.0 + beat, 1.0, 74.0 + beat % 3, 95.0) for beat in range(8)]
    bass = [(16.0 + beat, 1.0, 36.0 + beat % 2, 95.0) for beat in range(16)]
    drums = [(24.0 + beat, 0.2, 36.0 if beat % 2 == 0 else 38.0, 110.0) for beat in range(8)]
    values: dict[str, Any] = {
        "title": "Made",
        "family": "made",
        "style": "test piece",
        "source": "generated",
        "licence": "CC0-1.0",
        "meter": "4/4",
        "end": END,
        "keys": (KeyFrom(onset=0.0, tonic=2, mode="dorian"), KeyFrom(onset=24.0, tonic=0, mode="major")),
        "tempos": (TempoFrom(onset=0.0, bpm=120.0),),
        "chords": (
            Chord(onset=0.0, duration=8.0, root=2, quality="min7", bass=2),
            Chord(onset=8.0, duration=8.0, root=2, quality="min7", bass=2),
            Chord(onset=16.0, duration=16.0, root=0, quality="maj", bass=0),
        ),
        "sections": (Section(onset=0.0, end=16.0, name="A"), Section(onset=16.0, end=END, name="B")),
        "lines": (
            line(melody),
            line(flute, instrument="flute", program=73),
            line(bass, instrument="bass", program=33, role="bass"),
            line(drums, instrument="drums", role="drums"),
        ),
        "drum_pattern": "backbeat",
    }
    return Composition(**{**values, **changes})
