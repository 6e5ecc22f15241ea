"""Rock: guitars, bass and a backbeat. In: a generator and a length. Out: a `Composition`."""

from __future__ import annotations

import numpy as np

from mllm.instruct_data.composition import Composition
from mllm.instruct_data.styles import _figures
from mllm.instruct_data.styles._band import Band
from mllm.instruct_data.styles._chance import happens, one_of
from mllm.instruct_data.styles._harmony import Manner
from mllm.instruct_data.styles._melody import Character
from mllm.instruct_data.styles._plan import Recipe, make_plan

SUMMARY = "A rock band: riffs and power chords over a backbeat, with verses, choruses and a solo."
WEIGHT = 1.0

_RECIPE = Recipe(
    style="rock",
    meters={"4/4": 0.9, "12/8": 0.1},
    tempos={"4/4": (88, 182), "12/8": (62, 116)},
    modes={"minor": 0.45, "major": 0.27, "mixolydian": 0.16, "dorian": 0.12},
    forms=(
        "verse a 8 5, chorus b 8 8",
        "intro a 4 3, verse a 8 5, chorus b 8 8, outro b 4 6",
        "intro a 4 4, verse a 8 5, chorus b 8 8, verse a 8 6, chorus b 8 9",
        "intro a 4 3, verse a 8 5, chorus b 8 8, verse a 8 5, chorus b 8 8, solo a 8 8, chorus b 8 9, outro b 4 7",
        "intro a 8 3, verse a 16 5, chorus b 8 8, verse a 16 6, chorus b 8 8, solo a 16 8, bridge c 8 4, chorus b 16 9,"
        "outro b 8 6",
        "intro a 8 3, verse a 16 5, chorus b 16 8, verse a 16 6, chorus b 16 8, bridge c 8 4, solo a 16 8, break c 8 2,"
        "chorus b 16 9, outro b 8 6",
    ),
    manner=Manner(kinds={"loop": 0.65, "phrases": 0.35}, colour="triads", chords_a_bar={1: 0.8, 2: 0.2}),
)
_CHUGS = ("xooxooxo", "xoxoxoxo", "x..x..x.", "x.o.x.oo", "x..o..o.", "xo.oxo.o")
_BASSES = ("11111111", "1.111.11", "1..1..1.", "1.1.1.15", "1...1.1.")


def compose(rng: np.random.Generator, *, seconds: float) -> Composition:
    """A piece of about `seconds`; the same generator state gives the same piece."""
    plan = make_plan(_RECIPE, rng, seconds=seconds)
    band = Band(plan, rng)
    compound = plan.meter == "12/8"
    chug = "x.ox.ox.ox.o" if compound else one_of(rng, _CHUGS)
    loud = band.hire("harmony", {"electric guitar": 1}, programs={"electric guitar": (28, 29, 30)})
    if happens(rng, 0.45):
        band.play(loud, lambda passage: _figures.power_chords(passage, chug, length=0.4 if passage.energy < 0.6 else 2))
    else:
        band.play(loud, lambda passage: _figures.chords(passage, chug, centre=54, length=0.6 + passage.energy))
    singer = band.hire(
        "melody",
        {"electric guitar": 3, "saxophone": 1, "synthesizer": 1, "organ": 0.7, "piano": 0.5, "brass": 0.4},
        least=0.4,
        where=lambda passage: passage.name != "solo",
        fast=True,
    )
    band.sing(singer, Character(density=1.3, syncopation=0.4, leaps=0.2, rests=0.15))
    soloist = band.hire(
        "melody",
        {"electric guitar": 3, "saxophone": 1, "organ": 0.6},
        where=lambda passage: passage.name == "solo",
        fast=True,
    )
    band.improvise(soloist, Character(density=2.4, syncopation=0.3, leaps=0.3))
    if happens(rng, 0.5):
        keys = band.hire("pad", {"organ": 2, "piano": 1, "synthesizer": 1, "strings": 0.5}, least=0.7)
        band.play(keys, lambda passage: _figures.held(passage, longest=plan.passages[0].quarters))
    if happens(rng, 0.3):
        clean = band.hire("harmony", {"acoustic guitar": 1}, least=0.3)
        band.play(clean, lambda passage: _figures.chords(passage, "x.xox.xo"[: 12 if compound else 8], strum=0.015))
    bass = band.hire("bass", {"bass": 1}, least=0.2, programs={"bass": (33, 34)})
    line = "1.11.11.11.1" if compound else one_of(rng, _BASSES)
    band.play(bass, lambda passage: _figures.bass(passage, line))
    groove = "backbeat" if compound or happens(rng, 0.8) else "half-time backbeat"
    drummer = band.hire("drums", {"drums": 1}, least=0.25, programs={"drums": (0, 8, 16)})
    band.drum(drummer, groove)
    return band.finish(drum_pattern=groove)
