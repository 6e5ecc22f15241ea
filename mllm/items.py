"""Catalogue items as the model takes them: an id in, the rows of features that stand for the item out.

In: the directory of a catalogue. Out: features by id, checked against what a model was trained on. Features are read
from disk when they are asked for. Knows no model, no prompts, and not how features came to be.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import safetensors
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor

from mllm import strict_io
from mllm.errors import CatalogueError, CheckpointError, ConfigError, ItemError

SETTINGS_NAME = "catalogue.json"
ITEMS_NAME = "items.jsonl"
FEATURES_NAME = "item_features.safetensors"
FORMAT = 1
ROWS_PER_SECOND = 1.0
"""Adapters think in frames a second; a row of features counts as a second."""
_TENSOR = "features"
_NEAR_AMONG = 20_000
"""Near ids are looked for in catalogues up to this size; in larger ones it would take seconds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ItemSpace:
    """What the features of an item are; a model and a catalogue fit together where all of it agrees."""

    name: str
    """Of whatever made the features: those of another maker mean something else, even if they have the same shape."""
    rows: int = 1
    """Rows of features an item, such as one for behaviour and one for content."""
    width: int
    """Numbers in a row."""

    def __post_init__(self) -> None:
        problems = [
            f"{key} is {getattr(self, key)}; expected 1 or more" for key in ("rows", "width") if getattr(self, key) < 1
        ]
        if not self.name:
            problems.append("name is empty; expected that of what made the features")
        if problems:
            raise ConfigError("; ".join(problems))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Settings:
    format: int
    space: str
    rows: int
    width: int


class Catalogue:
    """An opened catalogue; see `open` and `write`.

    Args:
        directory: of the catalogue.
        space: of its features.
        names: of the items by id, in the order of the features.
    """

    def __init__(self, directory: Path, space: ItemSpace, names: Mapping[str, str]) -> None:
        self.directory = directory
        self.space = space
        self._names = dict(names)
        self._places = {item: index for index, item in enumerate(self._names)}

    @classmethod
    def open(cls, directory: str | Path, *, space: ItemSpace | None = None) -> Self:
        """Open a catalogue.

        Args:
            directory: that holds catalogue.json, items.jsonl and item_features.safetensors.
            space: of the model that will read it; None for any.

        Raises:
            CatalogueError: a file is absent, damaged, does not fit the others, or the features are of another space.
        """
        directory = Path(directory)
        if not (directory / SETTINGS_NAME).is_file():
            raise CatalogueError(
                f"there is no catalogue in {str(directory)!r}; expected a directory with {SETTINGS_NAME}"
            )
        try:
            settings = strict_io.read_config(directory / SETTINGS_NAME, _Settings)
            found = ItemSpace(name=settings.space, rows=settings.rows, width=settings.width)
        except (CheckpointError, ConfigError) as error:
            raise CatalogueError(str(error)) from error
        if settings.format != FORMAT:
            raise CatalogueError(
                f"the catalogue in {directory} has format {settings.format}; expected {FORMAT}: build it again"
            )
        if space is not None and found != space:
            raise CatalogueError(
                f"the items in {directory} are {_told(found)}, but the model reads {_told(space)}; "
                "build the catalogue again for this model"
            )
        catalogue = cls(directory, found, _read_names(directory / ITEMS_NAME))
        shape = catalogue._slice().get_shape()
        expected = [len(catalogue), found.rows, found.width]
        if shape != expected:
            raise CatalogueError(f"{directory / FEATURES_NAME} has the shape {shape}; expected {expected}")
        return catalogue

    @staticmethod
    def write(
        directory: str | Path, names: Mapping[str, str], features: Float[Tensor, "items rows width"], *, space: str
    ) -> None:
        """Write a catalogue beside its place and move it there; an older one in that place is replaced.

        Args:
            directory: absent, empty, or a catalogue.
            names: of the items by id.
            features: in the order of `names`.
            space: see `ItemSpace.name`.

        Raises:
            CatalogueError: the place is taken by something else, or there are not as many features as names.
            ConfigError: the space has no name.
        """
        target = Path(directory).absolute()
        if features.ndim != 3 or len(features) != len(names) or not names:
            raise CatalogueError(
                f"the features have the shape {tuple(features.shape)} for {len(names)} items; "
                "expected (items, rows, width), with at least one item"
            )
        if not strict_io.is_free(target, unless=SETTINGS_NAME):
            raise CatalogueError(f"{target} holds something that is not a catalogue; give an absent or empty directory")
        found = ItemSpace(name=space, rows=features.shape[1], width=features.shape[2])
        with strict_io.written_beside(target) as work:
            lines = (json.dumps({"id": item, "name": name}, ensure_ascii=False) for item, name in names.items())
            (work / ITEMS_NAME).write_text("\n".join(lines) + "\n", encoding="utf-8")
            strict_io.write_tensors({_TENSOR: features.float()}, work / FEATURES_NAME)
            settings = _Settings(format=FORMAT, space=found.name, rows=found.rows, width=found.width)
            strict_io.write_config(settings, work / SETTINGS_NAME)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, item: object) -> bool:
        return item in self._names

    @property
    def ids(self) -> tuple[str, ...]:
        """Of all items, in the order of the file."""
        return tuple(self._names)

    def name(self, item: str) -> str:
        """What an item is called.

        Raises:
            ItemError: there is no such item.
        """
        self._place(item)
        return self._names[item]

    def features(self, item: str) -> Float[Tensor, "rows width"]:
        """What stands for an item.

        Raises:
            ItemError: there is no such item.
            CatalogueError: the features have become unreadable.
        """
        place = self._place(item)
        rows: Tensor = self._slice()[place : place + 1]
        return rows[0].to(torch.float32)

    def _place(self, item: str) -> int:
        if item in self._places:
            return self._places[item]
        near = difflib.get_close_matches(item, self._names, n=2) if len(self) <= _NEAR_AMONG else []
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ItemError(f"there is no item {item!r} among the {len(self)} of the catalogue{hint}")

    def _slice(self) -> Any:
        """The features on disk; opening reads a few bytes only."""
        path = self.directory / FEATURES_NAME
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                return file.get_slice(_TENSOR)
        except (SafetensorError, OSError) as error:
            raise CatalogueError(f"{path} cannot be read ({error}); build the catalogue again") from error


def open_for(space: ItemSpace | None, directory: str | Path) -> Catalogue:
    """Open the catalogue for a model that reads items of `space`.

    Raises:
        CatalogueError: it is absent, damaged or of another space, or the model takes no items.
    """
    if space is None:
        raise CatalogueError("this model takes no catalogue items; leave the catalogue out, or give another model")
    return Catalogue.open(directory, space=space)


def _read_names(path: Path) -> dict[str, str]:
    names: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                parsed = json.loads(line)
                item, name = parsed["id"], parsed["name"]
                if not isinstance(item, str) or not isinstance(name, str) or item in names:
                    raise CatalogueError(f"{path}, line {number}: expected an id of its own and a name, both texts")
                names[item] = name
    except FileNotFoundError as error:
        raise CatalogueError(f"there is no {path.name} in {path.parent}; build the catalogue again") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = re.sub(r"\s+", " ", str(error))
        raise CatalogueError(f"{path} is not one JSON object with id and name a line ({reason})") from error
    return names


def _told(space: ItemSpace) -> str:
    return f"{space.rows} x {space.width} numbers of {space.name!r}"
