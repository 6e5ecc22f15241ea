"""Folk dances: jigs, reels, polkas and their kin. In: a generator and a length. Out: a `Composition`."""

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

SUMMARY = (
    "A folk dance in repeated parts: a lively tune on fiddle, flute or squeezebox over strumming and a frame drum."
)
WEIGHT = 1.4

_ROUND = ("A a 8 5", "A a 8 6", "B b 8 7", "B b 8 7", "A a 8 7", "A a 8 8", "B b 8 8", "B b 8 9")
_SET = ("A a 8 4", "A a 8 5", "B b 8 6", "B b 8 6", "C c 8 7", "C c 8 7", "D d 8 8", "D d 8 9")
_RECIPE = Recipe(
    style="folk dance",
    meters={"2/4": 0.2, "3/4": 0.15, "4/4": 0.25, "6/8": 0.24, "9/8": 0.08, "12/8": 0.08},
    tempos={
        "2/4": (88, 152),
        "3/4": (104, 176),
        "4/4": (84, 150),
        "6/8": (84, 132),
        "9/8": (80, 126),
        "12/8": (72, 112),
    },
    modes={"minor": 0.36, "major": 0.32, "dorian": 0.18, "mixolydian": 0.14},
    forms=(
        "A a 8 5, B b 8 7",
        "A a 8 5, A a 8 6, B b 8 7, A a 8 8",
        *cycles(_ROUND, (4, 6, 8, 12, 16, 20, 24, 32, 40)),
        *cycles(_SET, (8, 16, 24, 32)),
    ),
    manner=Manner(kinds={"phrases": 0.8, "loop": 0.2}, colour="triads", chords_a_bar={1: 0.75, 2: 0.25}),
)
_PROGRAMS = {"strings": (40, 40, 41), "flute": (72, 73, 74), "woodwind": (68, 71), "accordion": (21, 23)}
_DENSITIES = {
    "2/4": (1.8, 2.4, 3.0),
    "3/4": (1.2, 1.7),
    "4/4": (1.8, 2.3),
    "6/8": (2.4, 3.0),
    "9/8": (2.3, 2.8),
    "12/8": (2.3, 2.8),
}
_STRUMS = {
    "2/4": ("xoxo", ".x.x", "x.xo"),
    "3/4": (".xx", "x.ox.o", "xoxoxo"),
    "4/4": (".x.x", "x.xo.oxo", "x.o.x.oo"),
    "6/8": ("x.ox.o", "..x..x", ".xx.xx"),
    "9/8": ("x.ox.ox.o", ".xx.xx.xx"),
    "12/8": ("x.ox.ox.ox.o", ".xx.xx.xx.xx"),
}
_BASSES = {
    "2/4": "15",
    "3/4": "1..",
    "4/4": "1.5.",
    "6/8": "1..5..",
    "9/8": "1..5..5..",
    "12/8": "1..5..1..5..",
}


def compose(rng: np.random.Generator, *, seconds: float) -> Composition:
    """A piece of about `seconds`; the same generator state gives the same piece."""
    plan = make_plan(_RECIPE, rng, seconds=seconds)
    band = Band(plan, rng)
    meter = plan.meter
    fiddler = band.hire(
        "melody",
        {"strings": 2.5, "flute": 2, "accordion": 2, "woodwind": 0.8, "harp": 0.5, "mallets": 0.5, "harpsichord": 0.4},
        programs=_PROGRAMS,
        fast=True,
    )
    character = Character(density=one_of(rng, _DENSITIES[meter]), leaps=0.25, rests=0.02, sixteenths=meter[-1] == "4")
    band.sing(fiddler, character)
    if happens(rng, 0.55):
        second = band.hire(
            "counter",
            {"flute": 2, "strings": 2, "accordion": 1, "woodwind": 1, "acoustic guitar": 0.6},
            least=0.65,
            programs=_PROGRAMS,
            fast=True,
        )
        band.sing_along(second, one_of(rng, (0, 0, -2, -5)))
    strummer = band.hire(
        "harmony",
        {"acoustic guitar": 3, "accordion": 1, "piano": 1, "harp": 0.7, "harpsichord": 0.6, "organ": 0.2},
        least=0.0 if happens(rng, 0.5) else 0.55,
        fast=True,
    )
    strum = 0.02 if strummer.instrument == "acoustic guitar" else 0.0
    rhythm = one_of(rng, _STRUMS[meter])
    band.play(strummer, lambda passage: _figures.chords(passage, rhythm, centre=58, length=0.8, strum=strum))
    if happens(rng, 0.6):
        bass = band.hire("bass", {"bass": 1}, least=0.6, programs={"bass": (32,)})
        band.play(bass, lambda passage: _figures.bass(passage, _BASSES[meter], length=1.2))
    if happens(rng, 0.25):
        drone = band.hire("pad", {"strings": 1, "accordion": 1, "organ": 0.5}, least=0.6)
        band.play(drone, lambda passage: _figures.held(passage, centre=52, size=3, longest=plan.passages[0].quarters))
    if happens(rng, 0.55):
        drummer = band.hire("drums", {"drums": 1}, least=one_of(rng, (0.3, 0.6, 0.7)), programs={"drums": (0, 8, 48)})
        band.drum(drummer, "folk drum", fills=0.3)
    return band.finish(drum_pattern="folk drum")
