"""Sections: how well stated borders of sections agree with the true ones, by mir_eval.segment.

Conventions: sections are (begin, end) in seconds that follow one another from the beginning of a recording to its end.
Formulas: hit rate (Turnbull and others 2007) is precision, recall and F of borders within 0.5 s and within 3 s of a
true one, each used once; deviation is the median distance from each border to the nearest of the other side, in
seconds. The beginning and the end of the recording, which anybody can say, are left out (`trim`). Rates lie in [0, 1].
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TypeAlias

import mir_eval
import numpy as np
from numpy.typing import NDArray

from mllm.errors import ConfigError

Span: TypeAlias = tuple[float, float]
WINDOWS_SECONDS = (0.5, 3.0)


def hit_rate(
    true: Sequence[Span], said: Sequence[Span], *, window_seconds: float, trim: bool = True
) -> tuple[float, float, float]:
    """Precision, recall and F of the borders.

    Args:
        true: at least two sections where `trim`, else at least one.
        said: none, or one where `trim`: all three are 0.
        window_seconds: how near a border must be, > 0.
        trim: leave out the first and the last border.

    Raises:
        ConfigError: there are too few true sections, or one ends before it begins.
    """
    reference, estimate = _checked(true, said, trim)
    if len(estimate) < (2 if trim else 1):
        return 0.0, 0.0, 0.0
    precision, recall, f = mir_eval.segment.detection(reference, estimate, window=window_seconds, trim=trim)
    return float(precision), float(recall), float(f)


def deviation(true: Sequence[Span], said: Sequence[Span], *, trim: bool = True) -> tuple[float, float]:
    """Median distance from true to stated borders, and from stated to true ones, in seconds; NaN where none is stated.

    Raises:
        ConfigError: there are too few true sections, or one ends before it begins.
    """
    reference, estimate = _checked(true, said, trim)
    if len(estimate) < (2 if trim else 1):
        return math.nan, math.nan
    true_to_said, said_to_true = mir_eval.segment.deviation(reference, estimate, trim=trim)
    return float(true_to_said), float(said_to_true)


def from_borders(borders: Sequence[float], *, seconds: float) -> list[Span]:
    """The sections of a recording of this length between borders in it."""
    edges = [0.0, *sorted({time for time in borders if 0.0 < time < seconds}), seconds]
    return list(itertools.pairwise(edges))


def evaluate(true: Sequence[Span], said: Sequence[Span], *, trim: bool = True) -> dict[str, float]:
    """Every figure of one recording by its name, such as "f_measure@0.5" and "median_true_to_said".

    Raises:
        ConfigError: there are too few true sections, or one ends before it begins.
    """
    found: dict[str, float] = {}
    for window in WINDOWS_SECONDS:
        rates = hit_rate(true, said, window_seconds=window, trim=trim)
        found |= {
            f"{name}@{window:g}": rate for name, rate in zip(("precision", "recall", "f_measure"), rates, strict=True)
        }
    found["median_true_to_said"], found["median_said_to_true"] = deviation(true, said, trim=trim)
    return found


def _checked(true: Sequence[Span], said: Sequence[Span], trim: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    fewest = 2 if trim else 1
    if len(true) < fewest:
        raise ConfigError(f"there are {len(true)} true sections; expected at least {fewest}")
    for begin, end in (*true, *said):
        if not 0 <= begin < end:
            raise ConfigError(f"a section goes from {begin} to {end} s; expected an end behind its beginning")
    reference, estimate = (np.array(spans, dtype=np.float64).reshape(-1, 2) for spans in (true, said))
    return reference, estimate
