"""The music in AudioSet: ten-second clips of YouTube whose labels are in the music branch of its ontology.

In: the segment tables, as many as are there, weak (`eval_segments.csv`, `balanced_train_segments.csv`,
`unbalanced_train_segments.csv`) and strong (`audioset_eval_strong.tsv`, `audioset_train_strong.tsv`), `ontology.json`,
and the clips in `audio/`, named by the YouTube id (also "Y<id>", "<id>_<start>" and the like). Out: a record a clip,
which asks for its tags; tracks with the names of its classes as tags (not of those above them, such as "Music"), and
with the instruments among them. People confirmed that these are there, not that others are absent. Strong tables say
nothing within music (their labels there are just "Music"); of them we take the names of the classes, for clips that no
weak table has, and no times.

The formats are those of Google's download pages; that the first line of a strong table names its columns is from
others' code. Evaluation segments are the test split.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

from mllm import facts
from mllm.errors import ConfigError, MessageError, MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _clips, _tables, _written
from mllm.instruct_data.sources._files import About, found
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="AudioSet (music)",
    licence="CC-BY-4.0 (labels), CC-BY-SA-4.0 (ontology); recordings: not stated",
    citation="Gemmeke, Ellis, Freedman, Jansen, Lawrence, Moore, Plakal, Ritter: Audio Set: An Ontology and "
    "Human-Labeled Dataset for Audio Events, ICASSP 2017; Hershey et al.: The Benefit of Temporally-Strong Labels in "
    "Audio Event Classification, ICASSP 2021",
    where="get the tables from https://research.google.com/audioset/download.html and download_strong.html, "
    "ontology.json from https://github.com/audioset/ontology, and the clips from YouTube, as far as you may",
    needs={
        "*_segments.csv": "labels of whole clips (or audioset_*_strong.tsv: labels with times)",
        "ontology.json": "names of the classes",
        "audio/": "the clips, <YouTube id>.wav",
    },
)
MUSIC = "/m/04rlf"
WEAK_COLUMNS = ("YTID", "start_seconds", "end_seconds", "positive_labels")
STRONG_COLUMNS = ("segment_id", "start_time_seconds", "end_time_seconds", "label")
_INSTRUMENTS: Mapping[str, tuple[str, ...]] = {
    "piano": ("Piano",),
    "harpsichord": ("Harpsichord",),
    "organ": ("Organ",),
    "accordion": ("Accordion",),
    "acoustic guitar": ("Acoustic guitar",),
    "electric guitar": ("Electric guitar",),
    "bass": ("Bass guitar",),
    "strings": ("String section", "Violin, fiddle", "Cello"),
    "harp": ("Harp",),
    "choir": ("Choir",),
    "brass": ("Brass instrument",),
    "saxophone": ("Saxophone",),
    "woodwind": ("Clarinet", "Oboe", "Bassoon"),
    "flute": ("Flute",),
    "mallets": ("Mallet percussion",),
    "synthesizer": ("Synthesizer",),
    "drums": ("Drum kit", "Drum", "Hi-hat", "Crash cymbal"),
}
"""Our word for an instrument -> classes that are surely one, with all that is below them."""


def records(folder: Path, *, seed: int = 0) -> Iterator[Record | MllmError]:
    """A record a clip, which asks for its tags."""
    for track in tracks(folder):
        if isinstance(track, Track):
            yield _written.tags(track, track.tags or (), track.id.removeprefix("youtube/"), seed=seed)
        else:
            yield track


def tracks(folder: Path) -> Iterator[Track | MllmError]:
    """A track a clip that has music in it, with the names of its music classes."""
    weak, strong = sorted(folder.glob("*_segments.csv")), sorted(folder.glob("audioset_*_strong.tsv"))
    if not strong:
        found(folder, "*_segments.csv", ABOUT)
    names = _names(found(folder, "ontology.json", ABOUT))
    recordings = _clips.known(folder, "audio", ABOUT)
    known: set[str] = set()
    for table in weak:
        split = "test" if table.name.startswith("eval") else "train"
        made = functools.partial(_of_weak, split=split, names=names, recordings=recordings)
        yield from _new(_tables.each(_tables.csv_rows(table, WEAK_COLUMNS, ABOUT, names=WEAK_COLUMNS), made), known)
    for table in strong:
        split = "test" if table.name.startswith("audioset_eval") else "train"
        yield from _new(_of_strong(table, split, names, recordings, known), known)


def _new(made: Iterator[Track | MllmError], known: set[str]) -> Iterator[Track | MllmError]:
    """What is not yet known, which is noted."""
    for one in made:
        if isinstance(one, MllmError):
            yield one
        elif one.id not in known:
            known.add(one.id)
            yield one


def _of_weak(
    row: _tables.Row, split: str, names: Mapping[str, tuple[str, ...]], recordings: Mapping[str, str]
) -> Iterator[Track]:
    labels = [label.strip() for label in row.text("positive_labels").split(",")]
    ytid = _clips.youtube_id(row.text("YTID"))
    times = row.number_at("start_seconds"), row.number_at("end_seconds")
    if any(label in names for label in labels):
        yield _track(ytid, times, labels, split, names, recordings)


def _of_strong(
    table: Path, split: str, names: Mapping[str, tuple[str, ...]], recordings: Mapping[str, str], known: set[str]
) -> Iterator[Track | MllmError]:
    """Tracks of a strong table, whose rows are single events: first what cannot be read, then the clips."""
    labels: dict[tuple[str, float], list[str]] = {}

    def event(row: _tables.Row) -> list[tuple[tuple[str, float], str]]:
        clip, _, begins = row.text("segment_id").rpartition("_")
        if not begins.isdecimal():
            raise MessageError(f"segment_id is {row.text('segment_id')!r}, expected <YouTube id>_<milliseconds>")
        return [((_clips.youtube_id(clip), int(begins) / 1000), row.text("label"))]

    for read in _tables.each(_tables.csv_rows(table, STRONG_COLUMNS, ABOUT, delimiter="\t"), event):
        if isinstance(read, MllmError):
            yield read
        elif read[1] in names and _clips.family_of(read[0][0]) not in known:
            labels.setdefault(read[0], []).append(read[1])
    for (ytid, start), heard in labels.items():
        try:
            yield _track(ytid, (start, start + 10.0), heard, split, names, recordings)
        except MllmError as error:
            yield MessageError(f"{table} segment {ytid}: {error}")


def _track(
    ytid: str,
    times: tuple[float, float],
    labels: list[str],
    split: str,
    names: Mapping[str, tuple[str, ...]],
    recordings: Mapping[str, str],
) -> Track:
    lines = [names[label] for label in dict.fromkeys(labels) if label in names]
    within = {name for line in lines for name in line}
    above = {name for line in lines for name in line[1:]}
    played = tuple(name for name in facts.INSTRUMENTS if within & set(_INSTRUMENTS[name]))
    return Track(
        id=_clips.family_of(ytid),
        path=_clips.path_of(recordings, _clips.youtube_names(ytid, *times), "audio/"),
        source="audioset_music",
        licence=ABOUT.licence,
        split=split,
        family=_clips.family_of(ytid),
        tags=tuple(line[0] for line in lines if line[0] not in above),
        instruments=played or None,
    )


def _names(path: Path) -> dict[str, tuple[str, ...]]:
    """Of each class of the music branch: its name and those of all classes above it."""
    classes: dict[str, _tables.Row] = {}
    for row in _tables.json_array(path, ABOUT):
        if isinstance(row, MllmError):
            raise ConfigError(f"{ABOUT.title}: {row}; {ABOUT.where}")
        classes[row.text("id")] = row
    names: dict[str, tuple[str, ...]] = {}
    waiting: list[tuple[str, tuple[str, ...]]] = [(MUSIC, ())]
    while waiting:
        identity, above = waiting.pop()
        if identity in classes and identity not in names:
            names[identity] = (classes[identity].text("name"), *above)
            waiting += [(child, names[identity]) for child in classes[identity].texts("child_ids")]
    if not names:
        raise ConfigError(f"{ABOUT.title}: {path} has no class {MUSIC} (music); {ABOUT.where}")
    return names
