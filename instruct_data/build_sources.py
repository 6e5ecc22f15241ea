"""Data sets of others become units of a build: their rows are listed once, cut into chunks, and each chunk is finished.

In: a source section of the settings and a folder to work in. Out: in that folder, of a listing, chunks of raw tracks
and records that each belong to one split; of a chunk, tracks with lengths and paths in the data set, records about
them, and their recordings. Knows nothing of rendering and of how the parts are put together.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from mllm import messages, registry
from mllm.errors import AudioError, MllmError
from mllm.instruct_data import build_asking, build_parts, data_set
from mllm.instruct_data.build_config import BuildConfig, SourceSection, SplitSection
from mllm.instruct_data.build_parts import Parts, Summary, Unit
from mllm.instruct_data.build_recordings import Recordings
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources._sheets import Remark
from mllm.instruct_data.tracks import SPLITS, Track
from mllm.instruct_data.wordings import QUESTIONS
from mllm.messages import Audio, Message, Text

ROWS_PER_CHUNK = 250
Row: TypeAlias = Record | Track
_Kind: TypeAlias = Literal["tracks", "records"]
_KINDS: tuple[_Kind, ...] = ("tracks", "records")
_WRITTEN = "caption"
"""Task of what people wrote where a question of ours asks for it."""


def listing(unit: Unit, config: BuildConfig, work: Path) -> Summary:
    """Read all rows of a source and write them as chunks of one split each, see `chunk_path`.

    Raises:
        ConfigError: files of the source are missing.
    """
    section = config.sources[unit.source]
    source = registry.find("source", section.name)
    summary = Summary()
    kinds: dict[_Kind, Iterable[Row | MllmError]] = {}
    if hasattr(source, "tracks"):
        kinds["tracks"] = _called(source.tracks, section, config.seed)
    kinds["records"] = _called(source.records, section, config.seed)
    raw, seen = {}, _Seen()
    for kind, rows in kinds.items():
        raw[kind] = work / f"{kind}.parquet"
        _write(kind, raw[kind], _usable(itertools.islice(rows, section.most), section, summary, seen))
    own_splits = bool(seen.splits - {"train"})
    for kind, path in raw.items():
        summary.chunks[kind] = {}
        for split in SPLITS:
            of_split = (row for row in _read(kind, path) if _split_of(row, config.split, own=own_splits) == split)
            for number, chunk in enumerate(_chunks(dataclasses.replace(row, split=split) for row in of_split)):
                _write(kind, chunk_path(work, Unit(kind=kind, split=split, number=number)), chunk)
                summary.chunks[kind][split] = number + 1
        path.unlink()
    return summary


def units_of(listed: Summary, source: int) -> Iterator[Unit]:
    """The units that finish the chunks of a listing; tracks first, as they know most of the recordings."""
    for kind in _KINDS:
        for split, count in listed.chunks.get(kind, {}).items():
            yield from (Unit(kind=kind, source=source, split=split, number=number) for number in range(count))


def chunk_path(folder: Path, unit: Unit) -> Path:
    """Where a listing writes the chunk that a unit then finishes."""
    return folder / f"{unit.kind}-{unit.split}-{unit.number:06d}.parquet"


def finish_tracks(unit: Unit, config: BuildConfig, work: Path) -> Summary:
    """Place the recordings of a chunk of tracks, and ask about them."""
    summary, recordings = Summary(), _recordings(unit, config, work)
    tracks: list[Track] = []
    for track in data_set.read_track_part(_listed(unit, config)):
        try:
            tracks.append(_renamed(recordings.placed(track), unit, config))
        except AudioError as error:
            summary.skip(config.sources[unit.source].name, f"{track.id}: {error}")
    data_set.write_tracks(work / build_parts.TRACKS, tracks)
    asked = [] if _is_benchmark(unit, config) else build_asking.about(tracks, config, unit)
    data_set.write_records(work / build_parts.RECORDS, asked)
    recordings.finish()
    return summary


def finish_records(unit: Unit, config: BuildConfig, work: Path) -> Summary:
    """Place the recordings of a chunk of records; what is known of these is a track for each."""
    summary, recordings = Summary(), _recordings(unit, config, work)
    tracks: dict[str, Track] = {}

    def records() -> Iterator[Record]:
        for record in data_set.read_part(_listed(unit, config)):
            try:
                heard = [recordings.placed(track) for track in _heard(record)]
            except AudioError as error:
                summary.skip(config.sources[unit.source].name, f"{record.id}: {error}")
                continue
            tracks.update((track.id, _renamed(track, unit, config)) for track in heard)
            yield _renamed(_reworded(_with_paths(record, heard), config.seed), unit, config)

    data_set.write_records(work / build_parts.RECORDS, records())
    data_set.write_tracks(work / build_parts.TRACKS, tracks.values())
    recordings.finish()
    return summary


def place_of(config: BuildConfig, source: int) -> str:
    """What a source is called in paths: its name, with a number where it was given before."""
    name = config.sources[source].name
    before = sum(one.name == name for one in config.sources[:source])
    return f"{name}-{before + 1}" if before else name


def side_of(family: str, split: SplitSection) -> str:
    """The split of a family, the same on every machine and whatever else is in a data set."""
    number = int.from_bytes(hashlib.sha256(family.encode()).digest()[:8]) / 2**64
    if number < split.test:
        return "test"
    return "validation" if number < split.test + split.validation else "train"


def _called(function: Callable[..., Any], section: SourceSection, seed: int) -> Iterator[Row | MllmError]:
    """The rows of a source, which is given what it takes; what it would ask about its tracks is left to the build."""
    taken = inspect.signature(function).parameters
    settings = {"seed": seed, "per_track": 0} | dict(section.options or {})
    rows: Iterator[Row | MllmError] = function(
        Path(section.path), **{name: value for name, value in settings.items() if name in taken}
    )
    return rows


def _usable(rows: Iterable[Row | MllmError], section: SourceSection, summary: Summary, seen: _Seen) -> Iterator[Any]:
    """The rows that are no errors; those are counted, each sentence once, as tracks and records may share them."""
    for row in rows:
        if not isinstance(row, MllmError):
            seen.splits.add(row.split)
            yield row
        elif (sentence := str(row)) not in seen.sentences:
            seen.sentences.add(sentence)
            if isinstance(row, Remark):
                summary.remarks.append(sentence)
            else:
                summary.skip(section.name, sentence)


@dataclasses.dataclass(kw_only=True)
class _Seen:
    """What occurred in the rows of a source."""

    splits: set[str] = dataclasses.field(default_factory=set)
    sentences: set[str] = dataclasses.field(default_factory=set)


def _is_benchmark(unit: Unit, config: BuildConfig) -> bool:
    """Whether the source has questions of its own, to which none may be added."""
    return bool(registry.find("source", config.sources[unit.source].name).ABOUT.evaluation_only)


def _split_of(row: Row, split: SplitSection, *, own: bool) -> str:
    """The split of a row: its own where its source has splits, else that of its first family."""
    if own:
        return row.split
    families = row.families if isinstance(row, Record) else (row.family,)
    return side_of(families[0] if families else row.id, split)


def _heard(record: Record) -> list[Track]:
    """The recordings of a record, as far as the record knows them."""
    audios = [part for message in record.messages for part in message.parts if isinstance(part, Audio)]
    return [
        Track(
            id=record.tracks[number] if number < len(record.tracks) else f"{record.id}/{number}",
            path=audio_path(audio),
            start=audio.start,
            end=audio.end,
            source=record.source,
            licence=record.licence,
            split=record.split,
            family=record.families[number] if number < len(record.families) else record.id,
        )
        for number, audio in enumerate(audios)
    ]


def audio_path(audio: Audio) -> str:
    """The path of a recording that is no bytes."""
    assert isinstance(audio.source, Path)
    return audio.source.as_posix()


def _with_paths(record: Record, heard: Iterable[Track]) -> Record:
    """The same about recordings in their new places."""
    paths = iter(heard)

    def placed(part: Any) -> Any:
        return dataclasses.replace(part, source=Path(next(paths).path)) if isinstance(part, Audio) else part

    spoken = tuple(
        Message(role=message.role, parts=tuple(placed(part) for part in message.parts)) for message in record.messages
    )
    return dataclasses.replace(record, messages=spoken)


def _reworded(record: Record, seed: int) -> Record:
    """Ask in the wordings of testing for what people wrote, where the build put it into the test split."""
    kind = "tags" if record.template == "tags" else "caption"
    if record.split != "test" or record.task != _WRITTEN:
        return record
    first, *others = record.messages
    question = QUESTIONS[kind].choose(random.Random(f"{seed}/{record.id}"), held_out=True)
    parts = tuple(Text(text=question) if isinstance(part, messages.Text) else part for part in first.parts)
    return dataclasses.replace(record, messages=(dataclasses.replace(first, parts=parts), *others))


def _renamed(row: Any, unit: Unit, config: BuildConfig) -> Any:
    """The row of a source that was given before with another id, so that ids stay apart."""
    place, name = place_of(config, unit.source), config.sources[unit.source].name
    if place == name:
        return row
    more = {"tracks": tuple(f"{place}:{one}" for one in row.tracks)} if isinstance(row, Record) else {}
    return dataclasses.replace(row, id=f"{place}:{row.id}", **more)


def _recordings(unit: Unit, config: BuildConfig, work: Path) -> Recordings:
    section = config.sources[unit.source]
    return Recordings(
        Path(section.path), Parts(Path(config.out)), work, kind=section.audio, place=place_of(config, unit.source)
    )


def _listed(unit: Unit, config: BuildConfig) -> Path:
    folder = Parts(Path(config.out)).done(Unit(kind="listing", source=unit.source))
    return chunk_path(folder, unit)


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    waiting = iter(rows)
    while chunk := list(itertools.islice(waiting, ROWS_PER_CHUNK)):
        yield chunk


_WRITERS: Mapping[_Kind, Callable[[Path, Any], int]] = {
    "tracks": data_set.write_tracks,
    "records": data_set.write_records,
}
_READERS: Mapping[_Kind, Callable[[Path], Iterator[Any]]] = {
    "tracks": data_set.read_track_part,
    "records": data_set.read_part,
}


def _write(kind: _Kind, path: Path, rows: Iterable[Any]) -> None:
    _WRITERS[kind](path, rows)


def _read(kind: _Kind, path: Path) -> Iterator[Row]:
    return _READERS[kind](path)
