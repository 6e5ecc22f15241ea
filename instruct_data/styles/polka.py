"""Polkas: two quick beats and a merry tune. In: a generator and a length. Out: a `Composition`."""

from __future__ import annotations

import numpy as np

from mllm.instruct_data.composition import Composition
from mllm.instruct_data.styles import _figures
from mllm.instruct_data.styles._band import Band
from mllm.instruct_data.styles._chance import happens, one_of
from mllm.instruct_data.styles._form import cycles
from mllm.instruct_data.styles._harmony import Manner
from mllm.instruct_data.styles._melody import Character
from mllm.instruct_data.styles._plan import Recipe, make_plan

SUMMARY = "A polka: a quick tune on accordion, clarinet or trumpet over bass and chords in turn."
WEIGHT = 0.6

_ROUND = ("A a 8 5", "A a 8 6", "B b 8 7", "B b 8 8", "A a 8 7", "trio c 8 5", "trio c 8 6", "A a 8 8")
_RECIPE = Recipe(
    style="polka",
    meters={"2/4": 1.0},
    tempos={"2/4": (96, 142)},
    modes={"major": 0.55, "minor": 0.45},
    forms=("A a 8 5, B b 8 7", *cycles(_ROUND, (3, 4, 5, 8, 12, 16, 24, 32, 40), before="intro a 4 6")),
    manner=Manner(colour="dominant", chords_a_bar={1: 1.0}),
    moves_to=("down a fifth", "relative", "up"),
)


def compose(rng: np.random.Generator, *, seconds: float) -> Composition:
    """A piece of about `seconds`; the same generator state gives the same piece."""
    plan = make_plan(_RECIPE, rng, seconds=seconds)
    band = Band(plan, rng)
    lead = band.hire(
        "melody",
        {"accordion": 3, "woodwind": 1.5, "brass": 1, "strings": 0.8, "flute": 0.5, "mallets": 0.4},
        programs={"accordion": (21, 23), "woodwind": (71,), "brass": (56,), "strings": (40,)},
        fast=True,
    )
    band.sing(lead, Character(density=one_of(rng, (1.8, 2.4)), leaps=0.3, rests=0.02))
    if happens(rng, 0.6):
        second = band.hire("counter", {"woodwind": 1, "brass": 1, "accordion": 1}, least=0.7, fast=True)
        band.sing_along(second, -2)
    chords = band.hire("harmony", {"accordion": 2, "piano": 1, "acoustic guitar": 1, "brass": 0.5}, fast=True)
    band.play(chords, lambda passage: _figures.chords(passage, "-x-x", centre=60, size=3, length=0.35))
    low = band.hire("bass", {"bass": 1.5, "brass": 1.5}, programs={"brass": (58,), "bass": (32, 33)})
    band.play(low, lambda passage: _figures.bass(passage, "15", length=0.7))
    if happens(rng, 0.8):
        drummer = band.hire("drums", {"drums": 1}, least=one_of(rng, (0.0, 0.6)), programs={"drums": (0,)})
        band.drum(drummer, "polka", fills=0.4)
    return band.finish(drum_pattern="polka")
