"""A tune becomes a clip: key, mode, tempo, stretch of bars, instruments, accompaniment and drums, all from one seed.

In: a `Tune` and a random generator. Out: an `Arrangement`: parts in seconds and the labels that are true of it.
Plays nothing and writes nothing.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from mllm.instruct_data import harmony, patterns
from mllm.instruct_data.layers import make_layers
from mllm.instruct_data.patterns import Bars
from mllm.instruct_data.performance import Timing, activity, perform
from mllm.instruct_data.scores import Chord, Tune, key_is_certain
from mllm.instruct_data.synth import Part

MINOR_SHARE = 0.46
_TEMPO_RANGES: dict[str, tuple[float, float]] = {
    "2/4": (55.0, 170.0),
    "3/4": (55.0, 200.0),
    "4/4": (52.0, 185.0),
    "6/8": (45.0, 140.0),
    "9/8": (45.0, 130.0),
    "12/8": (42.0, 120.0),
}
_SLOWEST_NOTES_PER_SECOND, _FASTEST_NOTES_PER_SECOND = 1.1, 8.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arrangement:
    """What is played in a clip and what is true of it."""

    parts: tuple[Part, ...]
    """Times in seconds from the start of the clip; onsets may be negative where the clip cuts into a note."""
    seconds: float
    lead_seconds: float
    """How much sounds before the clip starts and is cut away."""
    key: str
    meter: str
    tempo_bpm: float
    """Beats of `patterns.beat_quarters(meter)` a minute; steady."""
    beats: NDArray[np.float64]
    """Times of all beats in the clip, seconds."""
    downbeats: NDArray[np.float64]
    """Times of the first beats of bars, seconds."""
    activity: dict[str, tuple[tuple[float, float], ...]]
    """Per instrument, in the order of `facts.INSTRUMENTS`: when it sounds, seconds."""


def arrange(tune: Tune, rng: np.random.Generator) -> Arrangement:
    """Arranges a random stretch of `tune`; the same generator state gives the same arrangement.

    Args:
        tune: any tune with a certain key.
        rng: the only source of chance.

    Returns:
        Parts whose instruments each sound for `LEAST_SOUND_SECONDS` or more, with exact labels.
    """
    tune = _in_random_key(_with_chords(tune, rng), rng)
    tempo = _draw_tempo(tune, rng)
    beat_seconds = 60.0 / tempo
    quarter_seconds = beat_seconds / patterns.beat_quarters(tune.meter)
    seconds = _draw_seconds(rng)
    bar_seconds = tune.bar_quarters * quarter_seconds
    count = int(np.ceil(seconds / bar_seconds)) + 1
    notes, chords = _unrolled(tune, count, rng)
    bars = Bars(meter=tune.meter, count=count, chords=chords)
    layers = make_layers(tune.kind, bars, notes, quarter_seconds, rng)
    lead = float(rng.uniform(0, bar_seconds)) if rng.random() < 0.6 else -float(rng.uniform(0, 0.4))
    swings = tune.meter not in patterns.COMPOUND and rng.random() < 0.14
    timing = Timing(
        quarter_seconds=quarter_seconds,
        lead_seconds=lead,
        seconds=seconds,
        swing=float(rng.uniform(0.58, 0.68)) if swings else 0.5,
        jitter_seconds=float(rng.uniform(0, 0.008)),
    )
    parts = perform(layers, timing, rng)
    per_bar = round(tune.bar_quarters / patterns.beat_quarters(tune.meter))
    times = np.arange(count * per_bar, dtype=np.float64) * beat_seconds - lead
    downs = np.arange(count, dtype=np.float64) * bar_seconds - lead
    return Arrangement(
        parts=parts,
        seconds=seconds,
        lead_seconds=max(0.0, lead),
        key=tune.key,
        meter=tune.meter,
        tempo_bpm=tempo,
        beats=times[(times >= 0) & (times < seconds)],
        downbeats=downs[(downs >= 0) & (downs < seconds)],
        activity=activity(parts, seconds),
    )


def _with_chords(tune: Tune, rng: np.random.Generator) -> Tune:
    if tune.chords or tune.kind == "parts":
        return tune
    slots = 2 if tune.meter in ("4/4", "6/8", "12/8") and rng.random() < 0.5 else 1
    return harmony.harmonise(tune, slots_per_bar=slots)


def _in_random_key(tune: Tune, rng: np.random.Generator) -> Tune:
    wanted = "minor" if rng.random() < MINOR_SHARE else "major"
    if harmony.mode_of(tune.key) != wanted:
        flipped = harmony.flip_mode(tune)
        if key_is_certain(flipped.notes, flipped.key, tolerance=0.12):
            tune = flipped
    target = int(rng.integers(12))
    semitones = (target - harmony.tonic_of(tune.key) + 5) % 12 - 5
    return harmony.transpose(tune, semitones)


def _draw_tempo(tune: Tune, rng: np.random.Generator) -> float:
    low, high = _TEMPO_RANGES[tune.meter]
    top = tune.notes[tune.notes[:, 3] == tune.notes[:, 3].min()]
    span = float((top[:, 0] + top[:, 1]).max() - top[0, 0])
    per_beat = max(0.2, len(np.unique(top[:, 0])) / span * patterns.beat_quarters(tune.meter))
    low = max(low, min(60 * _SLOWEST_NOTES_PER_SECOND / per_beat, high * 0.7))
    high = min(high, max(60 * _FASTEST_NOTES_PER_SECOND / per_beat, low * 1.4))
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _draw_seconds(rng: np.random.Generator) -> float:
    draw = rng.random()
    if draw < 0.7:
        return 30.0
    return round(float(rng.uniform(20, 30) if draw < 0.86 else rng.uniform(8, 20)), 2)


def _unrolled(tune: Tune, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], tuple[Chord, ...]]:
    """Notes and chords of `count` bars from a random bar on; after the last bar the tune starts again."""
    bar = tune.bar_quarters
    total = tune.bars
    first = float(tune.notes[:, 0].min())
    upbeat = first > 0.01
    again = 1 if upbeat and total > 1 else 0
    sounding = (tune.notes[:, 0] + tune.notes[:, 1]).max() - (total - 1) * bar
    latest = max(again, total - count)
    start = int(rng.integers(again, latest + 1)) if rng.random() < 0.8 else again
    notes: list[NDArray[np.float64]] = []
    chords: list[Chord] = []
    source = start
    for place in range(count):
        shift = (place - source) * bar
        inside = tune.notes[(tune.notes[:, 0] >= source * bar - 1e-6) & (tune.notes[:, 0] < (source + 1) * bar - 1e-6)]
        notes.append(inside + np.array([shift, 0, 0, 0]))
        if source == total - 1 and again and sounding <= first + 1e-3:
            pickup = tune.notes[tune.notes[:, 0] < bar - 1e-6]
            notes.append(pickup + np.array([place * bar, 0, 0, 0]))
        for chord in tune.chords:
            begin = max(chord.onset, source * bar)
            end = min(chord.onset + chord.duration, (source + 1) * bar)
            if end - begin > 0.05:
                chords.append(dataclasses.replace(chord, onset=begin + shift, duration=end - begin))
        source = source + 1 if source + 1 < total else again
    return np.concatenate(notes), tuple(_merged(chords))


def _merged(chords: list[Chord]) -> list[Chord]:
    """Half-bar repetitions of a chord joined again, inside a bar or across up to two."""
    merged: list[Chord] = []
    for chord in chords:
        last = merged[-1] if merged else None
        same = last is not None and (last.root, last.quality, last.bass) == (chord.root, chord.quality, chord.bass)
        if last is not None and same and abs(last.onset + last.duration - chord.onset) < 1e-3 and last.duration < 8:
            merged[-1] = dataclasses.replace(last, duration=last.duration + chord.duration)
        else:
            merged.append(chord)
    return merged
