"""MTG-Jamendo: 55,000 whole tracks of Jamendo with tags for genre, instrument, mood and theme.

In: a folder with autotagging*.tsv of the repository, its recordings anywhere below `audio/`, in full quality
("82/382.mp3") or in low quality ("82/382.low.mp3"), and, if there, `splits/split-0/`. Out: tracks with their tags, and
records about these. Several tables join: autotagging_instrument.tsv adds its tags to those of autotagging.tsv.

Read and compared with the published files: TRACK_ID, ARTIST_ID, ALBUM_ID, PATH, DURATION, and tags in one or more cells
behind these, of which the header names only the first. Whoever tags a track forgets things, so that nothing is called
absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mllm.errors import MessageError, MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _clips, _labelled, _vocabulary
from mllm.instruct_data.sources._files import About, found
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="MTG-Jamendo",
    licence="CC-BY-NC-SA-4.0 (tags); audio: Creative Commons, each track its own (audio_licenses.txt)",
    citation="Bogdanov, Won, Tovstogan, Porter, Serra: The MTG-Jamendo Dataset for Automatic Music Tagging, ML4MD at "
    "ICML 2019",
    where="take data/autotagging*.tsv (and data/splits) from https://github.com/MTG/mtg-jamendo-dataset and fetch the "
    "recordings into audio/ with its scripts/download/download.py",
    needs={"autotagging*.tsv": "tags", "audio/": "recordings"},
)

_COLUMNS = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION"]


def tracks(folder: Path) -> Iterator[Track | MllmError]:
    """Every track that has tags, with the tags of all tables."""
    found(folder, "autotagging*.tsv", ABOUT)
    tags: dict[str, list[str]] = {}
    rows: dict[str, tuple[str, list[str]]] = {}
    for table in sorted(folder.glob("autotagging*.tsv")):
        for line, row in _labelled.cells(table, "\t", quoted=False):
            place = f"{table.name} line {line}"
            if row[: len(_COLUMNS)] == _COLUMNS:
                continue
            if len(row) <= len(_COLUMNS) or _labelled.number(row[4]) is None:
                yield MessageError(f"{place}: expected {', '.join(_COLUMNS)} and tags, separated by tabs")
                continue
            rows.setdefault(row[0], (place, row))
            known = tags.setdefault(row[0], [])
            known += [tag for cell in row[len(_COLUMNS) :] if (tag := cell.strip()) and tag not in known]
    heard, splits = _clips.known(folder, "audio", ABOUT), _splits(folder)
    for identity, (place, row) in rows.items():
        stem = row[3].rpartition(".")[0]
        path = heard.get(stem) or heard.get(f"{stem}.low")
        if path is None:
            yield _labelled.unheard(ABOUT, place, row[3])
        else:
            yield _track(identity, path, float(row[4]), tags[identity], splits.get(identity, "train"))


def records(folder: Path, *, seed: int = 0, per_track: int = _labelled.PER_TRACK) -> Iterator[Record | MllmError]:
    """Conversations about the tracks."""
    return _labelled.records_of(tracks(folder), seed=seed, per_track=per_track)


def _track(identity: str, path: str, seconds: float, tags: list[str], split: str) -> Track:
    kinds: dict[str, list[str]] = {}
    for tag in tags:
        kind, _, word = tag.partition("---")
        kinds.setdefault(kind, []).append(word or kind)
    genres = kinds.get("genre", [])
    words = [word for group in kinds.values() for word in group]
    number = identity.removeprefix("track_").lstrip("0") or "0"
    return Track(
        id=f"jamendo/{number}",
        path=path,
        seconds=seconds,
        source="mtg_jamendo",
        licence=ABOUT.licence,
        split=split,
        # Two tracks of an artist are akin, but Song Describer and others know tracks only: one name for all of them
        # lets a track be found on both sides of a split.
        family=f"jamendo/{number}",
        **_vocabulary.sorted_tags(words, genres=[_vocabulary.genre(one) for one in genres]).fields(),
    )


def _splits(folder: Path) -> dict[str, str]:
    """The split of each track in the data set's first division, if it is there."""
    known: dict[str, str] = {}
    for split in ("train", "validation", "test"):
        for table in sorted(folder.glob(f"**/split-0/autotagging-{split}.tsv")):
            known |= {row[0]: split for _, row in _labelled.cells(table, "\t", quoted=False)}
    return known
