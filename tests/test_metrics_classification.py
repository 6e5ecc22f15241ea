"""Metrics of labels against scikit-learn, also with the weights of resamples."""

from __future__ import annotations

import math
import random
import time
import warnings

import numpy as np
import pytest
import sklearn.metrics
import sklearn.preprocessing
from hypothesis import given, settings
from hypothesis import strategies as st

from mllm.errors import ConfigError
from mllm.eval import statistic
from mllm.eval.metrics import classification
from mllm.eval.statistic import Statistic

LABELS = ("piano", "guitar", "drums", "flute", "voice")


def value(found: Statistic, items: int) -> float:
    return float(found(np.ones((1, items)))[0])


def multi_label(seed: int, items: int = 60) -> tuple[list[set[str]], list[set[str]]]:
    rng = random.Random(seed)
    return tuple(  # type: ignore[return-value]
        [set(rng.sample(LABELS, rng.randint(low, 4))) for _ in range(items)] for low in (1, 0)
    )


TRUE, SAID = multi_label(1)
TABLE = sklearn.preprocessing.MultiLabelBinarizer(classes=LABELS)
MATRICES = TABLE.fit_transform(TRUE), TABLE.transform(SAID)


def test_figures_of_several_labels_are_those_of_scikit_learn() -> None:
    found = classification.evaluate(TRUE, SAID)
    assert found["micro_f1"] == pytest.approx(sklearn.metrics.f1_score(*MATRICES, average="micro"))
    assert found["macro_f1"] == pytest.approx(sklearn.metrics.f1_score(*MATRICES, average="macro"))
    assert found["precision"] == pytest.approx(sklearn.metrics.precision_score(*MATRICES, average="micro"))
    assert found["recall"] == pytest.approx(sklearn.metrics.recall_score(*MATRICES, average="micro"))


def test_a_resample_is_the_figure_of_its_items() -> None:
    weights = np.random.default_rng(0).integers(0, 4, size=(1, len(TRUE))).astype(float)
    for ours, theirs, average in (
        (classification.micro_f1, sklearn.metrics.f1_score, "micro"),
        (classification.macro_f1, sklearn.metrics.f1_score, "macro"),
        (classification.precision, sklearn.metrics.precision_score, "micro"),
        (classification.recall, sklearn.metrics.recall_score, "micro"),
    ):
        expected = theirs(*MATRICES, average=average, sample_weight=weights[0])
        assert ours(TRUE, SAID)(weights)[0] == pytest.approx(expected)


def test_figures_of_one_label_are_those_of_scikit_learn() -> None:
    rng = random.Random(3)
    true = [rng.choice(LABELS) for _ in range(80)]
    said = [rng.choice(LABELS) if rng.random() < 0.6 else one for one in true]
    single = [[one] for one in true], [[one] for one in said]
    assert value(classification.micro_f1(*single), 80) == pytest.approx(sklearn.metrics.accuracy_score(true, said))
    assert value(classification.macro_f1(*single), 80) == pytest.approx(
        sklearn.metrics.f1_score(true, said, average="macro")
    )
    assert value(classification.accuracy(true, said), 80) == pytest.approx(sklearn.metrics.accuracy_score(true, said))
    counted = classification.confusion(true, said)
    matrix = sklearn.metrics.confusion_matrix(true, said, labels=LABELS)
    for row, of_true in enumerate(LABELS):
        for column, of_said in enumerate(LABELS):
            assert counted.get((of_true, of_said), 0) == matrix[row, column]


def test_silence_is_wrong_and_stays_in_the_denominator() -> None:
    assert value(classification.accuracy(["a", "b"], ["a", None]), 2) == 0.5
    assert classification.confusion(["a", "b"], ["a", None]) == {("a", "a"): 1, ("b", classification.NOTHING): 1}
    assert value(classification.micro_f1([["a"], ["b"]], [["a"], []]), 2) == pytest.approx(2 / 3)
    assert value(classification.recall([["a"], ["b"]], [["a"], []]), 2) == 0.5
    assert value(classification.macro_f1([["a"], ["b"]], [["a"], []]), 2) == 0.5
    assert math.isnan(value(classification.precision([["a"]], [[]]), 1))


def test_a_label_made_up_lowers_the_mean_of_labels() -> None:
    assert value(classification.macro_f1([["a"]], [["a", "zither"]]), 1) == 0.5


SCORED = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]), st.integers(0, 3)), min_size=2)


@settings(max_examples=150, deadline=None)
@given(SCORED)
def test_areas_are_those_of_scikit_learn_with_ties_and_weights(items: list[tuple[bool, float, int]]) -> None:
    true, scores, counts = (list(column) for column in zip(*items, strict=True))
    weights = np.array([counts], dtype=float)
    drawn = {one for one, count in zip(true, counts, strict=True) if count}
    roc = classification.roc_auc(true, scores)(weights)[0]
    precision = classification.average_precision(true, scores)(weights)[0]
    if drawn == {True, False}:
        assert roc == pytest.approx(sklearn.metrics.roc_auc_score(true, scores, sample_weight=counts))
    else:
        assert math.isnan(roc)
    if True in drawn:
        # Scikit-learn warns of thresholds at which nothing is drawn.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = sklearn.metrics.average_precision_score(true, scores, sample_weight=counts)
        assert precision == pytest.approx(expected)
    else:
        assert math.isnan(precision)


def scores_by_label(seed: int) -> list[dict[str, float]]:
    rng = np.random.default_rng(seed)
    return [{label: float(rng.normal() + (label in true)) for label in LABELS} for true in TRUE]


def test_means_over_labels_are_those_of_scikit_learn() -> None:
    scores = scores_by_label(0)
    matrix = np.array([[of_item[label] for label in LABELS] for of_item in scores])
    assert value(classification.mean_average_precision(TRUE, scores), len(TRUE)) == pytest.approx(
        sklearn.metrics.average_precision_score(MATRICES[0], matrix, average="macro")
    )
    assert value(classification.mean_roc_auc(TRUE, scores), len(TRUE)) == pytest.approx(
        sklearn.metrics.roc_auc_score(MATRICES[0], matrix, average="macro")
    )


def test_a_label_without_a_score_comes_last() -> None:
    found = classification.mean_average_precision([["a"], ["b"], ["b"]], [{}, {"a": -5.0, "b": 1.0}, {"b": 2.0}])
    assert value(found, 3) == pytest.approx((1 / 3 + 1) / 2)  # of the three that are ranked for "a", one scored


def test_a_thousand_resamples_of_two_thousand_items_take_seconds() -> None:
    rng = np.random.default_rng(0)
    true = [set(rng.choice(20, size=4).astype(str)) for _ in range(2000)]
    scores = [{str(label): float(rng.random()) for label in range(20)} for _ in range(2000)]
    draws = statistic.draw([str(place) for place in range(2000)], seed=0)
    began = time.process_time()
    for found in (
        classification.macro_f1(true, true),
        classification.roc_auc([len(one) > 3 for one in true], [one["0"] for one in scores]),
    ):
        assert statistic.estimate(found, draws).value is not None
    areas = statistic.estimate(classification.mean_average_precision(true, scores), draws)
    assert areas.low is not None
    assert time.process_time() - began < 15


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: classification.accuracy([], []), "0 truths and 0 answers"),
        (lambda: classification.micro_f1([["a"]], []), "1 truths and 0 answers"),
        (lambda: classification.micro_f1(["ab"], [["a"]]), "not a text"),
        (lambda: classification.roc_auc([True], [float("nan")]), "score of item 0 is nan"),
        (lambda: classification.mean_average_precision([["a"]], [{}], labels=["b"]), "'b' is true of"),
        (lambda: classification.mean_average_precision([[]], [{}]), "no label is true"),
    ],
)
def test_wrong_arguments_are_refused(call: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call()  # type: ignore[operator]
