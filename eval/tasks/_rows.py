"""Tables of benchmarks and of one's own, for tasks: what can be used, and a sentence on what cannot.

In: rows as `instruct_data.sources._tables` reads them, or records of a source. Out: what a task makes of them; errors
are counted and the first one is told. Files that are missing altogether are an `AbsentError`. Knows no task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from mllm.errors import ConfigError, MessageError, MllmError
from mllm.eval.music import AbsentError, Music
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _files, _tables
from mllm.messages import Audio, Text

Made = TypeVar("Made")


def about(title: str, where: str) -> _files.About:
    """What errors say of a table."""
    return _files.About(title=title, licence="not stated", citation="", where=where, needs={})


def table(music: Music, key: str, name: str, where: str) -> Path:
    """The file that was given under a key, or the file of this name in the folder that was given.

    Raises:
        AbsentError: it is not there.
    """
    place = music.place(key, where)
    path = place / name if place.is_dir() else place
    if not path.is_file():
        raise AbsentError(f"{path} is not there. {where}")
    return path


def usable(music: Music, key: str, rows: Iterable[Made | MllmError], where: str) -> list[Made]:
    """The rows that can be used; how many cannot is told.

    Raises:
        AbsentError: none can be used.
    """
    good: list[Made] = []
    bad: list[MllmError] = []
    try:
        for row in rows:
            if isinstance(row, MllmError):
                bad.append(row)
            else:
                good.append(row)
    except ConfigError as error:
        raise AbsentError(str(error)) from error
    if bad:
        music.tell(f"{key}: {len(bad)} of {len(bad) + len(good)} rows cannot be used, the first: {bad[0]}")
    if not good:
        raise AbsentError(f"no row can be used{f': {bad[0]}' if bad else ''}. {where}")
    return good


def recording(folder: Path, name: str) -> Audio:
    """A recording by its path, which begins in a folder unless it is absolute.

    Raises:
        MessageError: there is none.
    """
    path = folder / name
    if not path.is_file():
        raise MessageError(f"there is no recording {path}; put it there")
    return Audio(source=path)


def test_records(music: Music, key: str) -> list[Record]:
    """The records of a source's test split.

    Raises:
        AbsentError: there are none.
    """
    found = [record for record in music.source_records(key) if record.split == "test"]
    if not found:
        raise AbsentError(f"{key}: none of the rows whose recordings are here is of its test split")
    return found


def given(music: Music, keys: Iterable[str]) -> list[str]:
    """Those of some keys under which files were given."""
    return [key for key in keys if music.has(key)]


def heard(record: Record) -> tuple[Audio, ...]:
    """The recordings of a record."""
    return tuple(part for message in record.messages for part in message.parts if isinstance(part, Audio))


def last_question(record: Record) -> str:
    """What is asked last in a record."""
    return "".join(part.text for part in record.messages[-2].parts if isinstance(part, Text))


def rows_of(path: Path, key: str, where: str) -> Iterator[_tables.Row | MllmError]:
    """The rows of a file of JSON lines, or of one that holds a list of objects (".json")."""
    if path.suffix == ".json":
        return _tables.json_array(path, about(key, where))
    return _tables.json_lines(path)
