"""A data set on disk: Parquet files of records and of tracks, which `datasets` opens too.

In: `Record` and `Track` objects, or a folder. Out: Parquet files, or these objects again, one after the other. The
layout of a folder:

    README.md                                card; its first lines tell `datasets` which files are which split
    manifest.json                            what it was made from and what is in it; written last, so that a folder
                                             without it is not finished
    data/train-00000-of-00004.parquet        records, a row each (`SCHEMA`)
    tracks/train-00000-of-00004.parquet      tracks: id, path and a JSON object with all that is known
    audio/...                                recordings that were made for it

Knows neither how records are made nor what is written into the card.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mllm import messages
from mllm.errors import ConfigError
from mllm.instruct_data import tracks
from mllm.instruct_data.records import Record
from mllm.instruct_data.tracks import SPLITS, Track

MANIFEST = "manifest.json"
CARD = "README.md"
RECORDS = "data"
TRACKS = "tracks"
AUDIO = "audio"
ROWS_AT_ONCE = 1000

_PART = pa.struct(
    [
        ("type", pa.string()),
        ("text", pa.string()),
        ("path", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("item", pa.string()),
    ]
)
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(_PART))]))),
        ("task", pa.string()),
        ("template", pa.string()),
        ("source", pa.string()),
        ("licence", pa.string()),
        ("split", pa.string()),
        ("tracks", pa.list_(pa.string())),
        ("families", pa.list_(pa.string())),
        ("choices", pa.list_(pa.string())),
        ("correct", pa.int64()),
        ("label", pa.string()),
    ]
)
"""Columns of records; the fields of a part that its type does not have are null."""
_LISTS = ("tracks", "families", "choices")
_FIELDS = ("id", "task", "template", "source", "licence", "split", "correct", "label")
TRACK_SCHEMA = pa.schema([("id", pa.string()), ("path", pa.string()), ("split", pa.string()), ("known", pa.string())])


def write_records(path: Path, records: Iterable[Record]) -> int:
    """Write one Parquet file; it appears whole or not at all.

    Returns:
        The number of records.

    Raises:
        ConfigError: a record holds the bytes of a recording instead of its path.
    """
    return _write(path, SCHEMA, (_row(record) for record in records))


def write_tracks(path: Path, given: Iterable[Track]) -> int:
    """As `write_records`, of tracks."""
    rows = ({"id": one.id, "path": one.path, "split": one.split, "known": tracks.line(one)} for one in given)
    return _write(path, TRACK_SCHEMA, rows)


def read_records(folder: Path, split: str | None = None) -> Iterator[Record]:
    """The records of a data set in order, of one split or of all.

    Raises:
        ConfigError: the folder is not a finished data set, or a file in it cannot be read.
    """
    for path in files(folder, RECORDS, split):
        for row in _rows(path, SCHEMA):
            yield record_of(row)


def read_tracks(folder: Path, split: str | None = None) -> Iterator[Track]:
    """As `read_records`, of tracks."""
    for path in files(folder, TRACKS, split):
        for row in _rows(path, TRACK_SCHEMA):
            yield tracks.from_json(json.loads(row["known"]))


def read_part(path: Path) -> Iterator[Record]:
    """The records of one Parquet file, finished data set or not."""
    return (record_of(row) for row in _rows(path, SCHEMA))


def read_track_part(path: Path) -> Iterator[Track]:
    """As `read_part`, of tracks."""
    return (tracks.from_json(json.loads(row["known"])) for row in _rows(path, TRACK_SCHEMA))


def files(folder: Path, kind: str, split: str | None = None) -> list[Path]:
    """The Parquet files of a finished data set: `kind` is `RECORDS` or `TRACKS`.

    Raises:
        ConfigError: the folder holds no finished data set.
    """
    if not (folder / MANIFEST).is_file():
        raise ConfigError(
            f"{folder} holds no finished data set ({MANIFEST} is missing); give a folder that mllm data build finished"
        )
    wanted = SPLITS if split is None else (split,)
    return [path for name in wanted for path in sorted((folder / kind).glob(f"{name}-*.parquet"))]


def file_name(split: str, number: int, count: int) -> str:
    """Name of the Parquet file `number` of `count` of a split."""
    return f"{split}-{number:05d}-of-{count:05d}.parquet"


def plain_messages(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The messages of a row as JSON holds them: parts without the fields that are null."""
    return [
        {
            "role": message["role"],
            "content": [
                {name: value for name, value in part.items() if value is not None} for part in message["content"]
            ],
        }
        for message in row["messages"]
    ]


def record_of(row: Mapping[str, Any]) -> Record:
    """The record of a row that was read."""
    fields: dict[str, Any] = {name: tuple(row[name] or ()) for name in _LISTS} | {name: row[name] for name in _FIELDS}
    return Record(messages=messages.parse(plain_messages(row)), **fields)


def _row(record: Record) -> dict[str, Any]:
    spoken: list[dict[str, Any]] = messages.to_json(record.messages)
    for message in spoken:
        if isinstance(message["content"], str):
            message["content"] = [{"type": "text", "text": message["content"]}]
        if any(part["type"] == "input_audio" for part in message["content"]):
            raise ConfigError(f"record {record.id!r} holds the bytes of a recording; a data set names its path")
    lists = {name: list(getattr(record, name)) for name in _LISTS}
    return {"messages": spoken} | lists | {name: getattr(record, name) for name in _FIELDS}


def _write(path: Path, schema: pa.Schema, rows: Iterable[dict[str, Any]]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.half")
    count = 0
    with pq.ParquetWriter(beside, schema, compression="zstd") as writer:
        waiting: list[dict[str, Any]] = []
        for row in rows:
            waiting.append(row)
            if len(waiting) == ROWS_AT_ONCE:
                writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
                count += len(waiting)
                waiting = []
        writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
    beside.replace(path)
    return count + len(waiting)


def _rows(path: Path, schema: pa.Schema) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(path) as file:
            if missing := sorted(set(schema.names) - set(file.schema_arrow.names)):
                raise ConfigError(f"{path} lacks the columns {', '.join(missing)}; it is not of such a data set")
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=schema.names):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(
            f"{path} cannot be read ({' '.join(str(error).split())}); build the data set again"
        ) from error
