"""Blues: twelve bars and a shuffle. In: a generator and a length. Out: a `Composition`."""

from __future__ import annotations

import functools

import numpy as np

from mllm.instruct_data.composition import Composition
from mllm.instruct_data.styles import _figures
from mllm.instruct_data.styles._band import Band
from mllm.instruct_data.styles._chance import happens, one_of
from mllm.instruct_data.styles._form import cycles
from mllm.instruct_data.styles._harmony import Manner
from mllm.instruct_data.styles._melody import Character
from mllm.instruct_data.styles._plan import Passage, Recipe, make_plan

SUMMARY = "A blues in choruses of twelve bars: shuffling drums, a boogie or walking bass, and solos in turn."
WEIGHT = 0.8

_CHORUSES = ("chorus a 12 6", "chorus a 12 7", "solo a 12 7", "solo a 12 8", "chorus a 12 7", "solo a 12 8")
_RECIPE = Recipe(
    style="blues",
    meters={"4/4": 0.6, "12/8": 0.4},
    tempos={"4/4": (84, 156), "12/8": (52, 96)},
    modes={"minor": 0.38, "dorian": 0.2, "mixolydian": 0.22, "major": 0.2},
    forms=(
        "chorus a 8 6",
        *cycles(_CHORUSES, tuple(range(1, 16))),
        *cycles(_CHORUSES, tuple(range(1, 16)), before="intro a 4 4"),
        *cycles(_CHORUSES, (2, 4, 6, 8, 10, 12), before="intro a 4 4", after="outro a 4 5"),
    ),
    fixed_form=True,
    manner=Manner(kinds={"blues": 1.0}, colour="blues"),
    swing=(0.6, 0.67),
    moves_to=("up",),
)
_BASSES = {"4/4": ("1.3.5.3.", "11335533", "1...5..."), "12/8": ("1..3..5..3..", "1.11.15.51.1", "1.....5.....")}
_COMPS = {"4/4": ("x..x....", ".x.x.x.x", "x.x.x.x."), "12/8": ("x..x..x..x..", "..x..x..x..x", "x.xx.xx.xx.x")}
_LEADS = {"electric guitar": 2.5, "saxophone": 1.5, "accordion": 0.6, "piano": 1.0, "brass": 0.7, "organ": 0.5}
_PROGRAMS = {
    "electric guitar": (26, 27, 29),
    "accordion": (22,),
    "bass": (32, 33),
    "organ": (16, 17, 18),
    "brass": (56, 57),
}


def compose(rng: np.random.Generator, *, seconds: float) -> Composition:
    """A piece of about `seconds`; the same generator state gives the same piece."""
    plan = make_plan(_RECIPE, rng, seconds=seconds)
    band = Band(plan, rng)
    keys = band.hire(
        "harmony", {"piano": 2, "electric guitar": 2, "organ": 1, "acoustic guitar": 1}, programs=_PROGRAMS
    )
    comp = one_of(rng, _COMPS[plan.meter])
    band.play(keys, lambda passage: _figures.chords(passage, comp, centre=58, length=0.7))
    bass = band.hire("bass", {"bass": 1}, least=one_of(rng, (0.0, 0.5)), programs=_PROGRAMS)
    if happens(rng, 0.35):
        band.play(bass, lambda passage: _figures.walking(passage, rng))
    else:
        line = one_of(rng, _BASSES[plan.meter])
        band.play(bass, lambda passage: _figures.bass(passage, line))
    singer = band.hire(
        "melody", _LEADS, least=0.5, where=lambda passage: passage.name != "solo", programs=_PROGRAMS, fast=True
    )
    band.sing(singer, Character(density=1.3, syncopation=0.4, leaps=0.3, rests=0.2, sixteenths=False))
    soloists = [
        band.hire(
            "melody",
            _LEADS,
            where=functools.partial(_takes_solo, turn),
            programs=_PROGRAMS,
            fast=True,
        )
        for turn in (0, 1)
    ]
    for soloist in soloists:
        band.improvise(soloist, Character(density=1.9, syncopation=0.3, leaps=0.3, rests=0.2, sixteenths=False))
    if happens(rng, 0.25):
        horns = band.hire("harmony", {"saxophone": 1, "brass": 1}, least=0.75, programs={"brass": (61,)})
        band.play(horns, lambda passage: _figures.held(passage, centre=60, size=3, longest=passage.quarters))
    if not happens(rng, 0.12):
        drummer = band.hire("drums", {"drums": 1}, least=0.3, programs={"drums": (0, 8, 16)})
        band.drum(drummer, "shuffle", fills=0.6)
    return band.finish(drum_pattern="shuffle")


def _takes_solo(turn: int, passage: Passage) -> bool:
    """Whether a soloist plays in a section: two take every second one."""
    return passage.name == "solo" and passage.number % 2 == turn
