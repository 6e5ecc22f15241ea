"""Tangos: a marked beat and a dark tune. In: a generator and a length. Out: a `Composition`."""

from __future__ import annotations

import numpy as np

from mllm.instruct_data.composition import Composition
from mllm.instruct_data.styles import _figures
from mllm.instruct_data.styles._band import Band
from mllm.instruct_data.styles._chance import happens, one_of
from mllm.instruct_data.styles._harmony import Manner
from mllm.instruct_data.styles._melody import Character
from mllm.instruct_data.styles._plan import Recipe, make_plan

SUMMARY = "A tango: chords and bass that mark each beat, a passionate tune on bandoneon or strings, mostly in minor."
WEIGHT = 0.7

_RECIPE = Recipe(
    style="tango",
    meters={"4/4": 0.7, "2/4": 0.3},
    tempos={"4/4": (104, 136), "2/4": (54, 70)},
    modes={"minor": 0.75, "major": 0.25},
    forms=(
        "A a 8 5, A a 8 7",
        "A a 8 5, B b 8 7, A a 8 7",
        "intro a 4 4, A a 16 5, B b 16 7, A a 16 7",
        "intro a 4 4, A a 16 5, B b 16 7, solo a 8 6, A a 16 7, outro a 4 6",
        "intro a 8 4, A a 16 5, A a 16 6, B b 16 7, C c 16 5, solo a 16 6, A a 16 7, B b 16 8, outro a 8 6",
    ),
    manner=Manner(colour="dominant", chords_a_bar={1: 0.8, 2: 0.2}, secondary=0.06),
    moves_to=("parallel", "relative", "up"),
    tempo_changes=0.22,
)
_MARKED = {"4/4": ("xoxo", "x..x..x.", "xoxx"), "2/4": ("x.oxx.o.", "x.x.", "x..xx.x.")}
_BASSES = {"4/4": ("1.5.", "1..5..1.", "1151"), "2/4": ("1..15.5.", "1.5.")}


def compose(rng: np.random.Generator, *, seconds: float) -> Composition:
    """A piece of about `seconds`; the same generator state gives the same piece."""
    plan = make_plan(_RECIPE, rng, seconds=seconds)
    band = Band(plan, rng)
    lead = band.hire(
        "melody",
        {"accordion": 3, "strings": 2, "woodwind": 0.5, "piano": 0.4, "acoustic guitar": 0.4},
        where=lambda passage: passage.name != "solo",
        programs={"accordion": (21, 23), "strings": (40,)},
        fast=True,
    )
    character = Character(density=1.7 if plan.meter == "4/4" else 2.6, syncopation=0.35, leaps=0.3, rests=0.06)
    band.sing(lead, character)
    soloist = band.hire(
        "melody",
        {"strings": 2, "piano": 1, "accordion": 1},
        where=lambda passage: passage.name == "solo",
        programs={"strings": (40, 42)},
        fast=True,
    )
    band.improvise(soloist, character)
    chords = band.hire("harmony", {"piano": 3, "acoustic guitar": 1}, articulation="staccato", fast=True)
    rhythm = one_of(rng, _MARKED[plan.meter])
    band.play(chords, lambda passage: _figures.chords(passage, rhythm, centre=57, length=0.6))
    bass = band.hire("bass", {"bass": 2, "strings": 1}, programs={"bass": (32,), "strings": (43,)})
    line = one_of(rng, _BASSES[plan.meter])
    band.play(bass, lambda passage: _figures.bass(passage, line, length=0.9))
    if happens(rng, 0.55):
        second = band.hire("counter", {"strings": 2, "accordion": 1}, least=0.7)
        band.sing_along(second, one_of(rng, (-2, -5)))
    if happens(rng, 0.35):
        drummer = band.hire("drums", {"drums": 1}, least=0.5, programs={"drums": (0, 40)})
        band.drum(drummer, "tango", fills=0.2)
    return band.finish(drum_pattern="tango")
