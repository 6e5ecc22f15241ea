"""The field's broken scorer, exactly, under names of its own: to lay old numbers beside new ones, for nothing else.

In: of each item a prediction and its references, of which this scorer knows one, the first. Out: floats. Four public
code bases (MU-LLaMA, M2UGen, MusiLingo, CMI-Bench) publish these as "BLEU", "ROUGE-L" and "BERTScore" of music
questions:

- `char_bleu`: NLTK's `sentence_bleu([reference], prediction)`, called on texts instead of lists of words, so that its
  "words" are characters; the mean over items. An answer to the same question about another recording scores 0.27 on
  MusicQA, where systems that listen are published with 0.24 to 0.33;
- `char_bleu4`: the same with weights (0, 0, 0, 1), printed as "BLEU-4";
- `rouge_l_recall`: rouge-score's recall with stems, called "ROUGE-L": a text that says more never loses by it;
- `legacy_meteor`: METEOR of tokens that NLTK's wordpunct_tokenize makes;
- BERTScore recall, called "BERTScore" (`mllm.eval.metrics.bert`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from nltk.tokenize import wordpunct_tokenize
from nltk.translate.bleu_score import sentence_bleu

from mllm.errors import ConfigError
from mllm.eval.metrics.meteor import meteor_of_words
from mllm.eval.metrics.meteor import name as meteor_name
from mllm.eval.metrics.rouge import stemmed_rouge_l
from mllm.eval.statistic import Ratio

_EVEN = (0.25, 0.25, 0.25, 0.25)
_FOURTH_ALONE = (0.0, 0.0, 0.0, 1.0)


def char_bleu(prediction: str, reference: str) -> float:
    """BLEU over stretches of 1 to 4 *characters* of one pair, in [0, 1], not smoothed; as four code bases call it."""
    return _char_bleus(prediction, reference)[0]


def char_bleu4(prediction: str, reference: str) -> float:
    """Share of stretches of 4 *characters* that stand in the reference, with BLEU's brevity penalty, in [0, 1]."""
    return _char_bleus(prediction, reference)[1]


def rouge_l_recall(prediction: str, reference: str) -> float:
    """Recall of ROUGE-L with stems, in [0, 1]."""
    return stemmed_rouge_l(prediction, reference).recall


def legacy_meteor(prediction: str, reference: str) -> float:
    """METEOR over runs of letters and digits and of punctuation, in [0, 1]; without WordNet it has another name."""
    return meteor_of_words(wordpunct_tokenize(prediction), [wordpunct_tokenize(reference)])


def statistics(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, Ratio]:
    """The mean of each over items, by the names legacy_char_bleu, legacy_char_bleu4, legacy_rouge_l_recall and
    legacy_meteor (legacy_meteor_without_synonyms where the system has no WordNet).

    Raises:
        ConfigError: the numbers of items differ, there are none, or an item has no reference.
    """
    if len(predictions) != len(references) or not predictions or not all(references):
        raise ConfigError(
            f"the legacy scorer was given {len(predictions)} predictions and references of {len(references)} items; "
            "expected as many of both, at least one, and a reference for each item"
        )
    pairs = [(said, right[0]) for said, right in zip(predictions, references, strict=True)]
    bleus = [_char_bleus(*pair) for pair in pairs]
    return {
        "legacy_char_bleu": _mean([one for one, _ in bleus]),
        "legacy_char_bleu4": _mean([fourth for _, fourth in bleus]),
        "legacy_rouge_l_recall": _mean([rouge_l_recall(*pair) for pair in pairs]),
        f"legacy_{meteor_name()}": _mean([legacy_meteor(*pair) for pair in pairs]),
    }


def evaluate(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Every figure by its name. Names and Raises: as `statistics`."""
    once = np.ones((1, len(predictions)))
    return {name: float(one(once)[0]) for name, one in statistics(predictions, references).items()}


def _char_bleus(prediction: str, reference: str) -> tuple[float, float]:
    """With even weights, and of stretches of four characters alone."""
    with warnings.catch_warnings():
        # NLTK warns where stretches of a length do not match at all; the code bases pass over that.
        warnings.simplefilter("ignore", UserWarning)
        even, fourth = sentence_bleu([reference], prediction, weights=[_EVEN, _FOURTH_ALONE])
    return float(even), float(fourth)


def _mean(values: Sequence[float]) -> Ratio:
    return Ratio(numerators=np.array(values, dtype=np.float64), denominators=np.ones(len(values)))
