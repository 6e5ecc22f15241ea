"""House: disco's beat with piano stabs. In: a generator and a length. Out: a `Composition`."""

from __future__ import annotations

import numpy as np

from mllm.instruct_data.composition import Composition
from mllm.instruct_data.styles import _figures
from mllm.instruct_data.styles._band import Band
from mllm.instruct_data.styles._chance import happens, one_of
from mllm.instruct_data.styles._harmony import Manner
from mllm.instruct_data.styles._melody import Character
from mllm.instruct_data.styles._plan import Recipe, make_plan

SUMMARY = "House: four on the floor with open hats between the beats, piano or organ stabs, and a bouncing bass."
WEIGHT = 1.0

_RECIPE = Recipe(
    style="house",
    meters={"4/4": 1.0},
    tempos={"4/4": (114, 132)},
    modes={"minor": 0.52, "major": 0.25, "dorian": 0.16, "mixolydian": 0.07},
    forms=(
        "intro a 4 3, chorus b 8 8",
        "intro a 8 3, verse a 8 5, chorus b 8 8, break c 4 1, chorus b 8 9",
        "intro a 8 3, verse a 16 5, chorus b 8 8, break c 8 2, verse a 8 6, chorus b 16 9, outro a 8 3",
        "intro a 16 3, verse a 16 5, chorus b 16 8, break c 8 1, verse a 16 6, chorus b 16 9, solo b 16 8,"
        "break c 8 2, chorus b 16 9, outro a 16 3",
    ),
    manner=Manner(kinds={"loop": 0.85, "phrases": 0.15}, colour="soft"),
    tempo_changes=0.06,
    moves_to=("up",),
    holds_last=0.5,
)
_STABS = ("x..x..x.", ".x..x.x.", "x..x...x|.x.x..x.", "..x...x.", "x.x..x..")
_BASSES = ("-1-1-1-1", "1.81.81.", "--1---1-1-1---1-", "1..1..8.1..1..5.", "18181818")


def compose(rng: np.random.Generator, *, seconds: float) -> Composition:
    """A piece of about `seconds`; the same generator state gives the same piece."""
    plan = make_plan(_RECIPE, rng, seconds=seconds)
    band = Band(plan, rng)
    stab = one_of(rng, _STABS)
    keys = band.hire("harmony", {"piano": 3, "organ": 1.5, "synthesizer": 1, "mallets": 0.3}, fast=True)
    band.play(keys, lambda passage: _figures.chords(passage, stab, centre=62, length=0.5))
    singer = band.hire(
        "melody",
        {"synthesizer": 1.5, "saxophone": 1, "choir": 1, "flute": 0.7, "brass": 0.5, "strings": 0.5},
        least=0.75,
        where=lambda passage: passage.name != "solo",
        fast=True,
    )
    band.sing(singer, Character(density=1.6, syncopation=0.5, rests=0.2))
    soloist = band.hire(
        "melody", {"saxophone": 1, "piano": 1, "flute": 1}, where=lambda passage: passage.name == "solo", fast=True
    )
    band.improvise(soloist, Character(density=2.2, syncopation=0.4, rests=0.2))
    if happens(rng, 0.6):
        pad = band.hire("pad", {"strings": 2, "synthesizer": 1, "choir": 0.5}, least=one_of(rng, (0.1, 0.5, 0.8)))
        band.play(pad, lambda passage: _figures.held(passage, centre=60))
    line = one_of(rng, _BASSES)
    bass = band.hire("bass", {"bass": 1}, least=0.4, programs={"bass": (33, 36, 38, 39)})
    band.play(bass, lambda passage: _figures.bass(passage, line, length=0.5, centre=36))
    drummer = band.hire("drums", {"drums": 1}, least=0.25, programs={"drums": (0, 24, 25)})
    band.drum(drummer, "four on the floor", fills=0.5)
    return band.finish(drum_pattern="four on the floor")
