"""Meter: whether a stated meter is the true one.

Conventions: a meter is "<beats>/<unit>" such as "6/8"; "3/4" and "6/8" are different ones. Formulas: accuracy is the
share of recordings whose meter is right; as most music is in 4/4, `balanced` is the mean over true meters of the share
right of each, which is 1 / (number of meters) for who always says the same. Both lie in [0, 1]; nothing said is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mllm.errors import ConfigError
from mllm.eval import statistic
from mllm.eval.statistic import OfSums, Ratio, Values


def right(true: str, said: str | None) -> bool:
    """Whether the meter is the true one."""
    return said == true


def accuracy(truths: Sequence[str], said: Sequence[str | None]) -> Ratio:
    """Share right, over recordings."""
    _check(truths, said)
    return statistic.share([float(right(true, one)) for true, one in zip(truths, said, strict=True)])


def balanced(truths: Sequence[str], said: Sequence[str | None]) -> OfSums:
    """Mean over true meters of the share right; a meter that is true of nothing in a resample is left out there.

    Any labels will do.

    Raises:
        ConfigError: the numbers differ, or there are none.
    """
    _check(truths, said)
    names = sorted(set(truths))
    is_true = np.array([[true == name for name in names] for true in truths], dtype=np.float64)
    is_right = np.array([right(true, one) for true, one in zip(truths, said, strict=True)], dtype=np.float64)

    def mean_of_meters(sums: NDArray[np.float64]) -> Values:
        hits, counts = sums[:, : len(names)], sums[:, len(names) :]
        shares = np.divide(hits, counts, out=np.zeros_like(hits), where=counts > 0)
        how_many = (counts > 0).sum(1)
        means: Values = np.divide(shares.sum(1), how_many, out=np.full(len(sums), np.nan), where=how_many > 0)
        return means

    return OfSums(columns=np.hstack([is_true * is_right[:, None], is_true]), formula=mean_of_meters)


def evaluate(truths: Sequence[str], said: Sequence[str | None]) -> dict[str, float]:
    """Accuracy, balanced accuracy and the share answered, over recordings.

    Raises:
        ConfigError: the numbers differ, or there are none.
    """
    once = np.ones((1, len(truths)))
    return {
        "accuracy": float(accuracy(truths, said)(once)[0]),
        "balanced": float(balanced(truths, said)(once)[0]),
        "answered": sum(one is not None for one in said) / len(said),
    }


def _check(truths: Sequence[str], said: Sequence[str | None]) -> None:
    if len(truths) != len(said) or not truths:
        raise ConfigError(f"{len(truths)} meters and {len(said)} answers; expected as many of both, and at least one")
