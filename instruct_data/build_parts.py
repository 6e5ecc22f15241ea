"""The unfinished state of a build: what is to be made, what is made, and where a unit of it is made until it is whole.

In: the folder of a data set. Out: paths below its folder `.parts`, which is removed when the data set is finished:

    settings.json          what is built
    making/<unit>.../      what a worker is busy with; nothing of it counts
    done/<unit>/           what one unit made: records.parquet, tracks.parquet, audio.sha256, summary.json

A unit is made in a folder of its own, which is renamed when it is whole: after a `kill -9` a unit is there or is not.
Knows nothing of what a unit makes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from mllm.errors import ConfigError

PARTS = ".parts"
RECORDS = "records.parquet"
TRACKS = "tracks.parquet"
AUDIO_HASHES = "audio.sha256"
SUMMARY = "summary.json"
MOST_NAMED = 20
"""So many of the rows that were skipped for one reason are named."""
_READ_BYTES = 1 << 20

UnitKind: TypeAlias = Literal["scores", "listing", "pieces", "tracks", "records"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unit:
    """A share of the work, which depends on the settings and on itself alone."""

    kind: UnitKind
    source: int = 0
    """Position in the sources of the settings."""
    split: str = ""
    """Whose pieces, tracks or records it makes."""
    number: int = 0
    """Among those of its kind, source and split."""
    first: int = 0
    """Index of its first piece."""
    count: int = 0
    """Number of its pieces."""

    @property
    def name(self) -> str:
        """Of its folder."""
        places = {
            "scores": f"scores-{self.number:03d}",
            "pieces": f"pieces-{self.split}-{self.number:06d}",
            "listing": f"source-{self.source:03d}-listing",
        }
        return places.get(self.kind, f"source-{self.source:03d}-{self.kind}-{self.split}-{self.number:06d}")


@dataclasses.dataclass(kw_only=True)
class Summary:
    """What became of a unit, beside the files that it made."""

    seconds: float = 0.0
    """Of recordings that were made."""
    chunks: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    """Of a listing: number of chunks by kind and split."""
    skipped: dict[str, Skipped] = dataclasses.field(default_factory=dict)
    """What could not be used, by where it came from."""
    remarks: list[str] = dataclasses.field(default_factory=list)
    """What should be known of the sources, such as a table whose encoding was guessed."""

    def skip(self, place: str, sentence: str) -> None:
        """Count something that could not be used."""
        self.skipped.setdefault(place, Skipped()).add(sentence)

    def merge(self, other: Summary) -> None:
        """Count what another unit skipped and remarked as well."""
        self.remarks += other.remarks
        for place, skipped in other.skipped.items():
            mine = self.skipped.setdefault(place, Skipped())
            mine.count += skipped.count
            mine.first += skipped.first[: MOST_NAMED - len(mine.first)]


@dataclasses.dataclass(kw_only=True)
class Skipped:
    """Rows or files that could not be used."""

    count: int = 0
    first: list[str] = dataclasses.field(default_factory=list)
    """What was said of the first `MOST_NAMED` of them."""

    def add(self, sentence: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.first) < MOST_NAMED:
            self.first.append(" ".join(sentence.split()))


class Parts:
    """The folder `.parts` of a data set.

    Args:
        out: folder of the data set.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out / PARTS
        self._done = self.folder / "done"
        self._making = self.folder / "making"

    def any_done(self) -> bool:
        """Whether a unit is whole, so that other settings would not go with it."""
        return self._done.is_dir() and any(self._done.iterdir())

    def done(self, unit: Unit) -> Path:
        """Where what a unit made is, or would be."""
        return self._done / unit.name

    def is_done(self, unit: Unit) -> bool:
        """Whether a unit is made."""
        return self.done(unit).is_dir()

    def summary(self, unit: Unit) -> Summary:
        """What became of a unit that is made."""
        return _summary_of(json.loads((self.done(unit) / SUMMARY).read_text(encoding="utf-8")))

    def clear_unfinished(self) -> None:
        """Remove what workers left that are gone."""
        shutil.rmtree(self._making, ignore_errors=True)

    @contextlib.contextmanager
    def making(self, unit: Unit) -> Iterator[Path]:
        """A new folder to make a unit in, which becomes `done(unit)` once all went well."""
        self._making.mkdir(parents=True, exist_ok=True)
        self._done.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f"{unit.name}-", dir=self._making))
        try:
            yield work
            try:
                work.rename(self.done(unit))
            except OSError:
                if not self.is_done(unit):  # otherwise another worker made the same before
                    raise
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def place_recording(self, made: Path, path: str) -> None:
        """Move a whole file to its place in the data set."""
        place = self.out / path
        place.parent.mkdir(parents=True, exist_ok=True)
        made.replace(place)


def write_summary(folder: Path, summary: Summary) -> None:
    """Put a summary beside what it is about."""
    text = json.dumps(dataclasses.asdict(summary), ensure_ascii=False, sort_keys=True)
    (folder / SUMMARY).write_text(text, encoding="utf-8")


def write_hashes(folder: Path, hashes: Mapping[str, str]) -> None:
    """Write hashes of recordings by path, as `sha256sum` writes them."""
    lines = (f"{digest}  {path}\n" for path, digest in hashes.items())
    (folder / AUDIO_HASHES).write_text("".join(lines), encoding="utf-8")


def sha256(path: Path) -> str:
    """Of a file's bytes, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def disk_told(out: Path) -> Iterator[None]:
    """Tell what the system says of a folder as an error of ours.

    Raises:
        ConfigError: the disk is full, or the folder cannot be written to.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise ConfigError(
            f"{error.filename or out} cannot be read or written ({os.strerror(error.errno)}); make room or give a "
            "folder of yours, and run this again: what is whole is kept"
        ) from error


def _summary_of(plain: dict[str, Any]) -> Summary:
    skipped = {place: Skipped(**one) for place, one in plain.pop("skipped").items()}
    return Summary(skipped=skipped, **plain)
