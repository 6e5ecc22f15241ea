"""What is in a data set, counted in one pass: rows by split, task, source and licence, hours, and how facts are spread.

In: tracks and records, one after the other. Out: `Statistics`, which holds counts only, and tables of them. Values that
are numbers are counted in classes, so that memory does not grow with the data. Reads no file.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mllm.instruct_data.records import Record
from mllm.instruct_data.tracks import SPLITS, Track

TEMPO_STEP_BPM = 10
ENTRY_STEP_SECONDS = 5
LENGTH_STEP_SECONDS = 10
ANSWER_CLASSES = (1, 2, 5, 10, 20, 40, 80, 160, 320)
"""Lowest number of words of each class of answers."""
UNKNOWN = "not known"


@dataclasses.dataclass(kw_only=True)
class Statistics:
    """Counts of a data set; a distribution counts values or classes by name."""

    tracks: Counter[str] = dataclasses.field(default_factory=Counter)
    """By split."""
    records: Counter[str] = dataclasses.field(default_factory=Counter)
    """By split."""
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    """Of music, by split; of tracks whose length is known."""
    without_length: int = 0
    """Tracks whose length is not known."""
    bad_rows: int = 0
    """Rows and files that cannot be read."""
    of_tracks: dict[str, Counter[str]] = dataclasses.field(default_factory=dict)
    """Distributions over tracks, by name."""
    of_records: dict[str, Counter[str]] = dataclasses.field(default_factory=dict)
    """Distributions over records, by name."""
    task_by_split: dict[str, Counter[str]] = dataclasses.field(default_factory=dict)
    """By task: records of each split."""

    def add_track(self, track: Track) -> None:
        """Count a track."""
        self.tracks[track.split] += 1
        if track.seconds is None:
            self.without_length += 1
        else:
            self.seconds[track.split] = self.seconds.get(track.split, 0.0) + track.seconds
        for name, values in _of_track(track):
            self.of_tracks.setdefault(name, Counter()).update(values)

    def add_record(self, record: Record) -> None:
        """Count a record."""
        self.records[record.split] += 1
        self.task_by_split.setdefault(record.task, Counter())[record.split] += 1
        for name, values in _of_record(record):
            self.of_records.setdefault(name, Counter()).update(values)

    @property
    def hours(self) -> float:
        """Hours of music."""
        return sum(self.seconds.values()) / 3600

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; distributions in the order in which they are shown."""
        return {
            "tracks": dict(self.tracks),
            "records": dict(self.records),
            "hours": {split: round(seconds / 3600, 4) for split, seconds in self.seconds.items()},
            "tracks_without_length": self.without_length,
            "rows_that_cannot_be_read": self.bad_rows,
            "tasks": {task: dict(splits) for task, splits in sorted(self.task_by_split.items())},
            "of_tracks": {name: dict(ordered(name, counts)) for name, counts in sorted(self.of_tracks.items())},
            "of_records": {name: dict(ordered(name, counts)) for name, counts in sorted(self.of_records.items())},
        }


def ordered(name: str, counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Classes of numbers in their order, everything else the commonest first; what is not known last."""

    def place(item: tuple[str, int]) -> tuple[bool, float, int, str]:
        value, count = item
        number = _number(value) if name in _NUMBERS else 0.0
        return value == UNKNOWN, number, -count, value

    return sorted(counts.items(), key=place)


def splits_of(counts: Mapping[str, Any]) -> Sequence[str]:
    """The splits that are there, in their order."""
    return [split for split in SPLITS if split in counts]


_NUMBERS = (
    "tempo in BPM",
    "length in seconds",
    "number of instruments",
    "entry of an instrument in seconds",
    "words of an answer",
    "turns",
    "recordings of a record",
)
"""Distributions over numbers."""


def _number(value: str) -> float:
    digits = value.replace("+", "–").partition("–")[0]
    return float(digits) if digits.replace(".", "").isdigit() else 0.0


def _of_track(track: Track) -> Iterator[tuple[str, Sequence[str]]]:
    yield "source", [track.source]
    yield "licence", [track.licence]
    yield "length in seconds", [_class(track.seconds, LENGTH_STEP_SECONDS)]
    yield "tempo in BPM", [_class(track.tempo_bpm, TEMPO_STEP_BPM)]
    yield "key", [track.key or UNKNOWN]
    yield "mode", [track.key.rpartition(" ")[2] if track.key else UNKNOWN]
    yield "meter", [track.meter or UNKNOWN]
    yield "style", [track.style or UNKNOWN]
    playing = track.playing
    yield "instruments", [UNKNOWN] if playing is None else playing
    yield "number of instruments", [UNKNOWN] if playing is None else [str(len(playing))]
    if track.activity is not None:
        entries = [spans[0][0] for spans in track.activity.values() if spans]
        yield "entry of an instrument in seconds", [_class(entry, ENTRY_STEP_SECONDS) for entry in entries]
    if track.drum_pattern is not None:
        yield "drum pattern", [track.drum_pattern]
    if track.sections is not None:
        yield "number of sections", [str(len(track.sections))]


def _of_record(record: Record) -> Iterator[tuple[str, Sequence[str]]]:
    yield "task", [record.task]
    yield "template", [record.template]
    yield "source", [record.source]
    yield "licence", [record.licence]
    yield "words of an answer", [_answer_class(len(record.answer.split()))]
    yield "turns", [str(sum(message.role == "assistant" for message in record.messages))]
    yield "recordings of a record", [str(len(record.tracks))]
    if record.choices and record.correct is not None:
        yield "place of the right option", [chr(ord("A") + record.correct)]
    elif record.label is not None and record.label in ("yes", "no"):
        yield "yes or no", [record.label]


def _class(value: float | None, step: int) -> str:
    if value is None:
        return UNKNOWN
    begin = int(value // step) * step
    return f"{begin}–{begin + step}"


def _answer_class(words: int) -> str:
    begin = max((one for one in ANSWER_CLASSES if one <= words), default=0)
    behind = [one for one in ANSWER_CLASSES if one > begin]
    if not behind:
        return f"{begin}+"
    return str(begin) if behind[0] == begin + 1 else f"{begin}–{behind[0] - 1}"
