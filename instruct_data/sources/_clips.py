"""Finds the recordings of a source, and names clips of YouTube alike wherever they come from.

In: what a table says of a clip. Out: its path and family, or an error that says which file is missing. MusicCaps and
what was made from it (MusicInstruct, LP-MusicCaps-MC, MusicBench, MuChoMusic) and AudioSet have the same family
"youtube/<id>" for the same clip, so that overlaps are found. Reads no table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mllm.errors import MessageError
from mllm.instruct_data.sources import _files
from mllm.instruct_data.sources._files import About

_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")


def known(folder: Path, place: str, about: About) -> dict[str, str]:
    """The recordings below a folder of a source, as `_files.recordings`.

    Args:
        folder: of the data set.
        place: where the recordings are; the folder itself where it is ".".
        about: the source; `place` with a "/" behind it stands among its needs.

    Raises:
        ConfigError: there is no such folder.
    """
    _files.found(folder, f"{place}/", about)
    return _files.recordings(folder, place)


def path_of(recordings: Mapping[str, str], names: Sequence[str], place: str) -> str:
    """The path of the recording that has one of these names (without ending).

    Raises:
        MessageError: none has.
    """
    for name in names:
        if name in recordings:
            return recordings[name]
    raise MessageError(f"no recording is named {' or '.join(names)} (.wav, .mp3, ...) in {place}; put it there")


def youtube_id(text: str) -> str:
    """The id at the beginning of a text such as "<id>_1".

    Raises:
        MessageError: none is there.
    """
    if (found := _YOUTUBE_ID.match(text)) is None:
        raise MessageError(f"{text!r} is not an id of YouTube; expected 11 letters, digits, - and _")
    return found[0]


def family_of(ytid: str) -> str:
    """The family of a clip of YouTube, which is also the id of its track where the clip is whole and unchanged."""
    return f"youtube/{ytid}"


def youtube_names(ytid: str, start: float | None = None, end: float | None = None) -> tuple[str, ...]:
    """The names that scripts for downloading give to a clip, the commonest first.

    Args:
        ytid: id of the video.
        start: where the clip begins in it, in seconds, if known.
        end: where it ends, if known.
    """
    names = [ytid, f"Y{ytid}"]
    if start is not None:
        names += [f"{ytid}_{start:.0f}", f"{ytid}_{start * 1000:.0f}"]
    if start is not None and end is not None:
        names += [f"[{ytid}]-[{start:.0f}-{end:.0f}]", f"{ytid}_{start:.0f}_{end:.0f}"]
    return tuple(dict.fromkeys(names))
