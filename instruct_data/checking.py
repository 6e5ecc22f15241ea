"""Looks for defects in a data set: every row is read once and shown to every check.

In: the rows of a folder and settings. Out: findings, one after the other, as they are found. A file of `checks/` has
`SUMMARY` (a sentence) and a class `Check`, a subclass of `Check` here, which overrides what it wants to see. All tracks
come first, then recordings, then records, then the end. What stays in memory is one `Known` for each track and what
checks remember of rows: hashes, never the rows. Knows no particular defect but rows that cannot be read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from mllm import registry
from mllm.instruct_data import measuring
from mllm.instruct_data.findings import Finding, Severity
from mllm.instruct_data.measuring import Measured
from mllm.instruct_data.records import Record
from mllm.instruct_data.rows import BadRow, Row, Rows
from mllm.instruct_data.texts import hash_of, plain
from mllm.instruct_data.tracks import Track
from mllm.messages import Audio, Message, Text

UNREADABLE = "rows"
"""Name of the check under which rows that cannot be read are told."""
Tell = Callable[[str], None]
"""Is told now and then how far it is."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What is looked at, and what is expected."""

    workers: int = 1
    """Processes that decode recordings."""
    listen: bool = True
    """Whether recordings are opened at all."""
    expected_rate_hz: int | None = None
    """Samples a second that every recording should have; None: as most have."""
    benchmarks: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    """Folders of benchmarks that must not be trained on, by the names of their sources."""
    longest_answer: int = 4000
    """Characters from which on an answer is too long."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What is remembered of a track while records are looked at; None where nobody knows."""

    id: str
    path: str
    split: str
    family: str
    place: str
    playing: frozenset[str] | None
    absent: frozenset[str]
    """Surely silent: those that the track names, and where it is known when each plays, all others."""
    tempi: tuple[float, ...]
    """Beats a minute: the one that holds longest, the lowest, the highest; empty where not known."""
    keys: tuple[str, ...]
    meter: str | None
    vocals: bool | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """A recording that was decoded, and the tracks that it holds."""

    path: str
    """From the folder of the data set on."""
    measured: Measured
    tracks: tuple[Known, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A record, and what checks would otherwise each take out of it."""

    place: str
    record: Record
    tracks: tuple[Known, ...]
    """Those of its tracks that the data set holds."""
    turns: tuple[tuple[str, str], ...]
    """Question and answer of each turn."""
    words: tuple[tuple[str, str], ...]
    """The same as `texts.plain` gives them."""


class Check:
    """Sees everything once; a subclass overrides what it wants to see."""

    def __init__(self, name: str, rows: Rows, settings: Settings) -> None:
        """Prepare to look at a data set."""
        self.name = name
        self.rows = rows
        self.settings = settings

    def at_start(self) -> Iterator[Finding]:
        """Before any row."""
        yield from ()

    def of_track(self, row: Row[Track], known: Known) -> Iterator[Finding]:  # noqa: ARG002
        """Of each track, all before the first record."""
        yield from ()

    def of_recording(self, heard: Heard) -> Iterator[Finding]:  # noqa: ARG002
        """Of each distinct file of a recording, after the tracks; not where recordings are left out."""
        yield from ()

    def of_record(self, told: Told) -> Iterator[Finding]:  # noqa: ARG002
        """Of each record."""
        yield from ()

    def at_end(self) -> Iterator[Finding]:
        """After everything."""
        yield from ()

    def found(self, severity: Severity, kind: str, where: str, what: str, cure: str) -> Finding:
        """A finding of this check."""
        return Finding(check=self.name, severity=severity, kind=kind, where=where, what=what, cure=cure)


@dataclasses.dataclass(kw_only=True)
class Seen:
    """How much was looked at."""

    tracks: int = 0
    recordings: int = 0
    records: int = 0


def check(rows: Rows, settings: Settings, *, seen: Seen | None = None, tell: Tell | None = None) -> Iterator[Finding]:
    """Find what is wrong with a data set.

    Args:
        rows: of the data set.
        settings: what is expected of it.
        seen: is counted up as rows are read.
        tell: is told what is being looked at.

    Raises:
        ConfigError: a benchmark that was given cannot be read.
    """
    seen = seen if seen is not None else Seen()
    tell = tell or (lambda _: None)
    checks = [_made(name, rows, settings) for name in registry.names("check")]
    for one in checks:
        yield from one.at_start()
    library: dict[str, Known] = {}
    unreadable = _Unreadable(rows)
    yield from _tracks(rows, checks, library, unreadable, seen, tell)
    if settings.listen:
        yield from _recordings(rows, settings, checks, library, seen, tell)
    yield from _records(rows, checks, library, unreadable, seen, tell)
    tell("adding up")
    for one in checks:
        yield from one.at_end()


def known_of(row: Row[Track]) -> Known:
    """What is remembered of a track."""
    track = row.value
    playing = None if track.playing is None else _shared(frozenset(track.playing))
    absent = frozenset(track.absent or ())
    if track.activity is not None:
        absent |= _instruments() - frozenset(track.activity)
    curve = [tempo for _, tempo in track.tempo_curve or ()]
    main = track.tempo_bpm if track.tempo_bpm is not None else max(curve, default=None)
    keys = dict.fromkeys([track.key] if track.key is not None else [])
    keys.update(dict.fromkeys(key for _, key in track.keys or ()))
    return Known(
        id=track.id,
        path=track.path,
        split=track.split,
        family=track.family,
        place=row.place,
        playing=playing,
        absent=_shared(absent),
        tempi=() if main is None else (main, min([*curve, main]), max([*curve, main])),
        keys=tuple(keys),
        meter=track.meter,
        vocals=track.vocals,
    )


def turns_of(messages: tuple[Message, ...]) -> tuple[tuple[str, str], ...]:
    """Question and answer of each turn; what stands before the first question is left out."""
    turns: list[tuple[str, str]] = []
    question = ""
    for message in messages:
        text = " ".join(
            part.text if isinstance(part, Text) else part.id for part in message.parts if not isinstance(part, Audio)
        )
        if message.role == "user":
            question = text
        elif message.role == "assistant":
            turns.append((question, text))
    return tuple(turns)


_SETS: dict[frozenset[str], frozenset[str]] = {}


def _shared(names: frozenset[str]) -> frozenset[str]:
    """The same object for equal sets: a data set has few line-ups and many tracks."""
    return _SETS.setdefault(names, names)


def _instruments() -> frozenset[str]:
    from mllm.facts import INSTRUMENTS

    return frozenset(INSTRUMENTS)


def _made(name: str, rows: Rows, settings: Settings) -> Check:
    made = registry.find("check", name).Check(name, rows, settings)
    assert isinstance(made, Check)
    return made


def _watchers(checks: Iterable[Check], method: str) -> list[Callable[..., Iterator[Finding]]]:
    """That method of the checks that override it."""
    return [getattr(one, method) for one in checks if getattr(type(one), method) is not getattr(Check, method)]


def _tracks(
    rows: Rows, checks: list[Check], library: dict[str, Known], unreadable: _Unreadable, seen: Seen, tell: Tell
) -> Iterator[Finding]:
    watchers = _watchers(checks, "of_track")
    for row in rows.tracks():
        if isinstance(row, BadRow):
            yield from unreadable.told(row)
            continue
        seen.tracks += 1
        if seen.tracks % 500 == 0:
            tell(f"{seen.tracks:,} tracks")
        known = known_of(row)
        for watch in watchers:
            yield from watch(row, known)
        library.setdefault(row.value.id, known)


def _recordings(
    rows: Rows, settings: Settings, checks: list[Check], library: dict[str, Known], seen: Seen, tell: Tell
) -> Iterator[Finding]:
    watchers = _watchers(checks, "of_recording")
    holding: dict[str, list[Known]] = {}
    for known in library.values():
        holding.setdefault(known.path, []).append(known)
    for path, measured in measuring.measure_all(rows.folder, list(holding), workers=settings.workers):
        seen.recordings += 1
        tell(f"{seen.recordings:,} of {len(holding):,} recordings")
        heard = Heard(path=path, measured=measured, tracks=tuple(holding[path]))
        for watch in watchers:
            yield from watch(heard)


def _records(
    rows: Rows, checks: list[Check], library: Mapping[str, Known], unreadable: _Unreadable, seen: Seen, tell: Tell
) -> Iterator[Finding]:
    watchers = _watchers(checks, "of_record")
    for row in rows.records():
        if isinstance(row, BadRow):
            yield from unreadable.told(row)
            continue
        seen.records += 1
        if seen.records % 1000 == 0:
            tell(f"{seen.records:,} records")
        record: Record = row.value
        turns = turns_of(record.messages)
        told = Told(
            place=row.place,
            record=record,
            tracks=tuple(library[one] for one in record.tracks if one in library),
            turns=turns,
            words=tuple((plain(question), plain(answer)) for question, answer in turns),
        )
        for watch in watchers:
            yield from watch(told)


class _Unreadable:
    """Tells each row that cannot be read once: sources of labels meet them among tracks and among records."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._told: set[int] = set()

    def told(self, row: BadRow) -> Iterator[Finding]:
        key = hash_of(row.place, row.what)
        if key in self._told:
            return
        self._told.add(key)
        yield Finding(
            check=UNREADABLE,
            severity="error",
            kind="file that cannot be read" if row.whole_file else "row that cannot be read",
            where=row.place,
            what=row.what,
            cure="build the data set again" if self._rows.built else "mend this row, or take it out",
        )
