"""Reads the files of an agreed split of plays: tables of plays, items and tags, sequences, and critiques.

In: a folder. Out: plain mappings by id, in the order of the files. Where a file is absent the task that needs it is
skipped; where a line cannot be read, its number is told. Knows no task and no recommender.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mllm.errors import ConfigError
from mllm.eval.music import AbsentError


def plays(folder: Path, name: str) -> dict[str, dict[str, float]]:
    """By user: how often he played each item. Columns `user`, `item`, `plays`."""
    found: dict[str, dict[str, float]] = {}
    for place, row in _table(folder / name, ("user", "item", "plays")):
        found.setdefault(row["user"], {})[row["item"]] = _count(row["plays"], place)
    return found


def names(folder: Path, name: str) -> dict[str, str]:
    """By item: what it is called. Columns `item`, `name`."""
    return {row["item"]: row["name"] for _, row in _table(folder / name, ("item", "name"))}


def tags(folder: Path, name: str) -> dict[str, dict[str, float]]:
    """By item: its tags, and how many people gave it each. Columns `item`, `tag`, `n`."""
    found: dict[str, dict[str, float]] = {}
    for place, row in _table(folder / name, ("item", "tag", "n")):
        found.setdefault(row["item"], {})[row["tag"]] = _count(row["n"], place)
    return found


def attributes(folder: Path, name: str) -> dict[str, dict[str, float]]:
    """By item: its tags by number, and how often it has each. A JSON object of lists."""
    path = _there(folder / name)
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return {
            item: {str(tag): float(count) for tag, count in Counter(numbers).items()} for item, numbers in read.items()
        }
    except (ValueError, AttributeError, TypeError) as error:
        raise ConfigError(f"{path}: expected a JSON object of lists of numbers, by item ({error})") from error


def sequences(folder: Path, name: str) -> dict[str, tuple[str, ...]]:
    """By user: what he listened to, the earliest first. A line a user: his id, then ids of items, each once."""
    path = _there(folder / name)
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        user, *items = line.split()
        if len(set(items)) < max(2, len(items)) or user in found:
            raise ConfigError(f"{path}, line {number}: expected a user who is new and two items or more, each once")
        found[user] = tuple(items)
    return found


def critiques(folder: Path, name: str) -> list[Mapping[str, Any]]:
    """A line of JSON each: `user`, `target`, `first_rec`, tags that he likes (`like`) and refuses (`avoid`), `text`."""
    path = _there(folder / name)
    found: list[Mapping[str, Any]] = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        try:
            row = json.loads(line)
            found.append(
                {
                    "user": str(row["user"]),
                    "target": str(row["target"]),
                    "first": str(row["first_rec"]),
                    "wanted": tuple(row["like"]),
                    "refused": tuple(row["avoid"]),
                    "text": str(row["text"]),
                }
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{path}, line {number}: expected an object with user, target, first_rec, like, avoid and text "
                f"({type(error).__name__}: {error})"
            ) from error
    return found


def _table(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a table with tabs, each with its place for messages."""
    lines = csv.reader(_text(_there(path)).splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    header = next(lines, [])
    if missing := [one for one in columns if one not in header]:
        raise ConfigError(
            f"{path} has no column {', '.join(missing)}; expected {', '.join(columns)}, with tabs between"
        )
    for number, cells in enumerate(lines, start=2):
        place = f"{path}, line {number}"
        if len(cells) != len(header):
            raise ConfigError(f"{place}: it has {len(cells)} columns and the first line {len(header)}")
        yield place, dict(zip(header, cells, strict=True))


def _count(text: str, place: str) -> float:
    try:
        count = float(text)
    except ValueError:
        count = 0.0
    if not 0 < count < float("inf"):
        raise ConfigError(f"{place}: a count is {text!r}; expected a number above 0")
    return count


def _there(path: Path) -> Path:
    if not path.is_file():
        raise AbsentError(f"{path.name} is not in {path.parent}")
    return path


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8 ({error})") from error
