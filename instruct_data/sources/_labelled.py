"""Shared by the sources of labels: rows of their tables, recordings that are not there, and what is asked of tracks.

In: a file of a published data set, or its tracks. Out: cells by column, errors that name a row, and records. Knows no
data set.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mllm.errors import AudioError, ConfigError, MessageError, MllmError
from mllm.instruct_data import asking
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources._files import About
from mllm.instruct_data.tracks import SPLITS, Track

PER_TRACK = 4
"""Conversations about each recording, where nobody asks for another number."""


def records_of(
    rows: Iterable[Track | MllmError], *, seed: int, per_track: int = PER_TRACK
) -> Iterator[Record | MllmError]:
    """What is asked about tracks: first the errors among them, then the records of each split."""
    by_split: dict[str, list[Track]] = {}
    for row in rows:
        if isinstance(row, Track):
            by_split.setdefault(row.split, []).append(row)
        else:
            yield row
    for split in SPLITS:
        if split in by_split:
            yield from asking.records_about(by_split.pop(split), seed=seed, per_track=per_track)


def cells(path: Path, separator: str, *, quoted: bool = True) -> Iterator[tuple[int, list[str]]]:
    """The rows of a published table in UTF-8, without empty ones, each with the number of the line where it ends."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.reader(file, delimiter=separator, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
        while True:
            try:
                row = next(rows, None)
            except csv.Error:
                row = []
            if row is None:
                return
            if any(row):
                yield rows.line_num, row


def by_column(
    path: Path, separator: str, needed: Iterable[str], *, quoted: bool = True
) -> Iterator[tuple[str, Mapping[str, str]] | MessageError]:
    """The rows of a published table with their places, such as "tags.csv line 3".

    A row with another number of cells than the header is an error.

    Raises:
        ConfigError: a needed column is missing.
    """
    rows = cells(path, separator, quoted=quoted)
    _, header = next(rows, (0, []))
    if missing := [name for name in needed if name not in header]:
        raise ConfigError(
            f"{path} lacks the column {' and '.join(missing)}; its columns are {', '.join(header[:20]) or '(none)'}: "
            "fetch the file again"
        )
    for line, row in rows:
        if len(row) != len(header):
            yield MessageError(
                f"{path.name} line {line}: {len(row)} cells instead of {len(header)}; fetch the file again"
            )
        else:
            yield f"{path.name} line {line}", dict(zip(header, row, strict=True))


def unheard(about: About, place: str, name: str) -> AudioError:
    """The error of a row whose recording is not there.

    Args:
        about: the source.
        place: of the row.
        name: of the recording, as the data set has it.
    """
    return AudioError(f"{place}: the recording {name} is missing; {about.where}")


def number(text: str) -> float | None:
    """A finite number that a cell holds, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
