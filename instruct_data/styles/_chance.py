"""Draws that composing needs often: a weighted choice, an even choice, a yes or no.

In: a random generator. Out: one of what was given. `Generator.choice` does the same ten times slower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

Option = TypeVar("Option")


def pick(rng: np.random.Generator, weights: Mapping[Option, float]) -> Option:
    """One of the keys, drawn by weight."""
    place = rng.random() * sum(weights.values())
    for option, weight in weights.items():
        place -= weight
        if place < 0:
            return option
    return next(reversed(list(weights)))


def one_of(rng: np.random.Generator, options: Sequence[Option]) -> Option:
    """One of the options, each as likely."""
    return options[int(rng.random() * len(options))]


def happens(rng: np.random.Generator, share: float) -> bool:
    """True in `share` of all draws."""
    return bool(rng.random() < share)


def between(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    """A number between two bounds, each ratio as likely: for tempos; both above 0."""
    low, high = bounds
    return float(low * (high / low) ** rng.random())
