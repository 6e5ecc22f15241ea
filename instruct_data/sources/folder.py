"""A folder of your own: recordings, and what you know of them in a table, in text files, or as conversations.

In: a folder, read as the first of these that it holds, as `mllm train` reads it:
1. JSONL files of conversations (`{"messages": [...]}` a line); those named validation*.jsonl are for validation;
2. `metadata.csv` or `metadata.jsonl`, or else the one table (*.csv, *.tsv, *.jsonl, of any name) with a column for the
   recording: `file_name` and any of the columns of `_own_columns.MEANINGS`;
3. recordings with a text file of the same name beside them, `song.mp3` and `song.txt`, sub-folders included.
Out: records of what you wrote, as it stands, and records about the facts in the table; for a row that cannot be used,
an error with its number and what to do. Tables may be separated by comma, semicolon, tab or "|" and be in any encoding.

A licence is needed for everything: a column, a key of the line, or one for all. Nothing outside the folder is opened.
A file may have several rows; facts about it stand in the first. Rows stream; tracks are held once, to be asked about.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mllm.errors import ConfigError, MessageError, MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _labelled, _own_columns, _own_files, _own_talks, _sheets, _written
from mllm.instruct_data.sources._files import About
from mllm.instruct_data.sources._own_files import LARGEST_BYTES, OwnRecordings
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="A folder of your own",
    licence="yours to say",
    citation="your own",
    where="put a table such as metadata.csv with the columns file_name, caption and licence beside your recordings, or "
    "song.txt beside song.mp3, or a JSONL file of conversations",
    needs={"metadata.csv": "a table of any name and what it says of each recording", "*.mp3": "recordings, anywhere"},
)
METADATA = ("metadata.csv", "metadata.tsv", "metadata.jsonl")
TABLES = (".csv", ".tsv", *_sheets.JSON_ENDINGS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Said:
    """What one row says."""

    place: str
    name: str
    """Of its records."""
    track: Track
    question: tuple[str, str] | None
    known: bool
    """Whether an earlier row is about the same recording."""


def tracks(
    folder: Path, *, licence: str | None = None, table: str | None = None, largest_bytes: int = LARGEST_BYTES
) -> Iterator[Track | MllmError]:
    """Every recording of a table or with a text beside it, and what is known of it; options as in `records`."""
    for said in _said(folder, _Options(licence, table, largest_bytes)):
        if isinstance(said, MllmError):
            yield said
        elif isinstance(said, _Said) and not said.known:
            yield said.track


def records(
    folder: Path,
    *,
    seed: int = 0,
    licence: str | None = None,
    table: str | None = None,
    largest_bytes: int = LARGEST_BYTES,
    per_track: int = _labelled.PER_TRACK,
) -> Iterator[Record | MllmError]:
    """What was written, then conversations about the facts of the table.

    Args:
        folder: with the recordings.
        seed: of every choice.
        licence: of all recordings for which nobody says another, such as "CC-BY-4.0".
        table: the name of the file to read, where there are several.
        largest_bytes: of a recording; a larger one is an error and is not read.
        per_track: conversations about the facts of each recording; 0: only what was written.

    Raises:
        ConfigError: the folder says nothing of its recordings, or nobody says under which licence they are.
    """
    heard: list[Track | MllmError] = []
    for said in _said(folder, _Options(licence, table, largest_bytes)):
        if not isinstance(said, _Said):
            yield said
            continue
        for number, caption in enumerate(said.track.captions or (), start=1):
            yield _written.caption(
                said.track, caption, said.name if number == 1 else f"{said.name}:{number}", seed=seed
            )
        if said.question:
            yield _written.questions(said.track, [said.question], f"{said.name}:question")
        if not said.known and per_track:
            heard.append(said.track)
    yield from _labelled.records_of(heard, seed=seed, per_track=per_track)


@dataclasses.dataclass(frozen=True)
class _Options:
    licence: str | None
    table: str | None
    largest_bytes: int


def _said(folder: Path, options: _Options) -> Iterator[_Said | Record | MllmError]:
    """What every row, text file or line says; records are whole conversations."""
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder; {ABOUT.where}")
    if options.licence is not None and not options.licence.strip():
        raise ConfigError("licence is empty; give its name, such as licence: CC-BY-4.0")
    recordings = OwnRecordings(folder, largest_bytes=options.largest_bytes)
    talks, sheet = _tables(folder, options)
    if talks:
        yield from _own_talks.records(talks, recordings, licence=options.licence)
    elif sheet is not None:
        yield from _rows(sheet, recordings, options)
    else:
        yield from _texts(folder, recordings, options)


def _tables(folder: Path, options: _Options) -> tuple[list[_sheets.Table], _sheets.Table | None]:
    """Files of conversations; or the one table.

    Raises:
        ConfigError: there are several tables, or none of them names recordings.
    """
    if options.table is not None:
        if not (folder / options.table).is_file():
            raise ConfigError(f"there is no table {options.table!r} in {folder}; give the name of a file in it")
        opened = _opened(folder / options.table)
        return ([opened], None) if _talks(opened) else ([], _named(opened))
    paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in TABLES and path.is_file()]
    lines = [path for path in paths if path.suffix.lower() in _sheets.JSON_ENDINGS and path.name not in METADATA]
    if talks := [table for table in map(_opened, lines) if _talks(table)]:
        return talks, None
    first = [folder / name for name in METADATA if (folder / name).is_file()]
    if first:
        return [], _named(_opened(first[0]))
    tables = [_opened(path) for path in paths]
    naming = [table for table in tables if any(_own_columns.meaning(name) == "file" for name in table.columns)]
    if len(naming) > 1:
        names = ", ".join(table.path.name for table in naming)
        raise ConfigError(
            f"{folder} has several tables ({names}); say which is meant, such as table: {names.split(',')[0]}"
        )
    if not naming and len(tables) == 1:
        return [], _named(tables[0])
    return [], naming[0] if naming else None


def _opened(path: Path) -> _sheets.Table:
    return _sheets.opened(path, known=lambda column: _own_columns.meaning(column) is not None)


def _talks(table: _sheets.Table) -> bool:
    return table.separator is None and "messages" in table.columns


def _named(table: _sheets.Table) -> _sheets.Table:
    _own_columns.check(table.columns, str(table.path))
    return table


def _rows(table: _sheets.Table, recordings: OwnRecordings, options: _Options) -> Iterator[_Said | MllmError]:
    if options.licence is None and not any(_own_columns.meaning(name) == "licence" for name in table.columns):
        raise ConfigError(_about_licence(f"no column of {table.path.name}"))
    yield from table.remarks()
    if unknown := _own_columns.about_unknown(table.columns):
        yield _sheets.Remark(f"{table.path.name}: {unknown}")
    seen = _Seen()
    for row in table.rows():
        if isinstance(row, MllmError):
            yield row
            continue
        try:
            entry = _own_columns.entry(row.fields)
            yield _said_of(entry, row, f"{table.path.name}:{row.number}", recordings, options, seen)
        except MllmError as error:
            yield type(error)(f"{row.place}: {error}")


class _Seen:
    """Which recordings and texts there were, so that nothing stands there twice; a few bytes of each row."""

    def __init__(self) -> None:
        self.first: dict[str, tuple[str, int]] = {}
        """By recording and stretch: the row that told of it first, and what it said, hashed."""
        self.ids: dict[str, str] = {}
        """By id: recording and stretch."""
        self._texts: set[int] = set()

    def again(self, stretch: str, texts: tuple[Any, ...]) -> bool:
        """Whether all of this was said of the same stretch."""
        hashed = hash((stretch, texts))
        before = hashed in self._texts
        self._texts.add(hashed)
        return before


def _said_of(
    entry: _own_columns.Entry,
    row: _sheets.Row,
    name: str,
    recordings: OwnRecordings,
    options: _Options,
    seen: _Seen,
) -> _Said:
    licence = entry.licence or options.licence
    if licence is None:
        raise MessageError(_about_licence("neither this row nor the configuration"))
    heard = recordings.named(entry.file)
    if (entry.start or 0) >= heard.seconds or (entry.end or 0) > heard.seconds + _ROUNDED:
        raise MessageError(
            f"{heard.path} has {heard.seconds:.2f} s, the row asks for {entry.start or 0:g} to {entry.end or 0:g} s; "
            "mend start and end"
        )
    whole = entry.start is None and entry.end is None
    stretch = (
        heard.path if whole else f"{heard.path}#{entry.start or 0:g}-{'' if entry.end is None else f'{entry.end:g}'}"
    )
    if seen.again(stretch, (entry.captions, entry.question)):
        raise MessageError(f"{stretch} stood in an earlier row with the same texts; remove one of them")
    known = _first_time(entry, row, stretch, seen)
    identity = entry.id or stretch
    track = Track(
        id=f"folder/{identity}",
        path=heard.path,
        start=entry.start,
        end=entry.end,
        seconds=(heard.seconds if entry.end is None else min(entry.end, heard.seconds)) - (entry.start or 0.0),
        source="folder",
        licence=licence,
        split=entry.split or "train",
        family=f"folder/{entry.family or heard.path}",
        captions=entry.captions or None,
        **entry.facts,
    )
    return _Said(place=row.place, name=name, track=track, question=entry.question, known=known)


_ROUNDED = 0.5
"""A stretch may be said to end so much later than its file does, as many tables round."""


def _first_time(entry: _own_columns.Entry, row: _sheets.Row, stretch: str, seen: _Seen) -> bool:
    """Whether the recording is known from an earlier row, which this one may not contradict."""
    if entry.id is not None and seen.ids.setdefault(entry.id, stretch) != stretch:
        raise MessageError(f"the id {entry.id!r} is that of {seen.ids[entry.id]} too; give each recording its own")
    facts = hash(
        (entry.id, entry.split, entry.family, *sorted((name, str(value)) for name, value in entry.facts.items()))
    )
    if stretch not in seen.first:
        seen.first[stretch] = (row.place, facts)
        return False
    place, before = seen.first[stretch]
    if facts != before and (entry.facts or entry.split or entry.family or entry.id):
        raise MessageError(
            f"it says other things of {stretch} than {place} does; leave all but file and texts empty in the later rows"
        )
    return True


def _texts(folder: Path, recordings: OwnRecordings, options: _Options) -> Iterator[_Said | MllmError]:
    texts = {path.with_suffix(""): path for path in sorted(folder.rglob("*")) if path.suffix.lower() == ".txt"}
    pairs = [
        (path, texts[path.with_suffix("")]) for path in _own_files.audio_files(folder) if path.with_suffix("") in texts
    ]
    if not pairs:
        raise ConfigError(
            f"the folder {folder} says nothing of its recordings: there is no metadata.csv, no other table, no JSONL "
            f"file and no text beside a recording; {ABOUT.where}"
        )
    if options.licence is None:
        raise ConfigError(_about_licence("nobody"))
    for path, text in pairs:
        place = text.relative_to(folder).as_posix()
        try:
            caption = _sheets.text_of(text)
            if not caption:
                raise MessageError("the file is empty; write the caption of the recording into it")
            heard = recordings.named(path.relative_to(folder).as_posix())
        except MllmError as error:
            yield type(error)(f"{place}: {error}")
            continue
        track = Track(
            id=f"folder/{heard.path}",
            path=heard.path,
            seconds=heard.seconds,
            source="folder",
            licence=options.licence,
            family=f"folder/{heard.path}",
            captions=(caption,),
        )
        yield _Said(place=place, name=place, track=track, question=None, known=False)


def _about_licence(who: str) -> str:
    return (
        f"{who} says under which licence the recordings are; add a column licence, or give one for all with "
        "licence: CC-BY-4.0 (or whatever it is) in the configuration (--licence with --folder)"
    )
