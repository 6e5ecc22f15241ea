"""Stretches of n words that texts hold, counted for all texts at once.

In: texts as words. Out: arrays of which stretch stands how often in which text. Knows no score.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Grams:
    """Stretches of one length. An entry is a text and a stretch that stands in it; sorted by text, then by stretch."""

    order: int
    """Words in a stretch."""
    texts: NDArray[np.int64]
    """(entries,): number of the text."""
    grams: NDArray[np.int64]
    """(entries,): number of the stretch, the same in all texts."""
    counts: NDArray[np.int64]
    """(entries,): how often it stands there, >= 1."""
    kinds: int
    """Number of different stretches in all texts."""


def count(texts: Sequence[Sequence[str]], orders: int) -> Iterator[Grams]:
    """All stretches of 1, 2, ... `orders` words in the texts, one length after the other."""
    numbers: dict[str, int] = {}
    flat = [numbers.setdefault(word, len(numbers)) for word in itertools.chain.from_iterable(texts)]
    words = np.array(flat, dtype=np.int64)
    of_text = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    grams, kinds = words, len(numbers)
    for order in range(1, orders + 1):
        if order > 1:
            grams, kinds = _longer(grams, words[order - 1 :], len(numbers))
        begins = of_text[: len(grams)]
        whole = begins == of_text[order - 1 :][: len(grams)]
        yield _entries(order, begins[whole], grams[whole], kinds)


def _longer(grams: NDArray[np.int64], next_words: NDArray[np.int64], vocabulary: int) -> tuple[NDArray[np.int64], int]:
    """Stretches one word longer, numbered anew so that numbers stay small."""
    joined = grams[: len(next_words)] * max(vocabulary, 1) + next_words
    unique, numbered = np.unique(joined, return_inverse=True)
    return numbered.astype(np.int64), len(unique)


def _entries(order: int, texts: NDArray[np.int64], grams: NDArray[np.int64], kinds: int) -> Grams:
    present, counts = np.unique(texts * max(kinds, 1) + grams, return_counts=True)
    numbers = present % max(kinds, 1)
    # Stretches across the border of two texts were numbered too; those that stand in a text are numbered anew.
    inside, numbered = np.unique(numbers, return_inverse=True)
    return Grams(
        order=order,
        texts=present // max(kinds, 1),
        grams=numbered.astype(np.int64),
        counts=counts.astype(np.int64),
        kinds=len(inside),
    )
