"""Words of a text as NLTK's word_tokenize makes them, without a file to download.

In: a text. Out: its tokens. NLTK splits a text into sentences with a trained model (punkt) that cannot be had offline,
then each sentence by the Penn Treebank's rules. Here its own algorithm splits sentences, with the English abbreviations
below in the place of the trained ones; the rest is NLTK's. Knows no score.
"""

from __future__ import annotations

import functools

from nltk.tokenize import NLTKWordTokenizer, PunktSentenceTokenizer
from nltk.tokenize.punkt import PunktParameters

_ABBREVIATIONS = frozenset(
    "a.m p.m e.g i.e etc vs viz cf approx ca no nos vol op ed eds fig pp "
    "mr mrs ms dr prof rev hon gen col sgt capt lt st sr jr messrs "
    "u.s u.k u.n d.c l.a n.y e.u inc ltd co corp bros dept univ assn "
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun "
    "ft feat min sec".split()
)
"""Words after which a period ends no sentence, unless the next word is one that begins sentences."""
_SENTENCE_STARTERS = frozenset(
    "the this that these those there it its he she they we you i a an in on at as and but or for while with when one "
    "some all both each overall also however".split()
)
_PUNCTUATION = frozenset(
    {"''", "'", "``", "`", '"', "(", ")", "[", "]", "{", "}", "<", ">", ".", "?", "!", ",", ":", ";", "-", "--", "..."}
    | {"…", "–", "—", "“", "”", "‘", "’"}
)


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order."""
    found: list[str] = _splitter().tokenize(text)
    return found


def words(text: str) -> list[str]:
    """Tokens of a text, in order and in its case: words, clitics ("'s", "n't"), numbers, punctuation."""
    tokenizer = _tokenizer()
    return [token for sentence in sentences(text) for token in tokenizer.tokenize(sentence)]


def plain_words(tokens: list[str]) -> list[str]:
    """Tokens in lower case without punctuation, as captions of COCO are scored."""
    return [token.lower() for token in tokens if token not in _PUNCTUATION]


@functools.cache
def _splitter() -> PunktSentenceTokenizer:
    parameters = PunktParameters()
    parameters.abbrev_types = set(_ABBREVIATIONS)
    parameters.sent_starters = set(_SENTENCE_STARTERS)
    return PunktSentenceTokenizer(parameters)


@functools.cache
def _tokenizer() -> NLTKWordTokenizer:
    return NLTKWordTokenizer()
