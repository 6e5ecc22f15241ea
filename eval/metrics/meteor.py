"""METEOR as NLTK defines it: words that match as they are, by their stems, or as synonyms, and how scattered they are.

In: a prediction and its references. Out: a float in [0, 1]. The alignment is NLTK's; stems are remembered, and synonyms
come from the WordNet that the system has. Without one, words match as they are and by stems only: that is another
score, under another name. Nothing is ever downloaded.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

from nltk.stem.porter import PorterStemmer
from nltk.translate import meteor_score

from mllm.errors import ConfigError
from mllm.eval.metrics import wordnet
from mllm.eval.metrics.words import words

NAME = "meteor"
NAME_WITHOUT_SYNONYMS = "meteor_without_synonyms"


def name() -> str:
    """What the score is called on this system: `NAME`, or `NAME_WITHOUT_SYNONYMS` where there is no WordNet."""
    return NAME_WITHOUT_SYNONYMS if wordnet.find() is None else NAME


def meteor(prediction: str, references: Sequence[str]) -> float:
    """METEOR of a text against the reference that it matches best, in [0, 1].

    F = P R / (0.9 P + 0.1 R), times 1 - 0.5 (chunks / matches)^3, over tokens of `words.words` in lower case (Lavie and
    Agarwal 2007, METEOR; parameters and order of alignment as nltk.translate.meteor_score). Exact matches come first,
    then Porter stems, then synonyms (of the stems, as NLTK looks them up). 0 where nothing matches.

    The score of a corpus is the mean over its pairs. Where the system has no WordNet, synonyms do not match: the score
    must then be called `NAME_WITHOUT_SYNONYMS`.

    Raises:
        ConfigError: there is no reference.
    """
    return meteor_of_words(words(prediction), [words(reference) for reference in references])


def meteor_of_words(prediction: Sequence[str], references: Sequence[Sequence[str]], *, synonyms: bool = True) -> float:
    """As `meteor`, of tokens.

    Args:
        prediction: its tokens.
        references: the tokens of each.
        synonyms: whether synonyms match, where the system has a WordNet.

    Raises:
        ConfigError: there is no reference.
    """
    if not references:
        raise ConfigError("METEOR was given a prediction without references; expected at least one")
    known = _known_synonyms() if synonyms else _Synonyms(found=None)
    best: float = meteor_score.meteor_score(references, prediction, stemmer=_stemmer(), wordnet=known)
    return float(best)


class _RememberingStemmer(PorterStemmer):
    """Porter's stemmer, each word stemmed once."""

    def __init__(self) -> None:
        super().__init__()
        self._stems: dict[str, str] = {}

    def stem(self, word: str, to_lowercase: bool = True) -> str:
        if word not in self._stems:
            self._stems[word] = super().stem(word, to_lowercase)
        return self._stems[word]


@dataclasses.dataclass(frozen=True)
class _Lemma:
    spelling: str

    def name(self) -> str:
        return self.spelling


@dataclasses.dataclass(frozen=True)
class _Sense:
    spellings: tuple[_Lemma, ...]

    def lemmas(self) -> tuple[_Lemma, ...]:
        return self.spellings


class _Synonyms:
    """What NLTK's alignment asks of a WordNet: the senses of a word, here all in one."""

    def __init__(self, found: wordnet.WordNet | None) -> None:
        self._wordnet = found
        self._senses: dict[str, tuple[_Sense, ...]] = {}

    def synsets(self, word: str) -> tuple[_Sense, ...]:
        if self._wordnet is None:
            return ()
        if word not in self._senses:
            self._senses[word] = (_Sense(tuple(_Lemma(one) for one in sorted(self._wordnet.synonyms(word)))),)
        return self._senses[word]


@functools.cache
def _stemmer() -> _RememberingStemmer:
    return _RememberingStemmer()


@functools.cache
def _known_synonyms() -> _Synonyms:
    return _Synonyms(wordnet.find())
