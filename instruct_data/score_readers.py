"""Readers of score collections: music21's corpus, POP909, OpenEWLD, and any folder of MusicXML, ABC or MIDI files.

In: a folder. Out: an iterator of `Tune` with an exact key and meter, see `score_files`. Only collections in the public
domain or under a free licence are named here; Essen and Palestrina are not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mllm import facts
from mllm.errors import ConfigError
from mllm.instruct_data import score_limits, score_worker
from mllm.instruct_data.score_files import tunes_of_file
from mllm.instruct_data.scores import QUALITIES, Chord, Tune, family_of_title, sorted_notes, sound_tune

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
_DEGREE_STEPS = dict(
    zip(
        ("1", "b2", "2", "9", "b3", "3", "4", "11", "#4", "b5", "5", "#5", "b6", "6", "13", "bb7", "b7", "7"),
        (0, 1, 2, 2, 3, 4, 5, 5, 6, 6, 7, 8, 8, 9, 9, 9, 10, 11),
        strict=True,
    )
)
"""Scale degrees in Harte's notation: semitones above the root."""


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


def read_folder(
    folder: Path, *, licence: str, tell: Callable[[Path, str], None] | None = None, most_seconds: float = 60.0
) -> Iterator[Tune]:
    """Tunes of every score file below `folder`; a score of one part is a melody, of several parts "parts".

    Files are read in a process of their own: one that is damaged, that explodes when it is opened or that takes too
    long is passed over.

    Args:
        folder: with .mid, .musicxml, .mxl, .xml, .abc or .krn files, at any depth.
        licence: of all of them.
        tell: told (file, why) of every file, or score within a file, that is passed over.
        most_seconds: how long a file may take.
    """
    reader = score_worker.Reader(most_seconds=most_seconds)
    with contextlib.closing(reader):
        for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SCORE_SUFFIXES and not p.is_dir()):
            problem = score_limits.problem_of(path)
            name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            tunes, refused = (
                ([], [problem]) if problem else reader.read(path, name=name, source=folder.name, licence=licence)
            )
            for reason in refused:
                if tell is not None:
                    tell(path, reason)
            yield from tunes


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
        notes=sorted_notes(notes),
        chords=tuple(chords),
    )


def _read_file(path: Path, *, source: str, licence: str, kind: str) -> Iterator[Tune]:
    """The tunes of a file of a known collection; one unreadable score must not stop thousands."""
    yield from tunes_of_file(path, name=f"{source}/{path.stem}", source=source, licence=licence, kind=kind)[0]
