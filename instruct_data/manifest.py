"""What is in a data set, counted, and the two files that say so: `manifest.json` for programs, `README.md` for people.

In: records and tracks as they are written, settings, what was skipped. Out: the manifest as a JSON object, and the text
of the card, whose first lines tell `datasets` which files are which split. Writes no data.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import mllm
from mllm import registry
from mllm.instruct_data import data_set
from mllm.instruct_data.build_parts import Skipped
from mllm.instruct_data.records import Record
from mllm.instruct_data.tracks import SPLITS, Track

FORMAT = 1
RENDERED = "rendered"
"""Source of the pieces that the build made."""
LIBRARIES = ("av", "datasets", "music21", "numpy", "pyarrow", "pyfluidsynth", "soundfile", "soxr", "tinysoundfont")
"""Distributions whose versions may decide what a build makes."""


@dataclasses.dataclass(kw_only=True)
class Counts:
    """Records and tracks by what they are of; fed with all of them as they are written."""

    records: Counter[tuple[str, str, str, str]] = dataclasses.field(default_factory=Counter)
    """By task, source, licence and split."""
    tracks: Counter[tuple[str, str, str]] = dataclasses.field(default_factory=Counter)
    """By source, licence and split."""
    seconds: defaultdict[tuple[str, str, str], float] = dataclasses.field(default_factory=lambda: defaultdict(float))
    """Of these tracks."""

    def of_records(self, records: Iterable[Record]) -> Iterator[Record]:
        """The same records, counted on their way."""
        for record in records:
            self.records[record.task, record.source, record.licence, record.split] += 1
            yield record

    def of_tracks(self, tracks: Iterable[Track]) -> Iterator[Track]:
        """The same tracks, counted on their way."""
        for track in tracks:
            group = track.source, track.licence, track.split
            self.tracks[group] += 1
            self.seconds[group] += track.seconds or 0.0
            yield track

    def of_split(self, split: str) -> dict[str, Any]:
        """Records, tracks and hours of a split."""
        return self._sums(3, 2, split)

    def by_split(self) -> dict[str, Any]:
        """Records, tracks and hours by split, of the splits there are."""
        return {split: self.of_split(split) for split in SPLITS if self.of_split(split) != _NOTHING}

    def by_task(self) -> dict[str, dict[str, int]]:
        """Records by task and split."""
        found: dict[str, dict[str, int]] = {}
        for (task, _, _, split), count in sorted(self.records.items()):
            found.setdefault(task, dict.fromkeys(SPLITS, 0))[split] += count
        return found

    def by_source(self) -> dict[str, Any]:
        """Records, tracks and hours by source."""
        names = {source for _, source, _, _ in self.records} | {source for source, _, _ in self.tracks}
        return {name: self._sums(1, 0, name) for name in sorted(names)}

    def by_licence(self) -> dict[str, Any]:
        """Records, tracks and hours by licence."""
        names = {licence for _, _, licence, _ in self.records} | {licence for _, licence, _ in self.tracks}
        return {name: self._sums(2, 1, name) for name in sorted(names)}

    def _sums(self, of_records: int, of_tracks: int, value: str) -> dict[str, Any]:
        """Sums over the groups with a value in a place of their keys."""
        return {
            "records": sum(count for group, count in self.records.items() if group[of_records] == value),
            "tracks": sum(count for group, count in self.tracks.items() if group[of_tracks] == value),
            "hours": round(sum(s for group, s in self.seconds.items() if group[of_tracks] == value) / 3600, 4),
        }


_NOTHING = {"records": 0, "tracks": 0, "hours": 0.0}


def manifest(
    counts: Counts,
    *,
    settings: Mapping[str, Any],
    files: Mapping[str, str],
    audio: Mapping[str, Any],
    left_out: Mapping[str, int],
    skipped: Mapping[str, Skipped],
    remarks: Sequence[str],
) -> dict[str, Any]:
    """The manifest.

    Args:
        counts: of everything that was written.
        settings: of the build.
        files: sha256 of each Parquet file by path.
        audio: of the recordings: files, bytes, and the sha256 of the list of their hashes.
        left_out: how many records were left out, by reason.
        skipped: what could not be used, by source.
        remarks: what else should be known of the sources.
    """
    sources = {name: sums | _about(name) for name, sums in counts.by_source().items()}
    return {
        "format": FORMAT,
        "made_by": {"mllm": mllm.__version__, "python": platform.python_version(), **_versions()},
        "seed": settings["seed"],
        "settings": dict(settings),
        "splits": counts.by_split(),
        "tasks": counts.by_task(),
        "sources": sources,
        "licences": counts.by_licence(),
        "left_out": dict(sorted(left_out.items())),
        "skipped": {name: dataclasses.asdict(one) for name, one in sorted(skipped.items())},
        "remarks": list(remarks),
        "files": dict(sorted(files.items())),
        "audio": dict(audio),
    }


def card(made: Mapping[str, Any], name: str) -> str:
    """The text of README.md.

    Args:
        made: the manifest.
        name: of the data set, as a title.
    """
    splits = "".join(
        f"| {split} | {one['records']} | {one['tracks']} | {one['hours']:.2f} |\n"
        for split, one in made["splits"].items()
    )
    sources = "".join(
        f"| {source} | {one['records']} | {one['tracks']} | {one['hours']:.2f} |\n"
        for source, one in made["sources"].items()
    )
    licences = "".join(
        f"| {_cell(licence)} | {one['records']} | {one['hours']:.2f} |\n" for licence, one in made["licences"].items()
    )
    citations = "".join(
        f"- {one['title']}: {one['citation']}\n" for one in made["sources"].values() if "citation" in one
    )
    return _CARD.format(
        configs=_configs(made), name=name, splits=splits, sources=sources, licences=licences, citations=citations
    )


def _configs(made: Mapping[str, Any]) -> str:
    """Which files are which split, of records (the default) and of tracks, as `datasets` reads it."""
    lines = []
    for config, folder in (("default", data_set.RECORDS), ("tracks", data_set.TRACKS)):
        found = [split for split in SPLITS if any(path.startswith(f"{folder}/{split}-") for path in made["files"])]
        if not found:
            continue
        lines += [f"- config_name: {config}", *(["  default: true"] if config == "default" else []), "  data_files:"]
        for split in found:
            lines += [f"  - split: {split}", f"    path: {folder}/{split}-*.parquet"]
    return "\n".join(lines)


def _about(source: str) -> dict[str, str]:
    """What a source says of itself; nothing of music that the build made."""
    if source not in registry.names("source"):
        return {}
    about = registry.find("source", source).ABOUT
    return {"title": about.title, "licence": about.licence, "citation": about.citation, "where": about.where}


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


_CARD = """---
configs:
{configs}
language:
- en
tags:
- music
- audio
---

# {name}

Conversations about music, made by `mllm data build`. Every row of `data/` holds `messages` in the form of OpenAI's
chat; paths of recordings begin in this folder. `tracks/` holds what is known of each recording, as JSON in the column
`known`.

    import datasets
    records = datasets.load_dataset("path/to/this/folder", split="train")                # or streaming=True
    tracks = datasets.load_dataset("path/to/this/folder", "tracks", split="train")

    mllm data check path/to/this/folder
    mllm data stats path/to/this/folder
    mllm train --data path/to/this/folder --out my_model

| split | records | recordings | hours |
| :--- | ---: | ---: | ---: |
{splits}
| source | records | recordings | hours |
| :--- | ---: | ---: | ---: |
{sources}
| licence | records | hours |
| :--- | ---: | ---: |
{licences}
{citations}
`manifest.json` holds all counts, the settings and seeds, the versions of what made it, a hash of every file, and what
was left out and why. `sha256sum -c audio.sha256` checks the recordings.
"""
