"""Which labels of a given vocabulary an answer names: genres, moods, tags.

In: an answer, and the labels, or the labels with other words for each. Out: the labels that are affirmed and nowhere
denied. Of labels that contain each other ("jazz", "jazz swing") the longest counts. Capitals, hyphens and spaces do not
matter. Knows no labels of its own.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping
from typing import TypeAlias

from mllm.eval.reading import _answer, _named

Vocabulary: TypeAlias = Collection[str] | Mapping[str, Collection[str]]


def read(answer: str, vocabulary: Vocabulary) -> frozenset[str]:
    """The labels that are named."""
    return frozenset(in_order(answer, vocabulary))


def one(answer: str, vocabulary: Vocabulary) -> str | None:
    """The one label that is named; None where none is, or several are."""
    found = in_order(answer, vocabulary)
    return found[0] if len(found) == 1 else None


def in_order(answer: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """The labels that are named, in the order of the answer."""
    others = vocabulary if isinstance(vocabulary, Mapping) else dict.fromkeys(vocabulary, ())
    label_of = {_flat(word): label for label, words in others.items() for word in (*words, label)}
    pattern = _pattern(tuple(sorted(label_of)))
    return _named.affirmed(_answer.plain(answer), pattern, lambda match: label_of[_flat(match[0])])


@functools.lru_cache(maxsize=64)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    ranked = sorted(words, key=len, reverse=True)
    alternatives = "|".join(r"[\s-]?".join(map(re.escape, word)) for word in ranked)
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)" if words else r"(?!)", re.IGNORECASE)


@functools.lru_cache(maxsize=4096)
def _flat(word: str) -> str:
    """A word in small letters without spaces and hyphens."""
    return re.sub(r"[\s-]+", "", word.lower())
