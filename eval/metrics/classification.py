"""Right or wrong: accuracy, F1 of labels, areas under curves, confusion.

In: of each item what is true and what was said, or a score of each label. Out: statistics, which a bootstrap weighs,
and plain counts. Nothing said is wrong and stays in the denominator. Knows no task and reads no text.

All figures lie in [0, 1]; higher is better. Their values over all items equal those of scikit-learn.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mllm.errors import ConfigError
from mllm.eval import statistic
from mllm.eval.metrics.division import divided
from mllm.eval.statistic import OfSums, Ratio, Statistic, Values, Weights

NOTHING = ""
"""What stands in a confusion where nothing was said."""


def accuracy(truths: Sequence[str], said: Sequence[str | None]) -> Ratio:
    """Share of items of which the label said is the true one.

    Args:
        truths: the label of each item.
        said: the label said; None: nothing, which is wrong.

    Raises:
        ConfigError: the numbers of items differ, or there are none.
    """
    _check_equal(truths, said)
    return statistic.share([float(one == true) for true, one in zip(truths, said, strict=True)])


def confusion(truths: Sequence[str], said: Sequence[str | None]) -> dict[tuple[str, str], int]:
    """How often each label was said where each is true: (true, said) to a count; `NOTHING` for nothing said.

    Raises:
        ConfigError: the numbers of items differ, or there are none.
    """
    _check_equal(truths, said)
    return dict(Counter((true, NOTHING if one is None else one) for true, one in zip(truths, said, strict=True)))


def precision(truths: Sequence[Collection[str]], said: Sequence[Collection[str]]) -> Ratio:
    """Share of the labels said that are true, over all items together (micro-averaged): hits / said.

    Args:
        truths: the labels of each item, in any order; one label each where items have one.
        said: the labels said; empty: nothing was.

    Raises:
        ConfigError: the numbers of items differ, or there are none, or labels are a text instead of a collection.
    """
    counts = _counts(truths, said)
    return Ratio(numerators=counts.hits.sum(1), denominators=counts.said.sum(1))


def recall(truths: Sequence[Collection[str]], said: Sequence[Collection[str]]) -> Ratio:
    """Share of the true labels that are said, over all items together (micro-averaged): hits / true.

    Args and Raises: as `precision`.
    """
    counts = _counts(truths, said)
    return Ratio(numerators=counts.hits.sum(1), denominators=counts.true.sum(1))


def micro_f1(truths: Sequence[Collection[str]], said: Sequence[Collection[str]]) -> Ratio:
    """Harmonic mean of micro-averaged precision and recall: 2 hits / (true + said), over all items together.

    Of items with one label each, all of them answered, this is the accuracy. Args and Raises: as `precision`.
    """
    counts = _counts(truths, said)
    return Ratio(numerators=2 * counts.hits.sum(1), denominators=counts.true.sum(1) + counts.said.sum(1))


def macro_f1(truths: Sequence[Collection[str]], said: Sequence[Collection[str]]) -> OfSums:
    """Mean over labels of the F1 of each, 2 hits / (true + said); every label that is true or said counts once.

    A label that is never true and was said once has F1 0 and counts like every other. In a resample, labels that occur
    in none of its items are left out. Args and Raises: as `precision`.
    """
    counts = _counts(truths, said)
    labels = counts.hits.shape[1]

    def mean_of_labels(sums: NDArray[np.float64]) -> Values:
        hits, named = sums[:, :labels], sums[:, labels:]
        each = divided(2 * hits, named, otherwise=0.0)
        how_many = (named > 0).sum(1).astype(np.float64)
        return divided(each.sum(1), how_many, otherwise=np.nan)

    return OfSums(columns=np.hstack([counts.hits, counts.true + counts.said]), formula=mean_of_labels)


def roc_auc(truths: Sequence[bool], scores: Sequence[float]) -> Statistic:
    """Area under the receiver operating characteristic: how probable it is that of one true and one false item the
    true one has the higher score; equal scores count half (Hanley and McNeil 1982). 0.5 is chance.

    NaN, in a resample too, where all items are true, or all false.

    Args:
        truths: whether each item is true.
        scores: of each item, finite; only their order counts.

    Raises:
        ConfigError: the numbers of items differ, there are none, or a score is no finite number.
    """
    return _OfOrder(order=_Order.of(scores), truths=_flags(truths, scores), area=_roc)


def average_precision(truths: Sequence[bool], scores: Sequence[float]) -> Statistic:
    """Area under the precision-recall curve as a sum of steps: over thresholds, the gain in recall times the precision
    there (average precision, not interpolated; items of equal scores are one threshold). Chance is the share of true
    items.

    NaN, in a resample too, where no item is true. Args and Raises: as `roc_auc`.
    """
    return _OfOrder(order=_Order.of(scores), truths=_flags(truths, scores), area=_precision_recall)


def mean_average_precision(
    truths: Sequence[Collection[str]], scores: Sequence[Mapping[str, float]], *, labels: Sequence[str] | None = None
) -> Statistic:
    """Mean over labels of `average_precision` of the items by their scores of that label (mAP).

    A label that is true of no item, of a resample too, is left out of the mean.

    Args:
        truths: labels of each item.
        scores: of each item, score by label; a label that is not there scores lowest of all.
        labels: over which the mean is; None: all that are true of some item.

    Raises:
        ConfigError: the numbers of items differ, there are none, a score is no finite number, or a label is true of no
            item at all.
    """
    return _mean_of_labels(truths, scores, labels, _precision_recall)


def mean_roc_auc(
    truths: Sequence[Collection[str]], scores: Sequence[Mapping[str, float]], *, labels: Sequence[str] | None = None
) -> Statistic:
    """Mean over labels of `roc_auc` of the items by their scores of that label; otherwise as `mean_average_precision`.

    A label that is true of all items, of a resample too, is left out as well.
    """
    return _mean_of_labels(truths, scores, labels, _roc)


def evaluate(truths: Sequence[Collection[str]], said: Sequence[Collection[str]]) -> dict[str, float]:
    """Every figure of labels by its name: micro_f1, macro_f1, precision, recall; NaN where there is none.

    Args and Raises: as `precision`.
    """
    once = np.ones((1, len(truths)))
    figures: dict[str, _OfLabels] = {
        "micro_f1": micro_f1,
        "macro_f1": macro_f1,
        "precision": precision,
        "recall": recall,
    }
    return {name: float(figure(truths, said)(once)[0]) for name, figure in figures.items()}


_OfLabels = Callable[[Sequence[Collection[str]], Sequence[Collection[str]]], Statistic]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Counts:
    """Of each item and label: 1 or 0."""

    hits: NDArray[np.float64]
    """(items, labels): true and said."""
    true: NDArray[np.float64]
    said: NDArray[np.float64]


def _counts(truths: Sequence[Collection[str]], said: Sequence[Collection[str]]) -> _Counts:
    _check_equal(truths, said)
    for of_item in (*truths, *said):
        if isinstance(of_item, str):
            raise ConfigError(f"labels of an item are {of_item!r}; expected a collection of labels, not a text")
    labels = {label: place for place, label in enumerate(sorted(set().union(*truths, *said)))}
    true, named = (_table(rows, labels) for rows in (truths, said))
    return _Counts(hits=true * named, true=true, said=named)


def _table(rows: Sequence[Collection[str]], labels: Mapping[str, int]) -> NDArray[np.float64]:
    table = np.zeros((len(rows), len(labels)))
    for place, row in enumerate(rows):
        table[place, [labels[label] for label in row]] = 1
    return table


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Order:
    """Items from the highest score to the lowest, and where a new score begins."""

    places: NDArray[np.intp]
    """(items,): which item comes first, second, ..."""
    last_of_ties: NDArray[np.intp]
    """(thresholds,): places in that order at which the items of one score end."""

    @classmethod
    def of(cls, scores: Sequence[float]) -> _Order:
        values = np.asarray(scores, dtype=np.float64)
        places = np.argsort(-values, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(values[places])), len(values) - 1)
        return cls(places=places, last_of_ties=ends)


_Area = Callable[[NDArray[np.float64], NDArray[np.float64]], Values]
"""Weights of true and of all items at or above each threshold, (resamples, thresholds) both, to areas."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _OfOrder:
    """An area under a curve along the order of scores."""

    order: _Order
    truths: NDArray[np.bool_]
    area: _Area

    def __call__(self, weights: Weights) -> Values:
        ordered = weights[:, self.order.places]
        true = np.cumsum(ordered * self.truths[self.order.places], axis=1)[:, self.order.last_of_ties]
        return self.area(true, np.cumsum(ordered, axis=1)[:, self.order.last_of_ties])


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _MeanOf:
    """The mean of several figures, those left out that are NaN."""

    parts: Sequence[Statistic]

    def __call__(self, weights: Weights) -> Values:
        sums, counts = np.zeros(len(weights)), np.zeros(len(weights))
        for part in self.parts:
            values = part(weights)
            counted = ~np.isnan(values)
            sums[counted] += values[counted]
            counts += counted
        return divided(sums, counts, otherwise=np.nan)


def _roc(true: NDArray[np.float64], above: NDArray[np.float64]) -> Values:
    false = above - true
    before = np.hstack([np.zeros((len(true), 1)), true[:, :-1]])
    steps = np.diff(false, axis=1, prepend=0.0)
    pairs = true[:, -1] * false[:, -1]
    area = (steps * (before + true) / 2).sum(1)
    return divided(area, pairs, otherwise=np.nan)


def _precision_recall(true: NDArray[np.float64], above: NDArray[np.float64]) -> Values:
    share = divided(true, above, otherwise=0.0)
    steps = np.diff(true, axis=1, prepend=0.0)
    total = true[:, -1]
    return divided((steps * share).sum(1), total, otherwise=np.nan)


def _mean_of_labels(
    truths: Sequence[Collection[str]],
    scores: Sequence[Mapping[str, float]],
    labels: Sequence[str] | None,
    area: _Area,
) -> _MeanOf:
    _check_equal(truths, scores)
    true_ones = set().union(*truths)
    wanted = sorted(true_ones) if labels is None else list(labels)
    unknown = [label for label in wanted if label not in true_ones]
    if unknown or not wanted:
        raise ConfigError(
            f"{', '.join(map(repr, unknown)) or 'no label'} is true of any of the {len(truths)} items; leave such "
            "labels out of the mean"
        )
    return _MeanOf(parts=[_of_label(label, truths, scores, area) for label in wanted])


def _of_label(
    label: str, truths: Sequence[Collection[str]], scores: Sequence[Mapping[str, float]], area: _Area
) -> _OfOrder:
    given = [of_item.get(label) for of_item in scores]
    said = [value for value in given if value is not None]
    lowest = min(said, default=0.0) - 1
    values = [lowest if value is None else value for value in given]
    return _OfOrder(order=_Order.of(values), truths=_flags([label in row for row in truths], values), area=area)


def _flags(truths: Sequence[bool], scores: Sequence[float]) -> NDArray[np.bool_]:
    _check_equal(truths, scores)
    values = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ConfigError(f"the score of item {place} is {values[place]}; expected a finite number")
    return np.asarray(truths, dtype=np.bool_)


def _check_equal(truths: Sequence[object], said: Sequence[object]) -> None:
    if len(truths) != len(said) or not truths:
        raise ConfigError(f"{len(truths)} truths and {len(said)} answers; expected as many of both, and at least one")
