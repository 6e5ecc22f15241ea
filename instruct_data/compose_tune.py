"""A whole tune as a piece with sections: each part of each pass has players of its own, who enter and stop.

In: a `Tune`, a random generator, a wished length. Out: a `Composition` in a key, mode and tempo of its own, with the
title, family, source and licence of the tune. Reads no files and plays nothing.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mllm.instruct_data import harmony, instruments
from mllm.instruct_data.composition import Composition, KeyFrom
from mllm.instruct_data.patterns import Row, beat_quarters
from mllm.instruct_data.scores import Chord, Tune, key_is_certain
from mllm.instruct_data.styles import _drums, _figures, _tempo
from mllm.instruct_data.styles._band import Band, Player
from mllm.instruct_data.styles._chance import between, happens, one_of, pick
from mllm.instruct_data.styles._plan import Passage, Plan, Recipe, loudness
from mllm.instruct_data.styles._rhythms import BASSES, ORDERS, STRUMS

STYLES: dict[str, str] = {
    "melody": "folk dance",
    "leadsheet": "lead sheet song",
    "parts": "chorale",
    "song": "pop song",
}
"""What is told as the style of a tune, by its kind."""

_MINOR_SHARE = 0.5
_TEMPO_CHANGES = 0.15
_LARGEST_MISS = 0.08
_TEMPO_RANGES: dict[str, tuple[float, float]] = {
    "2/4": (60.0, 160.0),
    "3/4": (60.0, 190.0),
    "4/4": (56.0, 176.0),
    "6/8": (48.0, 132.0),
    "9/8": (48.0, 126.0),
    "12/8": (44.0, 116.0),
}
_NOTES_A_SECOND = (1.1, 8.0)
_NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_GROOVES: dict[str, tuple[str, ...]] = {
    "melody": ("folk drum", "folk drum", "march", "waltz", "polka", "backbeat"),
    "leadsheet": ("backbeat", "waltz", "bossa nova", "folk drum", "half-time backbeat"),
    "song": ("backbeat", "half-time backbeat", "waltz", "four on the floor"),
    "parts": (),
}
_DRUM_SHARE = {"melody": 0.45, "leadsheet": 0.6, "song": 0.65, "parts": 0.0}


@dataclasses.dataclass(frozen=True)
class _Part:
    """Some bars of the tune, as they stand in the piece."""

    name: str
    bars: tuple[int, ...]
    """Numbers of bars of the tune."""


def compose_tune(tune: Tune, rng: np.random.Generator, *, seconds: float) -> Composition:
    """Arranges a tune as a piece of about `seconds`; the same generator state gives the same piece.

    Args:
        tune: any tune with a certain key.
        rng: the only source of chance.
        seconds: wished length; longer tunes end after some of their bars, shorter ones are repeated.

    Returns:
        The piece. Its chords are those that all players together sound; of independent parts none are told.
    """
    tune = _in_random_key(_with_chords(tune, rng), rng)
    bpm = _draw_tempo(tune, rng)
    bar_seconds = tune.bar_quarters / beat_quarters(tune.meter) * 60.0 / bpm
    parts = _form(tune, max(2, round(seconds / bar_seconds)))
    plan = _plan(tune, parts, bpm, rng, seconds)
    voices = _voices(tune, parts, plan)
    band = Band(plan, rng)
    if tune.kind == "parts":
        _hire_voices(band, voices, rng)
    else:
        _hire_song(band, tune, voices, rng)
    groove = _hire_drummer(band, tune, rng)
    composition = band.finish(drum_pattern=groove)
    return dataclasses.replace(
        composition, title=tune.title, family=tune.family, source=tune.source, licence=tune.licence
    )


def _with_chords(tune: Tune, rng: np.random.Generator) -> Tune:
    if tune.chords or tune.kind == "parts":
        return tune
    slots = 2 if tune.meter in ("4/4", "6/8", "12/8") and happens(rng, 0.5) else 1
    return harmony.harmonise(tune, slots_per_bar=slots)


def _in_random_key(tune: Tune, rng: np.random.Generator) -> Tune:
    wanted = "minor" if happens(rng, _MINOR_SHARE) else "major"
    if harmony.mode_of(tune.key) != wanted:
        flipped = harmony.flip_mode(tune)
        if key_is_certain(flipped.notes, flipped.key, tolerance=0.12):
            tune = flipped
    semitones = (int(rng.integers(12)) - harmony.tonic_of(tune.key) + 5) % 12 - 5
    return harmony.transpose(tune, semitones)


def _draw_tempo(tune: Tune, rng: np.random.Generator) -> float:
    """A tempo at which the tune is neither slow nor hasty."""
    low, high = _TEMPO_RANGES[tune.meter]
    top = tune.notes[tune.notes[:, 3] == tune.notes[:, 3].min()]
    beats = float((top[:, 0] + top[:, 1]).max() - top[0, 0]) / beat_quarters(tune.meter)
    notes_a_beat = max(0.2, len(np.unique(top[:, 0])) / beats)
    low = max(low, min(60 * _NOTES_A_SECOND[0] / notes_a_beat, high * 0.7))
    high = min(high, max(60 * _NOTES_A_SECOND[1] / notes_a_beat, low * 1.3))
    return between(rng, (low, high))


def _has_upbeat(tune: Tune) -> bool:
    return bool(tune.notes[:, 0].min() > 0.01) and tune.bars > 1


def _form(tune: Tune, wished: int) -> list[_Part]:
    """The parts of the tune, round and round until there are about `wished` bars."""
    length = 4 if tune.bars < 12 or wished < 12 else 16 if tune.bars > 100 else 8
    starts = list(range(0, tune.bars, length))
    if len(starts) > 1 and tune.bars - starts[-1] < length / 2:
        starts.pop()
    first = [
        _Part(_NAMES[place % len(_NAMES)], tuple(range(start, stop)))
        for place, (start, stop) in enumerate(zip(starts, [*starts[1:], tune.bars], strict=True))
    ]
    later = list(first)
    if _has_upbeat(tune):
        later[0] = dataclasses.replace(first[0], bars=first[0].bars[1:] or first[0].bars)
    parts: list[_Part] = []
    whole: list[_Part] = []
    total = 0
    while True:
        part = (first if len(parts) < len(first) else later)[len(parts) % len(first)]
        if parts and total + len(part.bars) / 2 > wished:
            break
        parts.append(part)
        total += len(part.bars)
        if len(parts) % len(first) == 0:
            whole = list(parts)
    # A tune that ends where it ends is better than one that has exactly the wished length.
    return whole if sum(len(part.bars) for part in whole) > 0.85 * wished else parts


def _plan(tune: Tune, parts: Sequence[_Part], bpm: float, rng: np.random.Generator, seconds: float) -> Plan:
    tonic, mode = harmony.tonic_of(tune.key), harmony.mode_of(tune.key)
    energies = _energies(rng, len(parts))
    passages: list[Passage] = []
    onset = 0.0
    for number, (part, energy) in enumerate(zip(parts, energies, strict=True)):
        passages.append(
            Passage(
                name=part.name,
                material=part.name,
                number=number,
                meter=tune.meter,
                onset=onset,
                bars=len(part.bars),
                energy=energy,
                tonic=tonic,
                mode=mode,
                chords=_chords(tune, part, onset),
                closes=number == len(parts) - 1,
            )
        )
        onset = passages[-1].end
    tempos = _tempo.tempos(rng, _TEMPO_CHANGES, bpm, passages)
    swings = beat_quarters(tune.meter) == 1.0 and tune.kind != "parts" and happens(rng, 0.12)
    return Plan(
        recipe=Recipe(style=STYLES[tune.kind], meters={}, tempos={}, modes={}, forms=()),
        seed=int(rng.integers(2**62)),
        meter=tune.meter,
        swing=float(rng.uniform(0.58, 0.67)) if swings else 0.5,
        passages=tuple(passages),
        keys=(KeyFrom(onset=0.0, tonic=tonic, mode=mode),),
        tempos=_tempo.fitted(tempos, onset, tune.meter, seconds, _LARGEST_MISS),
        dynamics=loudness(rng, passages),
        holds_last=False,
    )


def _energies(rng: np.random.Generator, count: int) -> list[float]:
    """How many play in each part: more and more, with a quieter one between."""
    rise = np.linspace(rng.uniform(0.3, 0.6), rng.uniform(0.75, 0.95), count)
    energies = np.clip(rise + rng.normal(0, 0.08, count), 0.2, 1.0)
    if count > 3 and happens(rng, 0.5):
        energies[int(rng.integers(1, count - 1))] = 0.3
    return [float(energy) for energy in energies]


def _chords(tune: Tune, part: _Part, onset: float) -> tuple[Chord, ...]:
    """Chords of a part at their places in the piece, each until the next begins: so long they are played."""
    bar = tune.bar_quarters
    found: list[Chord] = []
    for place, number in enumerate(part.bars):
        start = onset + place * bar
        for chord in tune.chords:
            begin = max(chord.onset, number * bar)
            if min(chord.onset + chord.duration, (number + 1) * bar) - begin > 0.05:
                found.append(dataclasses.replace(chord, onset=begin - number * bar + start))
    if not found and tune.chords:
        before = [chord for chord in tune.chords if chord.onset <= part.bars[0] * bar]
        found = [before[-1] if before else tune.chords[0]]
    kept: list[Chord] = []
    for chord in found:
        last = kept[-1] if kept else None
        if last is None or (last.root, last.quality, last.bass) != (chord.root, chord.quality, chord.bass):
            kept.append(chord)
    onsets = [onset, *(chord.onset for chord in kept[1:]), onset + len(part.bars) * bar]
    return tuple(
        dataclasses.replace(chord, onset=begin, duration=end - begin)
        for chord, begin, end in zip(kept, onsets, onsets[1:], strict=False)
    )


def _voices(tune: Tune, parts: Sequence[_Part], plan: Plan) -> list[dict[int, list[Row]]]:
    """For each voice of the tune: rows by number of the passage; an upbeat sounds in the bar before its pass."""
    bar = tune.bar_quarters
    first = float(tune.notes[:, 0].min())
    room = (tune.notes[:, 0] + tune.notes[:, 1]).max() - (tune.bars - 1) * bar <= first + 1e-3
    voices: list[dict[int, list[Row]]] = []
    for voice in np.unique(tune.notes[:, 3]):
        notes = tune.notes[tune.notes[:, 3] == voice]
        rows: dict[int, list[Row]] = {}
        for passage, part in zip(plan.passages, parts, strict=True):
            sung: list[Row] = []
            for place, number in enumerate(part.bars):
                shift = passage.onset + (place - number) * bar
                sung.extend(_moved(notes, number * bar, (number + 1) * bar, shift))
                if number == tune.bars - 1 and _has_upbeat(tune) and room and not passage.closes:
                    sung.extend(_moved(notes, 0.0, bar, passage.onset + place * bar))
            rows[passage.number] = sung
        voices.append(rows)
    return voices


def _moved(notes: NDArray[np.float64], begin: float, end: float, shift: float) -> list[Row]:
    inside = notes[(notes[:, 0] >= begin - 1e-6) & (notes[:, 0] < end - 1e-6)]
    return [(float(onset + shift), float(duration), float(pitch), 84.0) for onset, duration, pitch, _ in inside]


def _rows_of(voice: Mapping[int, list[Row]], passage: Passage) -> list[Row]:
    return voice[passage.number]


def _hire_voices(band: Band, voices: Sequence[Mapping[int, list[Row]]], rng: np.random.Generator) -> None:
    """One group for independent parts, and sometimes a second group that joins in the louder parts."""
    groups = [one_of(rng, instruments.ENSEMBLES) for _ in range(2 if happens(rng, 0.5) else 1)]
    for number, group in enumerate(groups):
        for place, voice in enumerate(voices):
            name = group[min(place * len(group) // len(voices), len(group) - 1)]
            role = "melody" if place == 0 else "bass" if place == len(voices) - 1 else "counter"
            player = band.hire(role, {name: 1.0}, least=0.7 if number else 0.0, articulation="legato")
            band.play(player, functools.partial(_rows_of, voice), written=True)


def _hire_song(band: Band, tune: Tune, voices: Sequence[Mapping[int, list[Row]]], rng: np.random.Generator) -> None:
    """The tune, who doubles it, its other voices, and an accompaniment of its chords."""
    fast = 60.0 / band.plan.tempos[0].bpm < 0.6
    turns = happens(rng, 0.35) and len(band.plan.passages) > 1
    for turn in (0, 1) if turns else (0,):
        singer = band.hire(
            "melody",
            instruments.MELODY_WEIGHTS,
            where=functools.partial(_takes_turn, turn) if turns else None,
            fast=fast,
        )
        band.play(singer, functools.partial(_rows_of, voices[0]))
    if happens(rng, 0.35):
        second = band.hire("counter", instruments.MELODY_WEIGHTS, least=0.65, fast=fast)
        band.play(second, functools.partial(_rows_of, voices[0]))
    if tune.kind == "song":
        for place, voice in enumerate(voices[1:], start=1):
            keys = place == len(voices) - 1
            weights = instruments.HARMONY_WEIGHTS if keys else instruments.MELODY_WEIGHTS
            player = band.hire("counter", weights, least=0.0 if keys else 0.5, fast=True)
            band.play(player, functools.partial(_rows_of, voice))
    if not (tune.kind == "melody" and happens(rng, 0.12)):
        _hire_accompaniment(band, tune, rng)


def _takes_turn(turn: int, passage: Passage) -> bool:
    return passage.number % 2 == turn


def _hire_accompaniment(band: Band, tune: Tune, rng: np.random.Generator) -> None:
    meter = tune.meter
    weights = instruments.PAD_WEIGHTS if tune.kind == "song" else instruments.HARMONY_WEIGHTS
    manner = pick(rng, {"chords": 1.0, "broken": 0.9, "held": 0.4})
    player = band.hire("harmony", weights, least=one_of(rng, (0.0, 0.0, 0.5)), fast=manner != "held")
    rhythm, order = one_of(rng, STRUMS[meter]), one_of(rng, ORDERS[meter])
    figures = {
        "chords": lambda passage: _figures.chords(passage, rhythm, centre=58, length=0.8),
        "broken": lambda passage: _figures.broken(passage, order, centre=58),
        "held": lambda passage: _figures.held(passage, centre=58),
    }
    band.play(player, figures[manner])
    if happens(rng, 0.7):
        bass = band.hire("bass", {"bass": 1.0}, least=one_of(rng, (0.0, 0.5, 0.65)))
        band.play(bass, lambda passage: _figures.bass(passage, BASSES[meter], length=2.0))
    if happens(rng, 0.25):
        pad: Player = band.hire("pad", instruments.PAD_WEIGHTS, least=0.65)
        band.play(pad, lambda passage: _figures.held(passage, centre=62, longest=tune.bar_quarters))


def _hire_drummer(band: Band, tune: Tune, rng: np.random.Generator) -> str | None:
    """The name of the groove, or None where there are no drums."""
    fitting = [name for name in _GROOVES[tune.kind] if tune.meter in _drums.GROOVES[name]]
    fitting = fitting or ["folk drum"]
    if not happens(rng, _DRUM_SHARE[tune.kind]):
        return None
    name = one_of(rng, fitting)
    drummer = band.hire("drums", {"drums": 1.0}, least=one_of(rng, (0.0, 0.5, 0.65)))
    band.drum(drummer, name, fills=0.5)
    return name
