"""Reads predictions that were made elsewhere: files of one JSON object a line, whatever is wrong with them.

In: a file of predictions with their references in each line, or two files joined by id. Out: items in order, each with
a prediction or none and its references, and what was wrong, counted, with line numbers. Every item stays: what is
missing or cannot be read is an empty answer. Nothing is ever run as code. Knows no figure.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mllm.errors import ConfigError

LONGEST_CHARACTERS = 20_000
"""Of one text; what is longer is scored by its beginning, so that one answer cannot hold up all others."""
_NAMED = 4
"""How many lines or ids of a kind of problem are named."""
_EMPTY = "count as empty predictions"
_LEFT_OUT = "are left out"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
    """What is scored."""

    id: str
    """As the files call it, or "line 7" where they give no ids."""
    prediction: Any
    """As JSON gives it; None: there is none, or none that can be read."""
    truth: Mapping[str, Any] | None
    """The line that holds the references; None where it cannot be read."""


class Problems:
    """What was wrong, counted by kind."""

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}

    def add(self, kind: str, place: str) -> None:
        """Note one.

        Args:
            kind: what they are and what becomes of them, in the plural.
            place: the line or the id.
        """
        self._places.setdefault(kind, []).append(place)

    def add_all(self, others: Problems) -> None:
        """Note those of another file that are not noted yet: a truth is read once for each system."""
        for kind, places in others._places.items():
            known = self._places.setdefault(kind, [])
            known += [place for place in places if place not in known]

    def sentences(self) -> list[str]:
        """A sentence a kind: how often, and the first places."""
        return [f"{kind}: {len(places):,} ({_listed(places)})" for kind, places in self._places.items()]

    def __bool__(self) -> bool:
        return bool(self._places)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Line:
    number: int
    fields: Mapping[str, Any] | None
    """None where it is no JSON object."""

    @property
    def id(self) -> str | None:
        given = None if self.fields is None else self.fields.get("id")
        return str(given) if isinstance(given, str | int) and not isinstance(given, bool) else None


def read(path: Path, references: Path | None, problems: Problems) -> list[Item]:
    """The items of one file, or of a file of predictions and a file of references joined by id.

    Args:
        path: lines {"prediction", ...} with the references in the same line, unless `references` is given; `id` may
            stand in each.
        references: lines {"id", ...}: then these are the items, and predictions without one of their ids are left out.
        problems: what is wrong is added here.

    Raises:
        ConfigError: a file cannot be opened, or there are no items.
    """
    lines = list(_lines(path, problems))
    if references is None:
        items = [
            Item(id=name, prediction=_prediction(line, problems), truth=line.fields)
            for name, line in _unique(lines, path, problems).items()
        ]
    else:
        truths = _unique(
            _with_ids(list(_lines(references, problems, _LEFT_OUT)), references, problems), references, problems
        )
        items = _joined(truths, _unique(_with_ids(lines, path, problems), path, problems), path, problems)
    if not items:
        raise ConfigError(f"{references or path} holds no line that can be scored; expected one JSON object a line")
    return items


def read_again(path: Path, items: list[Item], problems: Problems) -> list[Item]:
    """The same items with the predictions of another file: joined by id, or by line where the items have no ids.

    Raises:
        ConfigError: the file cannot be opened.
    """
    said = _unique(list(_lines(path, problems)), path, problems)
    return _joined({item.id: _Line(number=0, fields=item.truth) for item in items}, said, path, problems)


def text_of(value: Any, place: str, problems: Problems) -> str:
    """A prediction as a text: empty where it is none, cut where it is very long."""
    if value is None:
        return ""
    if not isinstance(value, str):
        problems.add(f"predictions that are {_kind(value)} instead of a text, which count as empty", place)
        return ""
    if not value.strip():
        problems.add("empty predictions, which count as wrong", place)
    return _cut(value, place, problems)


def references_of(item: Item, problems: Problems) -> list[str]:
    """The references of an item: texts that are not empty; none where there are none."""
    given = None if item.truth is None else item.truth.get("references")
    texts = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    found = [_cut(text, item.id, problems) for text in texts if isinstance(text, str) and text.strip()]
    if item.truth is not None and len(found) < len(texts):
        problems.add("items with references that are empty or no texts, which are left out", item.id)
    if item.truth is not None and not found:
        problems.add('items without "references" (a list of texts), which count as wrong', item.id)
    return found


def _lines(path: Path, problems: Problems, consequence: str = _EMPTY) -> Iterator[_Line]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror or error}); give a file of JSON lines") from error
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            yield _Line(number=number, fields=_parsed(line, f"line {number} of {path.name}", problems, consequence))


def _parsed(line: bytes, place: str, problems: Problems, consequence: str) -> dict[str, Any] | None:
    """The object in a line. Of a line that is not UTF-8 everything but its prediction is used."""
    try:
        text = line.decode("utf-8-sig")
        whole = True
    except UnicodeDecodeError:
        problems.add("lines that are not UTF-8, the predictions of which count as empty", place)
        text, whole = line.decode("utf-8", errors="replace"), False
    strange: list[str] = []
    try:
        found = json.loads(text, parse_constant=strange.append)
    except (ValueError, RecursionError):
        problems.add(f"lines that are no JSON, which {consequence}", place)
        return None
    if not isinstance(found, dict):
        problems.add(f"lines that hold no JSON object, which {consequence}", place)
        return None
    if strange:
        problems.add("lines with NaN or Infinity, which is no JSON and is read as nothing", place)
    return found if whole else {**found, "prediction": None}


def _unique(lines: list[_Line], path: Path, problems: Problems) -> dict[str, _Line]:
    """Lines by id, the first of each; a line without an id by its number."""
    found: dict[str, _Line] = {}
    for line in lines:
        name = line.id or f"line {line.number}"
        if name in found:
            problems.add(f"ids that stand in {path.name} more than once, of which the first line counts", name)
        else:
            found[name] = line
    return found


def _with_ids(lines: list[_Line], path: Path, problems: Problems) -> list[_Line]:
    found = []
    for line in lines:
        if line.id is not None:
            found.append(line)
        elif line.fields is not None:
            problems.add(f'lines of {path.name} without "id", which are left out', f"line {line.number}")
    return found


def _joined(truths: Mapping[str, _Line], said: Mapping[str, _Line], path: Path, problems: Problems) -> list[Item]:
    for name in said:
        if name not in truths:
            problems.add(f"ids of {path.name} that have no references, which are left out", name)
    items = []
    for name, truth in truths.items():
        if name not in said:
            problems.add(f"ids without a prediction in {path.name}, which count as empty predictions", name)
        prediction = _prediction(said[name], problems) if name in said else None
        items.append(Item(id=name, prediction=prediction, truth=truth.fields))
    return items


def _prediction(line: _Line, problems: Problems) -> Any:
    if line.fields is not None and "prediction" not in line.fields:
        problems.add('lines without "prediction", which count as empty predictions', f"line {line.number}")
    return None if line.fields is None else line.fields.get("prediction")


def _cut(text: str, place: str, problems: Problems) -> str:
    if len(text) > LONGEST_CHARACTERS:
        problems.add(f"texts longer than {LONGEST_CHARACTERS:,} characters, of which that much is scored", place)
    # A lone half of a surrogate pair is JSON, but no text.
    return text[:LONGEST_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def _kind(value: object) -> str:
    names = {bool: "true or false", int: "numbers", float: "numbers", list: "lists"}
    return names.get(type(value), "objects")


def _listed(places: list[str]) -> str:
    more = len(places) - _NAMED
    return ", ".join(places[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
