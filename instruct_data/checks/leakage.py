"""What stands on both sides of a split: recordings, families, texts that people wrote, wordings kept for the test."""

from __future__ import annotations

from collections.abc import Iterator

from mllm.instruct_data import checking
from mllm.instruct_data.checking import Known, Settings, Told
from mllm.instruct_data.findings import Finding
from mllm.instruct_data.rows import Row, Rows
from mllm.instruct_data.texts import NearTexts, hash_of, plain
from mllm.instruct_data.tracks import Track

SUMMARY = "no recording, family, caption or test wording stands on both sides of a split"
_FEWEST_WORDS = 6
"""A shorter text may be written twice by chance."""
_WORDING_SHARE = 0.05
_FEWEST_QUESTIONS = 20
_CURE = "put both on one side, as family or by splitting anew"


class Check(checking.Check):
    """Remembers hashes of tracks, paths, families and questions, and sketches of texts that people wrote."""

    def __init__(self, name: str, rows: Rows, settings: Settings) -> None:
        """Nothing was seen yet."""
        super().__init__(name, rows, settings)
        self._sides: dict[int, str] = {}
        self._told: set[int] = set()
        self._exact: dict[int, tuple[str, str]] = {}
        self._near = NearTexts()
        self._questions: dict[str, set[int]] = {"train": set(), "test": set()}

    def of_track(self, row: Row[Track], known: Known) -> Iterator[Finding]:
        """Of each track."""
        where = f"{row.place} (track {known.id!r})"
        yield from self._one_side("recording", known.path, known.split, where)
        yield from self._one_side("family", known.family, known.split, where)
        for caption in row.value.captions or ():
            yield from self._text(caption, plain(caption), known.split, where, known.family)

    def of_record(self, told: Told) -> Iterator[Finding]:
        """Of each record."""
        record = told.record
        where = f"{told.place} (record {record.id!r})"
        for track in record.tracks:
            yield from self._one_side("track", track, record.split, where)
        for family in record.families:
            yield from self._one_side("family", family, record.split, where)
        if record.template == "free":
            for (_, answer), (_, words) in zip(told.turns, told.words, strict=True):
                yield from self._text(answer, words, record.split, where, " ".join(record.families))
        elif record.split in self._questions and not record.choices:
            self._questions[record.split] |= {hash_of(question) for question, _ in told.words}

    def at_end(self) -> Iterator[Finding]:
        """Wordings of the test that are trained on."""
        trained, tested = self._questions["train"], self._questions["test"]
        shared = len(trained & tested)
        if len(tested) >= _FEWEST_QUESTIONS and shared > _WORDING_SHARE * len(tested):
            yield self.found(
                "warning",
                "test wordings that are trained on",
                "test",
                f"{shared:,} of {len(tested):,} different questions of the test stand in train, word for word",
                "keep some wordings for the test, or say that it measures known wordings only",
            )

    def _one_side(self, what: str, name: str, split: str, where: str) -> Iterator[Finding]:
        key = hash_of(what, name)
        side = self._sides.setdefault(key, split)
        if side != split and key not in self._told:
            self._told.add(key)
            yield self.found(
                "error",
                f"{what} on both sides of a split",
                where,
                f"the {what} {name!r} is in {split}, and was in {side} before",
                _CURE,
            )

    def _text(self, text: str, words: str, split: str, where: str, family: str) -> Iterator[Finding]:
        if words.count(" ") < _FEWEST_WORDS - 1:
            return
        key = hash_of(words)
        before = self._exact.setdefault(key, (split, where))
        if before[0] != split:
            yield self.found(
                "error",
                "text on both sides of a split",
                where,
                f"{text[:60]!r} stands in {split}, and in {before[0]} at {before[1]}",
                _CURE,
            )
        elif before[1] == where and (near := self._near.add(words, where, split)) is not None:
            yield self.found(
                "warning",
                "near text on both sides of a split",
                where,
                f"{text[:60]!r} of {family!r} nearly equals the text of {near}",
                "see whether both are about one recording; if so, put them on one side",
            )
