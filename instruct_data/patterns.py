"""Accompaniment patterns: what harmony instruments, basses and drums play over chords and bars.

In: chords on a quarter-note timeline, a meter, a random generator. Out: rows (onset, duration in quarter notes, MIDI
pitch, velocity). Knows nothing of instruments, tempo or sound.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mllm.instruct_data.scores import BAR_QUARTERS, Chord

Row = tuple[float, float, float, float]
"""Onset and duration in quarter notes, MIDI pitch, velocity (1 to 127)."""

COMPOUND = ("6/8", "9/8", "12/8")
KICK, RIM, SNARE, CLAP, PEDAL_HAT, HAT, OPEN_HAT, CRASH, RIDE, TAMBOURINE = 36, 37, 38, 39, 44, 42, 46, 49, 51, 54
_TOMS = (50, 48, 47, 45, 43)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bars:
    """The stretch of music that is accompanied."""

    meter: str
    count: int
    chords: tuple[Chord, ...]

    @property
    def quarters(self) -> float:
        """Length of a bar in quarter notes."""
        return BAR_QUARTERS[self.meter]

    @property
    def beat(self) -> float:
        """Length of a beat in quarter notes: a dotted quarter in compound meters."""
        return beat_quarters(self.meter)

    @property
    def end(self) -> float:
        """Total length in quarter notes."""
        return self.count * self.quarters


def beat_quarters(meter: str) -> float:
    """Length of the counted beat in quarter notes."""
    return 1.5 if meter in COMPOUND else 1.0


def voicing(chord: Chord, centre: float, size: int = 3) -> list[int]:
    """`size` or so chord tones in close position around `centre` (MIDI pitch), lowest first."""
    classes = chord.pitch_classes()[: max(size, 3)]
    pitches = {round(centre + (pc - centre + 6) % 12 - 6) for pc in classes}
    return sorted(pitches)


HarmonyPattern = Callable[[Bars, float, np.random.Generator], list[Row]]


def block(bars: Bars, centre: float, rng: np.random.Generator) -> list[Row]:
    """Chords held from beat to beat, or from half bar to half bar."""
    step = bars.beat if rng.random() < 0.5 or bars.meter in ("3/4", "9/8") else bars.quarters / 2
    length = step * rng.uniform(0.5, 0.98)
    return [
        (onset, length, pitch, 78.0 + (8 if onset % bars.quarters < 1e-6 else 0))
        for onset, chord in _steps(bars, step)
        for pitch in voicing(chord, centre, 4)
    ]


def oompah(bars: Bars, centre: float, _rng: np.random.Generator) -> list[Row]:
    """A low note on the strong beats and chords on the others."""
    unit = 0.5 if bars.meter in COMPOUND else 1.0
    group = 3 if bars.meter in ("3/4", *COMPOUND) else 2
    rows: list[Row] = []
    for index, (onset, chord) in enumerate(_steps(bars, unit)):
        position = round((onset % bars.quarters) / unit)
        if position % group == 0:
            fifth = (chord.root + 7) % 12 if chord.quality in ("maj", "min", "7") and position else chord.bass
            low = _near(fifth, centre - 17)
            rows.append((onset, unit * 0.9, low, 86.0))
        else:
            length = unit * (0.35 + 0.3 * (index % 2))
            rows.extend((onset, length, pitch, 70.0) for pitch in voicing(chord, centre))
    return rows


def arpeggio(bars: Bars, centre: float, rng: np.random.Generator) -> list[Row]:
    """Broken chords in eighths, triplets or sixteenths, up, down, or up and down."""
    step = 0.5 if bars.meter in COMPOUND else float(rng.choice([0.5, 0.5, 0.25, 1 / 3]))
    direction = rng.integers(4)
    ring = float(rng.choice([1.0, 2.5]))
    rows: list[Row] = []
    for onset, chord in _steps(bars, step):
        tones = voicing(chord, centre, 4)
        tones = [*tones, tones[0] + 12]
        order = {0: tones, 1: tones[::-1], 2: tones + tones[-2:0:-1], 3: [tones[0], tones[-1], tones[1], tones[-1]]}
        sequence = order[int(direction)]
        index = round((onset % bars.quarters) / step)
        accent = 10 if onset % bars.beat < 1e-6 else 0
        rows.append((onset, step * ring, sequence[index % len(sequence)], 74.0 + accent))
    return rows


def strum(bars: Bars, centre: float, rng: np.random.Generator) -> list[Row]:
    """Strummed eighths after one rhythm for the whole stretch, downstrokes louder and upwards."""
    slots = round(bars.quarters / 0.5)
    mask = rng.random(slots) < 0.72
    mask[0] = True
    rows: list[Row] = []
    for onset, chord in _steps(bars, 0.5):
        index = round((onset % bars.quarters) / 0.5)
        if not mask[index % slots]:
            continue
        down = index % 2 == 0
        tones = [voicing(chord, centre - 9)[0], *voicing(chord, centre, 4)]
        for place, pitch in enumerate(tones if down else tones[::-1][:3]):
            rows.append((onset + 0.018 * place, 0.46, pitch, 82.0 if down else 64.0))
    return rows


def pad(bars: Bars, centre: float, rng: np.random.Generator) -> list[Row]:
    """Chords held as long as they last."""
    size = int(rng.integers(3, 5))
    return [
        (max(0.0, chord.onset), chord.duration * 0.99, pitch, 74.0)
        for chord in bars.chords
        for pitch in voicing(chord, centre, size)
    ]


def offbeat(bars: Bars, centre: float, _rng: np.random.Generator) -> list[Row]:
    """Short chords between the beats."""
    step = bars.beat / (3 if bars.meter in COMPOUND else 2)
    keep = (2,) if bars.meter in COMPOUND else (1,)
    per_beat = round(bars.beat / step)
    return [
        (onset, step * 0.6, pitch, 80.0)
        for index, (onset, chord) in enumerate(_steps(bars, step))
        if index % per_beat in keep
        for pitch in voicing(chord, centre)
    ]


def ostinato(bars: Bars, centre: float, rng: np.random.Generator) -> list[Row]:
    """A figure of chord tones, repeated each bar."""
    step = 0.5 if bars.meter in COMPOUND or rng.random() < 0.4 else 0.25
    slots = round(bars.quarters / step)
    mask = rng.random(slots) < 0.7
    mask[0] = True
    tones = rng.integers(0, 5, slots)
    rows: list[Row] = []
    for onset, chord in _steps(bars, step):
        index = round((onset % bars.quarters) / step) % slots
        if mask[index]:
            choice = voicing(chord, centre, 4)
            tone = int(tones[index])
            rows.append((onset, step * 0.85, choice[tone % len(choice)] + 12 * (tone // len(choice)), 76.0))
    return rows


def comping(bars: Bars, centre: float, rng: np.random.Generator) -> list[Row]:
    """Syncopated chords after one rhythm of two bars."""
    slots = 2 * round(bars.quarters / 0.5)
    mask = rng.random(slots) < 0.38
    mask[0] = True
    rows: list[Row] = []
    for onset, chord in _steps(bars, 0.5):
        if mask[round(onset / 0.5) % slots]:
            rows.extend((onset, 0.4, pitch, 78.0) for pitch in voicing(chord, centre, 4))
    return rows


HARMONY: dict[str, HarmonyPattern] = {
    "block": block,
    "oompah": oompah,
    "arpeggio": arpeggio,
    "strum": strum,
    "pad": pad,
    "offbeat": offbeat,
    "ostinato": ostinato,
    "comping": comping,
}


def bass_line(bars: Bars, centre: float, rng: np.random.Generator) -> list[Row]:
    """A bass line in one of six manners, drawn once for the stretch."""
    manner = str(rng.choice(["held", "pulse", "root-fifth", "walking", "eighths", "octaves", "syncopated"]))
    if manner == "held":
        return [(c.onset, c.duration * 0.95, _near(c.bass, centre), 86.0) for c in bars.chords]
    step = bars.beat if manner in ("pulse", "root-fifth", "walking") else 0.5
    slots = round(bars.quarters / step)
    mask = rng.random(slots) < 0.55
    mask[0] = True
    rows: list[Row] = []
    for onset, chord in _steps(bars, step):
        index = round((onset % bars.quarters) / step) % slots
        low = _near(chord.bass, centre)
        pitch: float = low
        if manner == "root-fifth" and index % 2:
            pitch = _near(chord.pitch_classes()[2], centre)
        elif manner == "walking" and index:
            pitch = _near(int(rng.choice(chord.pitch_classes()[:3])), centre)
        elif manner == "octaves" and index % 2:
            pitch = low + 12
        elif manner == "syncopated" and not mask[index]:
            continue
        rows.append((onset, step * 0.88, pitch, 88.0 + (6 if index == 0 else 0)))
    return rows


_SIMPLE_GROOVES: dict[str, dict[int, tuple[int, ...]]] = {
    "rock": {KICK: (0, 8, 10), SNARE: (4, 12), HAT: (0, 2, 4, 6, 8, 10, 12, 14)},
    "pop": {KICK: (0, 6, 8), SNARE: (4, 12), HAT: (0, 2, 4, 6, 8, 10, 12), OPEN_HAT: (14,)},
    "disco": {KICK: (0, 4, 8, 12), SNARE: (4, 12), HAT: (0, 4, 8, 12), OPEN_HAT: (2, 6, 10, 14)},
    "jazz": {RIDE: (0, 4, 6, 8, 12, 14), PEDAL_HAT: (4, 12), KICK: (0,), SNARE: (10,)},
    "march": {SNARE: (0, 3, 4, 6, 8, 11, 12, 13, 14), KICK: (0, 8), TAMBOURINE: (4, 12)},
    "reggae": {KICK: (8,), RIM: (8,), HAT: (0, 2, 4, 6, 8, 10, 12, 14), OPEN_HAT: (6,)},
    "electronic": {KICK: (0, 4, 8, 12), CLAP: (4, 12), HAT: tuple(range(16)), OPEN_HAT: (2, 10)},
    "half time": {KICK: (0, 6), SNARE: (8,), HAT: (0, 4, 8, 12), RIDE: (2, 6, 10, 14)},
    "bossa": {KICK: (0, 6, 8, 14), RIM: (0, 6, 10), HAT: (0, 2, 4, 6, 8, 10, 12, 14)},
    "ballad": {KICK: (0, 8), RIM: (4, 12), HAT: (0, 2, 4, 6, 8, 10, 12, 14)},
}
_GROOVES: dict[str, dict[str, dict[int, tuple[int, ...]]]] = {
    "3/4": {
        "waltz": {KICK: (0,), SNARE: (4, 8), HAT: (0, 4, 8)},
        "brushes": {KICK: (0,), PEDAL_HAT: (4, 8), RIDE: (0, 4, 6, 8)},
        "rock": {KICK: (0, 6), SNARE: (8,), HAT: (0, 2, 4, 6, 8, 10)},
        "folk": {KICK: (0,), TAMBOURINE: (4, 8), SNARE: (4, 8)},
    },
    "6/8": {
        "ballad": {KICK: (0,), SNARE: (6,), HAT: (0, 2, 4, 6, 8, 10)},
        "jig": {KICK: (0, 6), SNARE: (4, 10), HAT: (0, 4, 6, 10)},
        "march": {SNARE: (0, 4, 6, 8, 10), KICK: (0, 6)},
    },
    "9/8": {
        "slip": {KICK: (0,), SNARE: (6, 12), HAT: (0, 2, 4, 6, 8, 10, 12, 14, 16)},
        "folk": {KICK: (0, 6, 12), TAMBOURINE: (4, 10, 16)},
    },
    "12/8": {
        "ballad": {KICK: (0, 12), SNARE: (6, 18), HAT: tuple(range(0, 24, 2))},
        "shuffle": {KICK: (0, 10, 12), SNARE: (6, 18), RIDE: (0, 4, 6, 10, 12, 16, 18, 22)},
    },
}
_LOUDNESS = {KICK: 104, SNARE: 98, RIM: 92, CLAP: 96, HAT: 72, PEDAL_HAT: 70, OPEN_HAT: 76, RIDE: 78, TAMBOURINE: 76}


def drum_track(bars: Bars, rng: np.random.Generator) -> list[Row]:
    """A drum track on General MIDI drum notes: one groove that fits the meter, with fills, crashes and ghost notes."""
    grooves = _GROOVES.get(bars.meter, _SIMPLE_GROOVES)
    groove = dict(grooves[str(rng.choice(sorted(grooves)))])
    steps = round(bars.quarters * 4)
    if rng.random() < 0.35:
        groove[KICK] = tuple(sorted({*groove.get(KICK, ()), int(rng.integers(steps // 2, steps))}))
    phrase = int(rng.choice([4, 8]))
    with_fills = rng.random() < 0.7
    ghost = rng.random() < 0.3
    rows: list[Row] = []
    for bar in range(bars.count):
        start = bar * bars.quarters
        fill = with_fills and bar % phrase == phrase - 1
        fill_from = steps - (4 if bars.meter not in COMPOUND else 6) if fill else steps
        for drum, places in groove.items():
            for place in places:
                if place >= min(steps, fill_from):
                    continue
                loud = _LOUDNESS[drum] + (6 if place == 0 else 0)
                rows.append((start + place / 4, 0.2, float(drum), float(loud)))
        if fill:
            for index, place in enumerate(range(fill_from, steps)):
                drum = SNARE if rng.random() < 0.3 else _TOMS[min(index, len(_TOMS) - 1)]
                rows.append((start + place / 4, 0.2, float(drum), 88.0 + 3 * index))
        if ghost and rng.random() < 0.7:
            rows.append((start + float(rng.integers(1, steps)) / 4, 0.1, float(SNARE), 42.0))
        if with_fills and bar % phrase == 0 and bar:
            rows.append((start, 0.8, float(CRASH), 96.0))
    return rows


def counter_line(bars: Bars, centre: float, rng: np.random.Generator) -> list[Row]:
    """A second voice of chord tones, one or two a chord, moving as little as it can."""
    rows: list[Row] = []
    last = centre
    for chord in bars.chords:
        parts = 2 if chord.duration >= 2 * bars.beat and rng.random() < 0.5 else 1
        for index in range(parts):
            tones = [_near(pc, last) for pc in chord.pitch_classes()[:3]]
            tones.sort(key=lambda pitch: abs(pitch - last) + 0.3 * abs(pitch - centre))
            pitch = tones[min(index, 1)]
            length = chord.duration / parts
            rows.append((chord.onset + index * length, length * 0.96, float(pitch), 80.0))
            last = 0.7 * pitch + 0.3 * centre
    return rows


def _near(pitch_class: int, centre: float) -> int:
    """The pitch of that class nearest to `centre`."""
    return round(centre + (pitch_class - centre + 6) % 12 - 6)


def _steps(bars: Bars, step: float) -> Iterator[tuple[float, Chord]]:
    """Every multiple of `step` at which a chord sounds, bar by bar, with that chord."""
    chords: Sequence[Chord] = bars.chords
    per_bar = max(1, round(bars.quarters / step))
    index = 0
    for number in range(bars.count * per_bar):
        onset = (number // per_bar) * bars.quarters + (number % per_bar) * step
        while index < len(chords) - 1 and chords[index].onset + chords[index].duration <= onset + 1e-6:
            index += 1
        if chords and chords[index].onset - 1e-6 <= onset < chords[index].onset + chords[index].duration - 1e-6:
            yield onset, chords[index]
