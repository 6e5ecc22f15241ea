"""Reads the tables of strangers row by row (CSV, JSON lines, JSON arrays, Parquet): a spoilt row costs only itself.

In: a file and the columns that are needed. Out: `Row` objects, and an error for each row that cannot be read, which
names file and row (the first row after the names of the columns is row 1). A file without a needed column, or which is
nothing of that kind at all, is a `ConfigError`. Nothing that a table says is executed. Knows no data set.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from mllm.errors import ConfigError, MessageError, MllmError
from mllm.instruct_data.sources._files import About

LONGEST_LINE_BYTES = 1 << 24
LARGEST_JSON_BYTES = 1 << 30
"""Of a file that is one JSON value and has to be read as a whole."""
LONGEST_LIST_CHARACTERS = 1 << 16

_ROWS_AT_ONCE = 1000
_SURROGATE = re.compile("[\ud800-\udfff]")
"""What bytes that are not UTF-8 become, and what half of an escaped character is."""
_QUOTED = re.compile(r"""\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*(,|$)""", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_FLAGS = {"true": True, "false": False, "1": True, "0": False}

Made = TypeVar("Made")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One row; its methods give fields in the form that is asked for, or raise a `MessageError` without the place."""

    place: str
    """File and row, for messages."""
    number: int
    fields: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A text that is not empty, without white space at its ends; whole numbers become texts."""
        value = self._value(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            raise MessageError(f"{name} is {_shown(value)}, expected a text")
        if not value.strip():
            raise MessageError(f"{name} is empty, expected a text")
        if broken := _SURROGATE.search(value):
            near = ascii(value[max(0, broken.start() - 20) : broken.start() + 20])
            raise MessageError(f"{name} is not UTF-8 at {near}; save the file in UTF-8")
        return value.strip()

    def number_at(self, name: str) -> float:
        """A finite number, also one that was written as a text."""
        value = self._value(name)
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise MessageError(f"{name} is {_shown(value)}, expected a number")
        return number

    def flag(self, name: str) -> bool:
        """True or false, also written as a text or as 1 and 0."""
        value = self._value(name)
        word = str(value).strip().lower()
        if word not in _FLAGS:
            raise MessageError(f"{name} is {_shown(value)}, expected true or false")
        return _FLAGS[word]

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, also one that was written as a text ("['calm', 'piano']"); empty ones are left out."""
        value = self._value(name)
        listed = _listed(name, value) if isinstance(value, str) else value
        if not isinstance(listed, list):
            raise MessageError(f"{name} is {_shown(value)}, expected a list of texts")
        entry = f"an entry of {name}"
        return tuple(self.of({entry: one}).text(entry) for one in listed if one not in ("", None))

    def numbers(self, name: str) -> tuple[float, ...]:
        """A list of finite numbers."""
        value = self._value(name)
        if not isinstance(value, list):
            raise MessageError(f"{name} is {_shown(value)}, expected a list of numbers")
        return tuple(self.of({name: one}).number_at(name) for one in value)

    def has(self, name: str) -> bool:
        """Whether there is such a field and something in it."""
        return self.fields.get(name) not in (None, "", [])

    def of(self, fields: Mapping[str, Any]) -> Row:
        """What stands within a field of this row, as a row at the same place."""
        return dataclasses.replace(self, fields=fields)

    def _value(self, name: str) -> Any:
        if name not in self.fields:
            there = ", ".join(map(str, self.fields)) or "none"
            raise MessageError(f"the field {name} is missing; there are: {there}")
        return self.fields[name]


Rows: TypeAlias = Iterator[Row | MllmError]


def each(rows: Rows, make: Callable[[Row], Iterable[Made]]) -> Iterator[Made | MllmError]:
    """What is made of each row, and an error that names the row where it cannot be used.

    Args:
        rows: as the functions below give them; errors are passed on.
        make: any number of things from a row, or an `MllmError` that does not name the row.
    """
    for row in rows:
        if isinstance(row, MllmError):
            yield row
            continue
        try:
            made = list(make(row))
        except MllmError as error:
            yield MessageError(f"{row.place}: {error}")
            continue
        yield from made


def csv_rows(
    path: Path, columns: Sequence[str], about: About, *, delimiter: str = ",", names: Sequence[str] | None = None
) -> Rows:
    """The rows of a CSV file whose first line names its columns.

    Args:
        path: of the file.
        columns: which it must have.
        about: the source, for messages.
        delimiter: between fields.
        names: of the columns of a file that has comments ("# ...") in the place of that line, and blanks after commas.
    """
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines: Iterable[str] = file if names is None else (line for line in file if not line.startswith("#"))
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=names is not None)
        number = 0
        try:
            header = list(names) if names is not None else [name.strip() for name in next(reader, [])]
            _check_columns(path, columns, header, about)
            for number, fields in enumerate(filter(None, reader), start=1):
                place = f"{path} row {number}"
                if len(fields) == len(header):
                    yield Row(place=place, number=number, fields=dict(zip(header, fields, strict=True)))
                else:
                    yield MessageError(f"{place}: {len(fields)} fields, expected {len(header)}; mend its quotes")
        except csv.Error as error:
            yield MessageError(f"{path} row {number + 1}: not CSV ({error}), nothing after it was read; mend it")


def json_lines(path: Path) -> Rows:
    """The rows of a file that has a JSON object on each line."""
    with path.open("rb") as file:
        for number, line in _lines(file):
            place = f"{path} row {number}"
            if line is None:
                yield MessageError(f"{place}: longer than {LONGEST_LINE_BYTES:,} bytes; expected a JSON object a line")
            elif line.strip():
                yield _row(place, number, line)


def json_array(path: Path, about: About, *, within: str | None = None) -> Rows:
    """The rows of a file that holds a list of JSON objects.

    Args:
        path: of the file.
        about: the source, for messages.
        within: the entry that holds the list, where the file holds an object.
    """
    if (size := path.stat().st_size) > LARGEST_JSON_BYTES:
        raise ConfigError(f"{about.title}: {path} has {size:,} bytes, at most {LARGEST_JSON_BYTES:,} are read at once")
    expected = "a list of objects" if within is None else f"an object whose {within!r} is a list"
    try:
        listed = json.loads(path.read_bytes().decode("utf-8-sig", errors="surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{about.title}: {path} is not JSON ({error}); expected {expected}; {about.where}") from error
    if within is not None and isinstance(listed, dict):
        listed = listed.get(within)
    if not isinstance(listed, list):
        raise ConfigError(f"{about.title}: {path} holds {_shown(listed)}; expected {expected}; {about.where}")
    for number, fields in enumerate(listed, start=1):
        yield _checked(f"{path} row {number}", number, fields)


def parquet_rows(path: Path, columns: Sequence[str], about: About) -> Rows:
    """The rows of a Parquet file."""
    try:
        with pq.ParquetFile(path) as file:
            _check_columns(path, columns, file.schema_arrow.names, about)
            all_rows = (fields for batch in file.iter_batches(_ROWS_AT_ONCE) for fields in batch.to_pylist())
            for number, fields in enumerate(all_rows, start=1):
                yield Row(place=f"{path} row {number}", number=number, fields=fields)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{about.title}: {path} is not Parquet ({reason}); {about.where}") from error


def _check_columns(path: Path, columns: Sequence[str], there: Sequence[str], about: About) -> None:
    if missing := [name for name in columns if name not in there]:
        found = ", ".join(ascii(name)[1:-1] for name in there) or "none"
        raise ConfigError(
            f"{about.title}: {path} lacks the column {' and '.join(missing)}; there are: {found[:500]}; {about.where}"
        )


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines; None for one that is too long, which is never in memory as a whole."""
    number = 0
    while line := file.readline(LONGEST_LINE_BYTES):
        number += 1
        whole = len(line) < LONGEST_LINE_BYTES or line.endswith(b"\n")
        yield number, line if whole else None
        while not whole:
            rest = file.readline(LONGEST_LINE_BYTES)
            whole = not rest or rest.endswith(b"\n")


def _row(place: str, number: int, line: bytes) -> Row | MessageError:
    try:
        return _checked(place, number, json.loads(line.decode("utf-8-sig", errors="surrogateescape")))
    except (ValueError, RecursionError) as error:
        return MessageError(f"{place}: not JSON ({error}); expected one object a line")


def _checked(place: str, number: int, fields: object) -> Row | MessageError:
    if isinstance(fields, dict):
        return Row(place=place, number=number, fields=fields)
    return MessageError(f"{place}: {_shown(fields)} instead of an object; expected {{...}}")


def _listed(name: str, written: str) -> list[str]:
    """The texts of a list as Python writes it."""
    inner = written.strip()
    if len(inner) > LONGEST_LIST_CHARACTERS or not (inner.startswith("[") and inner.endswith("]")):
        raise MessageError(f"{name} is {_shown(written)}, expected a list of texts such as ['calm', 'piano']")
    inner = inner[1:-1].strip()
    texts: list[str] = []
    position = 0
    while position < len(inner):
        if (quoted := _QUOTED.match(inner, position)) is None:
            raise MessageError(f"{name} is {_shown(written)}, expected a list of texts such as ['calm', 'piano']")
        texts.append(_ESCAPED.sub(r"\1", quoted[1] if quoted[1] is not None else quoted[2]))
        position = quoted.end()
    return texts


def _shown(value: object) -> str:
    """A value in a message: what it is, not longer than a line."""
    if isinstance(value, list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    shown = ascii(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
