"""Bootstrap intervals of figures that are ratios of sums over clips.

In: `Ratio`s over the same clips, a number of resamples and a seed. Out: estimates with 95 % percentile intervals, and
paired differences of two of them. Whole clips are drawn, so that questions about one clip stay together. Knows nothing
of what the figures mean.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from mllm.errors import ConfigError
from mllm.eval.metrics import Ratio

RESAMPLES = 2000
LEVEL = 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure and its interval; all None where nothing could be counted."""

    value: float | None
    low: float | None
    """Lower end of the 95 % interval."""
    high: float | None
    """Upper end of the 95 % interval."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resamples:
    """How often each clip stands in each resample."""

    multiplicities: NDArray[np.int64]
    """(resamples, clips); each row sums to the number of clips."""


def draw(clips: int, *, resamples: int = RESAMPLES, seed: int) -> Resamples:
    """Draw clips with replacement; the same arguments always give the same draw.

    Raises:
        ConfigError: if `clips` or `resamples` is below 1.
    """
    if clips < 1 or resamples < 1:
        raise ConfigError(f"cannot resample {clips} clips {resamples} times; expected at least one of each")
    rng = np.random.default_rng(seed)
    return Resamples(multiplicities=rng.multinomial(clips, np.full(clips, 1 / clips), size=resamples))


def estimate(ratio: Ratio, resamples: Resamples) -> Estimate:
    """A figure with its interval; resamples in which nothing can be counted are left out of the interval."""
    if ratio.value is None:
        return Estimate(value=None, low=None, high=None)
    low, high = _ends(_values(ratio, resamples))
    return Estimate(value=ratio.value, low=low, high=high)


def difference(left: Ratio, right: Ratio, resamples: Resamples) -> Estimate:
    """`left` minus `right` over the same clips, the same clips drawn for both."""
    if left.value is None or right.value is None:
        return Estimate(value=None, low=None, high=None)
    low, high = _ends(_values(left, resamples) - _values(right, resamples))
    return Estimate(value=left.value - right.value, low=low, high=high)


def _values(ratio: Ratio, resamples: Resamples) -> NDArray[np.float64]:
    """The figure in each resample, (resamples,); NaN where its denominator is zero."""
    totals = resamples.multiplicities @ ratio.denominators
    sums = resamples.multiplicities @ ratio.numerators
    values: NDArray[np.float64] = np.divide(sums, totals, out=np.full(len(totals), np.nan), where=totals > 0)
    return values


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    counted = values[~np.isnan(values)]
    low, high = np.quantile(counted, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)
