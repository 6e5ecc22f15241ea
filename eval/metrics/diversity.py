"""How varied predictions are, and how many of their words are new: they look at no reference.

In: predictions, and for novelty the words that are known. Out: statistics, which a bootstrap weighs. Words are those of
`words.plain_words`. Says nothing about being right: words at random are varied and new.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from mllm.errors import ConfigError
from mllm.eval.metrics import ngrams
from mllm.eval.metrics.division import divided
from mllm.eval.metrics.words import plain_words, words
from mllm.eval.statistic import Ratio, Statistic, Values, Weights

_AT_ONCE = 1 << 15
"""Kinds of stretches that are looked up together."""


def distinct(predictions: Sequence[str], *, order: int) -> Statistic:
    """Different stretches of `order` words over all stretches of `order` words of all predictions, in (0, 1].

    distinct-n of Li et al. 2016 (A Diversity-Promoting Objective Function for Neural Conversation Models). It falls as
    predictions grow in number, so only values over as many items compare. NaN where no prediction has `order` words.

    A prediction that is drawn twice brings nothing new, which would put every resample below the value. The count of
    different stretches is therefore divided by how many of them as many different predictions hold on average
    (rarefaction, Hurlbert 1971), relative to all of them; over all predictions that changes nothing.

    Raises:
        ConfigError: there are no predictions, or `order` is below 1.
    """
    return distinct_of_words([plain_words(words(text)) for text in predictions], order=order)


def distinct_of_words(predictions: Sequence[Sequence[str]], *, order: int) -> Statistic:
    """As `distinct`, of words."""
    if order < 1:
        raise ConfigError(f"order is {order}; expected 1 or more words")
    _check_some(predictions)
    *_, grams = ngrams.count(predictions, order)
    kinds = _Kinds.of(grams.texts, grams.grams, len(predictions))
    totals = np.bincount(grams.texts, weights=grams.counts, minlength=len(predictions)).astype(np.float64)
    return _KindsOver(kinds=kinds, totals=totals)


def novelty(predictions: Sequence[str], known_words: Collection[str]) -> Ratio:
    """Share of the running words predicted that are not among `known_words`, in [0, 1]; NaN where there are no words.

    Args:
        predictions: texts.
        known_words: the vocabulary of a training set, in lower case.

    Raises:
        ConfigError: there are no predictions, or no known words.
    """
    return novelty_of_words([plain_words(words(text)) for text in predictions], known_words)


def novelty_of_words(predictions: Sequence[Sequence[str]], known_words: Collection[str]) -> Ratio:
    """As `novelty`, of words."""
    known = _check_known(predictions, known_words)
    return Ratio(
        numerators=np.array([sum(word not in known for word in text) for text in predictions], dtype=np.float64),
        denominators=np.array([len(text) for text in predictions], dtype=np.float64),
    )


def vocabulary_novelty(predictions: Sequence[str], known_words: Collection[str]) -> Statistic:
    """Share of the different words predicted that are not among `known_words`, each counted once, in [0, 1].

    As captioning papers give it for a vocabulary. Resamples are corrected as those of `distinct`. Args and Raises: as
    `novelty`.
    """
    return vocabulary_novelty_of_words([plain_words(words(text)) for text in predictions], known_words)


def vocabulary_novelty_of_words(predictions: Sequence[Sequence[str]], known_words: Collection[str]) -> Statistic:
    """As `vocabulary_novelty`, of words."""
    known = _check_known(predictions, known_words)
    new = [[word for word in text if word not in known] for text in predictions]
    (grams,), (new_grams,) = ngrams.count(predictions, 1), ngrams.count(new, 1)
    return _KindsOverKinds(
        part=_Kinds.of(new_grams.texts, new_grams.grams, len(predictions)),
        whole=_Kinds.of(grams.texts, grams.grams, len(predictions)),
    )


def mean_words(predictions: Sequence[str]) -> Ratio:
    """Mean number of words of a prediction.

    Raises:
        ConfigError: there are no predictions.
    """
    return mean_words_of_words([plain_words(words(text)) for text in predictions])


def mean_words_of_words(predictions: Sequence[Sequence[str]]) -> Ratio:
    """As `mean_words`, of words."""
    _check_some(predictions)
    return Ratio(
        numerators=np.array([len(text) for text in predictions], dtype=np.float64),
        denominators=np.ones(len(predictions)),
    )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Kinds:
    """Which texts hold each kind of stretch."""

    texts: NDArray[np.int64]
    """(entries,), sorted by kind."""
    begins: NDArray[np.int64]
    """(kinds,): where the entries of a kind begin."""
    how_many: NDArray[np.int64]
    """(kinds,): texts that hold it."""
    items: int

    @classmethod
    def of(cls, texts: NDArray[np.int64], kinds: NDArray[np.int64], items: int) -> _Kinds:
        by_kind = np.argsort(kinds, kind="stable")
        how_many = np.bincount(kinds)
        return cls(texts=texts[by_kind], begins=np.cumsum(how_many) - how_many, how_many=how_many, items=items)

    def counted(self, weights: Weights) -> Values:
        """Kinds in each resample, corrected for how many different texts it holds."""
        drawn = weights > 0
        expected = self._expected(drawn.mean(1))
        return divided(self._present(drawn) * len(self.how_many), expected, otherwise=0.0)

    def _present(self, drawn: NDArray[np.bool_]) -> NDArray[np.float64]:
        """A bit says whether a text was drawn in a resample; those of the texts of a kind are joined by "or"."""
        bits = np.packbits(drawn.T, axis=1)
        found = np.zeros(bits.shape[1] * 8)
        for first in range(0, len(self.begins), _AT_ONCE):
            begins = self.begins[first : first + _AT_ONCE]
            end = self.begins[first + _AT_ONCE] if first + _AT_ONCE < len(self.begins) else len(self.texts)
            joined = np.bitwise_or.reduceat(bits[self.texts[begins[0] : end]], begins - begins[0], axis=0)
            found += np.unpackbits(joined, axis=1).sum(0, dtype=np.float64)
        return found[: len(drawn)]

    def _expected(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Kinds that a share of the texts holds on average: one is missed where none of its texts is among them."""
        sizes, kinds = np.unique(self.how_many, return_counts=True)
        expected: NDArray[np.float64] = ((1 - (1 - shares[:, None]) ** sizes) * kinds).sum(1)
        return expected


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _KindsOver:
    kinds: _Kinds
    totals: NDArray[np.float64]
    """(items,)"""

    def __call__(self, weights: Weights) -> Values:
        totals = weights @ self.totals
        return np.minimum(divided(self.kinds.counted(weights), totals, otherwise=np.nan), 1.0)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _KindsOverKinds:
    part: _Kinds
    whole: _Kinds

    def __call__(self, weights: Weights) -> Values:
        wholes = self.whole.counted(weights)
        return np.minimum(divided(self.part.counted(weights), wholes, otherwise=np.nan), 1.0)


def _check_some(predictions: Sequence[object]) -> None:
    if not predictions:
        raise ConfigError("there are no predictions; expected at least one")


def _check_known(predictions: Sequence[object], known_words: Collection[str]) -> frozenset[str]:
    _check_some(predictions)
    if isinstance(known_words, str) or not known_words:
        raise ConfigError("novelty was given no known words; expected a collection of words in lower case")
    return frozenset(known_words)
