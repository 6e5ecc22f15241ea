"""Overlap with benchmarks that must not be trained on: their recordings, and their captions, questions and answers.

Benchmarks are given as folders (`--benchmark NAME=DIR`) and read by the source of that name. A recording is known by
its family, such as "youtube/<id>" or "jamendo/<id>", which all sources write alike; a text by its words. MuChoMusic,
MMAU-music and MusicBench are made from MusicCaps and Song Describer, so that training on one gives the others away.
"""

from __future__ import annotations

from collections.abc import Iterator

from mllm import registry
from mllm.errors import MllmError
from mllm.instruct_data import checking
from mllm.instruct_data.checking import Known, Settings, Told, turns_of
from mllm.instruct_data.findings import Finding
from mllm.instruct_data.records import Record
from mllm.instruct_data.rows import Row, Rows
from mllm.instruct_data.texts import NearTexts, hash_of, plain
from mllm.instruct_data.tracks import Track

SUMMARY = "nothing of the benchmarks that are given (--benchmark NAME=DIR) is trained on"
_FEWEST_WORDS = 6
"""A shorter text may be written twice by chance."""
_FEWEST_WORDS_OF_QUESTION = 10
"""A shorter question is asked of many recordings."""
_CURE = "take it out of train, or do not report this benchmark"


class Check(checking.Check):
    """Remembers families, hashes and sketches of texts of the benchmarks."""

    def __init__(self, name: str, rows: Rows, settings: Settings) -> None:
        """Nothing was read yet."""
        super().__init__(name, rows, settings)
        self._families: dict[str, str] = {}
        self._texts: dict[int, str] = {}
        self._near = NearTexts()
        self._told: set[str] = set()

    def at_start(self) -> Iterator[Finding]:
        """Read the benchmarks."""
        for benchmark, folder in self.settings.benchmarks.items():
            source = registry.find("source", benchmark)
            unread = count = 0
            for one in source.records(folder):
                if isinstance(one, MllmError):
                    unread += 1
                elif source.ABOUT.evaluation_only or one.split == "test":
                    count += 1
                    self._remember(benchmark, one)
            if not count:
                yield self.found(
                    "warning",
                    "benchmark without rows",
                    f"--benchmark {benchmark}={folder}",
                    f"none of its rows could be used ({unread} cannot be read), so overlap with it is not known",
                    "give the folder with all its files",
                )

    def of_track(self, row: Row[Track], known: Known) -> Iterator[Finding]:
        """Of each track that is trained on."""
        if self.settings.benchmarks and known.split == "train":
            where = f"{row.place} (track {known.id!r})"
            yield from self._family(known.family, where)
            for caption in row.value.captions or ():
                yield from self._text(caption, where)

    def of_record(self, told: Told) -> Iterator[Finding]:
        """Of each record that is trained on."""
        if self.settings.benchmarks and told.record.split == "train":
            where = f"{told.place} (record {told.record.id!r})"
            for family in told.record.families:
                yield from self._family(family, where)
            if told.record.template == "free":
                for turn in told.turns:
                    for text in turn:
                        yield from self._text(text, where)

    def _remember(self, benchmark: str, record: Record) -> None:
        for family in record.families:
            self._families[family] = benchmark
        turns = turns_of(record.messages)
        texts = [(answer, _FEWEST_WORDS) for answer in (*record.choices, *(answer for _, answer in turns))]
        texts += [(question, _FEWEST_WORDS_OF_QUESTION) for question, _ in turns]
        for text, fewest in texts:
            words = plain(text)
            if words.count(" ") >= fewest - 1 and hash_of(words) not in self._texts:
                self._texts[hash_of(words)] = benchmark
                self._near.add(words, f"{benchmark} (record {record.id!r})", "benchmark")

    def _family(self, family: str, where: str) -> Iterator[Finding]:
        benchmark = self._families.get(family)
        if benchmark is not None and family not in self._told:
            self._told.add(family)
            yield self.found(
                "error",
                f"recording of {benchmark}",
                where,
                f"the recording {family!r} is part of the benchmark {benchmark}",
                _CURE,
            )

    def _text(self, text: str, where: str) -> Iterator[Finding]:
        words = plain(text)
        if words.count(" ") < _FEWEST_WORDS - 1:
            return
        if (benchmark := self._texts.get(hash_of(words))) is not None:
            yield self.found(
                "error", f"text of {benchmark}", where, f"{text[:60]!r} stands in the benchmark {benchmark}", _CURE
            )
        elif (near := self._near.like(words, "train")) is not None:
            yield self.found(
                "warning", "text near a benchmark's", where, f"{text[:60]!r} nearly equals a text of {near}", _CURE
            )
