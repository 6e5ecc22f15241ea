"""Who plays what in a stretch of bars: melody, doublings, harmony, bass and drums, each with an instrument.

In: notes and chords on a quarter-note timeline, a random generator. Out: layers in quarter notes. Knows nothing of
tempo but how long a quarter lasts, and nothing of labels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mllm.instruct_data import instruments, patterns
from mllm.instruct_data.patterns import Bars, Row

_DRUM_SHARE = 0.62
_LATE_SHARE = 0.12
_DRUM_KITS = (0, 0, 0, 8, 16, 24, 25, 32, 40)


@dataclasses.dataclass
class Layer:
    """One part before it has seconds."""

    instrument: str
    """One of `facts.INSTRUMENTS`."""
    program: int
    """General MIDI program, 0 to 127; for drums the kit."""
    gain_db: float
    """Loudness relative to other layers."""
    rows: NDArray[np.float64]
    """Shape (notes, 4): onset and duration in quarter notes, MIDI pitch, velocity."""


def make_layers(
    kind: str, bars: Bars, notes: NDArray[np.float64], quarter_seconds: float, rng: np.random.Generator
) -> list[Layer]:
    """The layers of a clip, the main one first.

    Args:
        kind: one of `scores.KINDS`; decides what the voices are.
        bars: meter, number of bars and chords.
        notes: shape (notes, 4): onset and duration in quarter notes, MIDI pitch, voice.
        quarter_seconds: length of a quarter note; fast notes get no slow sounds.
        rng: the only source of chance.
    """
    makers = {"melody": _for_melody, "leadsheet": _for_melody, "parts": _for_parts, "song": _for_song}
    layers = makers[kind](bars, notes, quarter_seconds, rng)
    solo = len(layers) == 1 and layers[0].instrument not in ("piano", "organ", "harpsichord")
    if not solo and rng.random() < _DRUM_SHARE:
        layers.append(
            Layer(
                "drums",
                int(rng.choice(_DRUM_KITS)),
                _gain(rng, -9),
                _rows(patterns.drum_track(bars, rng)),
            )
        )
    for layer in layers[1:]:
        if rng.random() < _LATE_SHARE and bars.count >= 6:
            enters = float(rng.integers(1, bars.count // 2)) * bars.quarters
            layer.rows = layer.rows[layer.rows[:, 0] >= enters - 0.3]
    return [layer for layer in layers if len(layer.rows)]


def _for_melody(
    bars: Bars, notes: NDArray[np.float64], quarter_seconds: float, rng: np.random.Generator
) -> list[Layer]:
    draw = rng.random()
    melody = notes[notes[:, 3] == 0]
    layers = [_melody_layer(melody, quarter_seconds, rng, ())]
    if draw < 0.15:
        return layers
    if draw < 0.22:
        second = instruments.pick_instrument(rng, instruments.MELODY_WEIGHTS)
        layers.append(_pattern_layer(patterns.counter_line(bars, 60.0, rng), second, "line", rng))
        return layers
    if draw < 0.34:
        return layers + _choir_of_chords(bars, rng)
    if draw < 0.46:
        layers += _doublings(melody, quarter_seconds, int(rng.integers(1, 4)), rng)
    layers += _accompaniment(bars, int(rng.choice([1, 1, 2])), rng)
    return layers


def _for_parts(
    _bars: Bars, notes: NDArray[np.float64], quarter_seconds: float, rng: np.random.Generator
) -> list[Layer]:
    voices = [notes[notes[:, 3] == voice] for voice in sorted(set(notes[:, 3]))]
    voices = [voice for voice in voices if len(voice)]
    draw = rng.random()
    if draw < 0.22:
        name = str(rng.choice(["piano", "organ", "harpsichord", "accordion", "harp", "acoustic guitar"]))
        rows = np.concatenate(voices)
        return [_note_layer(rows, name, instruments.pick_program(rng, name), 0.0, fold_together=True)]
    if draw < 0.75:
        group = instruments.ENSEMBLES[int(rng.integers(len(instruments.ENSEMBLES)))]
        names = [group[min(index * len(group) // len(voices), len(group) - 1)] for index in range(len(voices))]
    else:
        names = [instruments.pick_instrument(rng, instruments.MELODY_WEIGHTS) for _ in voices]
        if rng.random() < 0.7:
            names[-1] = "bass"
    fast = _is_fast(notes[notes[:, 3] == 0], quarter_seconds)
    layers = []
    for voice, name in zip(voices, names, strict=True):
        program = instruments.pick_program(rng, name, fast=fast, centre=float(np.median(voice[:, 2])))
        layers.append(_note_layer(voice, name, program, _gain(rng, -6)))
    if rng.random() < 0.3:
        layers += _doublings(voices[0], quarter_seconds, int(rng.integers(1, 4)), rng)
    return layers


def _for_song(bars: Bars, notes: NDArray[np.float64], quarter_seconds: float, rng: np.random.Generator) -> list[Layer]:
    layers = []
    taken: list[str] = []
    for voice in (0, 1):
        rows = notes[notes[:, 3] == voice]
        if len(rows):
            layers.append(_melody_layer(rows, quarter_seconds, rng, taken))
            taken.append(layers[-1].instrument)
    keys = notes[notes[:, 3] == 2]
    if len(keys):
        name = instruments.pick_instrument(rng, instruments.HARMONY_WEIGHTS, taken)
        program = instruments.pick_program(rng, name, fast=True)
        layers.append(_note_layer(keys, name, program, _gain(rng, -8), fold_together=True))
        taken.append(name)
    if rng.random() < 0.66:
        layers.append(_bass_layer(bars, rng))
    if rng.random() < 0.5:
        layers += _accompaniment(bars, 1, rng, with_bass=False, taken=taken)
    return layers


def _accompaniment(
    bars: Bars, harmony_layers: int, rng: np.random.Generator, *, with_bass: bool = True, taken: list[str] | None = None
) -> list[Layer]:
    layers: list[Layer] = []
    names = list(taken or [])
    for index in range(harmony_layers):
        held = index > 0 or rng.random() < 0.2
        weights = instruments.PAD_WEIGHTS if held else instruments.HARMONY_WEIGHTS
        name = instruments.pick_instrument(rng, weights, names)
        names.append(name)
        choices = ["pad"] if held else _manners(name)
        rows = patterns.HARMONY[str(rng.choice(choices))](bars, 60.0 + float(rng.integers(-3, 5)), rng)
        layers.append(_pattern_layer(rows, name, "pad" if held else "rhythm", rng))
    if with_bass and rng.random() < 0.72:
        layers.append(_bass_layer(bars, rng))
    return layers


def _manners(instrument: str) -> list[str]:
    if instrument in ("acoustic guitar", "electric guitar"):
        return ["strum", "arpeggio", "offbeat", "comping", "block"]
    if instrument in ("harp", "mallets"):
        return ["arpeggio", "ostinato", "block", "oompah"]
    if instrument in ("strings", "choir", "brass", "saxophone", "woodwind"):
        return ["block", "comping", "offbeat", "pad"]
    if instrument == "synthesizer":
        return ["ostinato", "arpeggio", "block", "comping"]
    return ["block", "oompah", "arpeggio", "comping", "offbeat", "oompah"]


def _choir_of_chords(bars: Bars, rng: np.random.Generator) -> list[Layer]:
    """One group of held chords and a low line below it."""
    name = instruments.pick_instrument(rng, instruments.PAD_WEIGHTS)
    layers = [_pattern_layer(patterns.pad(bars, 58.0, rng), name, "pad", rng)]
    low = [(c.onset, c.duration * 0.97, 36.0 + (c.bass - 36) % 12, 80.0) for c in bars.chords]
    if rng.random() < 0.6:
        below = str(rng.choice([name, "strings", "brass", "organ", "bass"]))
        layers.append(_pattern_layer(low, below, "low", rng))
    return layers


def _doublings(
    melody: NDArray[np.float64], quarter_seconds: float, count: int, rng: np.random.Generator
) -> list[Layer]:
    layers: list[Layer] = []
    taken: list[str] = []
    for _ in range(count):
        layer = _melody_layer(melody, quarter_seconds, rng, taken)
        layer.gain_db = _gain(rng, -8)
        taken.append(layer.instrument)
        layers.append(layer)
    return layers


def _melody_layer(
    notes: NDArray[np.float64], quarter_seconds: float, rng: np.random.Generator, taken: Sequence[str]
) -> Layer:
    name = instruments.pick_instrument(rng, instruments.MELODY_WEIGHTS, taken)
    fast = _is_fast(notes, quarter_seconds)
    program = instruments.pick_program(rng, name, fast=fast, centre=67.0 if rng.random() < 0.7 else None)
    return _note_layer(notes, name, program, _gain(rng, -4))


def _bass_layer(bars: Bars, rng: np.random.Generator) -> Layer:
    return _pattern_layer(patterns.bass_line(bars, 38.0, rng), "bass", "low", rng)


def _note_layer(
    notes: NDArray[np.float64], name: str, program: int, gain_db: float, *, fold_together: bool = False
) -> Layer:
    low, high = (33, 96) if fold_together else instruments.range_of(name, program)
    pitches = instruments.into_range(notes[:, 2], low, high)
    velocity = np.full(len(notes), 84.0)
    return Layer(name, program, gain_db, np.column_stack([notes[:, 0], notes[:, 1], pitches, velocity]))


def _pattern_layer(rows: list[Row], name: str, role: str, rng: np.random.Generator) -> Layer:
    array = _rows(rows)
    centre = float(np.median(array[:, 2])) if len(array) else None
    program = instruments.pick_program(rng, name, fast=role in ("rhythm", "low"), centre=centre)
    low, high = instruments.range_of(name, program)
    array[:, 2] = instruments.into_range(array[:, 2], low, high)
    return Layer(name, program, _gain(rng, -10 if role in ("rhythm", "pad") else -7), array)


def _rows(rows: list[Row]) -> NDArray[np.float64]:
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def _gain(rng: np.random.Generator, lowest_db: float) -> float:
    return float(rng.uniform(lowest_db, 0.0))


def _is_fast(notes: NDArray[np.float64], quarter_seconds: float) -> bool:
    return bool(np.median(notes[:, 1]) * quarter_seconds < 0.4)
