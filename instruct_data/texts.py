"""Texts as checks compare them: without case and punctuation, as hashes, and as sketches of which near ones are found.

In: texts. Out: 64-bit hashes, and of near texts the first that was like it. What is remembered of a text is its hash or
its sketch, MinHash over shingles of words (Broder, "On the resemblance and containment of documents", 1997).
"""

from __future__ import annotations

import re
import zlib

import numpy as np
import numpy.typing as npt

_NO_WORD = re.compile(r"[^\w#/]+")
_SHINGLE_WORDS = 3
_BANDS, _ROWS = 8, 4
"""Two texts that share 8 of 10 shingles agree in one of 8 bands of 4 with probability 0.985, 5 of 10: 0.40."""
_ALIKE = 0.7
"""From this share of equal sketch values on, two texts are near; the standard error of the share is 0.08."""
_PRIME = np.uint64((1 << 61) - 1)
_rng = np.random.default_rng(20_020)
_FACTORS = _rng.integers(1, 1 << 29, _BANDS * _ROWS, dtype=np.uint64)[:, np.newaxis]
_SHIFTS = _rng.integers(0, 1 << 60, _BANDS * _ROWS, dtype=np.uint64)[:, np.newaxis]


def plain(text: str) -> str:
    """The words of a text in small letters, with one space between."""
    return _NO_WORD.sub(" ", text.casefold()).strip()


def hash_of(*texts: str) -> int:
    """64 bits that stand for these texts, within this process."""
    return hash(texts)


class NearTexts:
    """Texts that were seen, each with a mark; finds those that nearly equal another with another mark.

    Kept of a text are 32 numbers of 32 bits and 8 entries of a table, about 1.5 KB.
    """

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._sketches: list[bytes] = []
        self._names: list[str] = []
        self._first: dict[str, dict[int, int]] = {}
        """By mark: the first text with that mark of each band. Others with this band are near it."""

    def add(self, text: str, name: str, mark: str) -> str | None:
        """Remember a text; the name of a near one with another mark, if there is any.

        Args:
            text: as `plain` gives it.
            name: by which it is told.
            mark: texts with the same mark are not compared.
        """
        sketch = _sketch(text)
        if sketch is None:
            return None
        near = self._near(sketch, mark)
        first = self._first.setdefault(mark, {})
        for key in _keys(sketch):
            first.setdefault(key, len(self._sketches))
        self._sketches.append(sketch.tobytes())
        self._names.append(name)
        return near

    def like(self, text: str, mark: str) -> str | None:
        """As `add`, without remembering the text."""
        sketch = _sketch(text)
        return None if sketch is None else self._near(sketch, mark)

    def _near(self, sketch: npt.NDArray[np.uint32], mark: str) -> str | None:
        keys = _keys(sketch)
        for other_mark, first in self._first.items():
            for number in () if other_mark == mark else {first[key] for key in keys if key in first}:
                other = np.frombuffer(self._sketches[number], dtype=np.uint32)
                if float((other == sketch).mean()) >= _ALIKE:
                    return self._names[number]
        return None


def _keys(sketch: npt.NDArray[np.uint32]) -> list[int]:
    """The bands of a sketch, each as a number."""
    return [hash((band, sketch[band * _ROWS : (band + 1) * _ROWS].tobytes())) for band in range(_BANDS)]


def _sketch(text: str) -> npt.NDArray[np.uint32] | None:
    words = text.split()
    if len(words) < _SHINGLE_WORDS:
        return None
    shingles = {
        zlib.crc32(" ".join(words[at : at + _SHINGLE_WORDS]).encode("utf-8", "surrogatepass"))
        for at in range(len(words) - _SHINGLE_WORDS + 1)
    }
    given = np.fromiter(shingles, dtype=np.uint64, count=len(shingles))
    mixed = (given[np.newaxis] * _FACTORS + _SHIFTS) % _PRIME
    lowest: npt.NDArray[np.uint32] = mixed.min(axis=1).astype(np.uint32)
    return lowest
