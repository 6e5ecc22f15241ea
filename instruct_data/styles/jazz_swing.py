"""Jazz swing: a head, solos, and a walking bass. In: a generator and a length. Out: a `Composition`."""

from __future__ import annotations

import numpy as np

from mllm.instruct_data.composition import Composition
from mllm.instruct_data.styles import _figures
from mllm.instruct_data.styles._band import Band
from mllm.instruct_data.styles._chance import happens, one_of
from mllm.instruct_data.styles._harmony import Manner
from mllm.instruct_data.styles._melody import Character
from mllm.instruct_data.styles._plan import Recipe, make_plan

SUMMARY = "A swinging combo: a head in AABA form, solos over its chords, walking bass, ride cymbal and comping."
WEIGHT = 1.1

_HEAD = "A a 8 5, A a 8 6, B b 8 6, A a 8 6"
_RECIPE = Recipe(
    style="jazz swing",
    meters={"4/4": 0.86, "3/4": 0.14},
    tempos={"4/4": (96, 228), "3/4": (104, 190)},
    modes={"major": 0.42, "minor": 0.4, "dorian": 0.14, "mixolydian": 0.04},
    forms=(
        "A a 8 6, A a 8 7",
        "A a 8 6, B b 8 7, A a 8 7",
        _HEAD,
        f"intro a 4 3, {_HEAD}",
        f"{_HEAD}, solo a 16 7, solo b 8 8, A a 8 7",
        f"intro a 4 3, {_HEAD}, solo a 16 7, solo b 8 8, solo a 8 8, {_HEAD}",
        f"{_HEAD}, solo a 16 6, solo b 8 7, solo a 8 7, bass solo a 16 2, B b 8 7, A a 8 8",
        f"intro a 8 3, {_HEAD}, solo a 16 6, solo b 8 7, solo a 8 8, bass solo a 16 2, solo b 8 6, solo a 8 7, {_HEAD},"
        "outro a 4 4",
    ),
    manner=Manner(colour="sevenths", chords_a_bar={1: 0.6, 2: 0.4}, secondary=0.14),
    swing=(0.6, 0.68),
)
_COMPS = {
    "4/4": ("...x...x|x..x....", "x..x....|...x..x.", ".x....x.|...x....", "...x....|x.....x.", "..x..x..|....x..x"),
    "3/4": ("...x..|.x..x.", "x..x..|...x..", ".x....|x..x.."),
}
_LEADS = {"saxophone": 3.0, "brass": 2.0, "woodwind": 1.2, "piano": 0.8, "mallets": 1.0, "flute": 0.7, "strings": 0.4}
_PROGRAMS = {
    "brass": (56, 57, 59),
    "woodwind": (71,),
    "piano": (0, 1, 4),
    "mallets": (11,),
    "electric guitar": (26,),
    "bass": (32,),
    "drums": (32, 40, 0),
    "organ": (16, 17),
    "strings": (40,),
    "acoustic guitar": (25,),
}


def compose(rng: np.random.Generator, *, seconds: float) -> Composition:
    """A piece of about `seconds`; the same generator state gives the same piece."""
    plan = make_plan(_RECIPE, rng, seconds=seconds)
    band = Band(plan, rng)
    bass = band.hire("bass", {"bass": 1}, programs=_PROGRAMS)
    band.play(bass, lambda passage: _figures.walking(passage, rng))
    comp = one_of(rng, _COMPS[plan.meter])
    keys = band.hire(
        "harmony",
        {"piano": 3, "electric guitar": 1.4, "organ": 0.7, "mallets": 0.4, "acoustic guitar": 0.3},
        least=0.2,
        programs=_PROGRAMS,
        fast=True,
    )
    band.play(keys, lambda passage: _figures.chords(passage, comp, centre=61, length=0.6 + passage.energy))
    head = band.hire(
        "melody", _LEADS, least=0.4, where=lambda passage: "solo" not in passage.name, programs=_PROGRAMS, fast=True
    )
    band.sing(head, Character(density=1.4, syncopation=0.6, rests=0.12, sixteenths=False))
    if happens(rng, 0.35):
        second = band.hire(
            "counter", _LEADS, least=0.5, where=lambda passage: passage.name == "A", programs=_PROGRAMS, fast=True
        )
        band.sing_along(second, one_of(rng, (-2, -2, -5)))
    soloist = band.hire(
        "melody",
        {**_LEADS, "electric guitar": 0.8},
        where=lambda passage: passage.name == "solo",
        programs=_PROGRAMS,
        fast=True,
    )
    band.improvise(soloist, Character(density=2.0, syncopation=0.35, leaps=0.3, rests=0.2, sixteenths=False))
    if happens(rng, 0.25):
        band.play(
            band.hire("pad", {"brass": 1, "saxophone": 1}, least=0.7, programs={"brass": (61,)}),
            lambda passage: _figures.held(passage, centre=58, longest=passage.quarters),
        )
    if not happens(rng, 0.12):
        drummer = band.hire("drums", {"drums": 1}, least=0.2, programs=_PROGRAMS)
        band.drum(drummer, "swing ride", fills=0.5)
    return band.finish(drum_pattern="swing ride")
