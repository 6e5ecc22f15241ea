"""Which recordings a training will hear: those that conversations mention, or the files of a folder.

In: paths of JSONL files, data sets of `mllm data build`, audio files and folders. Out: each mention of a recording, in
order, with the place where it stands. A line is `{"messages": [...]}` and may hold more; relative paths begin at the
folder of their file. Opens no recording.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mllm.errors import ConfigError, MessageError
from mllm.messages import AUDIO_FORMATS, Audio, parse
from mllm.train import built_sets


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mention:
    """A recording, or a stretch of one, and who mentions it."""

    audio: Audio
    place: str = ""
    """Such as "data.jsonl line 3"; empty for a file that was given itself."""


def mentions(paths: Sequence[Path]) -> Iterator[Mention | MessageError]:
    """Every mention of a recording; for a line that cannot be read, its error.

    Args:
        paths: JSONL files, data sets, audio files, and other folders, all of whose audio files are taken, sub-folders
            included.

    Raises:
        ConfigError: a path is not there, or a folder holds no audio file; told before anything is given.
    """
    for path in paths:
        if not path.exists():
            raise ConfigError(f"{path} does not exist; give a JSONL file of conversations, a recording, or a folder")
        if path.is_dir() and not built_sets.is_built(path) and not _audio_files(path):
            raise ConfigError(f"the folder {path} holds no audio file; expected files that end in {_ENDINGS}")
    return _mentions(paths)


_ENDINGS = ", ".join(f".{name}" for name in AUDIO_FORMATS)


def _mentions(paths: Sequence[Path]) -> Iterator[Mention | MessageError]:
    for path in paths:
        if path.is_dir() and built_sets.is_built(path):
            yield from _of_data_set(path)
        elif path.is_dir():
            yield from (Mention(audio=Audio(source=file)) for file in _audio_files(path))
        elif _is_audio(path):
            yield Mention(audio=Audio(source=path))
        else:
            with path.open(encoding="utf-8", errors="replace") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        yield from _of_line(line, path, number)


def _of_data_set(folder: Path) -> Iterator[Mention | MessageError]:
    """What a training on a data set hears: its splits for training and validation."""
    for file in (*built_sets.files(folder, "train"), *built_sets.files(folder, "validation")):
        for place, plain in built_sets.messages(file):
            try:
                audios = _audios({"messages": plain}, folder)
            except MessageError as error:
                yield MessageError(f"{place}: {error}")
                continue
            yield from (Mention(audio=audio, place=place) for audio in audios)


def _of_line(line: str, path: Path, number: int) -> Iterator[Mention | MessageError]:
    place = f"{path} line {number}"
    try:
        audios = _audios(_object(line), path.parent)
    except MessageError as error:
        yield MessageError(f"{place}: {error}")
        return
    yield from (Mention(audio=audio, place=place) for audio in audios)


def _object(line: str) -> Any:
    try:
        plain = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"not JSON ({error}); expected one object a line") from error
    if not isinstance(plain, dict) or "messages" not in plain:
        raise MessageError("the key 'messages' is missing; a line is {\"messages\": [...]}")
    return plain


def _audios(plain: Mapping[str, Any], base: Path) -> list[Audio]:
    parts = [part for message in parse(plain["messages"]) for part in message.parts if isinstance(part, Audio)]
    return [
        dataclasses.replace(part, source=base / part.source) if isinstance(part.source, Path) else part
        for part in parts
    ]


def _audio_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if _is_audio(path) and path.is_file())


def _is_audio(path: Path) -> bool:
    return path.suffix.lower().removeprefix(".") in AUDIO_FORMATS
