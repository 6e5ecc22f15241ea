"""Readers of score collections: music21's corpus, POP909, OpenEWLD, and any folder of MusicXML, ABC or MIDI files.

In: a folder. Out: an iterator of `Tune` whose key and meter were stated by the source and agree with the notes; a
score that changes key for good, is modal, or has another meter is left out. Only collections in the public domain or
under a free licence are named here; Essen and Palestrina are not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mllm import facts
from mllm.errors import ConfigError
from mllm.instruct_data.scores import BAR_QUARTERS, QUALITIES, Chord, Tune, family_of_title, sound_tune

MUSIC21_COLLECTIONS: dict[str, tuple[str, str, str]] = {
    "ryansMammoth": (
        "*.abc",
        "melody",
        "public domain (Ryan's Mammoth Collection, 1883); encoding in music21's corpus",
    ),
    "oneills1850": (
        "*.abc",
        "melody",
        "public domain (O'Neill's Music of Ireland, 1903); encoding in music21's corpus",
    ),
    "airdsAirs": ("*.abc", "melody", "public domain (Aird's Airs, 1782-1797); encoding in music21's corpus"),
    "bach": ("*.mxl", "parts", "public domain (J. S. Bach); encoding in music21's corpus"),
}
"""Collections read from music21's corpus: file pattern, kind, licence."""

SCORE_SUFFIXES = (".mxl", ".musicxml", ".xml", ".abc", ".mid", ".midi", ".krn")
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
_METER_ALIASES = {"2/2": "4/4"}
_DEGREE_STEPS = dict(
    zip(
        ("1", "b2", "2", "9", "b3", "3", "4", "11", "#4", "b5", "5", "#5", "b6", "6", "13", "bb7", "b7", "7"),
        (0, 1, 2, 2, 3, 4, 5, 5, 6, 6, 7, 8, 8, 9, 9, 9, 10, 11),
        strict=True,
    )
)
"""Scale degrees in Harte's notation: semitones above the root."""
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


def read_music21_corpus(corpus: Path, collections: tuple[str, ...] = tuple(MUSIC21_COLLECTIONS)) -> Iterator[Tune]:
    """Tunes of the free collections in a music21 corpus folder, in a fixed order.

    Raises:
        ConfigError: for a collection that is not in `MUSIC21_COLLECTIONS`.
    """
    for collection in collections:
        if collection not in MUSIC21_COLLECTIONS:
            raise ConfigError(f"collection {collection!r} is not known; known are {', '.join(MUSIC21_COLLECTIONS)}")
        pattern, kind, licence = MUSIC21_COLLECTIONS[collection]
        for path in sorted((corpus / collection).glob(pattern)):
            yield from _read_file(path, source=collection, licence=licence, kind=kind)


def read_folder(folder: Path, *, licence: str, refuse: Callable[[str], object] | None = None) -> Iterator[Tune]:
    """Tunes of every score file below `folder`; a score of one part is a melody, of several parts "parts".

    Args:
        folder: sub-folders included.
        licence: of all of them.
        refuse: told of each file that gives no tune, and why.
    """
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SCORE_SUFFIXES):
        tunes = 0
        try:
            for tune in _tunes_of(path, source=folder.name, licence=licence, kind=""):
                tunes += 1
                yield tune
        except _Unreadable as error:
            problem = f"cannot be read as a score ({error}); mend or remove it"
        else:
            problem = (
                "has no melody of six bars whose key and meter are stated, stay the same and go with its notes; write "
                "key signature and meter into it, or remove it"
            )
        if not tunes and refuse is not None:
            refuse(f"{path} {problem}")


def read_openewld(folder: Path) -> Iterator[Tune]:
    """Lead sheets of an OpenEWLD checkout (melody and chord symbols), in the order of its data base."""
    with contextlib.closing(sqlite3.connect(f"file:{folder / 'OpenEWLD.db'}?mode=ro&immutable=1", uri=True)) as works:
        rows = works.execute("select id, title, path_leadsheet from works order by id").fetchall()
    for number, title, relative in rows:
        if (folder / relative).is_file():
            licence = "MIT (scores stated public domain)"
            for tune in _read_file(folder / relative, source="openewld", licence=licence, kind="leadsheet"):
                family = family_of_title(str(title))
                yield dataclasses.replace(tune, id=f"openewld/{number}", title=str(title), family=family)


def read_pop909(folder: Path) -> Iterator[Tune]:
    """Songs of a POP909 checkout in 4/4: the longest stretch in one key of each, its beats made steady."""
    root = folder / "POP909" if (folder / "POP909").is_dir() else folder
    for song in sorted(path for path in root.iterdir() if path.is_dir()):
        tune = _read_pop909_song(song)
        if tune is not None and sound_tune(tune, minimum_bars=16, tolerance=0.03):
            yield tune


def parse_harte(symbol: str) -> tuple[int, str, int] | None:
    """Root, quality and bass pitch class of a chord in Harte's notation ("C#:min7/b3"); None for "N" or unknown."""
    body, _, degree = symbol.partition("/")
    root_name, _, quality = body.partition(":")
    if root_name in ("N", "X", ""):
        return None
    root = facts.pitch_class(root_name)
    quality = quality.split("(")[0] or "maj"
    aliases = {"maj9": "maj7", "min9": "min7", "9": "7", "11": "7", "13": "7", "minmaj7": "min", "1": "maj", "5": "maj"}
    quality = aliases.get(quality, quality)
    if quality not in QUALITIES:
        return None
    return root, quality, (root + _DEGREE_STEPS.get(degree, 0)) % 12


def _read_pop909_song(song: Path) -> Tune | None:
    import pretty_midi

    keys = [line.split() for line in (song / "key_audio.txt").read_text().splitlines() if line.strip()]
    beats = np.loadtxt(song / "beat_midi.txt", ndmin=2)
    start, end, label = max(((float(a), float(b), c) for a, b, c in keys), key=lambda row: row[1] - row[0])
    tonic, _, mode = label.partition(":")
    downbeats = np.flatnonzero(beats[:, 2] > 0.5)
    downbeats = downbeats[(beats[downbeats, 0] >= start - 0.5) & (beats[downbeats, 0] <= end)]
    if len(downbeats) < 17 or mode not in ("maj", "min"):
        return None
    irregular = np.flatnonzero(np.diff(downbeats) != 4)
    if len(irregular):
        downbeats = downbeats[: irregular[0] + 1]
    if len(downbeats) < 17:
        return None
    times, numbers = beats[:, 0], np.arange(len(beats)) - downbeats[0]
    last = float(downbeats[-1] - downbeats[0])

    def quarters(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.interp(seconds, times, numbers), dtype=np.float64)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        midi = pretty_midi.PrettyMIDI(str(song / f"{song.name}.mid"))
    voices = {"MELODY": 0, "BRIDGE": 1, "PIANO": 2}
    columns = [
        (note.start, note.end, note.pitch, voices[track.name])
        for track in midi.instruments
        if track.name in voices
        for note in track.notes
    ]
    raw = np.array(columns, dtype=np.float64)
    notes = np.column_stack([quarters(raw[:, 0]), quarters(raw[:, 1]), raw[:, 2], raw[:, 3]])
    notes[:, 1] -= notes[:, 0]
    notes[:, 0] = np.where(np.abs(notes[:, 0]) < 0.04, 0.0, notes[:, 0])
    notes = notes[(notes[:, 0] >= 0) & (notes[:, 0] < last) & (notes[:, 1] > 0.02)]
    chords = []
    for line in (song / "chord_midi.txt").read_text().splitlines():
        parsed = parse_harte(line.split()[2]) if len(line.split()) == 3 else None
        onset, stop = quarters(np.array([float(v) for v in line.split()[:2]])) if parsed else (0.0, 0.0)
        onset, stop = round(max(0.0, float(onset)), 2), round(min(last, float(stop)), 2)
        if parsed and stop > onset:
            chords.append(Chord(onset=onset, duration=stop - onset, root=parsed[0], quality=parsed[1], bass=parsed[2]))
    if np.count_nonzero(notes[:, 3] == 0) < 16 or not chords:
        return None
    return Tune(
        id=f"pop909/{song.name}",
        title=f"POP909 {song.name}",
        family=f"pop909 {song.name}",
        source="pop909",
        licence="MIT",
        kind="song",
        key=facts.KEYS[facts.key_index(f"{tonic} {'major' if mode == 'maj' else 'minor'}")],
        meter="4/4",
        notes=_sorted(notes),
        chords=tuple(chords),
    )


class _Unreadable(Exception):  # noqa: N818 — it names a file
    """A file that is no score."""


def _read_file(path: Path, *, source: str, licence: str, kind: str) -> Iterator[Tune]:
    """The tunes of a file; none of one that cannot be read, which must not stop a collection of thousands."""
    with contextlib.suppress(_Unreadable):
        yield from _tunes_of(path, source=source, licence=licence, kind=kind)


def _tunes_of(path: Path, *, source: str, licence: str, kind: str) -> Iterator[Tune]:
    from music21 import converter, exceptions21, stream

    unreadable = (exceptions21.Music21Exception, *_UNREADABLE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed = converter.parse(str(path), forceSource=True)
    except unreadable as error:
        raise _Unreadable(" ".join(str(error).split()) or type(error).__name__) from error
    scores = list(parsed.scores) if isinstance(parsed, stream.Opus) else [parsed]
    for number, score in enumerate(scores):
        name = f"{source}/{path.stem}" + (f"/{number}" if len(scores) > 1 else "")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tune = _tune_of_score(score, name=name, source=source, licence=licence, kind=kind)
        except unreadable:
            continue
        if tune is not None and sound_tune(tune):
            yield tune


def _tune_of_score(score: Any, *, name: str, source: str, licence: str, kind: str) -> Tune | None:
    meters = {
        _METER_ALIASES.get(t.ratioString, t.ratioString) for t in score.recurse().getElementsByClass("TimeSignature")
    }
    if len(meters) != 1 or not meters <= set(facts.METERS):
        return None
    meter = meters.pop()
    parts = list(score.parts) or [score]
    kind = kind or ("parts" if len(parts) > 1 else "melody")
    if kind == "parts":
        if not 2 <= len(parts) <= 6:
            return None
    else:
        parts = [_expanded(parts[0])]
    notes = np.array(
        [row for voice, part in enumerate(parts) for row in _notes_of_part(part, voice)], dtype=np.float64
    ).reshape(-1, 4)
    if len(notes) < 16:
        return None
    chords = _chords_of_part(parts[0]) if kind == "leadsheet" else ()
    shift, end = _bar_grid(parts[0], BAR_QUARTERS[meter])
    notes = notes[notes[:, 0] < end - 1e-6]
    key = _key_of(score, notes, kind)
    if key is None or (kind == "leadsheet" and len(chords) < 4):
        return None
    notes[:, 0] += shift
    title = str(score.metadata.title if score.metadata is not None and score.metadata.title else name)
    moved = [dataclasses.replace(c, onset=c.onset + shift, duration=c.duration) for c in chords if c.onset < end - 1e-6]
    return Tune(
        id=name,
        title=title,
        family=_incipit(notes) if source == "bach" else family_of_title(title),
        source=source,
        licence=licence,
        kind=kind,
        key=key,
        meter=meter,
        notes=_sorted(notes),
        chords=tuple(moved),
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
    if not signatures or len({signature.sharps for signature in signatures}) != 1:
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
    top = _sorted(notes[notes[:, 3] == 0])[:8, 2]
    return "incipit " + " ".join(str(int(step)) for step in np.diff(top))


def _sorted(notes: NDArray[np.float64]) -> NDArray[np.float64]:
    return notes[np.lexsort((notes[:, 2], notes[:, 3], notes[:, 0]))]
