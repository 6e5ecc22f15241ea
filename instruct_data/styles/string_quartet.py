"""String quartets: four bowed voices in changing textures. In: a generator and a length. Out: a `Composition`."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from mllm.instruct_data.composition import Composition
from mllm.instruct_data.patterns import Row
from mllm.instruct_data.styles import _figures
from mllm.instruct_data.styles._band import Band
from mllm.instruct_data.styles._chance import one_of, pick
from mllm.instruct_data.styles._harmony import Manner
from mllm.instruct_data.styles._melody import Character, in_parallel
from mllm.instruct_data.styles._plan import Passage, Recipe, make_plan
from mllm.instruct_data.styles._voices import lower_voices

SUMMARY = "A string quartet: a tune over two inner voices and a cello, now as one body, now pulsing, broken or in duet."
WEIGHT = 1.0

_RECIPE = Recipe(
    style="string quartet",
    meters={"4/4": 0.42, "3/4": 0.3, "2/4": 0.16, "6/8": 0.12},
    tempos={"4/4": (56, 152), "3/4": (60, 160), "2/4": (60, 138), "6/8": (46, 108)},
    modes={"minor": 0.46, "major": 0.44, "dorian": 0.06, "mixolydian": 0.04},
    forms=(
        "A a 8 5, A a 8 6",
        "A a 8 5, B b 8 6, A a 8 7",
        "A a 8 5, A a 8 6, B b 8 7, A a 8 7",
        "A a 8 5, B b 8 7, A a 8 6, C c 8 4, A a 8 7",
        "A a 8 5, A a 8 6, B b 16 6, A a 8 7, C c 16 4, A a 8 6, B b 8 8, A a 8 8",
        "exposition a 16 6, exposition b 16 5, development c 16 8, development d 8 7, recapitulation a 16 7,"
        "recapitulation b 16 6, coda a 8 8",
        "A a 16 5, B b 16 7, A a 16 6, C c 16 4, A a 16 7, D d 16 8, A a 16 8, coda a 8 9",
    ),
    manner=Manner(chords_a_bar={1: 0.65, 2: 0.35}, secondary=0.07, inversions=0.18),
    tempo_changes=0.2,
)


def compose(rng: np.random.Generator, *, seconds: float) -> Composition:
    """A piece of about `seconds`; the same generator state gives the same piece."""
    plan = make_plan(_RECIPE, rng, seconds=seconds)
    band = Band(plan, rng)
    players = [
        band.hire(role, {"strings": 1}, least=least, programs={"strings": (program,)}, articulation=articulation)
        for (role, program, articulation), least in zip(
            (
                ("melody", 40, "legato"),
                ("counter", 40, "normal"),
                ("counter", 41, "normal"),
                ("bass", 42, one_of(rng, ("normal", "normal", "staccato"))),
            ),
            (0.0, one_of(rng, (0.0, 0.5, 0.65)), one_of(rng, (0.0, 0.0, 0.6)), 0.0),
            strict=True,
        )
    ]
    fast = plan.quarter_seconds() < 0.5
    band.sing(players[0], Character(density=one_of(rng, (1.0, 1.6, 2.0) if fast else (1.6, 2.2, 2.8)), leaps=0.25))
    inner: dict[int, list[list[Row]]] = {}
    for passage in plan.passages:
        material = plan.material_rng(passage, "texture")
        texture = pick(material, {"body": 1.0, "pulse": 1.2, "broken": 1.0, "duet": 0.8, "held": 0.8})
        repeats = {"pulse": 0.5, "held": 4.0}.get(texture, passage.beat)
        voices = lower_voices(passage, band.tune(passage), material, repeats=repeats)
        if texture == "broken":
            eighths = round(passage.quarters / 0.5)
            voices[0] = _figures.broken(passage, ("02120212" * 2)[:eighths], centre=62)
        elif texture == "duet":
            voices[0] = in_parallel(passage, band.tune(passage), -2)
        inner[passage.number] = voices
    for voice, player in enumerate(players[1:]):
        band.play(player, functools.partial(_voice, inner, voice))
    return band.finish(drum_pattern=None)


def _voice(inner: Mapping[int, Sequence[list[Row]]], voice: int, passage: Passage) -> list[Row]:
    return inner[passage.number][voice]
