"""Times: how near a stated moment is to the true one.

Conventions: times are seconds from the beginning of a recording. Formulas: `within` is whether the moment is within
0.5 s of the true one; `error` is the distance in seconds. So that nothing is gained by silence, nothing said has the
largest error that an answer within the recording could have, and no error is larger.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from mllm.errors import ConfigError

TOLERANCE_SECONDS = 0.5
_ROUNDING = 1e-9


def within(true: float, said: float | None, *, seconds: float = TOLERANCE_SECONDS) -> bool:
    """Whether a moment lies within so many seconds of the true one, the border included; None is wrong."""
    return said is not None and abs(said - true) <= seconds + _ROUNDING


def error(true: float, said: float | None, *, length: float) -> float:
    """Distance of a moment from the true one in seconds; at most, and of nothing said, the largest there can be.

    Args:
        true: in [0, length].
        said: None where nothing was said.
        length: of the recording in seconds.

    Raises:
        ConfigError: the true moment lies outside the recording.
    """
    if not 0 <= true <= length:
        raise ConfigError(f"the true moment is {true} s; expected one within the {length} s of the recording")
    largest = max(true, length - true)
    return largest if said is None else min(abs(said - true), largest)


def evaluate(truths: Sequence[float], said: Sequence[float | None], *, lengths: Sequence[float]) -> dict[str, float]:
    """Share within 0.5 s, mean and median error in seconds, and the share answered.

    Args:
        truths: the moment of each item.
        said: None where nothing was said.
        lengths: of the recordings.

    Raises:
        ConfigError: the numbers differ, there are none, or a true moment lies outside its recording.
    """
    if not len(truths) == len(said) == len(lengths) or not truths:
        raise ConfigError(
            f"{len(truths)} moments, {len(said)} answers and {len(lengths)} lengths; expected as many of each, and at "
            "least one"
        )
    errors = [error(true, one, length=length) for true, one, length in zip(truths, said, lengths, strict=True)]
    return {
        "within_half_second": sum(within(true, one) for true, one in zip(truths, said, strict=True)) / len(truths),
        "mean_error_seconds": statistics.fmean(errors),
        "median_error_seconds": statistics.median(errors),
        "answered": sum(one is not None for one in said) / len(said),
    }
