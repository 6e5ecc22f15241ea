"""Waltzes: one in the bass, two and three in the chords. In: a generator and a length. Out: a `Composition`."""

from __future__ import annotations

import numpy as np

from mllm.instruct_data.composition import Composition
from mllm.instruct_data.styles import _figures
from mllm.instruct_data.styles._band import Band
from mllm.instruct_data.styles._chance import happens, one_of
from mllm.instruct_data.styles._harmony import Manner
from mllm.instruct_data.styles._melody import Character
from mllm.instruct_data.styles._plan import Recipe, make_plan

SUMMARY = "A waltz: a swaying tune over a low note on the first beat and chords on the other two."
WEIGHT = 1.0

_RECIPE = Recipe(
    style="waltz",
    meters={"3/4": 1.0},
    tempos={"3/4": (84, 198)},
    modes={"major": 0.46, "minor": 0.46, "dorian": 0.04, "mixolydian": 0.04},
    forms=(
        "A a 8 5, A a 8 6",
        "intro a 4 3, A a 8 5, B b 8 7, A a 8 7",
        "A a 16 5, B b 16 7, A a 16 7",
        "intro a 4 3, A a 16 5, B b 16 7, A a 16 6, C c 16 5, A a 16 7, coda a 8 8",
        "intro a 8 3, A a 16 5, A a 16 6, B b 16 7, A a 16 6, trio c 16 4, trio d 16 5, A a 16 7, B b 16 8, coda a 8 9",
        "intro a 8 3, A a 16 5, A a 16 6, B b 16 7, B b 16 7, A a 16 6, trio c 16 4, trio d 16 5, trio c 16 5,"
        "A a 16 7, B b 16 8, C e 16 7, A a 16 8, coda a 16 9",
    ),
    manner=Manner(colour="dominant", chords_a_bar={1: 1.0}, secondary=0.08, inversions=0.1),
    moves_to=("up", "relative", "parallel", "down a fifth"),
    tempo_changes=0.2,
)
_CHORDS = ("-xx", "-xx", "-x-o-x", "-xo")


def compose(rng: np.random.Generator, *, seconds: float) -> Composition:
    """A piece of about `seconds`; the same generator state gives the same piece."""
    plan = make_plan(_RECIPE, rng, seconds=seconds)
    band = Band(plan, rng)
    singer = band.hire(
        "melody",
        {
            "strings": 2,
            "flute": 1,
            "accordion": 1.5,
            "woodwind": 1,
            "piano": 0.8,
            "mallets": 0.4,
            "harpsichord": 0.3,
            "brass": 0.4,
            "saxophone": 0.3,
            "acoustic guitar": 0.3,
        },
        where=lambda passage: passage.name not in ("intro", "trio"),
        articulation="legato",
        fast=True,
    )
    character = Character(density=one_of(rng, (0.8, 1.2, 1.6)), leaps=0.3, rests=0.03)
    band.sing(singer, character)
    other = band.hire(
        "melody",
        {"woodwind": 1, "flute": 1, "strings": 1, "brass": 0.5, "accordion": 0.5, "harp": 0.4},
        where=lambda passage: passage.name == "trio",
        fast=True,
    )
    band.sing(other, character)
    chords = band.hire(
        "harmony",
        {"piano": 2, "accordion": 1, "harp": 1, "acoustic guitar": 1, "strings": 0.8, "harpsichord": 0.5, "organ": 0.3},
        articulation=one_of(rng, ("normal", "staccato")),
        fast=True,
    )
    rhythm = one_of(rng, _CHORDS)
    band.play(chords, lambda passage: _figures.chords(passage, rhythm, centre=61, size=3, length=0.7))
    low = band.hire("bass", {"bass": 3, "strings": 1.5}, programs={"bass": (32,), "strings": (42, 43)})
    line = one_of(rng, ("1..|5..", "1..", "1..|3.."))
    band.play(low, lambda passage: _figures.bass(passage, line, length=1.4))
    if happens(rng, 0.4):
        second = band.hire("counter", {"strings": 1, "woodwind": 1, "flute": 0.7, "choir": 0.4}, least=0.7)
        band.sing_along(second, -2)
    if happens(rng, 0.3):
        pad = band.hire("pad", {"strings": 2, "brass": 0.6, "organ": 0.6, "choir": 0.5}, least=0.7)
        band.play(pad, lambda passage: _figures.held(passage, centre=58, longest=3.0))
    if happens(rng, 0.4):
        drummer = band.hire("drums", {"drums": 1}, least=0.5, programs={"drums": (0, 40, 48)})
        band.drum(drummer, "waltz", fills=0.2)
    return band.finish(drum_pattern="waltz")
