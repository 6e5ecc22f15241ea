"""ROUGE-L: the longest sequence of words that two texts share.

In: a text and its references. Out: floats in [0, 1]. Words are rouge-score's: runs of a-z and 0-9 in lower case,
stemmed where that is asked for. The sequence is counted with one integer as a row of bits (Hyyrö 2004), which gives the
same length as rouge-score's table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from rouge_score.tokenize import tokenize

from mllm.errors import ConfigError
from mllm.eval.metrics.stems import stemmer


@dataclasses.dataclass(frozen=True, kw_only=True)
class RougeL:
    """Of a text and one reference."""

    precision: float
    """The longest common subsequence over the words of the text."""
    recall: float
    """The same over the words of the reference."""

    @property
    def f1(self) -> float:
        """2 P R / (P + R); 0 where nothing is shared."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def rouge_l(prediction: str, references: Sequence[str]) -> float:
    """ROUGE-L F of a text against the reference for which it is highest, in [0, 1], without stemming.

    2 P R / (P + R), where P and R are the longest common subsequence over the words predicted and over those of the
    reference (Lin 2004). The score of a corpus is the mean over its pairs. 0 for a text without words.

    Raises:
        ConfigError: there is no reference.
    """
    if not references:
        raise ConfigError("ROUGE-L was given a prediction without references; expected at least one")
    said = tokenize(prediction, None)
    return max(rouge_l_of_words(said, tokenize(reference, None)).f1 for reference in references)


def stemmed_rouge_l(prediction: str, reference: str) -> RougeL:
    """As rouge-score's `use_stemmer=True`: words of more than three letters by their Porter stems."""
    return rouge_l_of_words(tokenize(prediction, stemmer()), tokenize(reference, stemmer()))


def rouge_l_of_words(prediction: Sequence[str], reference: Sequence[str]) -> RougeL:
    """Of two texts as words."""
    if not prediction or not reference:
        return RougeL(precision=0.0, recall=0.0)
    shared = longest_common_subsequence(prediction, reference)
    return RougeL(precision=shared / len(prediction), recall=shared / len(reference))


def longest_common_subsequence(left: Sequence[str], right: Sequence[str]) -> int:
    """How many words stand in both in the same order, with gaps."""
    places: dict[str, int] = {}
    for place, word in enumerate(left):
        places[word] = places.get(word, 0) | 1 << place
    everything = (1 << len(left)) - 1
    row = everything
    for word in right:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & everything
    return len(left) - row.bit_count()
