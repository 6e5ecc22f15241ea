"""Conversations to learn from: the lines of JSONL files, or what a folder of music says of its recordings.

In: paths. Out: each conversation in the message format with the place where it stands, in order; for one that cannot be
read, its error. Opens no recording and knows nothing of tokens or models.

A folder is read as the first of these that it holds:
1. JSONL files of conversations (`{"messages": [...]}` a line), but for those named validation*.jsonl;
2. `metadata.csv` or `metadata.jsonl` with a row for each recording: `file_name` and `caption` (or `text`), or
   `question` and `answer` (the layout of an audio folder of Hugging Face datasets);
3. recordings with a text file of the same name beside them, `song.mp3` and `song.txt`, sub-folders included.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mllm.describe import CAPTION_QUESTION
from mllm.errors import ConfigError, MessageError
from mllm.messages import AUDIO_FORMATS, Audio, Message, Text, parse
from mllm.train.recordings import Mention

METADATA = ("metadata.csv", "metadata.jsonl")
VALIDATION = "validation*.jsonl"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conversation:
    """One conversation that ends with an answer."""

    messages: tuple[Message, ...]
    place: str
    """Such as "data.jsonl line 3"."""

    @property
    def recordings(self) -> tuple[Audio, ...]:
        """Its recordings, in order."""
        return tuple(part for message in self.messages for part in message.parts if isinstance(part, Audio))

    @property
    def mentions(self) -> tuple[Mention, ...]:
        """Its recordings as who mentions them."""
        return tuple(Mention(audio=audio, place=self.place) for audio in self.recordings)


def read(paths: Sequence[Path]) -> Iterator[Conversation | MessageError]:
    """Every conversation of JSONL files and folders.

    Raises:
        ConfigError: a path is not there, or a folder says nothing of its recordings; told before anything is given.
    """
    found = [_readers(path) for path in paths]
    return (one for readers in found for one in readers)


def validation_of(path: Path) -> tuple[Path, ...]:
    """The files of a folder that are kept for validation."""
    return tuple(sorted(path.glob(VALIDATION))) if path.is_dir() else ()


def _readers(path: Path) -> Iterator[Conversation | MessageError]:
    if not path.exists():
        raise ConfigError(f"{path} does not exist; give a JSONL file of conversations, or a folder of music")
    if not path.is_dir():
        return _of_lines(path)
    kept = set(validation_of(path))
    files = [file for file in sorted(path.glob("*.jsonl")) if file not in kept and file.name not in METADATA]
    if files:
        return (one for file in files for one in _of_lines(file))
    for name in METADATA:
        if (path / name).is_file():
            return _of_rows(path / name)
    pairs = [(file, file.with_suffix(".txt")) for file in _audio_files(path) if file.with_suffix(".txt").is_file()]
    if not pairs:
        raise ConfigError(
            f"the folder {path} says nothing of its recordings; expected a JSONL file of conversations, metadata.csv "
            "with the columns file_name and caption, or song.txt beside song.mp3 (docs/finetune.md)"
        )
    return _of_pairs(pairs)


def _of_lines(path: Path) -> Iterator[Conversation | MessageError]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _made(f"{path} line {number}", lambda line=line: _messages(_object(line), path.parent))


def _of_rows(path: Path) -> Iterator[Conversation | MessageError]:
    with path.open(encoding="utf-8", errors="replace", newline="") as lines:
        rows: Iterable[Any] = csv.DictReader(lines) if path.suffix == ".csv" else filter(str.strip, lines)
        for number, row in enumerate(rows, start=1):
            yield _made(f"{path} row {number}", lambda row=row: _of_row(row, path.parent))


def _of_row(row: object, folder: Path) -> tuple[Message, ...]:
    fields = _object(row) if isinstance(row, str) else row
    assert isinstance(fields, Mapping)
    name = fields.get("file_name")
    if not isinstance(name, str) or not name:
        raise MessageError("the field file_name is missing; give the recording's path in the folder")
    recording = folder / name
    if not recording.resolve().is_relative_to(folder.resolve()):
        raise MessageError(f"file_name {name!r} leads out of the folder; expected a path inside it")
    question, answer = fields.get("question"), fields.get("answer")
    if question and answer:
        return _said(recording, str(question), str(answer))
    caption = fields.get("caption") or fields.get("text")
    if not caption:
        raise MessageError("the field caption is missing or empty; give caption, or question and answer")
    return _said(recording, CAPTION_QUESTION, str(caption))


def _of_pairs(pairs: Sequence[tuple[Path, Path]]) -> Iterator[Conversation | MessageError]:
    for recording, text in pairs:

        def messages(recording: Path = recording, text: Path = text) -> tuple[Message, ...]:
            caption = text.read_text(encoding="utf-8", errors="replace").strip()
            if not caption:
                raise MessageError("the file is empty; write the caption of the recording into it")
            return _said(recording, CAPTION_QUESTION, caption)

        yield _made(str(text), messages)


def _said(recording: Path, question: str, answer: str) -> tuple[Message, ...]:
    return (
        Message(role="user", parts=(Audio(source=recording), Text(text=question))),
        Message(role="assistant", parts=(Text(text=answer),)),
    )


def _made(place: str, messages: Any) -> Conversation | MessageError:
    try:
        return Conversation(messages=messages(), place=place)
    except (MessageError, OSError) as error:
        return MessageError(f"{place}: {error}")


def _object(line: str) -> Mapping[str, Any]:
    try:
        plain = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"not JSON ({error}); expected one object a line") from error
    if not isinstance(plain, dict):
        raise MessageError(f"a {type(plain).__name__} instead of an object; expected {{...}}")
    return plain


def _messages(plain: Mapping[str, Any], folder: Path) -> tuple[Message, ...]:
    if "messages" not in plain:
        raise MessageError("the key 'messages' is missing; a line is {\"messages\": [...]}")
    messages = parse(plain["messages"], tools=plain.get("tools"))
    if messages[-1].role != "assistant":
        raise MessageError(f"the last message is the {messages[-1].role}'s; expected the assistant's, which is learnt")
    return tuple(
        dataclasses.replace(message, parts=tuple(_placed(part, folder) for part in message.parts))
        for message in messages
    )


def _placed(part: Any, folder: Path) -> Any:
    if isinstance(part, Audio) and isinstance(part.source, Path):
        return dataclasses.replace(part, source=folder / part.source)
    return part


def _audio_files(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower().removeprefix(".") in AUDIO_FORMATS and path.is_file()
    )
