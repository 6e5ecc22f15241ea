"""Pop ballads: slow songs that grow. In: a generator and a length. Out: a `Composition`."""

from __future__ import annotations

import numpy as np

from mllm.instruct_data.composition import Composition
from mllm.instruct_data.styles import _figures
from mllm.instruct_data.styles._band import Band
from mllm.instruct_data.styles._chance import happens, one_of
from mllm.instruct_data.styles._harmony import Manner
from mllm.instruct_data.styles._melody import Character, long_notes
from mllm.instruct_data.styles._plan import Recipe, make_plan

SUMMARY = "A slow pop song: broken chords on a piano or guitar, strings or voices that swell, drums that enter late."
WEIGHT = 1.0

_RECIPE = Recipe(
    style="pop ballad",
    meters={"4/4": 0.7, "6/8": 0.2, "12/8": 0.1},
    tempos={"4/4": (56, 92), "6/8": (44, 70), "12/8": (44, 66)},
    modes={"minor": 0.46, "major": 0.44, "dorian": 0.05, "mixolydian": 0.05},
    forms=(
        "verse a 8 4, chorus b 8 7",
        "intro a 4 2, verse a 8 4, chorus b 8 7",
        "intro a 4 2, verse a 8 3, chorus b 8 6, verse a 8 5, chorus b 8 8",
        "intro a 4 2, verse a 8 3, chorus b 8 6, verse a 8 5, chorus b 8 7, bridge c 8 4, chorus b 8 9, outro a 4 2",
        "intro a 4 2, verse a 16 3, chorus b 8 6, verse a 8 5, chorus b 8 7, solo a 8 6, bridge c 8 4, chorus b 16 9,"
        "outro a 4 2",
    ),
    manner=Manner(kinds={"loop": 0.55, "phrases": 0.45}, colour="soft", suspended=0.1, inversions=0.08),
    moves_to=("up", "up", "up", "relative"),
    tempo_changes=0.2,
)
_FIGURES = {
    "4/4": ("01232123", "0213", "0.2.1.2.", "0121012101210121", "0123.123"),
    "6/8": ("012321", "012.21", "021320"),
    "12/8": ("012321012321", "012012012012"),
}
_BASSES = {
    "4/4": ("1...1...", "1...5.1.", "1.....1.", "1......."),
    "6/8": ("1..5..", "1....."),
    "12/8": ("1.....5.....",),
}


def compose(rng: np.random.Generator, *, seconds: float) -> Composition:
    """A piece of about `seconds`; the same generator state gives the same piece."""
    plan = make_plan(_RECIPE, rng, seconds=seconds)
    band = Band(plan, rng)
    meter = plan.meter
    keys = band.hire("harmony", {"piano": 3, "acoustic guitar": 1.2, "harp": 0.5, "electric guitar": 0.4}, fast=True)
    order = one_of(rng, _FIGURES[meter])
    ring = one_of(rng, (1.0, 2.0, 3.0))
    band.play(keys, lambda passage: _figures.broken(passage, order, centre=57, ring=ring))
    singer = band.hire(
        "melody",
        {
            "flute": 1,
            "saxophone": 1,
            "strings": 1,
            "woodwind": 1,
            "choir": 0.8,
            "synthesizer": 0.8,
            "brass": 0.3,
            "electric guitar": 0.6,
            "accordion": 0.3,
            "piano": 0.3,
        },
        least=0.3,
        where=lambda passage: passage.name not in ("solo", "intro"),
        articulation="legato",
        fast=True,
    )
    band.sing(singer, Character(density=1.6, syncopation=0.25, leaps=0.2, rests=0.1))
    soloist = band.hire(
        "melody",
        {"electric guitar": 2, "saxophone": 2, "strings": 1, "mallets": 0.4},
        where=lambda passage: passage.name == "solo",
        fast=True,
    )
    band.improvise(soloist, Character(density=1.8, leaps=0.3))
    if happens(rng, 0.75):
        pad = band.hire("pad", {"strings": 2, "choir": 1, "synthesizer": 1, "organ": 0.5}, least=0.55)
        band.play(pad, lambda passage: _figures.held(passage, centre=62))
    if happens(rng, 0.3):
        bell = band.hire("counter", {"mallets": 1, "strings": 1, "harp": 0.6, "choir": 0.5}, least=0.7)
        band.play(bell, lambda passage: long_notes(passage, 72))
    if happens(rng, 0.85):
        line = one_of(rng, _BASSES[meter])
        bass = band.hire("bass", {"bass": 1}, least=0.4, programs={"bass": (32, 33, 35)})
        band.play(bass, lambda passage: _figures.bass(passage, line))
    if happens(rng, 0.75):
        groove = "half-time backbeat" if meter == "4/4" and happens(rng, 0.3) else "backbeat"
        drummer = band.hire("drums", {"drums": 1}, least=one_of(rng, (0.45, 0.6, 0.75)), programs={"drums": (0, 8, 16)})
        band.drum(drummer, groove)
        return band.finish(drum_pattern=groove)
    return band.finish(drum_pattern=None)
