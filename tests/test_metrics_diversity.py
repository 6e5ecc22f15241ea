"""CIDEr-D against its formula written out, and how varied and new predictions are, by hand."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mllm.eval import statistic
from mllm.eval.metrics import cider, text, words
from mllm.eval.statistic import Statistic
from tests.caption_pairs import FIRST_REFERENCES, PREDICTIONS, REFERENCES


def value(found: Statistic, items: int) -> float:
    return float(found(np.ones((1, items)))[0])


def slow_cider(predictions: list[list[str]], references: list[list[list[str]]]) -> list[float]:
    """The formula of Vedantam et al., one stretch after the other."""

    def stretches(said: list[str]) -> Counter[tuple[str, ...]]:
        return Counter(tuple(said[k : k + n]) for n in range(1, 5) for k in range(len(said) - n + 1))

    frequencies = Counter(g for of_item in references for g in set().union(*map(stretches, of_item)))

    def weighed(said: list[str], n: int) -> dict[tuple[str, ...], float]:
        return {
            gram: count * (math.log(len(references)) - math.log(max(1, frequencies[gram])))
            for gram, count in stretches(said).items()
            if len(gram) == n
        }

    def norm(vector: dict[tuple[str, ...], float]) -> float:
        return math.sqrt(sum(one * one for one in vector.values()))

    scores = []
    for said, right in zip(predictions, references, strict=True):
        total = 0.0
        for one in right:
            for n in range(1, 5):
                p, r = weighed(said, n), weighed(one, n)
                if norm(p) and norm(r):
                    alike = sum(min(p.get(gram, 0.0), weight) * weight for gram, weight in r.items())
                    apart = math.exp(-((len(said) - len(one)) ** 2) / 72)
                    total += alike / (norm(p) * norm(r)) * apart
        scores.append(10 * total / 4 / len(right))
    return scores


def test_cider_is_the_formula() -> None:
    plain = [words.plain_words(words.words(one)) for one in PREDICTIONS]
    right = [[words.plain_words(words.words(one)) for one in of_item] for of_item in REFERENCES]
    assert text.cider(PREDICTIONS, REFERENCES) == pytest.approx(slow_cider(plain, right), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from("abcde"), max_size=9),
            st.lists(st.lists(st.sampled_from("abcde"), max_size=9), min_size=1, max_size=3),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_cider_of_any_words_is_the_formula(items: list[tuple[list[str], list[list[str]]]]) -> None:
    predictions, references = [said for said, _ in items], [right for _, right in items]
    assert cider.cider_of_words(predictions, references) == pytest.approx(slow_cider(predictions, references), abs=1e-9)


def test_cider_of_the_references_themselves_is_ten() -> None:
    perfect = text.cider([of_item[0] for of_item in FIRST_REFERENCES], FIRST_REFERENCES)
    assert perfect == pytest.approx([10.0] * len(perfect))
    assert text.cider(["a song"], [["a song"]]) == [0.0]  # of one item alone every word is in all references


def test_distinct_by_hand() -> None:
    said = ["A slow song.", "a slow, slow tune"]
    assert value(text.distinct(said, order=1), 2) == 4 / 7
    assert value(text.distinct(said, order=2), 2) == 4 / 5
    assert math.isnan(value(text.distinct(["", "a"], order=2), 2))


def test_the_interval_of_distinct_holds_its_value() -> None:
    """Drawn with replacement, texts come twice; uncorrected, every resample would lie below the value."""
    draws = statistic.draw([str(k) for k in range(len(PREDICTIONS))], seed=0)
    found = statistic.estimate(text.distinct(PREDICTIONS, order=2), draws)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high


def test_novelty_by_hand() -> None:
    said = ["a zither hums", "a song, a song"]
    assert value(text.novelty(said, {"a", "song"}), 2) == 2 / 7
    assert value(text.vocabulary_novelty(said, {"a", "song"}), 2) == 2 / 4
    assert value(text.mean_words(said), 2) == 3.5
