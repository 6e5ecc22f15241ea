"""Words of a text as NLTK's word_tokenize makes them, without a file to download.

In: a text. Out: its tokens. NLTK splits a text into sentences with a trained model (punkt) that cannot be had offline,
then each sentence by the rules of the Penn Treebank. The first is done here by rule, in the way of punkt's algorithm
with the common English abbreviations below; the second is NLTK's own, each stretch without a space split once. All
white space counts as one space. Knows no score.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from nltk.tokenize import NLTKWordTokenizer

_ABBREVIATIONS = {
    *(
        "a.m",
        "p.m",
        "e.g",
        "i.e",
        "etc",
        "vs",
        "viz",
        "cf",
        "approx",
        "vol",
        "pp",
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "rev",
    ),
    *("hon", "gen", "sgt", "capt", "lt", "st", "sr", "jr", "messrs", "u.s", "u.k", "u.n", "d.c", "l.a", "n.y", "e.u"),
    *("inc", "ltd", "corp", "bros", "dept", "jan", "feb", "apr", "aug", "sept", "oct", "nov", "dec"),
}
"""Words after which a period ends no sentence, unless the next word is one that begins sentences."""
_SENTENCE_STARTERS = {
    *("the", "this", "that", "these", "those", "there", "it", "its", "he", "she", "they", "we", "you", "i", "a", "an"),
    *("in", "on", "at", "as", "and", "but", "or", "for", "while", "with", "when", "one", "some", "all", "both", "each"),
    *("overall", "also", "however"),
}
_CLOSING = ")]}>\"'»”’"
"""What may stand between the end of a sentence and the next space."""
_OPENING = "([{<\"'«“‘`"
_PUNCTUATION = frozenset(
    {"''", "'", "``", "`", '"', "(", ")", "[", "]", "{", "}", "<", ">", ".", "?", "!", ",", ":", ";", "-", "--", "..."}
    | {"…", "–", "—", "“", "”", "‘", "’"}
)
_CONTRACTED = frozenset({"cannot", "gimme", "gonna", "gotta", "lemme", "wanna"})
"""Words that the Treebank takes apart."""
_REMEMBERED = 1 << 16
"""Stretches of which the tokens are remembered."""
_OTHER_WORD = "x"
"""Stands beside a stretch for whatever stands there in a sentence: the rules look no further than the space."""


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order, with single spaces."""
    return [" ".join(of_sentence) for of_sentence in _sentences(text.split())]


def words(text: str) -> list[str]:
    """Tokens of a text, in order and in its case: words, clitics ("'s", "n't"), numbers, punctuation."""
    return [token for of_sentence in _sentences(text.split()) for token in _tokens(of_sentence)]


def plain_words(tokens: Sequence[str]) -> list[str]:
    """Tokens in lower case without punctuation, as captions of COCO are scored."""
    return [token.lower() for token in tokens if token not in _PUNCTUATION]


def _sentences(stretches: Sequence[str]) -> list[Sequence[str]]:
    found, begin = [], 0
    for place, stretch in enumerate(stretches[:-1], start=1):
        if not stretch[-1].isalnum() and _ends_a_sentence(stretch, stretches[place]):
            found.append(stretches[begin:place])
            begin = place
    return [*found, stretches[begin:]] if stretches else []


def _ends_a_sentence(stretch: str, following: str) -> bool:
    """Whether a sentence ends behind a stretch without spaces, as punkt decides without knowing more words."""
    bare = stretch.rstrip(_CLOSING)
    if not bare or bare[-1] not in ".?!":
        return False
    if bare[-1] != ".":
        return True
    start = following.lstrip(_OPENING)
    is_start = start[:1].isupper() and start.rstrip(".,:;?!").lower() in _SENTENCE_STARTERS
    if bare.endswith(".."):
        return is_start
    word = bare[:-1].lstrip(_OPENING).lower()
    if word in _ABBREVIATIONS or word.rpartition("-")[2] in _ABBREVIATIONS or (len(word) == 1 and word.isalpha()):
        return is_start
    return not (word.isdecimal() and start[:1].islower())


def _tokens(stretches: Sequence[str]) -> list[str]:
    """The tokens of one sentence. A period is split off at its end only, where brackets may follow it."""
    tail = next((place for place in range(len(stretches) - 1, 0, -1) if any(map(str.isalnum, stretches[place]))), 0)
    if tail == 0:
        return list(_split(" ".join(stretches)))
    found = list(_first(stretches[0]))
    for stretch in stretches[1:tail]:
        found += _inside(stretch)
    return found + list(_last(" ".join(stretches[tail:])))


@functools.lru_cache(_REMEMBERED)
def _first(stretch: str) -> tuple[str, ...]:
    return _word_and(stretch, ",") or _split(f"{stretch} {_OTHER_WORD}")[:-1]


@functools.lru_cache(_REMEMBERED)
def _inside(stretch: str) -> tuple[str, ...]:
    return _word_and(stretch, ",") or _split(f"{_OTHER_WORD} {stretch} {_OTHER_WORD}")[1:-1]


@functools.lru_cache(_REMEMBERED)
def _last(stretch: str) -> tuple[str, ...]:
    return _word_and(stretch, ".") or _split(f"{_OTHER_WORD} {stretch}")[1:]


def _word_and(stretch: str, mark: str) -> tuple[str, ...]:
    """The tokens of letters alone, perhaps with a mark behind them; empty for everything that needs more rules."""
    word = stretch.removesuffix(mark)
    if not (word.isascii() and word.isalpha()) or word.lower() in _CONTRACTED:
        return ()
    return (word,) if word == stretch else (word, mark)


def _split(text: str) -> tuple[str, ...]:
    return tuple(_tokenizer().tokenize(text))


@functools.cache
def _tokenizer() -> NLTKWordTokenizer:
    return NLTKWordTokenizer()
