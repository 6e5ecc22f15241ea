"""How near texts are to their references: BLEU, METEOR, ROUGE-L, CIDEr-D, and how varied they are.

In: of each item a prediction and one reference or more. Out: floats, and statistics, which a bootstrap weighs. All but
CIDEr-D lie in [0, 1]; higher is nearer. An empty prediction scores 0 and stays in the denominator. None of them knows
whether a text is true of a recording: they count words.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import multiprocessing
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU

from mllm.errors import ConfigError
from mllm.eval.metrics import diversity
from mllm.eval.metrics.cider import cider, cider_of_words
from mllm.eval.metrics.diversity import distinct, mean_words, novelty, vocabulary_novelty
from mllm.eval.metrics.division import divided
from mllm.eval.metrics.meteor import meteor, meteor_of_words
from mllm.eval.metrics.meteor import name as meteor_name
from mllm.eval.metrics.rouge import rouge_l
from mllm.eval.metrics.words import plain_words, words
from mllm.eval.statistic import OfSums, Ratio, Statistic, Values

__all__ = [
    "bleu",
    "cider",
    "distinct",
    "evaluate",
    "mean_words",
    "meteor",
    "meteor_name",
    "novelty",
    "rouge_l",
    "statistics",
    "vocabulary_novelty",
]

ORDERS = 4
"""BLEU counts stretches of 1 to 4 words."""
_CHUNK = 250
"""Items that a process scores at once."""


def bleu(predictions: Sequence[str], references: Sequence[Sequence[str]], *, order: int) -> OfSums:
    """Corpus BLEU over stretches of 1 to `order` words, in [0, 1].

    min(1, exp(1 - r / c)) times the geometric mean of the shares of predicted stretches of 1, ..., `order` words that
    stand in a reference (each as often as in the reference that has it most often), summed over the corpus; c is the
    number of words predicted, r that of the references nearest in length (Papineni et al. 2002). Tokens are those of
    mteval-v13a in their case, nothing is smoothed: counts are sacrebleu's, and BLEU-k is what it gives for
    `max_ngram_order=k` divided by 100. With one reference an item that is also HuggingFace evaluate's "bleu"; with
    several, that one takes the shortest reference as r, and this the nearest in length (the shorter of two as near).

    Raises:
        ConfigError: the numbers of items differ, there are none, an item has no reference, or `order` is not 1 to 4.
    """
    _check(predictions, references)
    if not 1 <= order <= ORDERS:
        raise ConfigError(f"BLEU of order {order} was asked for; expected 1 to {ORDERS}")
    return _bleu_of(_bleu_counts(predictions, references), order)


def evaluate(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    known_words: Collection[str] | None = None,
    processes: int = 1,
) -> dict[str, float]:
    """Every figure by its name, NaN where it cannot be counted. Args, names and Raises: as `statistics`."""
    found = statistics(predictions, references, known_words=known_words, processes=processes)
    once = np.ones((1, len(predictions)))
    return {name: float(one(once)[0]) for name, one in found.items()}


def statistics(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    known_words: Collection[str] | None = None,
    processes: int = 1,
) -> dict[str, Statistic]:
    """Every figure as a statistic over the items, by its name.

    Names: bleu1 to bleu4, "meteor" ("meteor_without_synonyms" where the system has no WordNet), rouge_l, cider,
    distinct1, distinct2, mean_words, and where words are given novelty and vocabulary_novelty.

    Args:
        predictions: one an item; empty where nothing was said.
        references: one or more an item.
        known_words: in lower case, for novelty.
        processes: that score at once; the numbers do not depend on it.

    Raises:
        ConfigError: the numbers of items differ, there are none, or an item has no reference.
    """
    _check(predictions, references)
    scored = _scored(predictions, references, processes)
    counts = np.array([one.bleu_counts for one in scored], dtype=np.float64)
    predicted = [one.prediction for one in scored]
    found: dict[str, Statistic] = {f"bleu{order}": _bleu_of(counts, order) for order in range(1, ORDERS + 1)}
    found[meteor_name()] = _mean([one.meteor for one in scored])
    found["rouge_l"] = _mean([one.rouge_l for one in scored])
    found["cider"] = _mean(cider_of_words(predicted, [one.references for one in scored]))
    found["distinct1"] = diversity.distinct_of_words(predicted, order=1)
    found["distinct2"] = diversity.distinct_of_words(predicted, order=2)
    found["mean_words"] = diversity.mean_words_of_words(predicted)
    if known_words is not None:
        found["novelty"] = diversity.novelty_of_words(predicted, known_words)
        found["vocabulary_novelty"] = diversity.vocabulary_novelty_of_words(predicted, known_words)
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Scored:
    """What one pair brings to every figure."""

    bleu_counts: tuple[int, ...]
    """Words predicted, words of the nearest reference, matches of 1 to 4 words, stretches of 1 to 4 words."""
    meteor: float
    rouge_l: float
    prediction: list[str]
    """Plain words."""
    references: list[list[str]]


def _scored(predictions: Sequence[str], references: Sequence[Sequence[str]], processes: int) -> list[_Scored]:
    pairs = list(zip(predictions, references, strict=True))
    if processes <= 1 or len(pairs) <= 2 * _CHUNK:
        return _score_pairs(pairs)
    chunks = [pairs[first : first + _CHUNK] for first in range(0, len(pairs), _CHUNK)]
    with concurrent.futures.ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        return [one for chunk in pool.map(_score_pairs, chunks) for one in chunk]


def _score_pairs(pairs: Sequence[tuple[str, Sequence[str]]]) -> list[_Scored]:
    return [_score_pair(prediction, references) for prediction, references in pairs]


def _score_pair(prediction: str, references: Sequence[str]) -> _Scored:
    said = words(prediction)
    right = [words(reference) for reference in references]
    return _Scored(
        bleu_counts=_counts_of(prediction, references),
        meteor=meteor_of_words(said, right),
        rouge_l=rouge_l(prediction, references),
        prediction=plain_words(said),
        references=[plain_words(one) for one in right],
    )


def _bleu_counts(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    rows = [_counts_of(prediction, of_item) for prediction, of_item in zip(predictions, references, strict=True)]
    return np.array(rows, dtype=np.float64)


def _counts_of(prediction: str, references: Sequence[str]) -> tuple[int, ...]:
    score = _sacrebleu().sentence_score(prediction, list(references))
    return (score.sys_len, score.ref_len, *score.counts, *score.totals)


def _bleu_of(counts: NDArray[np.float64], order: int) -> OfSums:
    """(items, 2 + 4 + 4) counts as `_Scored.bleu_counts`."""

    def formula(sums: NDArray[np.float64]) -> Values:
        said, near = sums[:, 0], sums[:, 1]
        matches, stretches = sums[:, 2 : 2 + order], sums[:, 2 + ORDERS : 2 + ORDERS + order]
        some = matches.min(1) > 0
        shares = np.where(some[:, None], divided(matches, stretches, otherwise=1.0), 1.0)
        brevity = np.exp(np.minimum(1 - divided(near, said, otherwise=0.0), 0))
        return np.where(some, brevity * np.exp(np.log(shares).mean(1)), 0.0)

    return OfSums(columns=counts, formula=formula)


def _mean(values: Sequence[float]) -> Ratio:
    return Ratio(numerators=np.array(values, dtype=np.float64), denominators=np.ones(len(values)))


@functools.cache
def _sacrebleu() -> BLEU:
    # Counts alone are taken; without `effective_order` sacrebleu warns of each sentence that its score is rough.
    return BLEU(tokenize="13a", smooth_method="none", max_ngram_order=ORDERS, effective_order=True)


def _check(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if len(predictions) != len(references) or not predictions:
        raise ConfigError(
            f"{len(predictions)} predictions and references of {len(references)} items were given; expected as many of "
            "both, and at least one"
        )
    for place, of_item in enumerate(references):
        if isinstance(of_item, str) or not of_item:
            raise ConfigError(f"item {place} has the references {of_item!r}; expected a list of at least one text")
