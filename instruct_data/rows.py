"""Whatever stands in a folder, row by row with its place: a built data set, or a person's own files.

In: a folder or a JSONL file. Out: its tracks and records one after the other, each with the place where it stands; a
row that cannot be read is an error in its place, and the rows behind it are still read. Four kinds of input are known:

1. what `mllm data build` writes (`data_set`), finished or not;
2. the files of a source, where its name is given (`sources`);
3. any other folder: the source `folder`, with "not stated" for a licence that is not given;
4. a JSONL file of conversations (`mllm.train.conversations`).

Knows nothing of what can be wrong with a row that can be read.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from mllm import registry
from mllm.errors import ConfigError, MllmError
from mllm.instruct_data import data_set, tracks
from mllm.instruct_data.records import Record
from mllm.instruct_data.tracks import Track
from mllm.messages import Audio

NOT_STATED = "not stated"
OWN = "own"
"""Source and task of what people bring themselves."""
FOLDER_SOURCE = "folder"
_NAMED_PLACE = re.compile(r"(.{1,200}? (?:row|line) \d+(?: \(line \d+\))?): (.+)")
_T = TypeVar("_T", Track, Record)


@dataclasses.dataclass(frozen=True, slots=True)
class Row(Generic[_T]):
    """A track or a record, and where it stands."""

    place: str
    """Such as "data/train-00000-of-00001.parquet row 3"; rows are counted from 1."""
    value: _T


@dataclasses.dataclass(frozen=True, slots=True)
class BadRow:
    """A row, or a whole file, that cannot be read."""

    place: str
    what: str
    whole_file: bool = False
    """Whether nothing more of the file can be read."""


TrackRows: TypeAlias = Iterator[Row[Track] | BadRow]
RecordRows: TypeAlias = Iterator[Row[Record] | BadRow]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rows:
    """All rows of a folder; each call reads the files anew."""

    folder: Path
    """Where the paths of recordings begin."""
    built: bool
    """Whether it is the layout of `data_set`."""
    kind: str
    """What it was taken for, as a person would say it."""
    tracks: Callable[[], TrackRows]
    records: Callable[[], RecordRows]


def open_rows(path: Path, source: str | None = None) -> Rows:
    """Find out what a folder is.

    Args:
        path: a folder, or a JSONL file of conversations.
        source: the file of `sources/` that reads it; None: find out.

    Raises:
        ConfigError: it is not there, nothing in it is known, or there is no such source.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist; give a folder that mllm data build made, or one of your own files")
    if source is not None:
        return _of_source(path, source)
    if path.is_dir() and _is_built(path):
        return Rows(
            folder=path,
            built=True,
            kind="a built data set" if (path / data_set.MANIFEST).is_file() else "an unfinished data set",
            tracks=lambda: _of_files(path, data_set.TRACKS, data_set.TRACK_SCHEMA, _track),
            records=lambda: _of_files(path, data_set.RECORDS, data_set.SCHEMA, data_set.record_of),
        )
    if path.is_dir():
        return _of_source(path, FOLDER_SOURCE, licence=NOT_STATED)
    return Rows(
        folder=path.parent,
        built=False,
        kind="conversations",
        tracks=lambda: _tracks_of_records(_of_conversations(path)),
        records=lambda: _of_conversations(path),
    )


def parquet_files(folder: Path, kind: str) -> list[Path]:
    """The Parquet files of a data set, finished or not: `kind` is `data_set.RECORDS` or `data_set.TRACKS`."""
    return sorted((folder / kind).glob("*.parquet"), key=_of_split_and_name)


def _of_split_and_name(path: Path) -> tuple[int, str]:
    split = path.name.partition("-")[0]
    return (tracks.SPLITS.index(split) if split in tracks.SPLITS else len(tracks.SPLITS), path.name)


def _is_built(folder: Path) -> bool:
    return (folder / data_set.MANIFEST).is_file() or any(
        any((folder / kind).glob("*.parquet*")) for kind in (data_set.RECORDS, data_set.TRACKS)
    )


def _track(row: dict[str, Any]) -> Track:
    try:
        known = json.loads(row["known"])
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"the column known is not JSON ({error})") from error
    if not isinstance(known, dict):
        raise ConfigError("the column known is no JSON object")
    return tracks.from_json(known)


def _of_files(folder: Path, kind: str, schema: pa.Schema, made: Callable[[dict[str, Any]], _T]) -> Iterator[Any]:
    for path in parquet_files(folder, kind):
        yield from _of_file(path, path.relative_to(folder).as_posix(), schema, made)


def _of_file(path: Path, name: str, schema: pa.Schema, made: Callable[[dict[str, Any]], _T]) -> Iterator[Any]:
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            if missing := sorted(set(schema.names) - set(file.schema_arrow.names)):
                yield BadRow(name, f"the file lacks the columns {', '.join(missing)}", whole_file=True)
                return
            for batch in file.iter_batches(data_set.ROWS_AT_ONCE, columns=schema.names):
                for row in batch.to_pylist():
                    number += 1
                    place = f"{name} row {number}"
                    try:
                        yield Row(place, made(row))
                    except (MllmError, TypeError, AttributeError, ValueError) as error:
                        yield BadRow(place, _sentence(error))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        behind = f"; nothing behind row {number} was read" if number else ""
        yield BadRow(name, f"the file is damaged ({_sentence(error)}){behind}", whole_file=True)


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _of_source(folder: Path, name: str, **options: Any) -> Rows:
    module = registry.find("source", name)

    def records() -> RecordRows:
        return _numbered("record", module.records(folder, **options))

    def tracks_() -> TrackRows:
        if hasattr(module, "tracks"):
            return _numbered("track", module.tracks(folder, **options))
        return _tracks_of_records(records())

    return Rows(
        folder=folder, built=False, kind=f"{module.ABOUT.title} (source {name})", tracks=tracks_, records=records
    )


def _numbered(what: str, given: Iterator[Any]) -> Iterator[Any]:
    for number, one in enumerate(given, start=1):
        yield _bad_row(f"{what} {number}", one) if isinstance(one, MllmError) else Row(one.id, one)


def _bad_row(place: str, error: MllmError) -> BadRow:
    """An error, with the place that it names itself or else with the given one."""
    text = _sentence(error)
    named = _NAMED_PLACE.match(text)
    return BadRow(named[1], named[2]) if named else BadRow(place, text)


def _of_conversations(path: Path) -> RecordRows:
    from mllm.train import conversations

    for one in conversations.read([path]):
        if isinstance(one, MllmError):
            yield _bad_row(path.name, one)
            continue
        heard = tuple(_named(audio, path.parent) for audio in one.recordings)
        yield Row(
            one.place,
            Record(
                id=one.place,
                messages=one.messages,
                task=OWN,
                template="free",
                source=OWN,
                licence=NOT_STATED,
                split="train",
                tracks=heard,
                families=heard,
            ),
        )


def _named(audio: Audio, folder: Path) -> str:
    """The path of a recording from its folder on; of one that stands in the text itself, that it does."""
    if isinstance(audio.source, bytes):
        return "(inside the message)"
    return str(audio.source).removeprefix(f"{folder}/")


def _tracks_of_records(records: RecordRows) -> TrackRows:
    """A track for each recording that records mention, in its first place; bad rows are told with the records."""
    seen: set[str] = set()
    for row in records:
        if isinstance(row, BadRow):
            continue
        for identity, audio in zip(row.value.tracks, _recordings(row.value), strict=False):
            if identity in seen or isinstance(audio.source, bytes):
                continue
            seen.add(identity)
            track = Track(
                id=identity,
                path=str(audio.source),
                source=row.value.source,
                licence=row.value.licence,
                split=row.value.split,
                family=identity,
            )
            yield Row(row.place, track)


def _recordings(record: Record) -> list[Audio]:
    return [part for message in record.messages for part in message.parts if isinstance(part, Audio)]
