"""Finds the recordings that a table of the user's own names, inside his folder and nowhere else.

In: a folder and a name as somebody wrote it, with a path or without, with backslashes or not. Out: the path from the
folder on and how long the recording is, or an error that says what is wrong with it and what to do. Opens a recording
for its headers only (mp3 and raw aac: for its packets, undecoded). Knows no tables.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from mllm import audio
from mllm.errors import AudioError, MessageError
from mllm.messages import AUDIO_FORMATS

LARGEST_BYTES = 2_000_000_000
"""Of a recording, unless somebody asks for another limit."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heard:
    """A recording that can be opened."""

    path: str
    """From the folder on, with "/"."""
    seconds: float
    """How long it says that it is."""


class OwnRecordings:
    """The recordings below a folder.

    Args:
        folder: outside which nothing is opened.
        largest_bytes: of a recording.
    """

    def __init__(self, folder: Path, *, largest_bytes: int = LARGEST_BYTES) -> None:
        self._folder = folder
        self._inside = folder.resolve()
        self._largest_bytes = largest_bytes
        self._seconds: dict[str, float] = {}
        self._by_name: dict[str, list[str]] | None = None

    def named(self, name: str) -> Heard:
        """The recording that somebody calls `name`.

        Raises:
            MessageError: it is no path inside the folder, or there is no such file.
            AudioError: it is too large, or no audio.
        """
        path = self._found(_checked(name), name)
        if path not in self._seconds:
            size = (self._folder / path).stat().st_size
            if size > self._largest_bytes:
                raise AudioError(
                    f"{path} has {size:,} bytes, more than the {self._largest_bytes:,} that a recording may have; cut "
                    "it into pieces, or raise largest_bytes"
                )
            self._seconds[path] = audio.probe(self._folder / path).seconds
        return Heard(path=path, seconds=self._seconds[path])

    def _found(self, name: str, given: str) -> str:
        for spelling in _spellings(name):
            try:
                there = (self._folder / spelling).is_file()
                inside = not there or (self._folder / spelling).resolve().is_relative_to(self._inside)
            except (OSError, ValueError, RuntimeError) as error:  # a name too long, links in a circle
                raise MessageError(f"{given[:80]!r} is no path ({error}); give the recording's path") from error
            if not inside:
                raise MessageError(
                    f"{given!r} is a link that leads out of the folder; copy the recording into the folder"
                )
            if there:
                return PurePosixPath(spelling).as_posix()
        return self._elsewhere(name, given)

    def _elsewhere(self, name: str, given: str) -> str:
        """The one recording below the folder that has this file name, with or without its ending."""
        if self._by_name is None:
            self._by_name = {}
            for path in audio_files(self._folder):
                for key in (path.name, path.stem):
                    self._by_name.setdefault(key, []).append(path.relative_to(self._folder).as_posix())
        wanted = name.replace("\\", "/")
        places = self._by_name.get(PurePosixPath(wanted).name, []) if "/" not in wanted else []
        if len(places) == 1:
            return self._found(places[0], given)
        if places:
            raise MessageError(f"{given!r} may be {' or '.join(places[:3])}; give the path from the folder on")
        near = difflib.get_close_matches(PurePosixPath(wanted).name, list(self._by_name)[:5000], n=1, cutoff=0.8)
        hint = f"did you mean {self._by_name[near[0]][0]!r}?" if near else "put it into the folder, or mend its name"
        raise MessageError(f"the recording {given!r} is missing; {hint}")


def audio_files(folder: Path) -> Iterator[Path]:
    """Files below a folder that end as recordings do, in the order of their paths."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower().removeprefix(".") in AUDIO_FORMATS and path.is_file():
            yield path


def _checked(name: str) -> str:
    if not name.strip():
        raise MessageError("the name of the recording is empty; give its path in the folder")
    if _CONTROL.search(name.strip()):
        raise MessageError(f"{name[:80]!a} holds a line break or another control character; rename the recording")
    name = name.strip()
    if _ADDRESS.match(name):
        raise MessageError(f"{name[:80]!r} is an address; fetch the recording and give its path in the folder")
    windows = PureWindowsPath(name)
    if name.startswith(("/", "~")) or windows.drive or windows.root:
        raise MessageError(f"{name[:200]!r} is an absolute path; give the path from the folder on, inside it")
    if ".." in windows.parts:
        raise MessageError(f"{name[:200]!r} may lead out of the folder; give a path inside it without '..'")
    return name


def _spellings(name: str) -> list[str]:
    """A name as it stands, with slashes for backslashes, and with accents as either kind of system writes them."""
    slashed = name.replace("\\", "/")
    forms = [unicodedata.normalize(form, slashed) for form in ("NFC", "NFD")]
    return list(dict.fromkeys([name, slashed, *forms]))
