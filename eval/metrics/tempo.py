"""Tempo: whether a stated tempo is the true one.

Conventions: tempi are beats a minute. Formula (Gouyon and others, IEEE Transactions on Audio, Speech, and Language
Processing 14(5), 2006): Acc1 is the share of recordings whose stated tempo lies within 4 % of the true one, Acc2 the
share within 4 % of it, or of its third, half, double or triple. Other public codes take other octave sets (some leave
out the thirds), and others count recordings without an answer out: here they are wrong. Both lie in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mllm.errors import ConfigError

TOLERANCE = 0.04
"""Share of the true tempo within which a stated one is right."""
OCTAVES = (1 / 3, 1 / 2, 1.0, 2.0, 3.0)
"""Multiples of the true tempo that Acc2 takes as right."""
_ROUNDING = 1e-9


def acc1(true_bpm: float, said_bpm: float | None) -> bool:
    """Whether a tempo lies within `TOLERANCE` of the true one, the border included.

    Args:
        true_bpm: > 0.
        said_bpm: None where nothing was said, which is wrong.

    Raises:
        ConfigError: the true tempo is not above 0.
    """
    return _within(true_bpm, said_bpm, (1.0,))


def acc2(true_bpm: float, said_bpm: float | None) -> bool:
    """As `acc1`, of any of the multiples in `OCTAVES`."""
    return _within(true_bpm, said_bpm, OCTAVES)


def evaluate(truths: Sequence[float], said: Sequence[float | None]) -> dict[str, float]:
    """Acc1, Acc2 and the share answered, over recordings.

    Args:
        truths: the tempo of each recording.
        said: what was said of each; None: nothing.

    Raises:
        ConfigError: the numbers differ, there are none, or a true tempo is not above 0.
    """
    if len(truths) != len(said) or not truths:
        raise ConfigError(f"{len(truths)} tempi and {len(said)} answers; expected as many of both, and at least one")
    pairs = list(zip(truths, said, strict=True))
    return {
        "acc1": sum(acc1(*pair) for pair in pairs) / len(pairs),
        "acc2": sum(acc2(*pair) for pair in pairs) / len(pairs),
        "answered": sum(one is not None for one in said) / len(pairs),
    }


def _within(true: float, said: float | None, factors: Sequence[float]) -> bool:
    if not (math.isfinite(true) and true > 0):
        raise ConfigError(f"the true tempo is {true}; expected beats a minute, above 0")
    if said is None or not math.isfinite(said):
        return False
    return any(abs(said - factor * true) <= (TOLERANCE + _ROUNDING) * factor * true for factor in factors)
