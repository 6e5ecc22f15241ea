"""Porter stems of English words, each word stemmed once in a process.

In: a word. Out: its stem, as NLTK's PorterStemmer gives it. Knows no score.
"""

from __future__ import annotations

import functools

from nltk.stem.porter import PorterStemmer


class RememberingStemmer(PorterStemmer):  # type: ignore[misc]  # NLTK carries no types
    """NLTK's stemmer with a memory: texts of a corpus say the same words again and again."""

    def __init__(self) -> None:
        super().__init__()
        self._stems: dict[tuple[str, bool], str] = {}

    def stem(self, word: str, to_lowercase: bool = True) -> str:
        """The stem of a word, in lower case unless `to_lowercase` is False."""
        key = (word, to_lowercase)
        if key not in self._stems:
            self._stems[key] = super().stem(word, to_lowercase)
        return self._stems[key]


@functools.cache
def stemmer() -> RememberingStemmer:
    """The one of this process."""
    return RememberingStemmer()
