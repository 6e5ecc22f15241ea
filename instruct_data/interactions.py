"""Who listened to what: items with their tags, and the histories of listeners.

In: what a source of interactions read. Out: immutable `Interactions`. Knows no file format and no way to recommend.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from mllm.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class CatalogueItem:
    """Something that can be recommended."""

    id: str
    name: str
    tags: tuple[str, ...] = ()
    """Most used first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interactions:
    """A catalogue and what listeners did with it."""

    source: str
    licence: str
    items: Mapping[str, CatalogueItem]
    """By id."""
    histories: Mapping[str, tuple[str, ...]]
    """By listener: ids of items, the earliest first where times are known, else the most played first."""
    in_order_of_time: bool
    """Whether histories are in the order of time, so that a next item can be asked for."""

    def __post_init__(self) -> None:
        unknown = {item for history in self.histories.values() for item in history} - set(self.items)
        if unknown:
            raise ConfigError(f"histories name {len(unknown)} items that are not there, such as {min(unknown)!r}")
