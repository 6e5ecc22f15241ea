"""CIDEr-D: how much a text says that its references say and other items' references do not.

In: predictions and their references. Out: a float of each item, about 0 to 10. Words are those of `words.plain_words`
(Treebank tokens in lower case without punctuation, as captions of COCO are scored); nothing is stemmed. Vectorised over
all items.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mllm.errors import ConfigError
from mllm.eval.metrics import ngrams
from mllm.eval.metrics.division import divided
from mllm.eval.metrics.ngrams import Grams
from mllm.eval.metrics.words import plain_words, words

ORDERS = 4
"""Stretches of 1 to 4 words are compared."""
SIGMA = 6.0
"""How fast a difference in length costs, in words."""
SCALE = 10.0


def cider(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each item; that of a corpus is the mean over items.

    For n = 1 to 4, the stretches of n words of a text are weighed by how often they stand in it times
    log(items / items in whose references they stand). Prediction p and reference r are compared by
    sum(min(p, r) r) / (|p| |r|) exp(-(difference in words)^2 / 72); the mean over n and over references, times 10
    (Vedantam et al. 2015, CIDEr, section 5 and its published code: clipping, sigma 6). Document frequencies are those
    of the references given: values over different items cannot be compared, and one item alone scores 0.

    Raises:
        ConfigError: the numbers of items differ, there are none, or an item has no reference.
    """
    return cider_of_words(
        [plain_words(words(text)) for text in predictions],
        [[plain_words(words(text)) for text in of_item] for of_item in references],
    )


def cider_of_words(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> list[float]:
    """As `cider`, of words."""
    if len(predictions) != len(references) or not predictions or not all(references):
        raise ConfigError(
            f"CIDEr was given {len(predictions)} predictions and references of {len(references)} items; expected as "
            "many of both, at least one, and a reference for each item"
        )
    texts = [*predictions, *(text for of_item in references for text in of_item)]
    items = len(predictions)
    item_of = np.concatenate([np.arange(items), np.repeat(np.arange(items), [len(one) for one in references])])
    lengths = np.array([len(text) for text in texts], dtype=np.float64)
    apart = lengths[items:] - lengths[item_of[items:]]
    closeness = np.exp(-(apart**2) / (2 * SIGMA**2))
    alike = sum(_alike(grams, item_of, items) for grams in ngrams.count(texts, ORDERS)) / ORDERS
    sums = np.bincount(item_of[items:], weights=alike * closeness, minlength=items)
    scores: list[float] = (SCALE * sums / np.bincount(item_of[items:], minlength=items)).tolist()
    return scores


def _alike(grams: Grams, item_of: NDArray[np.intp], items: int) -> NDArray[np.float64]:
    """Of each reference, the clipped cosine of it and the prediction of its item."""
    of_reference = grams.texts >= items
    in_references = np.unique(item_of[grams.texts[of_reference]] * max(grams.kinds, 1) + grams.grams[of_reference])
    frequencies = np.bincount(in_references % max(grams.kinds, 1), minlength=grams.kinds)
    weights = grams.counts * (np.log(items) - np.log(np.maximum(frequencies, 1)))[grams.grams]
    norms = np.sqrt(np.bincount(grams.texts, weights=weights**2, minlength=len(item_of)))
    said = _said_of(grams, weights, item_of, items)
    shared = np.minimum(weights[of_reference], said) * weights[of_reference]
    sums = np.bincount(grams.texts[of_reference] - items, weights=shared, minlength=len(item_of) - items).astype(float)
    both = (norms[items:] * norms[item_of[items:]]).astype(float)
    return divided(sums, both, otherwise=0.0)


def _said_of(grams: Grams, weights: NDArray[np.float64], item_of: NDArray[np.intp], items: int) -> NDArray[np.float64]:
    """Of each entry of a reference, what the prediction of its item weighs it; 0 where it does not say it."""
    keys = grams.texts * max(grams.kinds, 1) + grams.grams
    of_reference = grams.texts >= items
    said, said_weights = keys[~of_reference], weights[~of_reference]
    wanted = item_of[grams.texts[of_reference]] * max(grams.kinds, 1) + grams.grams[of_reference]
    if not len(said):
        return np.zeros(len(wanted))
    places = np.minimum(np.searchsorted(said, wanted), len(said) - 1)
    return np.where(said[places] == wanted, said_weights[places], 0.0)
