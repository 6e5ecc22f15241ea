"""Scores of rankings: how early the right candidates come.

In: of each question the ids that are right and the ids in the order in which they were ranked, the best first. Out:
figures as `Statistic`s over the questions, so that a bootstrap draws users. Knows neither how rankings are made nor
which candidates there were.

Conventions, the same for every score:

- Full ranking: nothing is sampled (Krichene and Rendle, On Sampled Metrics for Item Recommendation, KDD 2020).
- A score is counted for each question, and the mean over the questions is told.
- A question to which nothing is right is left out; one that got no ranking counts 0.
- A ranking may be cut off: what is not in it was not found.
- An id that stands twice in a ranking earns nothing the second time, and takes up the place.

The formulas are the usual ones (for NDCG, with gain 1 for what is right: Järvelin and Kekäläinen, Cumulated gain-based
evaluation of IR techniques, TOIS 2002; for MRR: Voorhees, The TREC-8 question answering track report, 1999).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mllm.errors import ConfigError
from mllm.eval import statistic
from mllm.eval.statistic import Ratio, Values, Weights

Right: TypeAlias = Sequence[Collection[str]]
"""Of each question: ids that are right."""
Rankings: TypeAlias = Sequence[Sequence[str]]
"""Of each question: ids, the best first; empty where nothing was said."""


def recall(right: Right, rankings: Rankings, *, k: int) -> Ratio:
    """Share of what is right that stands among the first `k`: |right and first k| / |right|."""
    return _mean(right, rankings, k, lambda places, count: len(places) / count)


def ndcg(right: Right, rankings: Rankings, *, k: int) -> Ratio:
    """Normalised discounted cumulative gain of the first `k`, gains 0 and 1.

    Sum of 1 / log2(1 + rank) over the right ones among the first `k`, divided by the same sum where the right ones come
    first (as many of them as fit into `k`).
    """
    return _mean(right, rankings, k, lambda places, count: _discounted(places) / _discounted(range(min(k, count))))


def hit_rate(right: Right, rankings: Rankings, *, k: int) -> Ratio:
    """Share of questions with anything right among the first `k`."""
    return _mean(right, rankings, k, lambda places, _: float(bool(places)))


def reciprocal_rank(right: Right, rankings: Rankings, *, k: int | None = None) -> Ratio:
    """Mean of 1 / rank of the first that is right; 0 where none is among the first `k` (None: anywhere)."""
    return _mean(right, rankings, k, lambda places, _: 1.0 / (places[0] + 1) if places else 0.0)


def tail_recall(right: Right, head: Collection[str], rankings: Rankings, *, k: int) -> Ratio:
    """Recall of what is right and not in the `head` (see `head_of`); questions without any of it are left out."""
    return recall([[one for one in dict.fromkeys(ids) if one not in head] for ids in right], rankings, k=k)


def share_of_first(refused: Right, rankings: Rankings, *, k: int) -> Ratio:
    """Of all that stands among the first `k`, the share that was refused; rankings with nothing in them are left out.

    Args:
        refused: of each question the ids that should not be there.
        rankings: of each question ids, the best first.
        k: how many are looked at.
    """
    _check(refused, rankings, k)
    firsts = [ranking[:k] for ranking in rankings]
    found = [sum(one in set(bad) for one in first) for bad, first in zip(refused, firsts, strict=True)]
    shares = [count / len(first) if first else None for count, first in zip(found, firsts, strict=True)]
    return statistic.share(shares)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Coverage:
    """Share of a catalogue that stands among the first ones of any ranking.

    A resample holds fewer different users than there are, so that its coverage is smaller: the interval lies below the
    value, and says how much the value depends on single users, not where the coverage of more users would be.
    """

    shown: NDArray[np.float64]
    """(questions, different ids): 1 where an id stands among the first ones."""
    catalogue: int
    """How many ids there are."""

    def __call__(self, weights: Weights) -> Values:
        """The share in each resample."""
        shares: Values = ((weights > 0) @ self.shown > 0).sum(axis=1) / self.catalogue
        return shares


def coverage(rankings: Rankings, *, k: int, catalogue: int) -> Coverage:
    """How much of a catalogue of so many ids is shown to anybody among the first `k`."""
    if catalogue < 1 or k < 1:
        raise ConfigError(f"coverage of the first {k} of a catalogue of {catalogue}; expected at least 1 of each")
    places: dict[str, int] = {}
    cells = [
        (number, places.setdefault(one, len(places))) for number, ranking in enumerate(rankings) for one in ranking[:k]
    ]
    shown = np.zeros((len(rankings), len(places)))
    if cells:
        shown[tuple(np.array(cells).T)] = 1.0
    return Coverage(shown=shown, catalogue=catalogue)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MedianRank:
    """Median over questions, each as often as it was drawn; between two middle ones their mean."""

    ranks: NDArray[np.float64]
    """(questions,)"""
    counted: NDArray[np.float64]
    """(questions,): 0 for a question that is left out, otherwise 1."""

    def __call__(self, weights: Weights) -> Values:
        """The median in each resample; NaN where nothing is counted."""
        order = np.argsort(self.ranks, kind="stable")
        ranks = self.ranks[order]
        reached = np.cumsum((weights * self.counted)[:, order], axis=1)
        half = reached[:, -1:] / 2
        lower = ranks[np.argmax(reached >= half, axis=1)]
        upper = ranks[np.argmax(reached > half, axis=1)]
        return np.where(half[:, 0] > 0, (lower + upper) / 2, np.nan)


def median_rank(right: Right, rankings: Rankings, *, worst: int) -> MedianRank:
    """Median of the rank (from 1) of the first that is right.

    Args:
        right: of each question the ids that are right.
        rankings: of each question ids, the best first.
        worst: the rank that counts where nothing right is in a ranking: the number of candidates.
    """
    _check(right, rankings, worst)
    found = [_places(ids, ranking, None) for ids, ranking in zip(right, rankings, strict=True)]
    return MedianRank(
        ranks=np.array([places[0] + 1 if places else worst for places in found], dtype=np.float64),
        counted=np.array([bool(ids) for ids in right], dtype=np.float64),
    )


def head_of(listeners: Sequence[int], *, share: float = 0.2) -> list[int]:
    """Places of the items with most listeners, a share of all; of equal ones those that stand first.

    Args:
        listeners: how many listeners each item has.
        share: in [0, 1], rounded down to whole items.
    """
    order = np.argsort(-np.asarray(listeners), kind="stable")
    return [int(place) for place in order[: int(len(order) * share)]]


def evaluate(right: Right, rankings: Rankings, *, catalogue: int, ks: Sequence[int] = (10, 20)) -> dict[str, float]:
    """Every score by its name, such as "ndcg@10", without intervals.

    Args:
        right: of each question the ids that are right.
        rankings: of each question ids, the best first.
        catalogue: how many ids there are.
        ks: how many first ones are looked at.

    Raises:
        ConfigError: there is nothing to score, lists of different lengths were given, or a `k` is below 1.
    """
    if not right:
        raise ConfigError("there are no questions to score; expected at least one")
    found: dict[str, statistic.Statistic] = {"mrr": reciprocal_rank(right, rankings)}
    for k in ks:
        found[f"recall@{k}"] = recall(right, rankings, k=k)
        found[f"ndcg@{k}"] = ndcg(right, rankings, k=k)
        found[f"hit@{k}"] = hit_rate(right, rankings, k=k)
        found[f"coverage@{k}"] = coverage(rankings, k=k, catalogue=catalogue)
    found["median rank"] = median_rank(right, rankings, worst=catalogue)
    once = np.ones((1, len(right)))
    return {name: float(one(once)[0]) for name, one in found.items()}


def _mean(right: Right, rankings: Rankings, k: int | None, score: Callable[[list[int], int], float]) -> Ratio:
    """Mean over questions of a score of the places of what was found and the number of what is right."""
    _check(right, rankings, k)
    return statistic.share(
        [
            score(_places(ids, ranking, k), len(set(ids))) if ids else None
            for ids, ranking in zip(right, rankings, strict=True)
        ]
    )


def _places(ids: Collection[str], ranking: Sequence[str], k: int | None) -> list[int]:
    """Places (from 0) among the first `k` where something right stands for the first time."""
    missing = set(ids)
    found = []
    for place, one in enumerate(ranking[:k]):
        if one in missing:
            missing.remove(one)
            found.append(place)
    return found


def _discounted(places: Collection[int]) -> float:
    return float(sum(1.0 / np.log2(place + 2) for place in places))


def _check(right: Right, rankings: Rankings, k: int | None) -> None:
    if len(right) != len(rankings):
        raise ConfigError(f"there are {len(right)} questions and {len(rankings)} rankings; expected one of each")
    if k is not None and k < 1:
        raise ConfigError(f"the first {k} of a ranking were asked for; expected 1 or more")
