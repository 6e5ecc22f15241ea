"""The plan of a piece before anyone plays: meter, tempo, keys, form, chords and loudness.

In: what a style allows (a `Recipe`), a wished length, a random generator. Out: a `Plan` of passages with their chords.
Knows nothing of instruments and notes.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from mllm.instruct_data.composition import KeyFrom, Section, TempoFrom
from mllm.instruct_data.patterns import beat_quarters
from mllm.instruct_data.scores import BAR_QUARTERS, Chord
from mllm.instruct_data.styles import _tempo
from mllm.instruct_data.styles._chance import between, happens, one_of, pick
from mllm.instruct_data.styles._form import Stretch, form_of
from mllm.instruct_data.styles._harmony import Manner, Relative, progression

_KEY_CHANGES = 0.18
"""Share of pieces that are asked for a change of key; some have no room for one."""
_SHORTEST_SECONDS = 12.5
_LARGEST_MISS = 0.08
_SPLITS: dict[str, dict[int, tuple[float, ...]]] = {
    "2/4": {2: (1.0, 1.0), 4: (0.5, 0.5, 0.5, 0.5)},
    "3/4": {2: (2.0, 1.0), 3: (1.0, 1.0, 1.0)},
    "4/4": {2: (2.0, 2.0), 3: (2.0, 1.0, 1.0), 4: (1.0, 1.0, 1.0, 1.0)},
    "6/8": {2: (1.5, 1.5)},
    "9/8": {2: (3.0, 1.5), 3: (1.5, 1.5, 1.5)},
    "12/8": {2: (3.0, 3.0), 4: (1.5, 1.5, 1.5, 1.5)},
}
"""How long each of several chords in a bar lasts, in quarter notes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a style allows."""

    style: str
    meters: Mapping[str, float]
    """Weights."""
    tempos: Mapping[str, tuple[float, float]]
    """Beats a minute, by meter."""
    modes: Mapping[str, float]
    """Weights."""
    forms: Sequence[str]
    """Templates, see `_form`."""
    fixed_form: bool = False
    manner: Manner = dataclasses.field(default_factory=Manner)
    swing: tuple[float, float] = (0.5, 0.5)
    tempo_changes: float = 0.15
    """Share of pieces whose tempo changes."""
    moves_to: tuple[str, ...] = ("up", "up", "relative", "parallel")
    """Changes of key: "up" to the end, "relative" and "parallel" in one section, "down a fifth" from a trio on."""
    holds_last: float = 0.85
    """Share of pieces whose last bar is one long chord."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Passage:
    """A section of the piece with its key and its chords."""

    name: str
    material: str
    number: int
    """Place among the sections, from 0."""
    meter: str
    onset: float
    bars: int
    energy: float
    tonic: int
    mode: str
    chords: tuple[Chord, ...]
    closes: bool
    """Whether the piece ends here."""

    @property
    def quarters(self) -> float:
        """Length of a bar in quarter notes."""
        return BAR_QUARTERS[self.meter]

    @property
    def beat(self) -> float:
        """Length of a beat in quarter notes."""
        return beat_quarters(self.meter)

    @property
    def end(self) -> float:
        """Where the next section begins."""
        return self.onset + self.bars * self.quarters

    @functools.cached_property
    def _onsets(self) -> list[float]:
        return [chord.onset for chord in self.chords]

    def chord_at(self, onset: float) -> Chord:
        """The chord that sounds at a moment of this passage."""
        return self.chords[max(0, bisect.bisect_right(self._onsets, onset + 1e-6) - 1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A piece without its notes."""

    recipe: Recipe
    seed: int
    """Of this piece alone."""
    meter: str
    swing: float
    passages: tuple[Passage, ...]
    keys: tuple[KeyFrom, ...]
    tempos: tuple[TempoFrom, ...]
    dynamics: tuple[tuple[float, float], ...]
    holds_last: bool
    """Whether the last bar is one long chord."""

    @property
    def end(self) -> float:
        """Where the last bar ends."""
        return self.passages[-1].end

    @property
    def sections(self) -> tuple[Section, ...]:
        """The form."""
        return tuple(Section(onset=part.onset, end=part.end, name=part.name) for part in self.passages)

    def material_rng(self, passage: Passage, purpose: str) -> np.random.Generator:
        """A generator that starts the same in all passages of one material."""
        return np.random.default_rng((self.seed, zlib.crc32(f"{passage.material} {purpose}".encode())))

    def quarter_seconds(self) -> float:
        """How long a quarter note lasts at first."""
        return 60.0 / self.tempos[0].bpm / beat_quarters(self.meter)


def make_plan(recipe: Recipe, rng: np.random.Generator, *, seconds: float) -> Plan:
    """A plan for a piece of about `seconds`; the same generator state gives the same plan."""
    seed = int(rng.integers(2**62))
    meter = pick(rng, recipe.meters)
    bpm = between(rng, recipe.tempos[meter])
    wished = max(_SHORTEST_SECONDS, seconds)
    bar_seconds = BAR_QUARTERS[meter] / beat_quarters(meter) * 60.0 / bpm
    form = form_of(rng, recipe.forms, max(2, round(wished / bar_seconds)), fixed=recipe.fixed_form)
    keys = _keys(rng, recipe, form)
    passages = _passages(recipe, seed, meter, form, keys)
    tempos = _tempo.tempos(rng, recipe.tempo_changes, bpm, passages)
    tempos = _tempo.fitted(tempos, passages[-1].end, meter, wished, _LARGEST_MISS)
    return Plan(
        recipe=recipe,
        seed=seed,
        meter=meter,
        swing=float(rng.uniform(*recipe.swing)),
        passages=passages,
        keys=_changes(passages),
        tempos=tempos,
        dynamics=loudness(rng, passages),
        holds_last=happens(rng, recipe.holds_last),
    )


def loudness(rng: np.random.Generator, passages: Sequence[Passage]) -> tuple[tuple[float, float], ...]:
    """Straight lines of dB after the energy of the passages; some of them swell."""
    span = rng.uniform(3.0, 12.0)
    levels = [-span * (1.0 - part.energy) for part in passages]
    top = max(levels)
    points: list[tuple[float, float]] = []
    for place, (part, level) in enumerate(zip(passages, levels, strict=True)):
        begin = end = level - top
        if happens(rng, 0.25) and place + 1 < len(passages) and levels[place + 1] > level:
            end = (level + levels[place + 1]) / 2 - top
        elif happens(rng, 0.2):
            begin -= rng.uniform(1.0, 4.0)
        if part.closes and happens(rng, 0.3):
            end -= rng.uniform(2.0, 6.0)
        points.append((part.onset, float(max(begin, -18.0))))
        points.append((part.end - part.quarters / 2, float(max(end, -18.0))))
    return tuple(points)


def _keys(rng: np.random.Generator, recipe: Recipe, form: Sequence[Stretch]) -> list[tuple[int, str]]:
    """Tonic and mode of each section."""
    tonic, mode = int(rng.integers(12)), pick(rng, recipe.modes)
    keys = [(tonic, mode)] * len(form)
    manner = one_of(rng, recipe.moves_to)
    if len(form) < 2 or min(part.bars for part in form) < 4 or not happens(rng, _KEY_CHANGES):
        return keys
    if manner == "down a fifth" and any(part.name == "trio" for part in form):
        first = next(place for place, part in enumerate(form) if part.name == "trio")
        return keys[:first] + [((tonic + 5) % 12, mode)] * (len(form) - first)
    if manner == "up" or len(form) < 3 or mode not in ("major", "minor"):
        first = max(1, min(len(form) - 1, int(rng.integers(len(form) // 2, len(form)))))
        return keys[:first] + [((tonic + int(rng.integers(1, 3))) % 12, mode)] * (len(form) - first)
    other = "minor" if mode == "major" else "major"
    moved = (tonic + (9 if mode == "major" else 3)) % 12 if manner == "relative" else tonic
    place = int(rng.integers(1, len(form) - 1))
    keys[place] = (moved, other)
    return keys


def _changes(passages: Sequence[Passage]) -> tuple[KeyFrom, ...]:
    found: list[KeyFrom] = []
    for part in passages:
        if not found or (found[-1].tonic, found[-1].mode) != (part.tonic, part.mode):
            found.append(KeyFrom(onset=part.onset, tonic=part.tonic, mode=part.mode))
    return tuple(found)


def _passages(
    recipe: Recipe, seed: int, meter: str, form: Sequence[Stretch], keys: Sequence[tuple[int, str]]
) -> tuple[Passage, ...]:
    kind = pick(np.random.default_rng(seed), recipe.manner.kinds)
    passages = []
    onset = 0.0
    for number, (part, (tonic, mode)) in enumerate(zip(form, keys, strict=True)):
        rng = np.random.default_rng((seed, zlib.crc32(f"{part.material} chords".encode())))
        closes = number == len(form) - 1
        bars = progression(rng, recipe.manner, kind, mode, part.bars, closes=closes)
        passages.append(
            Passage(
                name=part.name,
                material=part.material,
                number=number,
                meter=meter,
                onset=onset,
                bars=part.bars,
                energy=part.energy,
                tonic=tonic,
                mode=mode,
                chords=_placed(bars, onset, meter, tonic),
                closes=closes,
            )
        )
        onset = passages[-1].end
    return tuple(passages)


def _placed(bars: Sequence[Sequence[Relative]], onset: float, meter: str, tonic: int) -> tuple[Chord, ...]:
    """Chords at their times; where one follows itself, the two are one."""
    chords: list[Chord] = []
    for number, bar in enumerate(bars):
        start = onset + number * BAR_QUARTERS[meter]
        durations = _SPLITS[meter][len(bar)] if len(bar) > 1 else (BAR_QUARTERS[meter],)
        for relative, duration in zip(bar, durations, strict=True):
            root, bass = (tonic + relative.root) % 12, (tonic + relative.bass) % 12
            last = chords[-1] if chords else None
            if last is not None and (last.root, last.quality, last.bass) == (root, relative.quality, bass):
                chords[-1] = dataclasses.replace(last, duration=last.duration + duration)
            else:
                chords.append(Chord(onset=start, duration=duration, root=root, quality=relative.quality, bass=bass))
            start += duration
    return tuple(chords)
