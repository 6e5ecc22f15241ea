"""Bossa nova: a guitar, a soft tune and the clave. In: a generator and a length. Out: a `Composition`."""

from __future__ import annotations

import numpy as np

from mllm.instruct_data.composition import Composition
from mllm.instruct_data.styles import _figures
from mllm.instruct_data.styles._band import Band
from mllm.instruct_data.styles._chance import happens, one_of
from mllm.instruct_data.styles._harmony import Manner
from mllm.instruct_data.styles._melody import Character
from mllm.instruct_data.styles._plan import Recipe, make_plan

SUMMARY = "A bossa nova: syncopated guitar chords of the seventh, root and fifth in the bass, rim clicks, a soft tune."
WEIGHT = 1.0

_RECIPE = Recipe(
    style="bossa",
    meters={"4/4": 1.0},
    tempos={"4/4": (104, 172)},
    modes={"minor": 0.47, "major": 0.38, "dorian": 0.11, "mixolydian": 0.04},
    forms=(
        "A a 8 5, A a 8 6",
        "intro a 4 3, A a 8 5, B b 8 7, A a 8 6",
        "intro a 4 3, A a 8 5, A a 8 6, B b 8 7, A a 8 6",
        "intro a 8 3, A a 8 5, A a 8 6, B b 8 7, A a 8 6, solo a 16 7, B b 8 7, A a 8 6, outro a 4 3",
        "intro a 8 3, A a 16 5, B b 16 7, A a 16 6, solo a 16 7, solo b 16 8, B b 16 7, A a 16 6, outro a 8 3",
    ),
    manner=Manner(colour="sevenths", chords_a_bar={1: 0.85, 2: 0.15}, secondary=0.1),
)
_COMPS = ("x..x..x.|.x..x.x.", "x.x..x..|.x..x...", ".x..x..x|.x..x...", "x..x..x.|x..x..x.")
_LEADS = {"flute": 2.0, "saxophone": 2.0, "woodwind": 0.8, "piano": 0.8, "mallets": 0.8, "choir": 0.5, "brass": 0.5}
_PROGRAMS = {
    "acoustic guitar": (24,),
    "mallets": (11,),
    "brass": (56,),
    "bass": (32, 33),
    "saxophone": (65, 66),
    "woodwind": (71,),
}


def compose(rng: np.random.Generator, *, seconds: float) -> Composition:
    """A piece of about `seconds`; the same generator state gives the same piece."""
    plan = make_plan(_RECIPE, rng, seconds=seconds)
    band = Band(plan, rng)
    comp = one_of(rng, _COMPS)
    guitar = band.hire(
        "harmony", {"acoustic guitar": 4, "piano": 1, "electric guitar": 0.5}, programs=_PROGRAMS, fast=True
    )
    band.play(guitar, lambda passage: _figures.chords(passage, comp, centre=58, length=1.0))
    bass = band.hire("bass", {"bass": 1}, least=one_of(rng, (0.0, 0.5)), programs=_PROGRAMS)
    line = one_of(rng, ("1..55..5", "1..55..1", "1...5..."))
    band.play(bass, lambda passage: _figures.bass(passage, line))
    character = Character(density=1.2, syncopation=0.7, leaps=0.25, rests=0.1, sixteenths=False)
    singer = band.hire(
        "melody",
        _LEADS,
        least=0.4,
        where=lambda passage: passage.name != "solo",
        programs=_PROGRAMS,
        articulation="legato",
        fast=True,
    )
    band.sing(singer, character)
    soloist = band.hire(
        "melody",
        {**_LEADS, "electric guitar": 0.6},
        where=lambda passage: passage.name == "solo",
        programs=_PROGRAMS,
        fast=True,
    )
    band.improvise(soloist, Character(density=1.9, syncopation=0.4, leaps=0.3, rests=0.15, sixteenths=False))
    if happens(rng, 0.45):
        pad = band.hire("pad", {"strings": 2, "synthesizer": 0.7, "organ": 0.5, "choir": 0.4}, least=0.7)
        band.play(pad, lambda passage: _figures.held(passage, centre=63, longest=4.0))
    if not happens(rng, 0.15):
        drummer = band.hire("drums", {"drums": 1}, least=one_of(rng, (0.0, 0.4)), programs={"drums": (0, 32, 40)})
        band.drum(drummer, "bossa nova", fills=0.3)
    return band.finish(drum_pattern="bossa nova")
