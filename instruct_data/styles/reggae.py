"""Reggae: the off-beat skank and the one drop. In: a generator and a length. Out: a `Composition`."""

from __future__ import annotations

import numpy as np

from mllm.instruct_data.composition import Composition
from mllm.instruct_data.styles import _figures
from mllm.instruct_data.styles._band import Band
from mllm.instruct_data.styles._chance import happens, one_of
from mllm.instruct_data.styles._harmony import Manner
from mllm.instruct_data.styles._melody import Character
from mllm.instruct_data.styles._plan import Recipe, make_plan

SUMMARY = "Reggae: short chords between the beats, a bass that sings, and drums whose weight falls on the third beat."
WEIGHT = 1.0

_RECIPE = Recipe(
    style="reggae",
    meters={"4/4": 1.0},
    tempos={"4/4": (62, 94)},
    modes={"minor": 0.5, "major": 0.28, "dorian": 0.12, "mixolydian": 0.1},
    forms=(
        "verse a 8 5, chorus b 8 8",
        "intro a 4 3, verse a 8 5, chorus b 8 8",
        "intro a 4 3, verse a 8 5, chorus b 8 8, break a 4 1, chorus b 8 8",
        "intro a 4 3, verse a 8 5, chorus b 8 8, verse a 8 6, chorus b 8 8, solo a 8 7, break c 4 1, chorus b 8 9,"
        "outro a 4 4",
        "intro a 4 3, verse a 16 5, chorus b 8 8, verse a 16 6, chorus b 8 8, solo a 16 7, break c 8 1, chorus b 16 9,"
        "outro a 8 4",
    ),
    manner=Manner(kinds={"loop": 0.75, "phrases": 0.25}, colour="triads"),
)
_BASSES = (
    "1.1..3.5|1..5.3.1",
    "1...1.5.|1.3.5...",
    "1-11-5.3|1-1.5-5.",
    "1..1..5.|3..1..5.",
    "-.1.1.35|1.-.5.3.",
)
_SKANKS = ("--x---x-", "-x-x-x-x", "--x---xo")
_LEADS = {
    "brass": 1.5,
    "saxophone": 1.2,
    "electric guitar": 1.0,
    "flute": 0.7,
    "organ": 0.6,
    "choir": 0.6,
    "woodwind": 0.4,
}


def compose(rng: np.random.Generator, *, seconds: float) -> Composition:
    """A piece of about `seconds`; the same generator state gives the same piece."""
    plan = make_plan(_RECIPE, rng, seconds=seconds)
    band = Band(plan, rng)
    skank = one_of(rng, _SKANKS)
    chops = band.hire("harmony", {"electric guitar": 3, "piano": 1}, programs={"electric guitar": (26, 27, 28)})
    band.play(chops, lambda passage: _figures.chords(passage, skank, centre=63, length=0.3))
    if happens(rng, 0.65):
        bubble = band.hire("harmony", {"organ": 3, "synthesizer": 0.5}, least=0.4, programs={"organ": (16, 17, 18)})
        band.play(bubble, lambda passage: _figures.chords(passage, "-xox-xox-xox-xox", centre=58, length=0.22))
    line = one_of(rng, _BASSES)
    bass = band.hire("bass", {"bass": 1}, programs={"bass": (33, 34)})
    band.play(bass, lambda passage: _figures.bass(passage, line, length=1.2))
    singer = band.hire("melody", _LEADS, least=0.45, where=lambda passage: passage.name != "solo", fast=True)
    band.sing(singer, Character(density=1.5, syncopation=0.4, rests=0.15))
    soloist = band.hire("melody", _LEADS, where=lambda passage: passage.name == "solo", fast=True)
    band.improvise(soloist, Character(density=2.0, syncopation=0.4, leaps=0.3, rests=0.2))
    if happens(rng, 0.4):
        horns = band.hire("counter", {"brass": 1, "saxophone": 1, "choir": 0.5}, least=0.8, programs={"brass": (61,)})
        band.sing_along(horns, -2)
    drummer = band.hire("drums", {"drums": 1}, least=0.1, programs={"drums": (0, 8)})
    band.drum(drummer, "one drop", fills=0.8)
    return band.finish(drum_pattern="one drop")
