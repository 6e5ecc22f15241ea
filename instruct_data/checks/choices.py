"""Multiple choice: options that are whole, and a right one that neither its place nor its length gives away."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator

from mllm.instruct_data import checking
from mllm.instruct_data.checking import Settings, Told
from mllm.instruct_data.checks import _chance
from mllm.instruct_data.findings import Finding
from mllm.instruct_data.rows import Rows
from mllm.instruct_data.texts import plain

SUMMARY = "options of a multiple choice are whole, and neither place nor length gives the right one away"
_FEWEST = 40
"""So many questions are needed before anything is said of chance."""
_SURE = 1e-4
"""A deviation as large would come about by chance in fewer cases than this."""
_MARGIN = 0.02
"""A deviation as small is let pass, however sure it is."""


@dataclasses.dataclass(kw_only=True, slots=True)
class _Count:
    """Of one split and template, or of all templates of a split."""

    places: dict[int, Counter[int]] = dataclasses.field(default_factory=dict)
    """By number of options: how often each was right."""
    with_longest: int = 0
    """Questions in which one option is longer than all others."""
    longest_right: int = 0
    expected: float = 0.0
    """How often the longest would be right by chance."""
    variance: float = 0.0


class Check(checking.Check):
    """Counts places and lengths for each split and template."""

    def __init__(self, name: str, rows: Rows, settings: Settings) -> None:
        """Nothing was counted yet."""
        super().__init__(name, rows, settings)
        self._counts: dict[tuple[str, str], _Count] = {}

    def of_record(self, told: Told) -> Iterator[Finding]:
        """Of each multiple choice."""
        record = told.record
        if not record.choices or record.correct is None:
            return
        yield from self._whole(told, record.choices, record.choices[record.correct])
        for template in {record.template, ""}:
            self._add(self._counts.setdefault((record.split, template), _Count()), record.choices, record.correct)

    def at_end(self) -> Iterator[Finding]:
        """Deviations from chance; a template is told only where its split as a whole is not."""
        for split in sorted({split for split, _ in self._counts}):
            told: set[str] = set()
            for template in sorted(template for one, template in self._counts if one == split):
                where = f"{split}, template {template!r}" if template else f"{split}, all multiple choices"
                for finding in self._deviations(where, self._counts[split, template]):
                    if not template:
                        told.add(finding.kind)
                    if not template or finding.kind not in told:
                        yield finding

    def _whole(self, told: Told, choices: tuple[str, ...], right: str) -> Iterator[Finding]:
        where = f"{told.place} (record {told.record.id!r})"
        spoken = [plain(choice) for choice in choices]
        if len(choices) < 2:
            yield self.found("error", "single option", where, "there is nothing to choose", "add wrong options")
        if len(set(spoken)) < len(spoken):
            twice = next(choice for choice, count in Counter(spoken).items() if count > 1)
            yield self.found(
                "error", "option given twice", where, f"{twice!r} stands there twice", "replace one of them"
            )
        if any(not choice.strip() for choice in choices):
            yield self.found("error", "empty option", where, "an option is empty", "write it")
        answer = told.words[-1][1]
        letter = chr(ord("a") + choices.index(right))
        if plain(right) not in answer and answer.split()[:1] != [letter]:
            yield self.found(
                "error",
                "answer that is not the right option",
                where,
                f"the right option is {right!r}, and the answer is {told.record.answer[:60]!r}",
                "correct the answer, or which option is right",
            )
        question = told.words[-1][0]
        if missing := [choice for choice, words in zip(choices, spoken, strict=True) if words not in question]:
            yield self.found(
                "error",
                "option that is not asked",
                where,
                f"{missing[0]!r} does not stand in the question",
                "put all options into the question",
            )

    @staticmethod
    def _add(count: _Count, choices: tuple[str, ...], correct: int) -> None:
        count.places.setdefault(len(choices), Counter())[correct] += 1
        lengths = [len(choice) for choice in choices]
        longest = max(lengths)
        if lengths.count(longest) == 1:
            chance = 1 / len(choices)
            count.with_longest += 1
            count.longest_right += lengths[correct] == longest
            count.expected += chance
            count.variance += chance * (1 - chance)

    def _deviations(self, where: str, count: _Count) -> Iterator[Finding]:
        for options, places in sorted(count.places.items()):
            total = sum(places.values())
            counts = [places[place] for place in range(options)]
            if total < _FEWEST or _chance.uniform(counts) >= _SURE or max(counts) / total - 1 / options < _MARGIN:
                continue
            shares = ", ".join(f"{chr(ord('A') + place)} {100 * one / total:.0f} %" for place, one in enumerate(counts))
            yield self.found(
                "error",
                "place that gives the answer away",
                where,
                f"of {total:,} questions with {options} options the right one is {shares}",
                "shuffle the options with a fixed seed",
            )
        if count.with_longest < _FEWEST or not count.variance:
            return
        excess = (count.longest_right - count.expected) / count.with_longest
        deviations = (count.longest_right - count.expected) / math.sqrt(count.variance)
        if abs(excess) > _MARGIN and _chance.two_sided(deviations) < _SURE:
            yield self.found(
                "error",
                "length that gives the answer away",
                where,
                f"the longest option is right in {100 * count.longest_right / count.with_longest:.0f} % of "
                f"{count.with_longest:,} questions, by chance {100 * count.expected / count.with_longest:.0f} %",
                "draw wrong options of the same lengths as right ones",
            )
