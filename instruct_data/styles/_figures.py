"""What instruments play over chords: rhythms of chords, broken chords, held chords, and bass lines.

In: a passage and a rhythm as text, one character a step of the bar. Out: rows (onset, duration in quarter notes,
pitch, velocity), each note inside its chord. Knows nothing of instruments.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mllm.instruct_data.patterns import Row
from mllm.instruct_data.scores import Chord
from mllm.instruct_data.styles._chance import happens, one_of
from mllm.instruct_data.styles._plan import Passage

BASS_CENTRE = 38.0
_LOUD, _SOFT = 86.0, 70.0


def voicing(chord: Chord, centre: float, size: int) -> list[int]:
    """The chord in close position around `centre`, lowest first; of four tones, three leave out a perfect fifth."""
    classes = list(chord.pitch_classes())
    if len(classes) > size >= 3 and (classes[2] - classes[0]) % 12 == 7:
        del classes[2]
    return sorted(near(pitch_class, centre) for pitch_class in classes)


def near(pitch_class: int, centre: float) -> int:
    """The pitch of that class nearest to `centre`."""
    return round(centre + (pitch_class - centre + 6) % 12 - 6)


def chords(
    passage: Passage,
    rhythm: str,
    *,
    centre: float = 60.0,
    size: int = 4,
    length: float = 8.0,
    strum: float = 0.0,
) -> list[Row]:
    """Chords in a rhythm: "x" loud, "o" soft, "-" silence, "." what was before goes on.

    Args:
        passage: gives chords and bars.
        rhythm: the steps of one bar, or of two or four bars separated by "|".
        centre: MIDI pitch around which the chords lie.
        size: how many tones at most.
        length: longest duration in quarter notes.
        strum: how much later each tone sounds than the one below, in quarter notes.
    """
    rows: list[Row] = []
    for onset, duration, symbol in _notes(passage, rhythm):
        chord = passage.chord_at(onset)
        held = min(duration, length, chord.onset + chord.duration - onset) * 0.97
        loud = _LOUD if symbol == "x" else _SOFT
        for place, pitch in enumerate(voicing(chord, centre, size)):
            rows.append((onset + strum * place, max(held - strum * place, 0.05), float(pitch), loud))
    return rows


def power_chords(passage: Passage, rhythm: str, *, centre: float = 45.0, length: float = 8.0) -> list[Row]:
    """Roots with their fifths in a rhythm; roots alone where the fifth is not perfect."""
    rows: list[Row] = []
    for onset, duration, symbol in _notes(passage, rhythm):
        chord = passage.chord_at(onset)
        held = min(duration, length, chord.onset + chord.duration - onset) * 0.97
        root = near(chord.root, centre)
        steps = (0, 7, 12) if (chord.root + 7) % 12 in chord.pitch_classes() else (0, 12)
        rows.extend((onset, held, float(root + step), _LOUD if symbol == "x" else _SOFT) for step in steps)
    return rows


def broken(passage: Passage, order: str, *, centre: float = 60.0, ring: float = 1.0) -> list[Row]:
    """Single tones of the chords in an order: digits count from the lowest tone on, going on an octave higher.

    Args:
        passage: gives chords and bars.
        order: the steps of one bar: digits, "-" and "." as in `chords`.
        centre: MIDI pitch around which the chords lie.
        ring: how many times its own step a tone sounds at most.
    """
    rows: list[Row] = []
    step = passage.quarters / len(order.split("|", maxsplit=1)[0])
    for onset, duration, symbol in _notes(passage, order):
        chord = passage.chord_at(onset)
        tones = voicing(chord, centre, 4)
        place = int(symbol)
        pitch = tones[place % len(tones)] + 12 * (place // len(tones))
        held = min(max(duration, ring * step), chord.onset + chord.duration - onset) * 0.97
        accent = 8.0 if (onset - passage.onset) % passage.beat < 0.01 else 0.0
        rows.append((onset, held, float(pitch), 72.0 + accent))
    return rows


def held(passage: Passage, *, centre: float = 60.0, size: int = 4, longest: float = 8.0) -> list[Row]:
    """Each chord as long as it lasts, sounded again after `longest` quarter notes."""
    rows: list[Row] = []
    for chord in passage.chords:
        count = max(1, round(chord.duration / longest))
        part = chord.duration / count
        for place in range(count):
            onset = chord.onset + place * part
            rows.extend((onset, part * 0.985, float(pitch), 72.0) for pitch in voicing(chord, centre, size))
    return rows


def bass(passage: Passage, rhythm: str, *, centre: float = BASS_CENTRE, length: float = 8.0) -> list[Row]:
    """A bass line: "1" the lowest note of the chord, "3", "5", "7" its other tones, "8" the octave.

    Where a chord begins, its lowest note sounds, whatever the rhythm says.
    """
    rows: list[Row] = []
    for onset, duration, symbol in _notes(passage, rhythm, at_chords="1"):
        chord = passage.chord_at(onset)
        low = near(chord.bass, centre)
        pitch = low
        if symbol == "8":
            pitch = low + 12
        elif symbol in "357":
            classes = chord.pitch_classes()
            pitch_class = classes[min("1357".index(symbol), len(classes) - 1)]
            pitch = near(pitch_class, low + (4 if symbol != "5" else -2))
        held_for = min(duration, length, chord.onset + chord.duration - onset) * 0.94
        rows.append((onset, held_for, float(pitch), 92.0 if symbol == "1" else 82.0))
    return rows


def walking(passage: Passage, rng: np.random.Generator, *, centre: float = BASS_CENTRE) -> list[Row]:
    """A bass that walks on every beat: the root with each chord, chord tones, and a neighbour of the next root."""
    rows: list[Row] = []
    last = centre
    count = round((passage.end - passage.onset) / passage.beat)
    for place in range(count):
        onset = passage.onset + place * passage.beat
        chord = passage.chord_at(onset)
        following = passage.chord_at(min(onset + passage.beat, passage.end - 0.1))
        if onset - chord.onset < 0.01 or (onset - passage.onset) % passage.quarters < 0.01:
            pitch = near(chord.bass, 0.6 * last + 0.4 * centre)
        elif following is not chord and happens(rng, 0.6):
            target = near(following.bass, last)
            pitch = target + one_of(rng, (-2, -1, 1, 2) if happens(rng, 0.3) else (-5, 7))
        else:
            tones = [near(tone, last + one_of(rng, (-3, 3, 4))) for tone in chord.pitch_classes()]
            pitch = one_of(rng, [tone for tone in tones if tone != last] or tones)
        last = float(pitch + (12 if pitch < 28 else -12 if pitch > 52 else 0))
        rows.append((onset, passage.beat * 0.9, last, 88.0))
    return rows


def riff(rng: np.random.Generator, steps: int, *, density: float = 0.7, tones: int = 5) -> str:
    """An order for `broken`: chord tones on some of `steps` steps, always on the first."""
    sounding = rng.random(steps) < density
    digits = rng.integers(tones, size=steps)
    return "0" + "".join(str(digits[i]) if sounding[i] else "." for i in range(1, steps))


def _notes(passage: Passage, rhythm: str, at_chords: str = "") -> Iterator[tuple[float, float, str]]:
    """Onset, duration until the next symbol, and symbol of each note of a passage.

    Args:
        passage: gives the bars.
        rhythm: the steps of one bar, or of several bars separated by "|".
        at_chords: a symbol that is put wherever a chord begins; empty: none.
    """
    bars = rhythm.split("|")
    found: list[tuple[float, str]] = []
    for bar in range(passage.bars):
        steps = bars[bar % len(bars)]
        start, step = passage.onset + bar * passage.quarters, passage.quarters / len(steps)
        found.extend((start + place * step, symbol) for place, symbol in enumerate(steps) if symbol != ".")
    if at_chords:
        placed = dict(found) | {chord.onset: at_chords for chord in passage.chords}
        found = sorted(placed.items())
    for place, (onset, symbol) in enumerate(found):
        if symbol != "-":
            until = found[place + 1][0] if place + 1 < len(found) else passage.end
            yield onset, until - onset, symbol
