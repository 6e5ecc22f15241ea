"""Recordings that nobody made, with facts drawn at random: correlated as in music, and some much commoner than others.

In: a number and a seed. Out: `Track`s with every exact fact, or with facts left out.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping

from mllm.facts import INSTRUMENTS, METERS
from mllm.instruct_data.tracks import Span, Track

_STYLES: Mapping[str, tuple[float, float, str]] = {
    "rock": (100, 160, "backbeat"),
    "techno": (120, 140, "four on the floor"),
    "jazz swing": (90, 220, "swing ride"),
    "waltz": (80, 180, "none"),
    "chorale": (55, 90, "none"),
    "reggae": (65, 95, "one drop"),
}
_MOODS = ("calm", "cheerful", "solemn", "driving", "wistful")
_COMMON = {"piano": 0.7, "bass": 0.6, "strings": 0.4, "acoustic guitar": 0.35}
_QUALITIES = ("maj", "min", "7", "min7")


def track(number: int, seed: int = 0, *, split: str = "train", source: str = "rendered") -> Track:
    """One recording; equal arguments give equal recordings."""
    rng = random.Random(f"{seed}/{number}")
    style = rng.choices(tuple(_STYLES), weights=(5, 3, 2, 2, 1, 1))[0]
    low, high, pattern = _STYLES[style]
    seconds = round(rng.uniform(24.0, 90.0), 1)
    tempo = round(rng.uniform(low, high), 1)
    meter = "3/4" if style == "waltz" else rng.choices(METERS, weights=(3, 5, 80, 6, 2, 2))[0]
    sections = _sections(rng, seconds)
    activity = _activity(rng, seconds, drums=pattern != "none")
    mode = rng.choices(("major", "minor", "dorian", "mixolydian"), weights=(50, 40, 6, 4))[0]
    tonic = rng.choices(("C", "G", "D", "A", "F", "Bb", "E"), weights=(6, 5, 4, 3, 2, 1, 1))[0]
    key = f"{tonic} {mode}"
    keys: tuple[tuple[float, str], ...] = ((0.0, key),)
    if rng.random() < 0.25:
        keys += ((round(seconds * 0.7, 2), f"{rng.choice(('B', 'Ab', 'Eb'))} {mode}"),)
    bar = 60 / tempo * 4
    return Track(
        id=f"{source}-{seed}-{number}",
        path=f"audio/{number}.flac",
        seconds=seconds,
        source=source,
        licence="CC0-1.0",
        split=split,
        family=f"{source}-{seed}-{number // 2}",
        title=f"Number {number}",
        tempo_bpm=tempo,
        tempo_curve=_tempo_curve(rng, tempo, seconds),
        downbeats=tuple(round(bar * n, 3) for n in range(int(seconds / bar))),
        meter=meter,
        key=key,
        keys=keys,
        chords=_chords(rng, seconds),
        activity=activity,
        instruments=tuple(activity),
        absent=tuple(name for name in INSTRUMENTS if name not in activity),
        sections=sections,
        registers={name: _register(rng) for name in activity if name != "drums"},
        density=round(rng.uniform(1.0, 14.0), 2),
        dynamics=tuple((begin, round(rng.uniform(-12.0, 0.0), 1)) for begin, _, _ in sections),
        drum_pattern=pattern if "drums" in activity else "none",
        style=style,
        moods=tuple(rng.sample(_MOODS, rng.choice((1, 2)))),
        vocals=rng.random() < 0.2,
    )


def tracks(count: int, seed: int = 0, *, split: str = "train") -> list[Track]:
    """Several of them."""
    return [track(number, seed, split=split) for number in range(count)]


def blank(number: int = 0, *, split: str = "train") -> Track:
    """A recording of which nothing is known."""
    return Track(
        id=f"blank-{number}",
        path=f"blank/{number}.mp3",
        source="rendered",
        licence="CC0-1.0",
        family=f"blank-{number}",
        split=split,
    )


def _sections(rng: random.Random, seconds: float) -> tuple[tuple[float, float, str], ...]:
    names = rng.choice((("intro", "verse", "chorus", "verse", "chorus", "outro"), ("A", "A", "B", "A"), ("A", "B")))
    borders = [0.0, *(round(seconds * (n + 1) / len(names), 2) for n in range(len(names) - 1)), seconds]
    return tuple(zip(borders, borders[1:], names, strict=False))


def _activity(rng: random.Random, seconds: float, *, drums: bool) -> dict[str, tuple[Span, ...]]:
    playing = {name for name in INSTRUMENTS if name != "drums" and rng.random() < _COMMON.get(name, 0.12)}
    playing |= {"drums"} if drums and rng.random() < 0.9 else set()
    playing = playing or {"piano"}
    return {name: _spans(rng, seconds) for name in INSTRUMENTS if name in playing}


def _spans(rng: random.Random, seconds: float) -> tuple[Span, ...]:
    begin = 0.0 if rng.random() < 0.5 else round(rng.uniform(2.0, seconds * 0.5), 2)
    end = seconds if rng.random() < 0.6 else round(rng.uniform(seconds * 0.75, seconds), 2)
    if rng.random() < 0.7:
        return ((begin, end),)
    middle = begin + (end - begin) * 0.4
    return ((begin, round(middle, 2)), (round(middle + 5.0, 2), end)) if middle + 6.0 < end else ((begin, end),)


def _tempo_curve(rng: random.Random, tempo: float, seconds: float) -> tuple[tuple[float, float], ...]:
    kind = rng.random()
    if kind < 0.7:
        return ((0.0, tempo),)
    if kind < 0.85:
        return ((0.0, tempo), (round(seconds * 0.6, 2), round(tempo * rng.choice((0.8, 1.25)), 1)))
    at = seconds * 0.8
    return ((0.0, tempo), *((round(at + 0.6 * n, 2), round(tempo * (1 - 0.03 * (n + 1)), 2)) for n in range(6)))


def _chords(rng: random.Random, seconds: float) -> tuple[tuple[float, float, str], ...]:
    borders = [round(2.0 * n, 2) for n in range(int(seconds / 2.0))] + [seconds]
    return tuple(
        (begin, end, f"{rng.choice('CDEFGA')}:{rng.choice(_QUALITIES)}") for begin, end in itertools.pairwise(borders)
    )


def _register(rng: random.Random) -> tuple[int, int]:
    low = rng.randrange(30, 76)
    return low, low + rng.randrange(5, 24)
