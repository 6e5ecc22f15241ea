"""The Song Describer Dataset: 1,106 captions by 142 people of 706 recordings of MTG-Jamendo; for evaluation only.

In: `song_describer.csv`, and the recordings of `audio.zip` below `audio/` (`34/1004034.2min.mp3`, the first two
minutes). Out: a record a caption, "valid" (the cleaned subset) or "full" in its id; a track a recording, with all its
captions. Columns and names of files were read from the authors' data card, their script that writes the table and code
that reads it; the table itself was not seen here. Its family is that of the track in MTG-Jamendo.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mllm.errors import MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _clips, _tables, _written
from mllm.instruct_data.sources._files import About, found
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="Song Describer Dataset",
    licence="CC-BY-SA-4.0 (captions); recordings: Creative Commons, each its own (audio_licenses.txt)",
    citation="Manco, Weck, Doh, Won, Zhang, Bogdanov, Wu, Chen, Tovstogan, Benetos, Quinton, Fazekas, Nam: The Song "
    "Describer Dataset: a Corpus of Audio Captions for Music-and-Language Evaluation, NeurIPS ML for Audio 2023",
    where="get song_describer.csv and audio.zip from https://doi.org/10.5281/zenodo.10072001",
    needs={"song_describer.csv": "captions", "audio/": "the recordings of audio.zip"},
    evaluation_only=True,
)
COLUMNS = ("caption_id", "track_id", "caption", "is_valid_subset", "path")


def records(folder: Path, *, seed: int = 0) -> Iterator[Record | MllmError]:
    """A record a caption."""

    def record(row: _tables.Row, track: Track) -> Record:
        part = "valid" if _is_valid(row) else "full"
        (written,) = track.captions or ()
        return _written.caption(track, written, f"{part}/{row.text('caption_id')}", seed=seed)

    for read in _rows(folder):
        yield read if isinstance(read, MllmError) else record(*read)


def tracks(folder: Path) -> Iterator[Track | MllmError]:
    """A track a recording, with all its captions; first what cannot be read."""
    by_id: dict[str, Track] = {}
    for read in _rows(folder):
        if isinstance(read, MllmError):
            yield read
            continue
        _, track = read
        before = by_id.get(track.id, dataclasses.replace(track, captions=()))
        by_id[track.id] = dataclasses.replace(before, captions=(*(before.captions or ()), *(track.captions or ())))
    yield from by_id.values()


def _rows(folder: Path) -> Iterator[tuple[_tables.Row, Track] | MllmError]:
    table = found(folder, "song_describer.csv", ABOUT)
    recordings = _clips.known(folder, "audio", ABOUT)

    def track(row: _tables.Row) -> Iterator[tuple[_tables.Row, Track]]:
        row.text("caption_id")
        _is_valid(row)
        stem = PurePosixPath(row.text("path")).stem
        identity = f"jamendo/{row.text('track_id')}"
        yield (
            row,
            Track(
                id=identity,
                path=_clips.path_of(recordings, [f"{stem}.2min", stem], "audio/"),
                source="song_describer",
                licence=ABOUT.licence,
                split="test",
                family=identity,
                captions=(row.text("caption"),),
            ),
        )

    return _tables.each(_tables.csv_rows(table, COLUMNS, ABOUT), track)


def _is_valid(row: _tables.Row) -> bool:
    """Whether a caption is in the cleaned subset; nothing where nobody checked it."""
    return row.has("is_valid_subset") and row.flag("is_valid_subset")
