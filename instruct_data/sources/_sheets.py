"""Tables of text as spreadsheets and scripts leave them: CSV, TSV and JSON Lines, in whatever encoding.

In: a path. Out: the columns and the rows of a table, one at a time; for a row that cannot be read, an error that says
which, why and what to do, and the rows behind it all the same. Never holds more than a row and the lines that a quote
which is not closed might reach. Knows nothing of what the columns mean.
"""

from __future__ import annotations

import codecs
import collections
import csv
import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from mllm.errors import ConfigError, MessageError

LONGEST_ROW = 1_000_000
"""Characters of a row; a longer one is no row of a table of texts and is not read whole."""
SEPARATORS = "\t,;|"
JSON_ENDINGS = (".jsonl", ".ndjson")

_LINES_OF_A_CELL = 500
_HEAD_BYTES = 4096
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_NOT_IN_1252 = re.compile(b"[\x81\x8d\x8f\x90\x9d]")
_SPOILT = re.compile("[\x00\ufffd\ud800-\udfff]")
_NEVER_CLOSED = "unexpected end of data"


class Remark(ConfigError):  # noqa: N818 — it is given where errors are, and names no failure
    """Something that should be known of a table; nothing of it was left out for that reason alone."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table."""

    place: str
    """Such as "metadata.csv row 3 (line 4)"; of JSON Lines "metadata.jsonl line 3"."""
    number: int
    """The first row behind the header is row 1; of JSON Lines the number of the line."""
    fields: Mapping[str, Any]
    """By column; cells of CSV are texts."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoding:
    """How the characters of a file are written."""

    name: str
    guessed: bool = False
    """Whether nothing in the file says so."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """A table that can be read, once or more often."""

    path: Path
    encoding: Encoding
    columns: tuple[str, ...]
    """As they stand in the header; of JSON Lines the keys of the first object that can be read."""
    separator: str | None
    """Between cells; None: JSON Lines."""

    def remarks(self) -> Iterator[Remark]:
        """What should be known of the file as a whole."""
        if self.encoding.guessed:
            yield Remark(
                f"{self.path.name} is not UTF-8 and was read as {self.encoding.name}; look whether accents and quotes "
                "came out right, and save the file as UTF-8 if they did not"
            )

    def rows(self) -> Iterator[Row | MessageError]:
        """Its rows in order; for one that cannot be read, an error."""
        with _opened(self.path, self.encoding) as file:
            yield from self._json_rows(file) if self.separator is None else self._cell_rows(file, self.separator)

    def _json_rows(self, file: TextIO) -> Iterator[Row | MessageError]:
        for line, text in _lines(file):
            place = f"{self.path.name} line {line}"
            if text is None:
                yield _too_long(place)
            elif text.strip():
                try:
                    yield Row(place=place, number=line, fields=_object(text))
                except MessageError as error:
                    yield MessageError(f"{place}: {error}")

    def _cell_rows(self, file: TextIO, separator: str) -> Iterator[Row | MessageError]:
        lines = _Lines(_lines(file))
        lines.skip_header()
        number = 0
        while taken := lines.next():
            line, text = taken
            if text is not None and not text.strip(f" \r\n{separator}"):
                continue
            number += 1
            place = f"{self.path.name} row {number} (line {line})"
            if text is None:
                yield _too_long(place)
                continue
            try:
                cells = _cells(text, lines, separator, len(self.columns))
                yield Row(place=place, number=number, fields=dict(zip(self.columns, cells, strict=False)))
            except MessageError as error:
                yield MessageError(f"{place}: {error}")


def opened(path: Path, *, known: Callable[[str], bool]) -> Table:
    """Look at a table: its encoding, its separator and its columns.

    Args:
        path: of a file that ends in .csv, .tsv or .jsonl; the ending decides only between JSON and cells.
        known: whether a column means something; the separator is the one that gives most of these.

    Raises:
        ConfigError: it cannot be read or holds nothing, or a column stands there twice.
    """
    try:
        encoding = encoding_of(path)
        with _opened(path, encoding) as file:
            if path.suffix.lower() in JSON_ENDINGS:
                return Table(path=path, encoding=encoding, columns=_first_keys(file), separator=None)
            header = next((text for _, text in _lines(file) if text is None or text.strip()), "")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); give a file that can") from error
    if not header:
        raise ConfigError(f"{path} {'is empty' if header == '' else 'begins with a line that is too long'}; {_WANTED}")
    if "\x00" in header:
        raise ConfigError(f"{path} holds NUL characters, so it is no text; {_WANTED}")
    choices = {separator: _header(header, separator) for separator in SEPARATORS}
    separator = max(choices, key=lambda one: (sum(map(known, choices[one])), len(choices[one])))
    twice = [name for name, times in collections.Counter(choices[separator]).items() if times > 1 and name]
    if twice:
        raise ConfigError(f"{path} has the column {twice[0]!r} twice; rename one of them")
    return Table(path=path, encoding=encoding, columns=choices[separator], separator=separator)


def encoding_of(path: Path) -> Encoding:
    """How a file is encoded, found in its bytes.

    A byte order mark decides; then UTF-16 by its zeros; then UTF-8, if any line needs it or none contradicts it. A file
    of which no line with an accent is UTF-8 is taken as Windows-1252, or as Latin-1 where it cannot be that.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        for mark, name in _MARKS:
            if head.startswith(mark):
                return Encoding(name=name)
        if zeros := head.count(0):
            odd = head[1::2].count(0)
            if zeros > len(head) // 4 and odd in (0, zeros):
                return Encoding(name="utf-16-le" if odd else "utf-16-be", guessed=True)
        file.seek(0)
        name = ""
        while line := file.readline(LONGEST_ROW):
            if line.isascii() or len(line) == LONGEST_ROW:  # a line cut off may end within a character
                continue
            try:
                line.decode()
                return Encoding(name="utf-8")
            except UnicodeDecodeError:
                name = "latin-1" if name == "latin-1" or _NOT_IN_1252.search(line) else "cp1252"
    return Encoding(name=name, guessed=True) if name else Encoding(name="utf-8")


def text_of(path: Path) -> str:
    """All of a small text file, in whatever encoding, without white space at its ends.

    Raises:
        MessageError: it is longer than a row may be, or holds what is no text.
    """
    with _opened(path, encoding_of(path)) as file:
        text = file.read(LONGEST_ROW + 1)
    if len(text) > LONGEST_ROW:
        raise _too_long(path.name)
    if spoilt := _SPOILT.search(text):
        raise MessageError(f"{path.name}: {_about_spoilt(text, spoilt)}")
    return text.strip()


_WANTED = "expected a first line with the names of the columns, and rows below it"


class _Lines:
    """Lines with their numbers, some of which may be put back."""

    def __init__(self, lines: Iterator[tuple[int, str | None]]) -> None:
        self._lines = lines
        self._back: collections.deque[tuple[int, str | None]] = collections.deque()

    def next(self) -> tuple[int, str | None] | None:
        return self._back.popleft() if self._back else next(self._lines, None)

    def put_back(self, lines: list[tuple[int, str | None]]) -> None:
        self._back.extendleft(reversed(lines))

    def skip_header(self) -> None:
        while (taken := self.next()) and taken[1] is not None and not taken[1].strip():
            pass


def _opened(path: Path, encoding: Encoding) -> TextIO:
    return path.open(encoding=encoding.name, errors="replace", newline="")


def _lines(file: TextIO) -> Iterator[tuple[int, str | None]]:
    """Each line with its number from 1 on; None for one that is too long."""
    number = 0
    while text := file.readline(LONGEST_ROW + 1):
        number += 1
        if len(text) <= LONGEST_ROW:
            yield number, text
            continue
        while text and not text.endswith(("\n", "\r")):
            text = file.readline(LONGEST_ROW)
        yield number, None


def _cells(text: str, lines: _Lines, separator: str, columns: int) -> list[str]:
    """The cells of a row that begins with `text` and, where a quote is open at its end, goes on in `lines`.

    Where no end of the quote makes a row of all columns of it, only the first line is lost.
    """
    taken: list[tuple[int, str | None]] = []
    while True:
        try:
            cells = next(csv.reader([text], delimiter=separator, strict=True))
            if not taken or len(cells) == columns:
                return _checked(cells, text, separator, columns)
            error: csv.Error | None = None
        except csv.Error as caught:
            error = caught
        more = _to_next_quote(lines, taken) if error is not None and _NEVER_CLOSED in str(error) else None
        if more is None or len(text) + len(more) > LONGEST_ROW:
            lines.put_back(taken)
            raise MessageError(_about_quotes(error)) from error
        text += more


def _to_next_quote(lines: _Lines, taken: list[tuple[int, str | None]]) -> str | None:
    """The next lines up to one with a quote, which are added to `taken`; None where there is none near."""
    more = ""
    while len(taken) < _LINES_OF_A_CELL and (line := lines.next()):
        taken.append(line)
        if line[1] is None:
            return None
        more += line[1]
        if '"' in line[1]:
            return more
    return None


def _checked(cells: list[str], text: str, separator: str, columns: int) -> list[str]:
    if len(cells) > columns:
        raise MessageError(
            f"{len(cells)} cells where the header has {columns}; put a text that holds {separator!r} into double quotes"
        )
    if spoilt := _SPOILT.search(text):
        raise MessageError(_about_spoilt(text, spoilt))
    return cells + [""] * (columns - len(cells))


def _about_quotes(error: csv.Error | None) -> str:
    if error is not None and "field larger" in str(error):
        return f"a cell has more than {csv.field_size_limit():,} characters; shorten it"
    if error is None or _NEVER_CLOSED in str(error):
        return "a double quote that opens a cell is never closed; close it, or remove it"
    return 'a double quote stands inside a quoted cell; write it twice ("")'


def _about_spoilt(text: str, spoilt: re.Match[str]) -> str:
    near = ascii(text[max(0, spoilt.start() - 20) : spoilt.start() + 20])
    if spoilt[0] == "\x00":
        return f"a NUL character in {near}; remove it"
    if spoilt[0] == "\ufffd":
        return f"{near} is in another encoding than the rest of the file; save the whole file as UTF-8"
    return f"{near} holds half a character; write it whole"


def _too_long(place: str) -> MessageError:
    return MessageError(f"{place}: longer than {LONGEST_ROW:,} characters; shorten its texts")


def _header(text: str, separator: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in next(csv.reader([text], delimiter=separator), []))


def _first_keys(file: TextIO) -> tuple[str, ...]:
    for _, text in _lines(file):
        if text is not None and text.strip():
            try:
                return tuple(_object(text))
            except MessageError:
                continue
    return ()


def _object(text: str) -> dict[str, Any]:
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"not JSON ({error}); expected one object a line") from error
    if not isinstance(plain, dict):
        raise MessageError(f"a {type(plain).__name__} instead of an object; expected {{...}}")
    for one in _texts(plain):
        if spoilt := _SPOILT.search(one):
            raise MessageError(_about_spoilt(one, spoilt))
    return plain


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
