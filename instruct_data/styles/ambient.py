"""Ambient: slow chords and space. In: a generator and a length. Out: a `Composition`."""

from __future__ import annotations

import numpy as np

from mllm.instruct_data.composition import Composition
from mllm.instruct_data.styles import _figures
from mllm.instruct_data.styles._band import Band
from mllm.instruct_data.styles._chance import happens
from mllm.instruct_data.styles._harmony import Manner
from mllm.instruct_data.styles._melody import Character
from mllm.instruct_data.styles._plan import Recipe, make_plan

SUMMARY = "Ambient: slow chords on pads, single notes of bells, harp or piano, seldom a beat."
WEIGHT = 1.0

_RECIPE = Recipe(
    style="ambient",
    meters={"4/4": 0.7, "3/4": 0.2, "6/8": 0.1},
    tempos={"4/4": (52, 92), "3/4": (54, 92), "6/8": (42, 62)},
    modes={"minor": 0.42, "major": 0.28, "dorian": 0.18, "mixolydian": 0.12},
    forms=(
        "A a 8 4, A a 8 6",
        "intro a 4 2, A a 8 4, B b 8 6",
        "intro a 8 2, A a 8 4, B b 8 6, A a 8 5, outro a 4 2",
        "intro a 8 2, A a 16 4, B b 16 6, break c 8 1, A a 16 6, outro a 8 2",
        "intro a 8 2, A a 16 4, B b 16 6, break c 8 1, C d 16 7, A a 16 5, outro a 8 2",
    ),
    manner=Manner(kinds={"phrases": 0.6, "loop": 0.4}, colour="soft", bars_a_chord=2, suspended=0.2),
    tempo_changes=0.1,
    moves_to=("up", "relative", "parallel"),
)


def compose(rng: np.random.Generator, *, seconds: float) -> Composition:
    """A piece of about `seconds`; the same generator state gives the same piece."""
    plan = make_plan(_RECIPE, rng, seconds=seconds)
    band = Band(plan, rng)
    pad = band.hire("pad", {"synthesizer": 3, "strings": 1.5, "choir": 1.5, "organ": 0.6}, articulation="legato")
    band.play(pad, lambda passage: _figures.held(passage, centre=57, longest=12.0))
    if happens(rng, 0.5):
        other = band.hire("pad", {"choir": 1.5, "strings": 1.5, "synthesizer": 1, "woodwind": 0.5}, least=0.5)
        band.play(other, lambda passage: _figures.held(passage, centre=66, size=3, longest=12.0))
    steps = round(plan.passages[0].quarters / 0.5)
    order = _figures.riff(rng, steps, density=rng.uniform(0.25, 0.7))
    bells = band.hire(
        "harmony",
        {"mallets": 2, "harp": 1.5, "piano": 1.5, "acoustic guitar": 1, "synthesizer": 0.5},
        least=0.4,
        fast=True,
    )
    band.play(bells, lambda passage: _figures.broken(passage, order, centre=66, ring=3.0))
    if happens(rng, 0.55):
        singer = band.hire(
            "melody",
            {"flute": 1.5, "woodwind": 1, "strings": 1, "piano": 1, "choir": 0.7, "brass": 0.4, "electric guitar": 0.5},
            least=0.55,
            articulation="legato",
        )
        band.sing(singer, Character(density=0.5, leaps=0.25, rests=0.1, sixteenths=False))
    if happens(rng, 0.6):
        low = band.hire("bass", {"bass": 1, "strings": 1}, least=0.4, programs={"bass": (35, 39), "strings": (43,)})
        band.play(low, lambda passage: _figures.bass(passage, "1"))
    if happens(rng, 0.15):
        drummer = band.hire("drums", {"drums": 1}, least=0.55, programs={"drums": (24, 25, 40)})
        band.drum(drummer, "broken beat", fills=0.2)
    return band.finish(drum_pattern="broken beat")
