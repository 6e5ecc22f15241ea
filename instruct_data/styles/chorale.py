"""Chorale: four voices, chord by chord. In: a generator and a length. Out: a `Composition`."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from mllm.instruct_data.composition import Composition
from mllm.instruct_data.patterns import Row
from mllm.instruct_data.styles._band import Band, Player
from mllm.instruct_data.styles._chance import happens, one_of, pick
from mllm.instruct_data.styles._form import cycles
from mllm.instruct_data.styles._harmony import Manner
from mllm.instruct_data.styles._melody import Character
from mllm.instruct_data.styles._plan import Passage, Plan, Recipe, make_plan
from mllm.instruct_data.styles._voices import lower_voices

SUMMARY = "A chorale in four voices, sung or played strophe by strophe by one group or by two in turn."
WEIGHT = 0.8

_RECIPE = Recipe(
    style="chorale",
    meters={"4/4": 0.65, "3/4": 0.35},
    tempos={"4/4": (58, 100), "3/4": (66, 112)},
    modes={"major": 0.42, "minor": 0.43, "dorian": 0.09, "mixolydian": 0.06},
    forms=(
        "verse a 8 6",
        *cycles(("verse a 8 5", "verse a 8 7", "verse a 8 6", "verse a 8 8"), (2, 3, 4, 5, 6, 8, 10, 12)),
        *cycles(("A a 8 5", "A a 8 6", "B b 8 7"), (3, 6, 9, 12)),
    ),
    manner=Manner(chords_a_bar={2: 0.5, 3: 0.5}, secondary=0.07, inversions=0.2),
    tempo_changes=0.2,
)
_GROUPS: dict[str, tuple[tuple[str, int], ...]] = {
    "choir": (("choir", 52), ("choir", 52), ("choir", 52), ("choir", 52)),
    "organ": (("organ", 19), ("organ", 19), ("organ", 19), ("organ", 19)),
    "brass": (("brass", 56), ("brass", 60), ("brass", 57), ("brass", 58)),
    "strings": (("strings", 40), ("strings", 41), ("strings", 42), ("strings", 42)),
    "woodwind": (("woodwind", 68), ("woodwind", 71), ("woodwind", 71), ("woodwind", 70)),
    "saxophones": (("saxophone", 64), ("saxophone", 65), ("saxophone", 66), ("saxophone", 67)),
    "mixed": (("flute", 73), ("woodwind", 71), ("brass", 60), ("woodwind", 70)),
    "reeds": (("accordion", 21), ("accordion", 21), ("accordion", 21), ("strings", 42)),
    "keys": (("harpsichord", 6), ("harpsichord", 6), ("harpsichord", 6), ("harpsichord", 6)),
}
"""Instruments and programs of soprano, alto, tenor and bass."""
_WEIGHTS = {
    "choir": 3.0,
    "organ": 1.6,
    "brass": 1.4,
    "strings": 1.0,
    "woodwind": 0.8,
    "saxophones": 0.5,
    "mixed": 0.6,
    "reeds": 0.4,
    "keys": 0.4,
}


def compose(rng: np.random.Generator, *, seconds: float) -> Composition:
    """A piece of about `seconds`; the same generator state gives the same piece."""
    plan = make_plan(_RECIPE, rng, seconds=seconds)
    band = Band(plan, rng)
    first = pick(rng, _WEIGHTS)
    second = pick(rng, {name: weight for name, weight in _WEIGHTS.items() if name != first})
    turns = _turns(rng, plan)
    groups = [
        _hire(band, _GROUPS[name], [part for part, who in zip(plan.passages, turns, strict=True) if number in who])
        for number, name in enumerate((first, second))
    ]
    character = Character(density=1.0, leaps=0.1, rests=0.0, sixteenths=False)
    passing = one_of(rng, (0.0, 0.25, 0.5))
    inner: dict[int, list[list[Row]]] = {}
    for group in groups:
        band.sing(group[0], character)
    for passage in plan.passages:
        voice_rng = plan.material_rng(passage, "voices")
        top = band.tune(passage)
        inner[passage.number] = lower_voices(
            passage, top, voice_rng, repeats=plan.passages[0].quarters, passing=passing
        )
    for group in groups:
        for voice, player in enumerate(group[1:]):
            band.play(player, functools.partial(_voice, inner, voice))
    return band.finish(drum_pattern=None)


def _voice(inner: Mapping[int, Sequence[list[Row]]], voice: int, passage: Passage) -> list[Row]:
    return inner[passage.number][voice]


def _turns(rng: np.random.Generator, plan: Plan) -> list[tuple[int, ...]]:
    """Which of two groups perform each strophe."""
    count = len(plan.passages)
    if count == 1 or happens(rng, 0.45):
        return [(0,)] * count
    turns: list[tuple[int, ...]] = [(number % 2,) for number in range(count)]
    if happens(rng, 0.6):
        turns[-1] = (0, 1)
    return turns


def _hire(band: Band, group: tuple[tuple[str, int], ...], passages: list[Passage]) -> list[Player]:
    numbers = {passage.number for passage in passages}
    roles = ("melody", "counter", "counter", "bass")
    return [
        band.hire(
            role,
            {name: 1},
            where=lambda passage: passage.number in numbers,
            programs={name: (program,)},
            articulation="legato",
        )
        for role, (name, program) in zip(roles, group, strict=True)
    ]
