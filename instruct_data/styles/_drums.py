"""Drum grooves by name, with fills, crashes and thinner versions for quiet sections.

In: a passage, the name of a groove. Out: rows on General MIDI drum notes. Knows nothing of kits or sound.
"""

from __future__ import annotations

import numpy as np

from mllm.instruct_data.patterns import (
    CLAP,
    CRASH,
    HAT,
    KICK,
    OPEN_HAT,
    PEDAL_HAT,
    RIDE,
    RIM,
    SNARE,
    TAMBOURINE,
    Row,
)
from mllm.instruct_data.styles._chance import happens, one_of
from mllm.instruct_data.styles._plan import Passage

LOW_TOM, MIDDLE_TOM, HIGH_TOM = 43, 47, 50
COWBELL, SHAKER, LOW_CONGA, HIGH_CONGA, CLAVES = 56, 70, 64, 63, 75
_LOUDNESS = {
    KICK: 102,
    SNARE: 98,
    CLAP: 94,
    RIM: 88,
    HAT: 72,
    PEDAL_HAT: 70,
    OPEN_HAT: 76,
    RIDE: 78,
    CRASH: 92,
    TAMBOURINE: 74,
    SHAKER: 66,
    COWBELL: 70,
    CLAVES: 78,
    LOW_CONGA: 80,
    HIGH_CONGA: 78,
}

Groove = dict[int, str]
"""Drum note -> steps of a bar, or of several bars separated by "|": "X" loud, "x" usual, "o" soft, "." none."""

GROOVES: dict[str, dict[str, tuple[Groove, ...]]] = {
    "backbeat": {
        "4/4": (
            {KICK: "X.......X.......", SNARE: "....X.......X...", HAT: "x.x.x.x.x.x.x.x."},
            {KICK: "X.....x.X.......", SNARE: "....X.......X...", HAT: "x.x.x.x.x.x.x.x."},
            {KICK: "X.......X.x.....", SNARE: "....X.......X..o", HAT: "x.x.x.x.x.x.x.x."},
            {KICK: "X..x..x.X.......", SNARE: "....X.......X...", RIDE: "x.x.x.x.x.x.x.x."},
        ),
        "12/8": ({KICK: "X.....X..x..", SNARE: "...X.....X..", HAT: "xxxxxxxxxxxx"},),
        "6/8": ({KICK: "X.....", SNARE: "...X..", HAT: "xxxxxx"},),
    },
    "half-time backbeat": {
        "4/4": (
            {KICK: "X.....x.........", SNARE: "........X.......", HAT: "x.x.x.x.x.x.x.x."},
            {KICK: "X.........x.....", SNARE: "........X.......", RIDE: "x...x...x...x..."},
        ),
    },
    "four on the floor": {
        "4/4": (
            {KICK: "X...X...X...X...", CLAP: "....x.......x...", OPEN_HAT: "..x...x...x...x."},
            {KICK: "X...X...X...X...", CLAP: "....x.......x...", HAT: "xoXoxoXoxoXoxoXo"},
            {KICK: "X...X...X...X...", OPEN_HAT: "..x...x...x...x.", SHAKER: "oooooooooooooooo"},
            {
                KICK: "X...X...X...X...",
                SNARE: "....x.......x...",
                OPEN_HAT: "..x...x...x...x.",
                HAT: "x...x...x...x...",
            },
        ),
    },
    "bossa nova": {
        "4/4": (
            {KICK: "X.....x.X.....x.", RIM: "x.....x.....x...|....x.....x.....", HAT: "xoxoxoxoxoxoxoxo"},
            {KICK: "X.....x.X.....x.", RIM: "....x.....x.....|x.....x.....x...", SHAKER: "XoxoXoxoXoxoXoxo"},
        ),
    },
    "one drop": {
        "4/4": (
            {KICK: "........X.......", RIM: "........X.......", HAT: "x.x.x.x.x.x.x.x."},
            {KICK: "........X.......", SNARE: "........X.......", HAT: "X.o.X.o.X.o.X.o."},
            {KICK: "........X.......", RIM: "........X.....o.", HAT: "x.x.x.x.x.x.x..."},
        ),
    },
    "swing ride": {
        "4/4": (
            {RIDE: "X...x.x.X...x.x.", PEDAL_HAT: "....X.......X...", KICK: "o...o...o...o..."},
            {RIDE: "X...x.x.X...x.x.", PEDAL_HAT: "....X.......X...", SNARE: "......o.......o."},
        ),
        "3/4": ({RIDE: "X...x.x.x...", PEDAL_HAT: "....X...X...", KICK: "o..........."},),
    },
    "shuffle": {
        "12/8": (
            {KICK: "X....xX.....", SNARE: "...X.....X..", RIDE: "x.xx.xx.xx.x"},
            {KICK: "X.....X....x", SNARE: "...X.....X..", HAT: "x.xx.xx.xx.x"},
        ),
        "4/4": ({KICK: "X.......X.....x.", SNARE: "....X.......X...", HAT: "x.x.x.x.x.x.x.x."},),
    },
    "march": {
        "2/4": (
            {KICK: "X...X...", SNARE: "o.x.X.xx"},
            {KICK: "X.......", SNARE: "X.xxX.x.", PEDAL_HAT: "....x..."},
        ),
        "4/4": (
            {KICK: "X.......X.......", SNARE: "X..xX.x.X..xXxxx"},
            {KICK: "X...x...X...x...", SNARE: "..x.X.xx..x.X.x.", CRASH: "o..............."},
        ),
        "6/8": ({KICK: "X..X..", SNARE: "x.xX.x"}, {KICK: "X..X..", SNARE: "X.xxxx"}),
    },
    "waltz": {
        "3/4": (
            {KICK: "X.....", SNARE: "..x.x."},
            {KICK: "X.....", RIM: "..x.x.", RIDE: "x.x.x."},
            {KICK: "X.....", PEDAL_HAT: "..x.x.", RIDE: "x.x.xx"},
        ),
    },
    "folk drum": {
        "2/4": ({LOW_TOM: "X..oX..o", TAMBOURINE: "..x...x."}, {KICK: "X...x...", TAMBOURINE: "x.xxx.xx"}),
        "3/4": ({LOW_TOM: "X.....", TAMBOURINE: "..x.x."}, {KICK: "X.....", TAMBOURINE: "x.x.xx"}),
        "4/4": ({LOW_TOM: "X..oX..oX..oX..o"}, {KICK: "X...x...X...x...", TAMBOURINE: "x.xxx.xxx.xxx.xx"}),
        "6/8": ({LOW_TOM: "X.ox.o", TAMBOURINE: "..x..x"}, {KICK: "X..x..", TAMBOURINE: "x.xx.x"}),
        "9/8": ({LOW_TOM: "X.ox.ox.o"}, {KICK: "X..x..x..", TAMBOURINE: "x.xx.xx.x"}),
        "12/8": ({LOW_TOM: "X.ox.oX.ox.o"}, {KICK: "X..x..X..x..", TAMBOURINE: "x.xx.xx.xx.x"}),
    },
    "polka": {
        "2/4": ({KICK: "X...x...", SNARE: "..X...X."}, {KICK: "X...x...", HAT: "..x...x.", SNARE: "..X...Xo"}),
    },
    "tango": {
        "4/4": (
            {KICK: "X...X...X...X...", SNARE: "..............xx", PEDAL_HAT: "X...x...x...x..."},
            {KICK: "X.....x.X...x...", RIM: "X...x...X...x.x."},
        ),
        "2/4": ({KICK: "X..xX.x.", RIM: "x...x.x."},),
    },
    "funk": {
        "4/4": (
            {KICK: "X.x....x..x..x..", SNARE: "....X..o.o..X..o", HAT: "xxxxxxxxxxxxxxxx"},
            {KICK: "X..x..x...x.....", SNARE: "....X..o.o.oX...", HAT: "x.xxx.x.x.xxx.x."},
        ),
    },
    "broken beat": {
        "4/4": ({KICK: "X.........x.....", RIM: "....x.......x...", SHAKER: "o.o.o.o.o.o.o.o."},),
        "3/4": ({KICK: "X.....", SHAKER: "o.o.o."},),
        "6/8": ({KICK: "X.....", SHAKER: "o.oo.o"},),
    },
}
"""By name and meter."""

_THIN = {SNARE, CLAP, TAMBOURINE, OPEN_HAT, RIM}
_STEADY = frozenset({"swing ride", "waltz", "bossa nova", "march", "folk drum", "polka", "tango"})
"""Grooves that do without crashes at sections."""


def drums(passage: Passage, groove: Groove, name: str, rng: np.random.Generator, *, fills: float = 0.7) -> list[Row]:
    """A groove for a passage: some of it in quiet ones, a fill before the next section, a crash where it begins."""
    thin = passage.energy < 0.3
    fill_bars = {passage.bars - 1} if not passage.closes and happens(rng, fills) else set()
    if passage.bars >= 12 and happens(rng, fills / 2):
        fill_bars.add(passage.bars // 2 // 4 * 4 - 1)
    rows: list[Row] = []
    for drum, rhythm in groove.items():
        if not (thin and drum in _THIN and len(groove) > 2):
            rows.extend(_steps(passage, drum, rhythm))
    for bar in fill_bars:
        start, end = passage.onset + bar * passage.quarters, passage.onset + (bar + 1) * passage.quarters
        begin = end - passage.beat * (2 if passage.beat == 1.0 and passage.quarters > 2 and happens(rng, 0.4) else 1)
        if begin >= start:
            rows = [row for row in rows if not begin - 0.01 <= row[0] < end - 0.01]
            rows.extend(_fill(begin, end, passage.beat, rng))
    if passage.energy > 0.5 and name not in _STEADY and (passage.number or happens(rng, 0.5)):
        rows.append((passage.onset, 1.0, float(CRASH), 94.0))
    return rows


def _steps(passage: Passage, drum: int, rhythm: str) -> list[Row]:
    bars = rhythm.split("|")
    loudness = {"X": _LOUDNESS.get(drum, 86) + 6.0, "x": float(_LOUDNESS.get(drum, 86)), "o": 50.0}
    rows: list[Row] = []
    for bar in range(passage.bars):
        steps = bars[bar % len(bars)]
        start, step = passage.onset + bar * passage.quarters, passage.quarters / len(steps)
        for place, symbol in enumerate(steps):
            if symbol != ".":
                rows.append((start + place * step, min(step, 0.25), float(drum), loudness[symbol]))
    return rows


def _fill(begin: float, end: float, beat: float, rng: np.random.Generator) -> list[Row]:
    """Toms or snare, louder towards the end."""
    step = 0.5 if beat == 1.5 else 0.25
    count = round((end - begin) / step)
    row = one_of(rng, ((SNARE,), (SNARE, HIGH_TOM, MIDDLE_TOM, LOW_TOM), (HIGH_TOM, MIDDLE_TOM, LOW_TOM)))
    rows: list[Row] = []
    for place in range(count):
        if place and happens(rng, 0.15):
            continue
        drum = row[min(place * len(row) // count, len(row) - 1)]
        rows.append((begin + place * step, 0.2, float(drum), 78.0 + 22.0 * place / count))
    return rows
