"""Rows that say the same again: records with equal sound, question and answer, and answers that nearly all share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mllm.instruct_data import checking
from mllm.instruct_data.checking import Settings, Told
from mllm.instruct_data.findings import Finding
from mllm.instruct_data.rows import Rows
from mllm.instruct_data.texts import hash_of

SUMMARY = "records are not repeated, and no long answer is given over and over"
_FEWEST = 50
_EXCESS = 0.05
"""From this share of a split on an answer that says something is in excess, if at least `_FEWEST` rows have it."""
_SAYS_SOMETHING = 40
"""Characters from which on an answer is more than yes, a number or a name."""


class Check(checking.Check):
    """Remembers a hash of each record, and counts the hashes of long answers."""

    def __init__(self, name: str, rows: Rows, settings: Settings) -> None:
        """Nothing was seen yet."""
        super().__init__(name, rows, settings)
        self._seen: set[int] = set()
        self._answers: dict[str, Counter[int]] = {}
        self._texts: dict[int, str] = {}

    def of_record(self, told: Told) -> Iterator[Finding]:
        """Of each record."""
        record = told.record
        texts = [text for turn in told.words for text in turn]
        same = hash_of(*record.tracks, "", *texts)
        if same in self._seen:
            yield self.found(
                "warning",
                "record given twice",
                f"{told.place} (record {record.id!r})",
                f"the same is asked and answered about the same recordings before: {told.turns[-1][0][:60]!r}",
                "take one of them out",
            )
        self._seen.add(same)
        if len(record.answer) >= _SAYS_SOMETHING:
            answer = hash_of(texts[-1])
            counts = self._answers.setdefault(record.split, Counter())
            counts[answer] += 1
            if counts[answer] == _FEWEST:
                self._texts[answer] = record.answer

    def at_end(self) -> Iterator[Finding]:
        """Answers that too many records share."""
        for split, counts in self._answers.items():
            total = counts.total()
            for answer, count in counts.most_common(10):
                if count >= max(_FEWEST, _EXCESS * total):
                    yield self.found(
                        "warning",
                        "answer in excess",
                        f"{split}, {count:,} of {total:,} longer answers",
                        f"are all {self._texts[answer][:80]!r}",
                        "vary its wording, or take most of them out",
                    )
