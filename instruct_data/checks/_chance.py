"""How probable a deviation is by chance. In: counts or standard deviations. Out: probabilities. Knows no data."""

from __future__ import annotations

import math
from collections.abc import Sequence


def uniform(counts: Sequence[int]) -> float:
    """Probability that equally likely cases come out at least as unequal as these (Pearson's chi-square test)."""
    expected = sum(counts) / len(counts)
    statistic = sum((count - expected) ** 2 for count in counts) / expected
    return chi_square(statistic, len(counts) - 1)


def chi_square(statistic: float, freedom: int) -> float:
    """Probability that a chi-square variable of so many degrees of freedom (>= 1) is at least this.

    The finite sums of Abramowitz and Stegun, Handbook of Mathematical Functions, 26.4.4 and 26.4.5.
    """
    half = statistic / 2
    if freedom % 2 == 0:
        term = total = 1.0
        for k in range(1, freedom // 2):
            term *= half / k
            total += term
        return math.exp(-half) * total
    total = math.erfc(math.sqrt(half))
    term = math.sqrt(statistic * 2 / math.pi) * math.exp(-half)
    for k in range(1, freedom // 2 + 1):
        total += term
        term *= statistic / (2 * k + 1)
    return total


def two_sided(deviations: float) -> float:
    """Probability that a normal variable is at least so many standard deviations away from its mean."""
    return math.erfc(abs(deviations) / math.sqrt(2))
