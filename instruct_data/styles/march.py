"""Marches: brass, wind and a snare drum. In: a generator and a length. Out: a `Composition`."""

from __future__ import annotations

import numpy as np

from mllm.instruct_data.composition import Composition
from mllm.instruct_data.styles import _figures
from mllm.instruct_data.styles._band import Band
from mllm.instruct_data.styles._chance import happens, one_of
from mllm.instruct_data.styles._harmony import Manner
from mllm.instruct_data.styles._melody import Character
from mllm.instruct_data.styles._plan import Recipe, make_plan

SUMMARY = "A march: a bold tune on brass or wind, bass and chords in turn, snare drum, and often a trio in another key."
WEIGHT = 1.0

_RECIPE = Recipe(
    style="march",
    meters={"2/4": 0.35, "4/4": 0.4, "6/8": 0.25},
    tempos={"2/4": (96, 132), "4/4": (84, 132), "6/8": (92, 126)},
    modes={"major": 0.52, "minor": 0.42, "dorian": 0.03, "mixolydian": 0.03},
    forms=(
        "A a 8 6, A a 8 8",
        "intro a 4 7, A a 8 6, B b 8 8, A a 8 8",
        "intro a 4 7, A a 8 6, A a 8 6, B b 8 8, trio c 8 5, A a 8 9",
        "intro a 4 7, A a 16 6, A a 16 6, B b 16 8, trio c 16 4, trio c 16 9",
        "intro a 4 7, A a 16 6, A a 16 6, B b 16 8, B b 16 8, trio c 16 4, break d 8 7, trio c 16 9",
        "intro a 8 7, A a 16 6, A a 16 6, B b 16 8, B b 16 8, A a 16 7, trio c 16 4, trio c 16 5, break d 16 7,"
        "trio c 16 8, break d 16 7, trio c 16 9",
    ),
    manner=Manner(colour="dominant", chords_a_bar={1: 0.75, 2: 0.25}, secondary=0.07),
    moves_to=("down a fifth", "down a fifth", "relative", "up"),
    tempo_changes=0.1,
)
_OFFBEATS = {"2/4": "-x-x", "4/4": "-x-x-x-x", "6/8": "--x--x"}
_BASSES = {"2/4": ("1.5.",), "4/4": ("1.5.", "15"), "6/8": ("1..5..",)}


def compose(rng: np.random.Generator, *, seconds: float) -> Composition:
    """A piece of about `seconds`; the same generator state gives the same piece."""
    plan = make_plan(_RECIPE, rng, seconds=seconds)
    band = Band(plan, rng)
    lead = band.hire(
        "melody",
        {"brass": 3, "flute": 1, "woodwind": 1.2, "saxophone": 0.7},
        programs={"brass": (56, 60, 61)},
        where=lambda passage: passage.name != "trio",
        fast=True,
    )
    density = 2.2 if plan.meter == "6/8" else one_of(rng, (1.2, 1.7))
    character = Character(density=density, leaps=0.35, rests=0.02)
    band.sing(lead, character)
    gentle = band.hire(
        "melody", {"woodwind": 2, "flute": 1, "saxophone": 1}, where=lambda passage: passage.name == "trio", fast=True
    )
    band.sing(gentle, character)
    second = band.hire("counter", {"woodwind": 1, "brass": 1, "saxophone": 0.8, "strings": 0.3}, least=0.6, fast=True)
    band.sing_along(second, -2)
    if happens(rng, 0.5):
        high = band.hire(
            "counter", {"flute": 1, "mallets": 0.8}, least=0.8, programs={"flute": (72,), "mallets": (9, 13)}
        )
        band.sing_along(high, one_of(rng, (0, 7)))
    chords = band.hire(
        "harmony", {"brass": 3, "accordion": 0.4, "piano": 0.4, "strings": 0.4}, programs={"brass": (60,)}
    )
    band.play(chords, lambda passage: _figures.chords(passage, _OFFBEATS[plan.meter], centre=58, size=3, length=0.4))
    line = one_of(rng, _BASSES[plan.meter])
    low = band.hire("bass", {"brass": 2, "bass": 1}, programs={"brass": (58,), "bass": (32,)})
    band.play(low, lambda passage: _figures.bass(passage, line, length=0.9))
    if not happens(rng, 0.08):
        drummer = band.hire("drums", {"drums": 1}, least=one_of(rng, (0.0, 0.5)), programs={"drums": (0, 48)})
        band.drum(drummer, "march", fills=0.5)
    return band.finish(drum_pattern="march")
