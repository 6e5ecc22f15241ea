"""The parts of a build become the rows of a data set: what may not stay is left out, the rest is given by split.

In: units that are made. Out: their records and tracks in order, and what was left out and why. Reads the parts one
after the other and keeps nothing of them in memory but ids and hashes. Writes nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mllm.instruct_data import balance, build_parts, data_set
from mllm.instruct_data.build_parts import Parts, Unit
from mllm.instruct_data.records import Record
from mllm.instruct_data.tracks import SPLITS, Track

TWICE = "the same id was there before"
OTHER_SIDE = "a recording of the same family is kept farther from training"
SURPLUS = "its answer is commoner than the other answers of its template"
WRITTEN = ("caption", "question")
"""Tasks of what people wrote, which is never thinned out."""


@dataclasses.dataclass(kw_only=True)
class Selection:
    """Which rows of the parts become rows of the data set."""

    sides: dict[bytes, int] = dataclasses.field(default_factory=dict)
    """Of each family (a hash of it): the position in `SPLITS` of the split that it belongs to."""
    refused: set[tuple[int, int]] = dataclasses.field(default_factory=set)
    """Number of the unit and of the record in it, of records that may not stay."""
    surplus: set[str] = dataclasses.field(default_factory=set)
    """Ids of records that go so that answers are equally common."""
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    """Of records, by why they go."""

    def has_moved(self, families: Iterable[str], split: str) -> bool:
        """Whether one of the families belongs to a split that is farther from training."""
        return any(self.sides[_short(family)] > SPLITS.index(split) for family in families)


def select(parts: Parts, units: Sequence[Unit]) -> Selection:
    """Decide what stays.

    A family that occurs in several splits belongs to the one farthest from training, which is the test split. Of ids
    that occur twice, the first record stays. Of the yes/no and multiple-choice questions that we make, as many stay of
    each answer of a template.
    """
    selection = Selection()
    for unit in units:
        place = SPLITS.index(unit.split)
        for family in _families(parts.done(unit)):
            selection.sides[_short(family)] = max(place, selection.sides.get(_short(family), 0))
    selection.surplus = balance.surplus(_labelled(parts, units, selection))
    selection.counts[SURPLUS] = len(selection.surplus)
    return selection


def records_of(parts: Parts, units: Sequence[Unit], selection: Selection, *, seed: int, split: str) -> Iterator[Record]:
    """The records of a split that stay; units in an order that the seed decides, so that sources are mixed."""
    numbered = [(number, unit) for number, unit in enumerate(units) if unit.split == split]
    numbered.sort(key=lambda one: hashlib.sha256(f"{seed}/{one[1].name}".encode()).digest())
    for number, unit in numbered:
        path = parts.done(unit) / build_parts.RECORDS
        for position, record in enumerate(data_set.read_part(path)):
            if (number, position) not in selection.refused and record.id not in selection.surplus:
                yield record


def tracks_of(parts: Parts, units: Sequence[Unit], selection: Selection, *, split: str) -> Iterator[Track]:
    """The tracks of a split that stay, each once."""
    seen: set[bytes] = set()
    for unit in units:
        if unit.split != split:
            continue
        for track in data_set.read_track_part(parts.done(unit) / build_parts.TRACKS):
            identity = _short(track.id)
            if identity not in seen and not selection.has_moved((track.family,), split):
                seen.add(identity)
                yield track


def noted_paths(tracks: Iterable[Track], used: set[bytes]) -> Iterator[Track]:
    """The same tracks; their paths are noted in `used` on their way."""
    for track in tracks:
        used.add(_short(track.path))
        yield track


def list_recordings(parts: Parts, units: Sequence[Unit], used: set[bytes], path: Path) -> dict[str, Any]:
    """Write the hashes of the recordings whose paths were noted; the others are removed.

    Returns:
        Number of files, their bytes, and the hash of the list.
    """
    listed: set[bytes] = set()
    bytes_of_all = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as out:
        for unit in units:
            for line in (parts.done(unit) / build_parts.AUDIO_HASHES).read_text(encoding="utf-8").splitlines():
                name = line.partition("  ")[2]
                identity, place = _short(name), parts.out / name
                if identity in listed:
                    continue
                if identity not in used:
                    place.unlink(missing_ok=True)
                    continue
                listed.add(identity)
                bytes_of_all += place.stat().st_size
                out.write(f"{line}\n")
    return {"files": len(listed), "bytes": bytes_of_all, "sha256": build_parts.sha256(path)}


def _labelled(parts: Parts, units: Sequence[Unit], selection: Selection) -> Iterator[tuple[str, str, str]]:
    """What `balance` takes of each record of ours that stays; notes which records may not stay."""
    seen: set[bytes] = set()
    for number, unit in enumerate(units):
        for position, record in enumerate(data_set.read_part(parts.done(unit) / build_parts.RECORDS)):
            identity = _short(record.id)
            if identity in seen or selection.has_moved(record.families, record.split):
                selection.refused.add((number, position))
                selection.counts[TWICE if identity in seen else OTHER_SIDE] += 1
                continue
            seen.add(identity)
            if record.task not in WRITTEN and (row := balance.row(record)) is not None:
                yield row


def _families(folder: Path) -> Iterator[str]:
    for track in data_set.read_track_part(folder / build_parts.TRACKS):
        yield track.family
    with pq.ParquetFile(folder / build_parts.RECORDS) as file:
        for batch in file.iter_batches(data_set.ROWS_AT_ONCE, columns=["families"]):
            for families in batch.column(0).to_pylist():
                yield from families


def _short(text: str) -> bytes:
    """A hash, which takes less memory than the text."""
    return hashlib.sha256(text.encode()).digest()[:12]
