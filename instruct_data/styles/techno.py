"""Techno: a bass drum on every beat, riffs of synthesizers. In: a generator and a length. Out: a `Composition`."""

from __future__ import annotations

import numpy as np

from mllm.instruct_data.composition import Composition
from mllm.instruct_data.styles import _figures
from mllm.instruct_data.styles._band import Band
from mllm.instruct_data.styles._chance import happens, one_of
from mllm.instruct_data.styles._harmony import Manner
from mllm.instruct_data.styles._melody import Character
from mllm.instruct_data.styles._plan import Recipe, make_plan

SUMMARY = "Techno: machine drums on every beat, riffs and pads of synthesizers that come and go, few chords."
WEIGHT = 1.0

_RECIPE = Recipe(
    style="techno",
    meters={"4/4": 1.0},
    tempos={"4/4": (120, 152)},
    modes={"minor": 0.7, "dorian": 0.2, "major": 0.05, "mixolydian": 0.05},
    forms=(
        "intro a 4 3, drop a 8 8",
        "intro a 8 3, build a 8 5, drop b 8 9, break c 4 1, drop b 8 9",
        "intro a 8 2, build a 8 5, drop b 16 8, break c 8 1, build a 4 5, drop b 16 9, outro a 8 3",
        "intro a 16 2, build a 16 5, drop b 16 8, break c 8 1, build a 8 5, drop b 16 9, drop d 16 8, break c 8 1,"
        "drop b 16 9, outro a 16 3",
    ),
    manner=Manner(kinds={"loop": 1.0}, colour="triads", bars_a_chord=2),
    tempo_changes=0.06,
    moves_to=("up",),
    holds_last=0.4,
)
_BASSES = ("-111-111-111-111", "-.1.-.1.-.1.-.1.", "1.1.1.1.1.1.1.1.", "1..1..1.1..1..1.", "-1-1-1-1")
_PROGRAMS = {"synthesizer": (80, 81, 83, 84, 87), "mallets": (12, 13), "electric guitar": (29,)}
_PADDED = ("break", "build")


def compose(rng: np.random.Generator, *, seconds: float) -> Composition:
    """A piece of about `seconds`; the same generator state gives the same piece."""
    plan = make_plan(_RECIPE, rng, seconds=seconds)
    band = Band(plan, rng)
    order = _figures.riff(rng, one_of(rng, (8, 16, 16)), density=rng.uniform(0.4, 0.85))
    synth = band.hire("harmony", {"synthesizer": 1}, programs=_PROGRAMS)
    band.play(synth, lambda passage: _figures.broken(passage, order))
    pad = band.hire(
        "pad",
        {"synthesizer": 2, "strings": 1, "choir": 0.7, "organ": 0.5},
        where=lambda passage: passage.name in _PADDED or passage.number == 0,
        programs={"synthesizer": (88, 89, 90, 91, 94, 95)},
    )
    band.play(pad, lambda passage: _figures.held(passage, centre=58))
    if happens(rng, 0.6):
        lead = band.hire(
            "melody", {"synthesizer": 3, "electric guitar": 0.3, "mallets": 0.5}, least=0.8, programs=_PROGRAMS
        )
        band.sing(lead, Character(density=1.8, syncopation=0.6, rests=0.25))
    line = one_of(rng, _BASSES)
    bass = band.hire("bass", {"bass": 1}, least=0.45, programs={"bass": (38, 39)}, articulation="staccato")
    band.play(bass, lambda passage: _figures.bass(passage, line, length=0.5))
    drummer = band.hire("drums", {"drums": 1}, least=0.15, programs={"drums": (24, 25)})
    band.drum(drummer, "four on the floor", fills=0.5)
    return band.finish(drum_pattern="four on the floor")
