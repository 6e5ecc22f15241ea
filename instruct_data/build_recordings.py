"""Recordings of a source go to their places in a data set: copied, linked, or named where they are.

In: tracks with paths in their source. Out: the same with paths in the data set, lengths that were measured, and their
files moved to their places when all of a unit are there. Opens files for their headers only.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Literal

from mllm import audio
from mllm.errors import AudioError
from mllm.instruct_data import build_parts, data_set
from mllm.instruct_data.build_parts import Parts
from mllm.instruct_data.tracks import Track

_BEYOND_SECONDS = 0.5
"""A stretch may be said to end so much later than its file does, as many tables round."""


class Recordings:
    """The recordings of one unit.

    Args:
        source: folder in which their paths begin.
        parts: of the data set.
        work: folder of the unit.
        kind: what becomes of them, as in `SourceSection.audio`.
        place: name of their folder in the data set.
    """

    def __init__(
        self, source: Path, parts: Parts, work: Path, *, kind: Literal["copy", "link", "reference"], place: str
    ) -> None:
        self._source = source
        self._parts = parts
        self._work = work
        self._kind = kind
        self._place = place
        self._seconds: dict[str, float] = {}
        self._hashes: dict[str, str] = {}

    def placed(self, track: Track) -> Track:
        """The track with its path in the data set and its length.

        Raises:
            AudioError: there is no such recording, it cannot be heard, or the stretch is not in it or too short.
        """
        total = self._total_seconds(track.path)
        start, end = track.start or 0.0, total if track.end is None else track.end
        if not 0 <= start < end <= total + _BEYOND_SECONDS:
            raise AudioError(f"{track.path} has {total:.2f} s, but {start:g} to {end:g} s are asked for")
        seconds = min(end, total) - start
        if seconds < audio.MINIMUM_SECONDS:
            raise AudioError(
                f"{track.path}: {seconds:.2f} s are too short to be heard; expected {audio.MINIMUM_SECONDS:g} or more"
            )
        self._take(track.path)
        return dataclasses.replace(track, path=self._path(track.path), seconds=seconds)

    def finish(self) -> None:
        """Move what was copied to its place, and write the hashes of it."""
        for path in self._hashes:
            if (self._work / path).exists():
                self._parts.place_recording(self._work / path, path)
        build_parts.write_hashes(self._work, self._hashes)

    def _total_seconds(self, path: str) -> float:
        if path not in self._seconds:
            if Path(path).is_absolute() or ".." in PurePosixPath(path).parts:
                raise AudioError(f"{path} leads out of {self._source}; give a path inside it")
            try:
                self._seconds[path] = audio.probe(self._source / path).seconds
            except OSError as error:
                raise AudioError(
                    f"{self._source / path} cannot be read ({error.strerror}); mend or remove it"
                ) from error
        return self._seconds[path]

    def _path(self, path: str) -> str:
        if self._kind == "reference":
            return (self._source / path).absolute().as_posix()
        return str(PurePosixPath(data_set.AUDIO) / self._place / path)

    def _take(self, path: str) -> None:
        """Copy or link a recording into the folder of the unit, unless it has its place already."""
        name = self._path(path)
        if self._kind == "reference" or name in self._hashes:
            return
        made = self._work / name
        if not (self._parts.out / name).exists():
            made.parent.mkdir(parents=True, exist_ok=True)
            if self._kind == "link":
                os.link(self._source / path, made)
            else:
                shutil.copyfile(self._source / path, made)
        self._hashes[name] = build_parts.sha256(self._source / path)
