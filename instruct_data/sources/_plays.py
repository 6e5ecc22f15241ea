"""Gathers who played what, row by row, and makes `Interactions` of it.

In: plays, names and tags in any order. Out: histories with each item once, the earliest first where every play has a
time, otherwise the most played first. Knows no file format.
"""

from __future__ import annotations

import collections
import datetime

from mllm.errors import MessageError
from mllm.instruct_data.interactions import CatalogueItem, Interactions

MOST_TAGS = 20
"""Of an item; the others were given by few."""


class Gathered:
    """What was read so far."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self._tags: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self._counts: dict[str, dict[str, float]] = {}
        self._times: dict[str, dict[str, float]] = {}
        self._untimed = False

    def name(self, item: str, name: str) -> None:
        """What an item is called; the first name stays."""
        self.names.setdefault(item, name)

    def tag(self, item: str, word: str, times: float = 1) -> None:
        """Somebody gave an item a tag."""
        self._tags[item][" ".join(word.lower().split())] += times  # type: ignore[assignment]

    def play(self, listener: str, item: str, count: float = 1, time: float | None = None) -> None:
        """A listener played an item so often, or once at a time (seconds)."""
        counts = self._counts.setdefault(listener, {})
        counts[item] = counts.get(item, 0) + count
        if time is None:
            self._untimed = True
            return
        times = self._times.setdefault(listener, {})
        times[item] = min(time, times.get(item, time))

    def interactions(self, *, source: str, licence: str) -> Interactions:
        """All of it; items without a name are called as their ids."""
        in_order = bool(self._times) and not self._untimed
        histories = {
            listener: tuple(
                sorted(counts, key=self._times[listener].__getitem__)
                if in_order
                else sorted(counts, key=lambda item: -counts[item])
            )
            for listener, counts in self._counts.items()
        }
        known = dict.fromkeys([*self.names, *(item for history in histories.values() for item in history)])
        items = {item: CatalogueItem(id=item, name=self.names.get(item, item), tags=self._best(item)) for item in known}
        return Interactions(source=source, licence=licence, items=items, histories=histories, in_order_of_time=in_order)

    def _best(self, item: str) -> tuple[str, ...]:
        if item not in self._tags:
            return ()
        ranked = sorted(self._tags[item].items(), key=lambda one: (-one[1], one[0]))
        return tuple(word for word, _ in ranked[:MOST_TAGS])


def count_of(text: str) -> float:
    """How often something was played.

    Raises:
        MessageError: it is no number above 0.
    """
    try:
        count = float(text)
    except ValueError:
        count = 0.0
    if not 0 < count < float("inf"):
        raise MessageError(f"a count is {text!r}; expected a number above 0")
    return count


def time_of(text: str) -> float:
    """Seconds since 1970 of a number or a date such as "2009-05-04T23:08:57Z".

    Raises:
        MessageError: it is neither.
    """
    try:
        return float(text)
    except ValueError:
        pass
    try:
        read = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise MessageError(f"a time is {text!r}; expected seconds or a date such as 2009-05-04T23:08:57Z") from error
    return (read if read.tzinfo else read.replace(tzinfo=datetime.UTC)).timestamp()
