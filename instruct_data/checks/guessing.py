"""Questions with few answers: whether the commonest answer of a template beats chance without any listening."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from mllm.instruct_data import checking
from mllm.instruct_data.checking import Settings, Told
from mllm.instruct_data.checks import _chance
from mllm.instruct_data.findings import Finding
from mllm.instruct_data.rows import Rows

SUMMARY = "who always gives the commonest answer of a template is right no more often than by chance"
_FEWEST = 40
_SURE = 1e-4
_MARGIN = 0.02
_MOST_LABELS = 12
"""A template with more different answers is no question with few answers."""


class Check(checking.Check):
    """Counts labels for each split and template."""

    def __init__(self, name: str, rows: Rows, settings: Settings) -> None:
        """Nothing was counted yet."""
        super().__init__(name, rows, settings)
        self._labels: dict[tuple[str, str], Counter[str]] = {}

    def of_record(self, told: Told) -> Iterator[Finding]:
        """Count its label."""
        record = told.record
        if record.label is not None and not record.choices:
            self._labels.setdefault((record.split, record.template), Counter())[record.label] += 1
        yield from ()

    def at_end(self) -> Iterator[Finding]:
        """Templates with an answer that is too common."""
        for (split, template), labels in sorted(self._labels.items()):
            total = labels.total()
            if total < _FEWEST or len(labels) > _MOST_LABELS:
                continue
            where = f"{split}, template {template!r}"
            if len(labels) == 1:
                yield self.found(
                    "error",
                    "template with one answer",
                    where,
                    f"all {total:,} questions have the answer {next(iter(labels))!r}",
                    "ask as often where another answer is true",
                )
                continue
            label, most = labels.most_common(1)[0]
            chance = 1 / len(labels)
            deviations = (most - total * chance) / math.sqrt(total * chance * (1 - chance))
            if most / total - chance > _MARGIN and _chance.two_sided(deviations) < _SURE:
                yield self.found(
                    "error" if set(labels) <= {"yes", "no"} else "warning",
                    "template that can be guessed",
                    where,
                    f"{label!r} is right in {100 * most / total:.0f} % of {total:,} questions, by chance "
                    f"{100 * chance:.0f} %",
                    "leave out the surplus of that answer",
                )
