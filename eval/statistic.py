"""Figures over questions, with bootstrap intervals and paired differences.

In: what each question contributes to a figure, and which questions stand or fall together. Out: estimates with 95 %
percentile intervals. Whole units (a recording, a pair of recordings) are drawn with replacement, so that questions
about one recording stay together (Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13). Knows nothing of
what the figures mean.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mllm.errors import ConfigError

RESAMPLES = 1000
LEVEL = 0.95

Weights = NDArray[np.float64]
"""How often each question stands in each resample: (resamples, questions)."""
Values = NDArray[np.float64]
"""A figure in each resample: (resamples,); NaN where it cannot be counted."""


class Statistic(Protocol):
    """A figure: any function of how often each question counts."""

    def __call__(self, weights: Weights) -> Values:
        """The figure in each resample."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Ratio:
    """A sum over questions divided by a sum over questions."""

    numerators: NDArray[np.float64]
    """(questions,)"""
    denominators: NDArray[np.float64]
    """(questions,), >= 0; 0 for a question that the figure does not count."""

    def __call__(self, weights: Weights) -> Values:
        """The ratio in each resample; NaN where the denominators are all 0."""
        totals = weights @ self.denominators
        sums = weights @ self.numerators
        values: Values = np.divide(sums, totals, out=np.full(len(totals), np.nan), where=totals > 0)
        return values


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class OfSums:
    """A formula over sums of several columns, such as corpus BLEU over counts of matches."""

    columns: NDArray[np.float64]
    """(questions, columns)"""
    formula: Callable[[NDArray[np.float64]], Values]
    """Sums (resamples, columns) to the figure (resamples,)."""

    def __call__(self, weights: Weights) -> Values:
        """The formula of the sums in each resample."""
        return self.formula(weights @ self.columns)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class OfEach:
    """A figure that is computed anew from the weights of each resample, such as an area under a curve."""

    function: Callable[[NDArray[np.float64]], float]
    """Weights of the questions (questions,) to the figure; NaN where it cannot be counted."""

    def __call__(self, weights: Weights) -> Values:
        """The function of each row."""
        return np.array([self.function(row) for row in weights], dtype=np.float64)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class OfSome:
    """A figure of some of the questions."""

    statistic: Statistic
    """Over these questions alone."""
    places: Sequence[int]
    """Which they are."""

    def __call__(self, weights: Weights) -> Values:
        """The figure in each resample."""
        return self.statistic(weights[:, list(self.places)])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure and its interval; all None where nothing could be counted."""

    value: float | None
    low: float | None
    """Lower end of the 95 % interval."""
    high: float | None
    """Upper end of the 95 % interval."""


NOTHING = Estimate(value=None, low=None, high=None)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Draws:
    """What is drawn: the same for every figure over the same questions, so that differences are paired."""

    weights: Weights
    """(resamples + 1, questions); row 0 counts each question once."""


def draw(units: Sequence[str], *, resamples: int = RESAMPLES, seed: int) -> Draws:
    """Draw units with replacement; the same arguments always give the same draw.

    Args:
        units: of each question, the name of what it is about; questions of one unit are drawn together.
        resamples: number of draws.
        seed: of the draws.

    Raises:
        ConfigError: there are no questions, or `resamples` is below 1.
    """
    if not units or resamples < 1:
        raise ConfigError(f"cannot resample {len(units)} questions {resamples} times; expected at least one of each")
    names, of_question = np.unique(np.array(units), return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    weights = np.vstack([np.ones(len(units)), drawn[:, of_question]]).astype(np.float64)
    return Draws(weights=weights)


def estimate(statistic: Statistic, draws: Draws) -> Estimate:
    """A figure with its interval; resamples in which nothing can be counted are left out of the interval."""
    return _estimate(statistic(draws.weights))


def difference(left: Statistic, right: Statistic, draws: Draws) -> Estimate:
    """`left` minus `right` over the same questions, the same drawn for both."""
    return _estimate(left(draws.weights) - right(draws.weights))


def share(values: Sequence[float | None]) -> Ratio:
    """The mean of a value in [0, 1] of each question; None leaves a question out of the figure."""
    return Ratio(
        numerators=np.array([value or 0.0 for value in values], dtype=np.float64),
        denominators=np.array([value is not None for value in values], dtype=np.float64),
    )


def _estimate(values: Values) -> Estimate:
    if np.isnan(values[0]):
        return NOTHING
    counted = values[1:][~np.isnan(values[1:])]
    if not len(counted):
        return Estimate(value=float(values[0]), low=None, high=None)
    low, high = np.quantile(counted, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Estimate(value=float(values[0]), low=float(low), high=float(high))
