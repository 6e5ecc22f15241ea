"""One score file as tunes: MusicXML, ABC, MIDI, Humdrum, whatever music21 reads.

In: a path. Out: `Tune` objects whose key and meter were stated by the file and agree with the notes, or whose key the
notes alone make certain; and in words why a score is none, as where it changes key for good, is modal, or has another
meter.
"""

from __future__ import annotations

import dataclasses
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mllm import facts
from mllm.instruct_data.scores import (
    BAR_QUARTERS,
    LEAST_NOTES,
    Chord,
    Tune,
    estimate_key,
    family_of_title,
    fault_of_tune,
    sorted_notes,
)

_UNREADABLE = (
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    TypeError,
    ZeroDivisionError,
    SyntaxError,
    zipfile.BadZipFile,
)
"""What music21 raises, besides its own errors, for files that are not what their names say (an XML error is a
SyntaxError)."""
_MOST_PARTS = 6
_DRUM_CHANNEL = 9
_METER_ALIASES = {"2/2": "4/4"}
_CHORD_KINDS: tuple[tuple[str, str], ...] = (
    ("major-seventh", "maj7"),
    ("major-ninth", "maj7"),
    ("major-sixth", "maj6"),
    ("major-minor", "min"),
    ("major", "maj"),
    ("minor-seventh", "min7"),
    ("minor-ninth", "min7"),
    ("minor-sixth", "min6"),
    ("minor", "min"),
    ("dominant", "7"),
    ("diminished-seventh", "dim7"),
    ("diminished", "dim"),
    ("half-diminished", "hdim7"),
    ("augmented-seventh", "7"),
    ("augmented", "aug"),
    ("suspended-second", "sus2"),
    ("suspended", "sus4"),
    ("power", "maj"),
)


def tunes_of_file(path: Path, *, name: str, source: str, licence: str, kind: str = "") -> tuple[list[Tune], list[str]]:
    """The tunes of a score file, and why other scores in it, or the file, are none.

    Args:
        path: any file that music21 may be able to read.
        name: id of the tune; where there are several, "/" and a number follow.
        source: name of the collection.
        licence: its licence.
        kind: one of `scores.KINDS`, or "" for what the parts suggest.
    """
    from music21 import converter, exceptions21, stream

    unreadable = (exceptions21.Music21Exception, *_UNREADABLE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed = converter.parse(str(path), forceSource=True)
    except unreadable as error:
        return [], [f"it is damaged or no score ({type(error).__name__}: {str(error).strip()[:200]})"]
    scores = list(parsed.scores) if isinstance(parsed, stream.Opus) else [parsed]
    tunes, refused = [], []
    for number, score in enumerate(scores):
        own = name + (f"/{number}" if len(scores) > 1 else "")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tune = _tune_of_score(score, name=own, source=source, licence=licence, kind=kind)
        except _UnusableScoreError as error:
            refused.append(str(error))
        except unreadable as error:
            refused.append(f"{own} is damaged ({type(error).__name__}: {str(error).strip()[:200]})")
        else:
            tunes.append(tune)
    return tunes, refused


class _UnusableScoreError(Exception):
    """A score that can be read and not be used; the message says why."""


def _tune_of_score(score: Any, *, name: str, source: str, licence: str, kind: str) -> Tune:
    meter = _meter_of(score, name)
    parts = [part for part in score.parts if not _is_percussion(part)] or [score]
    kind = kind or ("parts" if len(parts) > 1 else "melody")
    if kind == "parts":
        if not 2 <= len(parts) <= _MOST_PARTS:
            raise _UnusableScoreError(f"{name} has {len(parts)} parts, expected {_MOST_PARTS} at most")
    else:
        parts = [_expanded(parts[0])]
    notes = np.array(
        [row for voice, part in enumerate(parts) for row in _notes_of_part(part, voice)], dtype=np.float64
    ).reshape(-1, 4)
    if len(notes) < LEAST_NOTES:
        raise _UnusableScoreError(f"{name} has {len(notes)} notes, expected {LEAST_NOTES} or more")
    chords = _chords_of_part(parts[0]) if kind == "leadsheet" else ()
    shift, end = _bar_grid(parts[0], BAR_QUARTERS[meter])
    notes = notes[notes[:, 0] < end - 1e-6]
    key = _key_of(score, notes, kind)
    if key is None:
        raise _UnusableScoreError(f"{name} states no one major or minor key, and its notes do not decide one")
    if kind == "leadsheet" and len(chords) < 4:
        raise _UnusableScoreError(f"{name} has {len(chords)} chords, expected 4 or more")
    notes[:, 0] += shift
    title = str(score.metadata.title if score.metadata is not None and score.metadata.title else name)
    moved = [dataclasses.replace(c, onset=c.onset + shift, duration=c.duration) for c in chords if c.onset < end - 1e-6]
    tune = Tune(
        id=name,
        title=title,
        family=_incipit(notes) if source == "bach" else family_of_title(title),
        source=source,
        licence=licence,
        kind=kind,
        key=key,
        meter=meter,
        notes=sorted_notes(notes),
        chords=tuple(moved),
    )
    if fault := fault_of_tune(tune):
        raise _UnusableScoreError(f"{name} cannot be used: {fault}")
    return tune


def _meter_of(score: Any, name: str) -> str:
    stated = {t.ratioString for t in score.recurse().getElementsByClass("TimeSignature")}
    meters = {_METER_ALIASES.get(meter, meter) for meter in stated}
    if len(meters) != 1 or not meters <= set(facts.METERS):
        found = ", ".join(sorted(meters)) or "none"
        raise _UnusableScoreError(
            f"{name} has the meters {found}; expected one of {', '.join(facts.METERS)} throughout"
        )
    return str(meters.pop())


def _is_percussion(part: Any) -> bool:
    """Whether a part plays drums, as channel 10 of a MIDI file does: its pitches are no pitches."""
    return any(
        "UnpitchedPercussion" in one.classes or one.midiChannel == _DRUM_CHANNEL
        for one in part.recurse().getElementsByClass("Instrument")
    )


def _expanded(part: Any) -> Any:
    from music21 import exceptions21

    try:
        return part.expandRepeats()
    except (exceptions21.Music21Exception, ValueError):
        return part  # badly formed repeats: play the tune once through


def _notes_of_part(part: Any, voice: int) -> Iterator[tuple[float, float, int, int]]:
    for element in part.flatten().stripTies().notes:
        if "ChordSymbol" in element.classes or element.duration.isGrace:
            continue
        onset, duration = float(element.offset), float(element.quarterLength)
        if duration > 0:
            for pitch in element.pitches:
                yield onset, duration, int(pitch.midi), voice


def _chords_of_part(part: Any) -> tuple[Chord, ...]:
    flat = part.flatten()
    end = float(flat.highestTime)
    found: list[tuple[float, int, str, int]] = []
    for symbol in flat.getElementsByClass("ChordSymbol"):
        kind = str(symbol.chordKind or "")
        quality = next((q for prefix, q in _CHORD_KINDS if kind.startswith(prefix)), None)
        root, bass = symbol.root(), symbol.bass()
        if quality is not None and root is not None and bass is not None:
            found.append((float(symbol.offset), root.pitchClass, quality, bass.pitchClass))
    found.sort(key=lambda item: item[0])
    stops = [item[0] for item in found[1:]] + [end]
    return tuple(
        Chord(onset=onset, duration=stop - onset, root=root, quality=quality, bass=bass)
        for (onset, root, quality, bass), stop in zip(found, stops, strict=True)
        if stop - onset > 0.1
    )


def _bar_grid(part: Any, bar: float) -> tuple[float, float]:
    """Shift that puts bar lines at multiples of `bar`, and the offset at which the bar lines first leave that grid."""
    starts = [float(measure.offset) for measure in part.getElementsByClass("Measure")]
    if len(starts) < 2:
        raise ValueError("no bars")
    phase = starts[1] % bar
    shift = (bar - phase) % bar
    off_grid = [(start + shift) % bar > 1e-3 and bar - (start + shift) % bar > 1e-3 for start in starts]
    for index in range(1, len(starts) - 1):
        if off_grid[index] and off_grid[index + 1]:
            return shift, starts[index]
    return shift, float(part.highestTime)


def _key_of(score: Any, notes: NDArray[np.float64], kind: str) -> str | None:
    signatures = list(score.recurse().getElementsByClass("KeySignature"))
    if not signatures and len(notes):
        return estimate_key(notes)
    if len({signature.sharps for signature in signatures}) != 1:
        return None
    modes = {getattr(signature, "mode", None) for signature in signatures}
    major = int(7 * signatures[0].sharps % 12)
    by_mode = {"major": major, "minor": (major + 9) % 12}
    final = notes[notes[:, 0] + notes[:, 1] >= (notes[:, 0] + notes[:, 1]).max() - 0.01]
    lowest = int(final[:, 2].min()) % 12
    if kind == "melody" and modes in ({"major"}, {"minor"}):
        mode = str(modes.pop())
        fits = (lowest - by_mode[mode]) % 12 in (0, 3, 4, 7)
        return facts.KEYS[by_mode[mode] + (12 if mode == "minor" else 0)] if fits else None
    if modes - {"major", "minor", None, ""}:
        return None
    # Lead sheets and chorales often carry no mode, or the wrong one: the last note has to be the tonic.
    for mode, tonic in by_mode.items():
        if lowest == tonic:
            return facts.KEYS[tonic + (12 if mode == "minor" else 0)]
    return None


def _incipit(notes: NDArray[np.float64]) -> str:
    """First intervals of the top voice: the same for every setting of one chorale melody."""
    top = sorted_notes(notes[notes[:, 3] == 0])[:8, 2]
    return "incipit " + " ".join(str(int(step)) for step in np.diff(top))
