"""What a task says of itself.

In: nothing. Out: the types `About` and `Figure`. Knows no task.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """One number of a task."""

    title: str
    """As a table calls it, such as "tempo within 4 %"."""
    better: Literal["higher", "lower", "neither"] = "higher"
    headline: bool = False
    """Whether it stands in the short table; such a figure is always shown with its blind lines."""
    chance: float | None = None
    """What guessing evenly gives, where that is known."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
    """A task."""

    title: str
    version: str
    """A number that grows whenever questions or scores change: results of different versions are not compared."""
    summary: str
    """One sentence: what is asked and how it is scored."""
    figures: Mapping[str, Figure]
    """By name, in the order of a table. Names are lower case with underscores."""
    source: str | None = None
    """Key of `--data KEY=DIR` under which it finds files; None: it needs none but rendered music."""
    where: str = ""
    """Where these files come from, and which are wanted; told where they are absent."""
    licence: str = "CC0-1.0"
    """Of questions and recordings."""
    also: tuple[str, ...] = ()
    """Further keys of `--data` that it can be run on."""
