"""Scores of rankings: equal to sums by hand and to scikit-learn, whole in the denominator, drawn by users."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from mllm.errors import ConfigError
from mllm.eval import statistic
from mllm.eval.metrics import ranking
from mllm.eval.statistic import Statistic

RIGHT = [{"a", "b"}, {"c"}, {"d", "e", "f"}]
RANKINGS = [("a", "x", "b", "y"), ("x", "y", "z"), ("x", "d", "e", "f")]


def value(figure: Statistic, questions: int = 3) -> float:
    return float(figure(np.ones((1, questions)))[0])


def test_sums_by_hand() -> None:
    second, third, fourth = 1 / math.log2(3), 1 / math.log2(4), 1 / math.log2(5)
    assert value(ranking.recall(RIGHT, RANKINGS, k=2)) == pytest.approx((1 / 2 + 0 + 1 / 3) / 3)
    assert value(ranking.recall(RIGHT, RANKINGS, k=3)) == pytest.approx((1 + 0 + 2 / 3) / 3)
    first = (1 + third) / (1 + second)
    last = (second + third + fourth) / (1 + second + third)
    assert value(ranking.ndcg(RIGHT, RANKINGS, k=4)) == pytest.approx((first + 0 + last) / 3)
    assert value(ranking.ndcg(RIGHT, RANKINGS, k=2)) == pytest.approx((1 + 0 + second) / (1 + second) / 3)
    assert value(ranking.hit_rate(RIGHT, RANKINGS, k=1)) == pytest.approx(1 / 3)
    assert value(ranking.hit_rate(RIGHT, RANKINGS, k=2)) == pytest.approx(2 / 3)
    assert value(ranking.reciprocal_rank(RIGHT, RANKINGS)) == pytest.approx((1 + 0 + 1 / 2) / 3)
    assert value(ranking.reciprocal_rank(RIGHT, RANKINGS, k=1)) == pytest.approx(1 / 3)
    assert value(ranking.coverage(RANKINGS, k=2, catalogue=10)) == pytest.approx(4 / 10)
    assert value(ranking.tail_recall(RIGHT, {"a", "c", "d"}, RANKINGS, k=3)) == pytest.approx((1 + 1 / 2) / 2)
    assert value(ranking.share_of_first([{"x"}, {"q"}, {"d", "e"}], RANKINGS, k=2)) == pytest.approx(1 / 3)
    assert value(ranking.median_rank(RIGHT, RANKINGS, worst=50)) == 2


def test_what_got_no_ranking_counts_and_what_has_no_truth_does_not() -> None:
    assert value(ranking.recall([{"a"}, {"b"}], [("a",), ()], k=5), 2) == pytest.approx(1 / 2)
    assert value(ranking.ndcg([{"a"}, set()], [("a",), ("b",)], k=5), 2) == 1.0
    assert math.isnan(value(ranking.recall([set()], [("a",)], k=5), 1))
    assert value(ranking.median_rank([{"a"}, set()], [(), ("b",)], worst=9), 2) == 9
    assert math.isnan(value(ranking.share_of_first([{"a"}], [()], k=5), 1))
    assert value(ranking.coverage([(), ()], k=5, catalogue=3), 2) == 0.0


def test_an_id_that_is_said_twice_earns_once_and_takes_up_its_place() -> None:
    assert value(ranking.recall([{"a", "b"}], [("a", "a", "b")], k=2), 1) == pytest.approx(1 / 2)
    assert value(ranking.ndcg([{"a"}], [("a", "a")], k=2), 1) == 1.0


def test_the_head_is_a_fifth_and_equal_ones_keep_their_order() -> None:
    assert ranking.head_of([1, 5, 5, 0, 5, 2, 1, 1, 1, 1]) == [1, 2]
    assert ranking.head_of([3, 1, 2], share=1.0) == [0, 2, 1]
    assert ranking.head_of([3, 1, 2]) == []


def test_all_scores_by_name() -> None:
    found = ranking.evaluate(RIGHT, RANKINGS, catalogue=10, ks=(2,))
    assert set(found) == {"mrr", "recall@2", "ndcg@2", "hit@2", "coverage@2", "median rank"}
    assert found["hit@2"] == pytest.approx(2 / 3)


def test_users_are_drawn_whole() -> None:
    figure = ranking.recall([{"a"}, {"a"}, {"b"}, {"b"}], [("a",), ("a",), ("a",), ("a",)], k=1)
    draws = statistic.draw(["one", "one", "two", "two"], resamples=200, seed=0)
    found = statistic.estimate(figure, draws)
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)
    better = ranking.recall([{"a"}, {"a"}, {"b"}, {"b"}], [("a",), ("a",), ("b",), ("b",)], k=1)
    assert statistic.difference(better, figure, draws).value == 0.5


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: ranking.recall([{"a"}], [], k=3), "1 questions and 0 rankings"),
        (lambda: ranking.ndcg([{"a"}], [("a",)], k=0), "first 0 of a ranking"),
        (lambda: ranking.coverage([("a",)], k=1, catalogue=0), "catalogue of 0"),
        (lambda: ranking.evaluate([], [], catalogue=3), "no questions"),
    ],
)
def test_what_cannot_be_scored_is_told(call: object, told: str) -> None:
    assert callable(call)
    with pytest.raises(ConfigError, match=told):
        call()


ITEMS = tuple("abcdefghij")
ORDERS = st.permutations(ITEMS)
TRUTHS = st.sets(st.sampled_from(ITEMS), min_size=1)


@settings(deadline=None, max_examples=60)
@given(order=ORDERS, right=TRUTHS, k=st.integers(1, 10))
def test_ndcg_is_that_of_scikit_learn(order: list[str], right: set[str], k: int) -> None:
    gains = np.array([[float(item in right) for item in ITEMS]])
    weights = np.array([[-float(order.index(item)) for item in ITEMS]])
    assert value(ranking.ndcg([right], [order], k=k), 1) == pytest.approx(ndcg_score(gains, weights, k=k))


@settings(deadline=None, max_examples=60)
@given(order=ORDERS, right=TRUTHS, k=st.integers(1, 9))
def test_scores_are_shares_grow_with_k_and_are_1_for_the_right_order(order: list[str], right: set[str], k: int) -> None:
    perfect = [*sorted(right), *(item for item in order if item not in right)]
    for score in (ranking.recall, ranking.hit_rate):
        few, more = value(score([right], [order], k=k), 1), value(score([right], [order], k=k + 1), 1)
        assert 0.0 <= few <= more <= 1.0
    assert 0.0 <= value(ranking.ndcg([right], [order], k=k), 1) <= 1.0 + 1e-12
    assert value(ranking.ndcg([right], [perfect], k=k), 1) == pytest.approx(1.0)
    assert value(ranking.recall([right], [perfect], k=len(right)), 1) == 1.0


@settings(deadline=None, max_examples=60)
@given(drawn=st.lists(st.tuples(st.sampled_from(ITEMS), st.integers(0, 3)), min_size=1), order=ORDERS)
def test_a_drawn_median_is_that_of_the_drawn_ranks(drawn: list[tuple[str, int]], order: list[str]) -> None:
    ranks = [order.index(item) + 1 for item, _ in drawn]
    times = np.array([[count for _, count in drawn]], dtype=float)
    figure = ranking.median_rank([{item} for item, _ in drawn], [order] * len(drawn), worst=10)
    repeated = np.repeat(ranks, [count for _, count in drawn])
    expected = float(np.median(repeated)) if len(repeated) else math.nan
    assert float(figure(times)[0]) == pytest.approx(expected, nan_ok=True)


@settings(deadline=None, max_examples=60)
@given(orders=st.lists(ORDERS, min_size=1, max_size=6), k=st.integers(1, 10), data=st.data())
def test_a_drawn_coverage_is_that_of_the_drawn_users(orders: list[list[str]], k: int, data: st.DataObject) -> None:
    times = data.draw(st.lists(st.integers(0, 2), min_size=len(orders), max_size=len(orders)))
    shown = {item for order, count in zip(orders, times, strict=True) if count for item in order[:k]}
    figure = ranking.coverage(orders, k=k, catalogue=len(ITEMS))
    assert float(figure(np.array([times], dtype=float))[0]) == pytest.approx(len(shown) / len(ITEMS))
