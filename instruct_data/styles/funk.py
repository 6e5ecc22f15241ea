"""Funk: sixteenths, a bass that leads, short chords. In: a generator and a length. Out: a `Composition`."""

from __future__ import annotations

import numpy as np

from mllm.instruct_data.composition import Composition
from mllm.instruct_data.styles import _figures
from mllm.instruct_data.styles._band import Band
from mllm.instruct_data.styles._chance import happens, one_of
from mllm.instruct_data.styles._harmony import Manner
from mllm.instruct_data.styles._melody import Character
from mllm.instruct_data.styles._plan import Recipe, make_plan

SUMMARY = (
    "Funk: a syncopated bass, scratching guitar or clavinet in sixteenths, horn stabs, mostly on one or two chords."
)
WEIGHT = 0.8

_RECIPE = Recipe(
    style="funk",
    meters={"4/4": 1.0},
    tempos={"4/4": (88, 120)},
    modes={"dorian": 0.38, "minor": 0.3, "mixolydian": 0.26, "major": 0.06},
    forms=(
        "intro a 4 4, chorus b 8 8",
        "intro a 4 4, verse a 8 5, chorus b 8 8, break c 4 2, chorus b 8 9",
        "intro a 4 4, verse a 8 5, chorus b 8 8, verse a 8 6, chorus b 8 8, solo a 8 7, chorus b 8 9",
        "intro a 8 4, verse a 16 5, chorus b 8 8, verse a 16 6, chorus b 8 8, solo a 16 7, break c 8 2, chorus b 16 9,"
        "outro a 4 6",
    ),
    manner=Manner(kinds={"loop": 0.85, "phrases": 0.15}, colour="sevenths", bars_a_chord=2),
    moves_to=("up",),
    holds_last=0.6,
)
_BASSES = ("1..1-.8.1.5..13.", "11-.8.1-.15.-.81", "1...-.1.8.-1..5.", "1.-1.18-1.-.5.3.")
_SCRATCHES = ("x-oxo-x-o-xox-o-", "--x---x---x-x-o-", "x-x-oox-x-o-xoo-", "-xo--xo--xo--xox")
_STABS = ("x.-.......x-....", "-.....x-..x-....", "-...........x-x-")


def compose(rng: np.random.Generator, *, seconds: float) -> Composition:
    """A piece of about `seconds`; the same generator state gives the same piece."""
    plan = make_plan(_RECIPE, rng, seconds=seconds)
    band = Band(plan, rng)
    guitar = band.hire(
        "harmony",
        {"electric guitar": 2.5, "harpsichord": 1.2, "piano": 0.8},
        programs={"electric guitar": (27, 28), "harpsichord": (7,), "piano": (4, 5)},
    )
    scratch = one_of(rng, _SCRATCHES)
    band.play(guitar, lambda passage: _figures.chords(passage, scratch, centre=63, length=0.2))
    line = one_of(rng, _BASSES)
    bass = band.hire("bass", {"bass": 1}, least=one_of(rng, (0.0, 0.5)), programs={"bass": (33, 36, 37)})
    band.play(bass, lambda passage: _figures.bass(passage, line, length=0.5))
    if happens(rng, 0.6):
        stab = one_of(rng, _STABS)
        horns = band.hire("harmony", {"brass": 2, "saxophone": 1, "organ": 0.6}, least=0.6, programs={"brass": (61,)})
        band.play(horns, lambda passage: _figures.chords(passage, stab, centre=62, length=0.4))
    leads = {"saxophone": 2, "brass": 1, "synthesizer": 1, "organ": 0.8, "flute": 0.5, "choir": 0.4}
    singer = band.hire("melody", leads, least=0.5, where=lambda passage: passage.name != "solo", fast=True)
    band.sing(singer, Character(density=1.7, syncopation=0.6, rests=0.25))
    soloist = band.hire(
        "melody", {**leads, "electric guitar": 1}, where=lambda passage: passage.name == "solo", fast=True
    )
    band.improvise(soloist, Character(density=2.4, syncopation=0.5, leaps=0.3, rests=0.2))
    drummer = band.hire("drums", {"drums": 1}, least=one_of(rng, (0.0, 0.3)), programs={"drums": (0, 8, 16)})
    band.drum(drummer, "funk", fills=0.7)
    return band.finish(drum_pattern="funk")
