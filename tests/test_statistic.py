"""Figures with intervals: whole units are drawn, differences are paired, the same seed gives the same numbers."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from mllm.errors import ConfigError
from mllm.eval import statistic
from mllm.eval.statistic import Estimate, OfEach, OfSums, Ratio

SHARES = strategies.lists(strategies.one_of(strategies.none(), strategies.floats(0, 1)), min_size=1, max_size=30)


@hypothesis.given(values=SHARES)
def test_a_share_is_the_mean_of_what_is_counted_and_lies_within_its_interval(values: list[float | None]) -> None:
    draws = statistic.draw([str(number) for number in range(len(values))], resamples=200, seed=1)
    found = statistic.estimate(statistic.share(values), draws)
    counted = [value for value in values if value is not None]
    if not counted:
        assert found == Estimate(value=None, low=None, high=None)
        return
    assert found.value == pytest.approx(sum(counted) / len(counted))
    assert found.low is not None
    assert found.high is not None
    assert min(counted) - 1e-9 <= found.low <= found.high <= max(counted) + 1e-9


def test_the_interval_of_a_share_is_that_of_the_binomial_distribution() -> None:
    """Percentiles of 20,000 draws of 100 answers, 70 of which are right: 0.61 to 0.79 by its quantiles."""
    draws = statistic.draw([str(number) for number in range(100)], resamples=20_000, seed=0)
    found = statistic.estimate(statistic.share([1.0] * 70 + [0.0] * 30), draws)
    assert [found.value, found.low, found.high] == pytest.approx([0.7, 0.61, 0.79], abs=0.011)


def test_questions_about_one_recording_stand_and_fall_together() -> None:
    """Ten recordings with ten equal answers each vary as ten answers do, not as a hundred."""
    values = [float(number % 2) for number in range(10) for _ in range(10)]
    together = statistic.draw([str(number) for number in range(10) for _ in range(10)], resamples=2000, seed=3)
    apart = statistic.draw([str(number) for number in range(100)], resamples=2000, seed=3)
    wide, narrow = (statistic.estimate(statistic.share(values), draws) for draws in (together, apart))
    assert wide.value == narrow.value == 0.5
    assert _width(wide) > 2.5 * _width(narrow)


def test_a_difference_is_paired() -> None:
    """Where one side is always 0.1 better, the difference does not vary, however much both sides do."""
    rng = np.random.default_rng(0)
    left = rng.uniform(0, 0.9, 50)
    draws = statistic.draw([str(number) for number in range(50)], seed=0)
    found = statistic.difference(statistic.share([*(left + 0.1)]), statistic.share([*left]), draws)
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_all_kinds_of_figures_agree_where_they_say_the_same() -> None:
    numerators, denominators = np.array([1.0, 0.0, 2.0, 3.0]), np.array([2.0, 1.0, 2.0, 0.0])
    draws = statistic.draw(list("abcd"), resamples=300, seed=5)
    ratio = Ratio(numerators=numerators, denominators=denominators)
    table = np.stack([numerators, denominators], axis=1)

    def divided(sums: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan)

    def one(weights: np.ndarray) -> float:
        total = float(weights @ denominators)
        return float(weights @ numerators) / total if total else float("nan")

    wanted = statistic.estimate(ratio, draws)
    assert wanted.value == pytest.approx(6 / 5)
    assert statistic.estimate(OfSums(columns=table, formula=divided), draws) == wanted
    assert statistic.estimate(OfEach(function=one), draws) == wanted


def test_the_seed_decides_the_draw_to_the_digit() -> None:
    units = ["a", "a", "b", "c"]
    first, again, other = (statistic.draw(units, resamples=50, seed=seed).weights for seed in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first[0].tolist() == [1, 1, 1, 1]
    assert all(row[0] == row[1] and row[0] + row[2] + row[3] == 3 for row in first[1:])


@pytest.mark.parametrize(("units", "resamples"), [([], 10), (["a"], 0)])
def test_nothing_cannot_be_drawn(units: list[str], resamples: int) -> None:
    with pytest.raises(ConfigError, match="expected at least one of each"):
        statistic.draw(units, resamples=resamples, seed=0)


def _width(estimate: Estimate) -> float:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.high - estimate.low
