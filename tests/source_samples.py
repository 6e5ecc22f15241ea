"""Samples of the sources: small files that we wrote, in the exact form in which each data set is published.

In: the name of a source. Out: a folder with its sample, and what its records and tracks must be. Of each source there
are in tests/data/sources/<name>:

    files/            the data set as it is published, without its recordings; a Parquet file as JSON lines,
                      "x.parquet.jsonl"
    recordings.txt    the path of each recording of the sample, one a line; none where the source has no recordings
    records.jsonl     the records that must be read, in order, one JSON object a line
    tracks.jsonl      the same of tracks, where the source gives them
    bad/              files that stand in the place of those of `files`, some of their rows spoilt
    bad.txt           what must be said of these rows, in order, one sentence a line

`python tests/source_samples.py NAME` prints what is read now, to be looked at and kept as these files.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from mllm import messages, registry
from mllm.errors import MllmError
from mllm.instruct_data import tracks
from mllm.instruct_data.records import Record
from mllm.instruct_data.tracks import Track

SAMPLES = Path(__file__).parent / "data" / "sources"
SECONDS = 0.2
"""How long each recording of a sample is."""
RATE_HZ = 24_000


def sample(name: str) -> Path:
    """The folder of a source's sample."""
    folder = SAMPLES / name
    assert (folder / "files").is_dir(), f"the source {name} has no sample: write {folder / 'files'} (see {__file__})"
    return folder


def samples_with(part: str) -> list[str]:
    """The sources whose sample has a file or folder `part`."""
    return sorted(path.parent.name for path in SAMPLES.glob(f"*/{part}"))


def prepare(name: str, folder: Path, *, bad: bool = False) -> Path:
    """Put the sample of a source into `folder` and write its recordings there, each a short tone.

    Args:
        name: of the source.
        folder: an empty folder; it is returned.
        bad: whether the files of `bad` take the place of those of `files`.
    """
    kept = sample(name)
    shutil.copytree(kept / "files", folder, dirs_exist_ok=True)
    if bad:
        shutil.copytree(kept / "bad", folder, dirs_exist_ok=True)
    for lines in sorted(folder.rglob("*.parquet.jsonl")):
        rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
        pq.write_table(pa.Table.from_pylist(rows), lines.with_suffix(""))
        lines.unlink()
    for number, path in enumerate(recordings(name)):
        times = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as file:  # always wav inside, whatever the published name ends with
            soundfile.write(file, 0.3 * np.sin(2 * np.pi * 110 * (number + 2) * times), RATE_HZ, format="WAV")
    return folder


def recordings(name: str) -> list[str]:
    """The paths of the recordings of a sample."""
    listed = sample(name) / "recordings.txt"
    return listed.read_text(encoding="utf-8").split("\n")[:-1] if listed.is_file() else []


def golden(name: str, part: str) -> list[dict[str, Any]]:
    """The objects of `records.jsonl` or `tracks.jsonl` of a sample."""
    lines = (sample(name) / part).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def record_as_json(record: Record) -> dict[str, Any]:
    """A record as it stands in `records.jsonl`."""
    fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    spoken = {"messages": messages.to_json(record.messages)}
    plain: dict[str, Any] = json.loads(json.dumps(fields | spoken))
    return plain


def track_as_json(track: Track) -> dict[str, Any]:
    """A track as it stands in `tracks.jsonl`."""
    plain: dict[str, Any] = json.loads(tracks.line(track))
    return plain


def complaints(rows: Iterable[object], folder: Path) -> list[str]:
    """What is said of the rows that could not be used, without the place of the folder."""
    return [str(row).replace(f"{folder}/", "") for row in rows if isinstance(row, MllmError)]


def _lines(name: str, folder: Path) -> Iterator[str]:
    source = registry.find("source", name)
    parts: list[tuple[str, Callable[[Any], dict[str, Any]]]] = [("records", record_as_json), ("tracks", track_as_json)]
    for part, plain in parts:
        if hasattr(source, part):
            yield f"{part}.jsonl"
            for row in getattr(source, part)(prepare(name, folder / part)):
                yield str(row) if isinstance(row, MllmError) else json.dumps(plain(row), ensure_ascii=False)
    if (sample(name) / "bad").is_dir():
        yield "bad.txt"
        yield from complaints(source.records(prepare(name, folder / "bad", bad=True)), folder / "bad")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        sys.stdout.writelines(f"{line}\n" for line in _lines(sys.argv[1], Path(place)))
