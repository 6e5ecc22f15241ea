"""Synonyms of English words from a WordNet 3.0 that the system has (Debian's package wordnet-base).

In: a word. Out: the words that share a sense with it. Files are read in the format of wndb(5WN); base forms are found
by the rules of morphy(7WN), applied once, as NLTK applies them. Knows no score, and fetches nothing.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

FOLDER = Path("/usr/share/wordnet")
"""Where Debian puts it."""

_ENDINGS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "noun": (
        *(("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z")),
        *(("ches", "ch"), ("shes", "sh"), ("men", "man"), ("ies", "y")),
    ),
    "verb": (
        *(("s", ""), ("ies", "y"), ("es", "e"), ("es", "")),
        *(("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    ),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}
"""Rules of detachment by part of speech: an ending and what takes its place."""
_MARKER = re.compile(r"\([a-z]+\)$")
"""Where an adjective may stand, as data.adj says behind it: "galore(ip)"."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _PartOfSpeech:
    """The files of one part of speech."""

    senses: Mapping[str, bytes]
    """Of each lemma, the rest of its line in the index."""
    data: bytes
    exceptions: Mapping[str, tuple[str, ...]]
    """Irregular forms to base forms."""
    endings: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, folder: Path, name: str) -> _PartOfSpeech:
        index = (folder / f"index.{name}").read_bytes().decode("utf-8")
        exceptions = (folder / f"{name}.exc").read_text(encoding="utf-8")
        return cls(
            senses={
                lemma: rest.encode()
                for lemma, _, rest in (line.partition(" ") for line in index.splitlines() if line[:1] != " ")
            },
            data=(folder / f"data.{name}").read_bytes(),
            exceptions={form: tuple(bases) for form, *bases in map(str.split, exceptions.splitlines())},
            endings=_ENDINGS[name],
        )

    def synonyms(self, word: str) -> Iterator[str]:
        for lemma in self._lemmas(word):
            for offset in self._offsets(lemma):
                yield from self._words_at(offset)

    def _lemmas(self, word: str) -> set[str]:
        """The word and its base forms, those that are there."""
        bases = self.exceptions.get(word)
        if bases is None:
            bases = tuple(word[: -len(old)] + new for old, new in self.endings if word.endswith(old))
        return {form for form in (word, *bases) if form in self.senses}

    def _offsets(self, lemma: str) -> list[int]:
        """Behind the lemma: part of speech, number of senses, number of kinds of pointers, ..., one offset a sense."""
        fields = self.senses[lemma].split()
        return [int(field) for field in fields[-int(fields[1]) :]]

    def _words_at(self, offset: int) -> Iterator[str]:
        """A line is: offset, file, part of speech, number of words (hexadecimal), word and number, ..."""
        fields = self.data[offset : self.data.index(b"\n", offset)].split(b" ")
        for field in fields[4 : 4 + 2 * int(fields[3], 16) : 2]:
            yield _MARKER.sub("", field.decode("utf-8"))


class WordNet:
    """Synonyms, each word looked up once."""

    def __init__(self, folder: Path) -> None:
        self._parts = tuple(_PartOfSpeech.read(folder, name) for name in _ENDINGS)
        self._found: dict[str, frozenset[str]] = {}

    def synonyms(self, word: str) -> frozenset[str]:
        """All single words of all senses of a word, in the spelling of WordNet; empty for a word it does not know."""
        word = word.lower()
        if word not in self._found:
            self._found[word] = frozenset(one for part in self._parts for one in part.synonyms(word) if "_" not in one)
        return self._found[word]


def is_there(folder: Path = FOLDER) -> bool:
    """Whether all files that are read are in the folder."""
    names = [name for part in _ENDINGS for name in (f"index.{part}", f"data.{part}", f"{part}.exc")]
    return all((folder / name).is_file() for name in names)


@functools.cache
def find(folder: Path = FOLDER) -> WordNet | None:
    """The WordNet of the system; None where it has none. Read once in a process."""
    return WordNet(folder) if is_there(folder) else None
