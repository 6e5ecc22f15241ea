"""Whether a model knows when it is right: calibration of confidences, and what abstaining would gain.

In: of each item a confidence in [0, 1] and a credit in [0, 1] (how right the answer was); None where there is none.
Such items are left out of every figure here, and `evaluate` counts them. Out: statistics, which a bootstrap weighs,
and the points of two diagrams. Knows no task and no model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mllm.errors import ConfigError
from mllm.eval.metrics.division import divided
from mllm.eval.statistic import OfSums, Statistic, Values, Weights

BINS = 15
"""As in Guo et al. (2017)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bin:
    """Items whose confidence is above `low` and at most `high`; the first bin also holds confidence 0."""

    low: float
    high: float
    count: int
    confidence: float | None
    """Mean confidence in it; None where it is empty."""
    credit: float | None
    """Mean credit in it; None where it is empty."""


def ece(confidences: Sequence[float | None], earned: Sequence[float | None], *, bins: int = BINS) -> OfSums:
    """Expected calibration error: how far confidences are from credits, in [0, 1]; lower is better.

    Over bins of equal width, the sum of the share of items in it times |mean credit - mean confidence| (Guo et al.
    2017, On Calibration of Modern Neural Networks, eq. 3). NaN where no item counts.

    Args:
        confidences: of each item, in [0, 1]; None: the model says none, and the item is left out.
        earned: how right each answer is (its credit), in [0, 1]; None: it cannot be judged, and is left out.
        bins: number of bins, >= 1.

    Raises:
        ConfigError: the numbers of items differ, a number is outside [0, 1], or `bins` is below 1.
    """
    known = _Known.of(confidences, earned)
    places = _bin_of(known.confidences, bins)
    columns = np.zeros((known.items, bins + 1))
    columns[known.kept, places] = known.credits - known.confidences
    columns[known.kept, bins] = 1

    def formula(sums: NDArray[np.float64]) -> Values:
        total = sums[:, bins]
        gaps = np.abs(sums[:, :bins]).sum(1)
        return divided(gaps, total, otherwise=np.nan)

    return OfSums(columns=columns, formula=formula)


def reliability(confidences: Sequence[float | None], earned: Sequence[float | None], *, bins: int = BINS) -> list[Bin]:
    """The bins of a reliability diagram, from the least confident to the most; empty ones are there too.

    Args and Raises: as `ece`.
    """
    known = _Known.of(confidences, earned)
    places = _bin_of(known.confidences, bins)
    found = []
    for number in range(bins):
        inside = places == number
        count = int(inside.sum())
        found.append(
            Bin(
                low=number / bins,
                high=(number + 1) / bins,
                count=count,
                confidence=float(known.confidences[inside].mean()) if count else None,
                credit=float(known.credits[inside].mean()) if count else None,
            )
        )
    return found


def risk_coverage(confidences: Sequence[float | None], earned: Sequence[float | None]) -> list[tuple[float, float]]:
    """Points (coverage, risk) of answering only from some confidence on, the most confident first, each in [0, 1].

    Coverage is the share of items answered, risk the mean of 1 - credit over these (Geifman and El-Yaniv 2017,
    Selective Classification for Deep Neural Networks). One point for each confidence that occurs: items of equal
    confidence are answered together, because nothing tells them apart. Empty where no item counts.

    Args and Raises: as `ece`.
    """
    known = _Known.of(confidences, earned)
    if not len(known.kept):
        return []
    order = _Falling.of(known.confidences)
    lost = np.cumsum((1 - known.credits)[order.places])[order.last_of_ties]
    answered = order.last_of_ties + 1
    return [(float(count / len(known.kept)), float(loss / count)) for count, loss in zip(answered, lost, strict=True)]


def area_under_risk_coverage(confidences: Sequence[float | None], earned: Sequence[float | None]) -> Statistic:
    """Area under the risk-coverage curve, in [0, 1]; lower is better: the mean over items of the risk of answering
    everything that is at least as confident as this one (Geifman and El-Yaniv 2017).

    A model whose confidence tells nothing has its overall risk as its area. NaN where no item counts. Args and Raises:
    as `ece`.
    """
    known = _Known.of(confidences, earned)
    return _AreaOfRisk(known=known, order=_Falling.of(known.confidences))


def evaluate(
    confidences: Sequence[float | None], earned: Sequence[float | None], *, bins: int = BINS
) -> dict[str, float]:
    """Every figure by its name: ece, area_under_risk_coverage, risk (of answering everything), count, left_out.

    The first three are NaN where no item counts. Args and Raises: as `ece`.
    """
    known = _Known.of(confidences, earned)
    once = np.ones((1, known.items))
    count = len(known.kept)
    return {
        "ece": float(ece(confidences, earned, bins=bins)(once)[0]),
        "area_under_risk_coverage": float(area_under_risk_coverage(confidences, earned)(once)[0]),
        "risk": float((1 - known.credits).mean()) if count else float("nan"),
        "count": count,
        "left_out": known.items - count,
    }


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Known:
    """Items that have both numbers."""

    items: int
    """How many there are, those left out included."""
    kept: NDArray[np.intp]
    """(kept,): their places."""
    confidences: NDArray[np.float64]
    """(kept,)"""
    credits: NDArray[np.float64]
    """(kept,)"""

    @classmethod
    def of(cls, confidences: Sequence[float | None], earned: Sequence[float | None]) -> _Known:
        if len(confidences) != len(earned) or not len(confidences):
            raise ConfigError(
                f"{len(confidences)} confidences and {len(earned)} credits; expected as many of both, and at least one"
            )
        pairs = [
            (place, confidence, credit)
            for place, (confidence, credit) in enumerate(zip(confidences, earned, strict=True))
            if confidence is not None and credit is not None
        ]
        for place, confidence, credit in pairs:
            for name, value in (("confidence", confidence), ("credit", credit)):
                if not 0 <= value <= 1:
                    raise ConfigError(f"the {name} of item {place} is {value}; expected a number in [0, 1]")
        table = np.array(pairs, dtype=np.float64).reshape(len(pairs), 3)
        return cls(
            items=len(confidences), kept=table[:, 0].astype(np.intp), confidences=table[:, 1], credits=table[:, 2]
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Falling:
    """Items from the most confident to the least."""

    places: NDArray[np.intp]
    """(kept,)"""
    last_of_ties: NDArray[np.intp]
    """(confidences that occur,): places in that order at which the items of one confidence end."""

    @classmethod
    def of(cls, confidences: NDArray[np.float64]) -> _Falling:
        places = np.argsort(-confidences, kind="stable")
        ends = np.flatnonzero(np.diff(confidences[places], append=np.nan))
        return cls(places=places, last_of_ties=ends)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _AreaOfRisk:
    known: _Known
    order: _Falling

    def __call__(self, weights: Weights) -> Values:
        ends = self.order.last_of_ties
        if not len(ends):
            return np.full(len(weights), np.nan)
        ordered = weights[:, self.known.kept][:, self.order.places]
        answered = np.cumsum(ordered, axis=1)[:, ends]
        lost = np.cumsum(ordered * (1 - self.known.credits)[self.order.places], axis=1)[:, ends]
        risks = divided(lost, answered, otherwise=0.0)
        steps = np.diff(answered, axis=1, prepend=0.0)
        total = answered[:, -1]
        return divided((steps * risks).sum(1), total, otherwise=np.nan)


def _bin_of(confidences: NDArray[np.float64], bins: int) -> NDArray[np.intp]:
    """The bin of each confidence: a bin holds its upper edge; 0 is in the first."""
    if bins < 1:
        raise ConfigError(f"bins is {bins}; expected 1 or more")
    edges = np.arange(1, bins) / bins
    return np.searchsorted(edges, confidences, side="left")
