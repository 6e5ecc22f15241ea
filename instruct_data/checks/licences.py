"""Licences of tracks and records: which there are, which are missing, which do not allow commerce or changes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from mllm.instruct_data import checking
from mllm.instruct_data.checking import Known, Settings, Told
from mllm.instruct_data.findings import Finding
from mllm.instruct_data.rows import Row, Rows
from mllm.instruct_data.tracks import Track

SUMMARY = "every row has a licence; mixed and non-commercial ones are told"
_MISSING = re.compile(r"^\W*$|^(?:not stated|unknown|none|null|nan|n/?a|tbd|todo|unlicen[sc]ed|\?+)$", re.IGNORECASE)
_NON_COMMERCIAL = re.compile(r"\bnc\b|non-?commercial|research[ -]only|academic", re.IGNORECASE)
_NO_CHANGES = re.compile(r"\bnd\b|no-?deriv", re.IGNORECASE)
_NAMES_TOLD = 6


class Check(checking.Check):
    """Counts licences."""

    def __init__(self, name: str, rows: Rows, settings: Settings) -> None:
        """Nothing was counted yet."""
        super().__init__(name, rows, settings)
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def of_track(self, row: Row[Track], known: Known) -> Iterator[Finding]:  # noqa: ARG002
        """Of each track."""
        self._count(row.value.licence, row.place)
        yield from ()

    def of_record(self, told: Told) -> Iterator[Finding]:
        """Of each record."""
        self._count(told.record.licence, told.place)
        yield from ()

    def at_end(self) -> Iterator[Finding]:
        """What was counted."""
        for licence, count in self._counts.items():
            where = f"{count:,} rows, the first {self._first[licence]}"
            if _MISSING.match(licence):
                yield self.found(
                    "warning",
                    "no licence",
                    where,
                    f"the licence is {licence!r}",
                    "state the licence of the recordings and labels before you pass the data on",
                )
            if _NON_COMMERCIAL.search(licence):
                yield self.found(
                    "note",
                    "non-commercial licence",
                    where,
                    f"{licence!r} forbids commercial use",
                    "leave these rows out of a model that is sold",
                )
            if _NO_CHANGES.search(licence):
                yield self.found(
                    "note",
                    "licence without changes",
                    where,
                    f"{licence!r} forbids changed copies",
                    "pass the recordings on unchanged or not at all",
                )
        if len(self._counts) > 1:
            names = [f"{name} ({count:,})" for name, count in self._counts.most_common(_NAMES_TOLD)]
            more = f" and {len(self._counts) - _NAMES_TOLD} more" if len(self._counts) > _NAMES_TOLD else ""
            yield self.found(
                "note",
                "mixed licences",
                "the whole data set",
                f"{', '.join(names)}{more}",
                "keep to the strictest of them, or build one data set a licence",
            )

    def _count(self, licence: str, place: str) -> None:
        self._counts[licence] += 1
        self._first.setdefault(licence, place)
