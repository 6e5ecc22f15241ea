"""Who listened to what: Last.fm as HetRec 2011, the Last.fm sets of 1,000 and 360,000 users, or tables of your own.

In: a folder that holds one of
- HetRec: user_artists.dat (userID, artistID, weight), artists.dat (id, name, url, pictureURL), tags.dat (tagID,
  tagValue) and user_taggedartists.dat (userID, artistID, tagID, day, month, year), with headers, separated by tabs;
- Last.fm-1K: userid-timestamp-artid-artname-traid-traname.tsv, Last.fm-360K: usersha1-artmbid-artname-plays.tsv, both
  without headers, separated by tabs; artists are the items;
- your own: one table with the columns user, item and any of count and time, one with item, name and tags ("|" between
  them), and, if you like, one with item, tag and count.
Out: a catalogue with histories, and records that `augment/dialogue.py` and `augment/item_tasks.py` make of these, which
also say who belongs to which split.

Columns of HetRec and of both Last.fm sets are as their READMEs give them. Rows that cannot be read are errors of
`records`, at most `MOST_TOLD` of them in words.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mllm import registry
from mllm.errors import ConfigError, MessageError, MllmError
from mllm.instruct_data.interactions import Interactions
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _sheets
from mllm.instruct_data.sources._files import About, found
from mllm.instruct_data.sources._plays import Gathered, count_of, time_of
from mllm.instruct_data.tracks import SPLITS

ABOUT = About(
    title="Listening: Last.fm, HetRec, or your own",
    licence="Last.fm sets and HetRec 2011: research, non-commercial; your own tables: yours to say",
    citation="Cantador, Brusilovsky, Kuflik: HetRec 2011, RecSys 2011; Celma: Music Recommendation and Discovery, "
    "Springer 2010",
    where="unpack hetrec2011-lastfm-2k.zip from https://grouplens.org/datasets/hetrec-2011/, or "
    "lastfm-dataset-1K.tar.gz or -360K from http://ocelma.net/MusicRecommendationDataset/, or give plays.csv with the "
    "columns user,item,count and items.csv with item,name,tags",
    needs={
        "user_artists.dat": "plays of HetRec",
        "artists.dat": "names of its artists",
        "tags.dat": "its tags",
        "user_taggedartists.dat": "who gave which tag",
        "plays.csv": "plays of your own",
        "items.csv": "names and tags of your own",
    },
)
RESEARCH = "research, non-commercial"
MOST_TOLD = 50
TASKS = ("dialogue", "item_tasks")
"""Files of `augment/` that make records of interactions."""

_HETREC = "user_artists.dat"
_ONE_THOUSAND = "userid-timestamp-artid-artname-traid-traname.tsv"
_MANY = "usersha1-artmbid-artname-plays.tsv"
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "user": ("user", "user_id", "userid", "listener"),
    "item": ("item", "item_id", "itemid"),
    "count": ("count", "plays", "weight", "n"),
    "time": ("time", "timestamp", "date"),
    "name": ("name", "title"),
    "tags": ("tags",),
    "tag": ("tag",),
}
_MEANING_OF = {name: means for means, names in _COLUMNS.items() for name in names}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """Which tables of your own are meant, where there are several of a kind."""

    plays: str | None = None
    items: str | None = None
    tags: str | None = None


def interactions(
    folder: Path,
    *,
    licence: str | None = None,
    plays: str | None = None,
    items: str | None = None,
    tags: str | None = None,
) -> Interactions:
    """The catalogue and the histories of all rows that can be read; arguments as in `records`."""
    return _read(folder, licence, Choice(plays=plays, items=items, tags=tags), lambda _: None)


def records(
    folder: Path,
    *,
    seed: int = 0,
    licence: str | None = None,
    plays: str | None = None,
    items: str | None = None,
    tags: str | None = None,
    per_listener: int = 2,
) -> Iterator[Record | MllmError]:
    """Conversations made of the histories.

    Args:
        folder: with the tables.
        seed: of every choice.
        licence: of tables of your own.
        plays: the table with users, where there are several.
        items: the table with names, where there are several.
        tags: the table with a tag a row, where there are several.
        per_listener: records of each kind about each listener.

    Raises:
        ConfigError: the tables are missing, or nobody says under which licence they are.
    """
    problems: list[MllmError] = []
    everything = _read(folder, licence, Choice(plays=plays, items=items, tags=tags), problems.append)
    yield from problems[:MOST_TOLD]
    if len(problems) > MOST_TOLD:
        yield MessageError(f"{len(problems) - MOST_TOLD:,} more rows could not be read")
    for split in SPLITS:
        for task in TASKS:
            made = registry.find("augmentation", task).records
            yield from made(everything, seed=seed, per_listener=per_listener, split=split)


def _read(folder: Path, licence: str | None, choice: Choice, tell: Callable[[MllmError], Any]) -> Interactions:
    gathered = Gathered()
    published: dict[str, Callable[[Path, Gathered, Callable[[MllmError], Any]], None]] = {
        _HETREC: _hetrec,
        _ONE_THOUSAND: _one_thousand,
        _MANY: _many,
    }
    for name, read in published.items():
        if (folder / name).is_file() and choice == Choice():
            read(folder, gathered, tell)
            return gathered.interactions(source="interactions", licence=RESEARCH)
    tables = _own_tables(folder, choice)
    if licence is None:
        raise ConfigError(
            f"nobody says under which licence the tables in {folder} are; give it with licence: CC0-1.0 (or what it "
            "is) in the configuration"
        )
    _own(tables, gathered, tell)
    return gathered.interactions(source="interactions", licence=licence)


def _hetrec(folder: Path, gathered: Gathered, tell: Callable[[MllmError], Any]) -> None:
    words: dict[str, str] = {}
    for name, wanted, take in (
        ("artists.dat", ("id", "name"), lambda artist, name: gathered.name(artist, name)),
        ("tags.dat", ("tagID", "tagValue"), lambda tag, word: words.update({tag: word})),
        (
            "user_taggedartists.dat",
            ("artistID", "tagID"),
            lambda artist, tag: gathered.tag(artist, words[tag]) if tag in words else None,
        ),
        (
            _HETREC,
            ("userID", "artistID", "weight"),
            lambda user, artist, weight: gathered.play(user, artist, count_of(weight)),
        ),
    ):
        for place, cells in _headed(found(folder, name, ABOUT), wanted, tell):
            try:
                take(*cells)
            except MllmError as error:
                tell(MessageError(f"{place}: {error}"))


def _one_thousand(folder: Path, gathered: Gathered, tell: Callable[[MllmError], Any]) -> None:
    for place, cells in _lines(folder / _ONE_THOUSAND):
        try:
            user, time, artist, name, *_ = cells
            identity = _identity(artist, name)
            gathered.play(user, identity, time=time_of(time))
            gathered.name(identity, name)
        except (ValueError, MllmError) as error:
            tell(MessageError(f"{place}: not a user, a time, an artist's id and name, and a track ({error})"))


def _many(folder: Path, gathered: Gathered, tell: Callable[[MllmError], Any]) -> None:
    for place, cells in _lines(folder / _MANY):
        try:
            user, artist, name, plays = cells
            identity = _identity(artist, name)
            gathered.play(user, identity, count_of(plays.strip()))
            gathered.name(identity, name)
        except (ValueError, MllmError) as error:
            tell(MessageError(f"{place}: not a user, an artist's id and name, and a count ({error})"))


def _identity(artist: str, name: str) -> str:
    """Of an artist: MusicBrainz's, or the name of one that has none there."""
    if not name.strip():
        raise MessageError("the artist has no name")
    return artist.strip() or f"name:{name.strip().lower()}"


def _own_tables(folder: Path, choice: Choice) -> dict[str, _sheets.Table]:
    """The tables of one's own by what they hold.

    Raises:
        ConfigError: there are none, or several of a kind.
    """
    paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in (".csv", ".tsv") and path.is_file()]
    by_kind: dict[str, list[_sheets.Table]] = {"plays": [], "items": [], "tags": []}
    for path in paths:
        table = _sheets.opened(path, known=lambda column: column.strip().lower() in _MEANING_OF)
        if kind := _kind(table.columns):
            by_kind[kind].append(table)
    chosen: dict[str, _sheets.Table] = {}
    for kind, tables in by_kind.items():
        wanted = getattr(choice, kind)
        of_kind = [table for table in tables if wanted in (None, table.path.name)]
        if wanted is not None and not of_kind:
            raise ConfigError(f"there is no table of {kind} named {wanted!r} in {folder}; {ABOUT.where}")
        if len(of_kind) > 1:
            names = ", ".join(table.path.name for table in of_kind)
            raise ConfigError(f"{folder} has several tables of {kind} ({names}); name one as {kind}")
        if of_kind:
            chosen[kind] = of_kind[0]
    if "plays" not in chosen:
        raise ConfigError(f"{folder} holds neither {_HETREC} nor plays.csv nor another table of plays; {ABOUT.where}")
    return chosen


def _kind(columns: Sequence[str]) -> str | None:
    has = {_MEANING_OF.get(column.strip().lower()) for column in columns}
    if "item" not in has:
        return None
    if "user" in has:
        return "plays"
    return "items" if "name" in has else "tags" if "tag" in has else None


def _own(tables: Mapping[str, _sheets.Table], gathered: Gathered, tell: Callable[[MllmError], Any]) -> None:
    listed = "items" in tables
    for kind in ("items", "tags", "plays"):
        if kind not in tables:
            continue
        for remark in tables[kind].remarks():
            tell(remark)
        for row in tables[kind].rows():
            if isinstance(row, MllmError):
                tell(row)
                continue
            cells = {
                _MEANING_OF.get(name.strip().lower(), ""): str(value).strip() for name, value in row.fields.items()
            }
            try:
                _take(kind, cells, gathered, listed=listed)
            except MllmError as error:
                tell(MessageError(f"{row.place}: {error}"))


def _take(kind: str, cells: Mapping[str, str], gathered: Gathered, *, listed: bool) -> None:
    """One row of one's own table."""
    item = cells["item"]
    if not item:
        raise MessageError("the item is empty; give its id")
    if kind == "items":
        if item in gathered.names:
            raise MessageError(f"the item {item!r} stood in an earlier row; give each item once")
        if not cells["name"]:
            raise MessageError(f"the item {item!r} has no name; give it one")
        gathered.name(item, cells["name"])
        for place, word in enumerate(filter(None, (one.strip() for one in cells.get("tags", "").split("|")))):
            gathered.tag(item, word, 1 / (place + 1))  # those first in the list come first
        return
    if listed and item not in gathered.names:
        raise MessageError(f"the item {item!r} is not in the table of items; add it there")
    count = count_of(cells["count"]) if cells.get("count") else 1.0
    if kind == "tags":
        gathered.tag(item, cells["tag"], count)
        return
    if not cells["user"]:
        raise MessageError("the user is empty; give an id")
    gathered.play(cells["user"], item, count, time_of(cells["time"]) if cells.get("time") else None)


def _headed(path: Path, wanted: Sequence[str], tell: Callable[[MllmError], Any]) -> Iterator[tuple[str, list[str]]]:
    """Cells of the wanted columns of a table with a header, separated by tabs and without quotes.

    Raises:
        ConfigError: a column is missing.
    """
    lines = _lines(path)
    _, header = next(lines, ("", []))
    if missing := [name for name in wanted if name not in header]:
        raise ConfigError(f"{ABOUT.title}: {path} lacks the column {' and '.join(missing)}; {ABOUT.where}")
    places = [header.index(name) for name in wanted]
    for place, cells in lines:
        if len(cells) != len(header):
            tell(MessageError(f"{place}: {len(cells)} cells, expected {len(header)}; fetch the file again"))
        else:
            yield place, [cells[number] for number in places]


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The cells of each line, with its place; HetRec's tags are not all UTF-8."""
    with path.open(encoding=_sheets.encoding_of(path).name, errors="replace", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield f"{path.name} line {number}", line.rstrip("\r\n").split("\t")
