"""What can be stated about a piece of music, and in which words.

In: labels of rendered scores, or fields parsed from a model's answer. Out: one immutable `Facts` and the closed
vocabularies that data, answers, the published JSON schema and evaluation share. Knows nothing of audio or models.
"""

from __future__ import annotations

import dataclasses

from mllm.errors import ConfigError

INSTRUMENTS: tuple[str, ...] = (
    "piano",
    "harpsichord",
    "organ",
    "accordion",
    "acoustic guitar",
    "electric guitar",
    "bass",
    "strings",
    "harp",
    "choir",
    "brass",
    "saxophone",
    "woodwind",
    "flute",
    "mallets",
    "synthesizer",
    "drums",
)
"""Instrument vocabulary. "bass": bass guitar or plucked double bass; "woodwind": clarinet, oboe, bassoon and their kin;
"mallets": glockenspiel, xylophone, vibraphone, marimba, bells; "strings": bowed, solo or ensemble."""

MAJOR_TONICS: tuple[str, ...] = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR_TONICS: tuple[str, ...] = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
KEYS: tuple[str, ...] = tuple(f"{t} major" for t in MAJOR_TONICS) + tuple(f"{t} minor" for t in MINOR_TONICS)
"""The 24 keys; index = pitch class of the tonic (C = 0), plus 12 for minor."""

METERS: tuple[str, ...] = ("2/4", "3/4", "4/4", "6/8", "9/8", "12/8")

LOWEST_TEMPO_BPM = 40
HIGHEST_TEMPO_BPM = 239
TEMPO_STEP = 1.02
"""Ratio of neighbouring tempo classes; naming the nearest is at most 1.5 % off (rounding to whole BPM included)."""


def _tempo_classes() -> tuple[int, ...]:
    classes = [LOWEST_TEMPO_BPM]
    exact = float(LOWEST_TEMPO_BPM)
    while True:
        exact = max(exact * TEMPO_STEP, classes[-1] + 1.0)
        if exact > HIGHEST_TEMPO_BPM:
            return tuple(classes)
        classes.append(round(exact))


TEMPO_CLASSES_BPM: tuple[int, ...] = _tempo_classes()
"""The tempi that the model names, in whole beats per minute."""

_PITCH_CLASS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_GM_FAMILIES: tuple[tuple[int, int, str], ...] = (
    (0, 5, "piano"),
    (6, 7, "harpsichord"),
    (8, 14, "mallets"),
    (16, 20, "organ"),
    (21, 23, "accordion"),
    (24, 25, "acoustic guitar"),
    (26, 30, "electric guitar"),
    (32, 37, "bass"),
    (38, 39, "bass"),
    (40, 45, "strings"),
    (46, 46, "harp"),
    (48, 51, "strings"),
    (52, 54, "choir"),
    (56, 62, "brass"),
    (64, 67, "saxophone"),
    (68, 71, "woodwind"),
    (72, 75, "flute"),
    (79, 79, "flute"),
    (80, 95, "synthesizer"),
)
"""General MIDI programs (0-based, inclusive ranges) and the word for them; programs left out are not rendered."""


def instrument_of_program(program: int) -> str | None:
    """The vocabulary word for a General MIDI program (0 to 127), or None where there is none."""
    for first, last, name in _GM_FAMILIES:
        if first <= program <= last:
            return name
    return None


def programs_of_instrument(instrument: str) -> tuple[int, ...]:
    """The General MIDI programs (0-based) that are called `instrument`; empty for drums."""
    return tuple(p for first, last, name in _GM_FAMILIES if name == instrument for p in range(first, last + 1))


def nearest_tempo_class(tempo_bpm: float) -> int:
    """Index into `TEMPO_CLASSES_BPM` of the class nearest in ratio to `tempo_bpm` (> 0)."""
    return min(
        range(len(TEMPO_CLASSES_BPM)),
        key=lambda i: max(TEMPO_CLASSES_BPM[i] / tempo_bpm, tempo_bpm / TEMPO_CLASSES_BPM[i]),
    )


def pitch_class(tonic: str) -> int:
    """Pitch class (C = 0) of a note name such as "F#" or "Bb".

    Raises:
        ConfigError: for anything that is not a letter A to G with sharps or flats.
    """
    letter, accidentals = tonic[:1].upper(), tonic[1:]
    if letter not in _PITCH_CLASS or accidentals.strip("#b"):
        raise ConfigError(f"{tonic!r} is not a note name; expected a letter A to G with # or b, such as 'F#' or 'Bb'")
    return (_PITCH_CLASS[letter] + accidentals.count("#") - accidentals.count("b")) % 12


def key_index(key: str) -> int:
    """Index into `KEYS` of a key in any spelling ("A# major" is "Bb major").

    Raises:
        ConfigError: if `key` is not "<tonic> major" or "<tonic> minor".
    """
    tonic, _, mode = key.partition(" ")
    if mode not in ("major", "minor"):
        raise ConfigError(f"{key!r} is not a key; expected '<tonic> major' or '<tonic> minor', such as 'F# minor'")
    return pitch_class(tonic) + (12 if mode == "minor" else 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of one recording; None where a field is not known."""

    tempo_bpm: int | None = None
    """Beats per minute."""
    key: str | None = None
    """One of `KEYS`."""
    meter: str | None = None
    """One of `METERS`."""
    instruments: tuple[str, ...] | None = None
    """Members of `INSTRUMENTS`, in its order."""
