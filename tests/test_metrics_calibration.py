"""Metrics of confidences against values by hand and formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mllm.errors import ConfigError
from mllm.eval.metrics import calibration
from mllm.eval.statistic import Statistic

CONFIDENCES = [0.9, 0.8, 0.8, 0.3, 0.1, 0.0, 1.0, None, 0.5]
CREDITS = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, None]


def value(found: Statistic, items: int) -> float:
    return float(found(np.ones((1, items)))[0])


def test_calibration_error_by_hand() -> None:
    """Two bins: below 0.5 two of three are wrong at a mean of 0.4 / 3; above, three of four right at 3.5 / 4."""
    below, above = 3 / 7 * abs(1 / 3 - 0.4 / 3), 4 / 7 * abs(3 / 4 - 3.5 / 4)
    assert value(calibration.ece(CONFIDENCES, CREDITS, bins=2), 9) == pytest.approx(below + above)


def test_a_bin_holds_its_upper_edge_and_the_first_holds_nothing_at_all() -> None:
    bins = calibration.reliability([0.0, 0.5, 0.500001, 1.0], [0.0, 1.0, 1.0, 1.0], bins=2)
    assert [(one.low, one.high, one.count) for one in bins] == [(0.0, 0.5, 2), (0.5, 1.0, 2)]
    assert (bins[0].confidence, bins[0].credit) == (0.25, 0.5)
    edges = [number / 15 for number in range(16)]
    counts = [one.count for one in calibration.reliability(edges, [1.0] * 16)]
    assert counts == [2] + [1] * 14


def test_empty_bins_are_there() -> None:
    empty = calibration.reliability([1.0], [1.0], bins=3)[0]
    assert (empty.count, empty.confidence, empty.credit) == (0, None, None)


PAIRS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=30)


@given(PAIRS)
def test_error_is_the_formula_for_every_resample(items: list[tuple[float, float, int]]) -> None:
    drawn = [(confidence, credit) for confidence, credit, count in items for _ in range(count)]
    counts = np.array([[count for *_, count in items]], dtype=float)
    found = calibration.ece([item[0] for item in items], [item[1] for item in items])(counts)[0]
    if not drawn:
        assert math.isnan(found)
        return
    bins = calibration.reliability([one for one, _ in drawn], [one for _, one in drawn])
    gaps = [
        one.count * abs(one.credit - one.confidence)
        for one in bins
        if one.credit is not None and one.confidence is not None
    ]
    assert found == pytest.approx(sum(gaps) / len(drawn), abs=1e-9)
    assert 0 <= found <= 1 + 1e-9


@given(PAIRS)
def test_area_is_the_mean_risk_for_every_resample(items: list[tuple[float, float, int]]) -> None:
    drawn = [(confidence, credit) for confidence, credit, count in items for _ in range(count)]
    counts = np.array([[count for *_, count in items]], dtype=float)
    found = calibration.area_under_risk_coverage([item[0] for item in items], [item[1] for item in items])(counts)[0]
    if not drawn:
        assert math.isnan(found)
        return
    risks = []
    for threshold, _ in drawn:
        answered = [1 - credit for confidence, credit in drawn if confidence >= threshold]
        risks.append(sum(answered) / len(answered))
    assert found == pytest.approx(sum(risks) / len(risks), abs=1e-9)


def test_risk_and_coverage_by_hand() -> None:
    points = calibration.risk_coverage([0.9, 0.5, 0.5, 0.1, None], [1.0, 0.0, 1.0, 0.0, 1.0])
    assert points == [(0.25, 0.0), (0.75, pytest.approx(1 / 3)), (1.0, 0.5)]
    assert calibration.risk_coverage([None], [1.0]) == []


def test_confidence_that_ranks_well_has_the_smaller_area() -> None:
    credits_ = [1.0] * 6 + [0.0] * 4
    rising = [place / 10 for place in range(10)]
    good = value(calibration.area_under_risk_coverage(rising[::-1], credits_), 10)
    flat = value(calibration.area_under_risk_coverage([0.5] * 10, credits_), 10)
    bad = value(calibration.area_under_risk_coverage(rising, credits_), 10)
    assert good < flat < bad
    assert flat == pytest.approx(0.4)


def test_what_is_left_out_is_counted() -> None:
    found = calibration.evaluate(CONFIDENCES, CREDITS)
    assert (found["count"], found["left_out"]) == (7, 2)
    assert found["risk"] == pytest.approx(3 / 7)
    nothing = calibration.evaluate([None, 0.5], [1.0, None])
    assert (nothing["count"], nothing["left_out"]) == (0, 2)
    assert math.isnan(nothing["ece"])
    assert math.isnan(nothing["area_under_risk_coverage"])


@pytest.mark.parametrize(
    ("confidences", "earned", "message"),
    [
        ([], [], "0 confidences and 0 credits"),
        ([0.5], [], "1 confidences and 0 credits"),
        ([0.5, 1.5], [1.0, 1.0], "the confidence of item 1 is 1.5"),
        ([0.5], [-1.0], "the credit of item 0 is -1.0"),
        ([float("nan")], [1.0], "the confidence of item 0 is nan"),
    ],
)
def test_wrong_numbers_are_refused(confidences: list[float], earned: list[float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        calibration.ece(confidences, earned)


def test_no_bins_are_refused() -> None:
    with pytest.raises(ConfigError, match="bins is 0"):
        calibration.reliability([0.5], [1.0], bins=0)
