"""What recommenders learn from: who played what how often, and the tags of the items.

In: play counts and tags by ids. Out: an immutable sparse matrix of users by items, which a recommendation task gives to
`Model.prepare`. Knows neither files nor what is asked.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mllm.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Plays:
    """Plays that may be learnt from; what is asked about is not among them."""

    users: tuple[str, ...]
    items: tuple[str, ...]
    """All that can be recommended, those that nobody played too."""
    matrix: sparse.csr_matrix
    """(users, items): how often each user played each item; absent where he never did."""
    tags: Mapping[str, Mapping[str, float]]
    """By item: its tags, and how many people gave it each; {} where tags are not known."""

    def __post_init__(self) -> None:
        if self.matrix.shape != (len(self.users), len(self.items)):
            raise ConfigError(
                f"plays have the shape {self.matrix.shape}; expected one row for each of {len(self.users)} users and "
                f"one column for each of {len(self.items)} items"
            )
        if unknown := set(self.tags) - set(self.items):
            raise ConfigError(f"tags are given for {len(unknown)} items that are not there, such as {min(unknown)!r}")

    @functools.cached_property
    def places(self) -> Mapping[str, int]:
        """The column of each item."""
        return {item: place for place, item in enumerate(self.items)}

    @functools.cached_property
    def listeners(self) -> tuple[int, ...]:
        """How many users played each item."""
        return tuple(np.bincount(self.matrix.indices, minlength=len(self.items)).tolist())

    @functools.cached_property
    def words(self) -> tuple[str, ...]:
        """All tags, sorted."""
        return tuple(sorted({tag for given in self.tags.values() for tag in given}))

    def tagged(self) -> sparse.csr_matrix:
        """(tags, items): how many people gave each item each tag; rows in the order of `words`."""
        rows = {word: row for row, word in enumerate(self.words)}
        cells = [
            (rows[word], self.places[item], count) for item, given in self.tags.items() for word, count in given.items()
        ]
        return _matrix(cells, (len(rows), len(self.items)))


def gather(
    played: Mapping[str, Mapping[str, float]], items: Sequence[str], tags: Mapping[str, Mapping[str, float]]
) -> Plays:
    """Make a matrix of play counts.

    Args:
        played: by user: how often (> 0) he played each item.
        items: all that can be recommended.
        tags: by item: its tags, and how many people gave it each.

    Raises:
        ConfigError: an item was played, or has tags, that is not among `items`.
    """
    columns = {item: place for place, item in enumerate(items)}
    if unknown := {item for counts in played.values() for item in counts} - set(columns):
        raise ConfigError(f"{len(unknown)} items were played that are not there, such as {min(unknown)!r}")
    cells = [
        (row, columns[item], count) for row, counts in enumerate(played.values()) for item, count in counts.items()
    ]
    return Plays(users=tuple(played), items=tuple(items), matrix=_matrix(cells, (len(played), len(items))), tags=tags)


def best(weights: NDArray[np.float64], admitted: NDArray[np.bool_], *, count: int, name: str) -> NDArray[np.intp]:
    """Places of the items with the greatest weights, the best first.

    Items that weigh the same come in an order drawn by `name`, that of a question. The order of a catalogue often tells
    what is known best: of 282 new items of HetRec-2011, which nobody without tags can weigh, the first twenty hold a
    quarter of the right ones.

    Args:
        weights: (items,)
        admitted: (items,), whether an item may be among them.
        count: how many at most.
        name: by which ties are drawn, always in the same way.
    """
    drawn = np.random.default_rng(list(name.encode())).permutation(len(weights))
    order = np.lexsort((drawn, -weights))
    return order[admitted[order]][:count]


def _matrix(cells: Sequence[tuple[int, int, float]], shape: tuple[int, int]) -> sparse.csr_matrix:
    rows, columns, values = (np.array(part) for part in zip(*cells, strict=True)) if cells else ([], [], [])
    return sparse.csr_matrix((np.asarray(values, dtype=np.float64), (rows, columns)), shape=shape)
