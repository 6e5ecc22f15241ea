"""Conversations to learn from: data sets, the lines of JSONL files, or what a folder of music says of its recordings.

In: paths. Out: each conversation in the message format with the place where it stands, in order; for one that cannot be
read, its error. Opens no recording and knows nothing of tokens or models.

A folder is read as the first of these that it holds:
1. a data set that `mllm data build` made: its split for training, and for validation that; never its test split;
2. JSONL files of conversations (`{"messages": [...]}` a line), but for those named validation*.jsonl;
3. `metadata.csv` or `metadata.jsonl` with a row for each recording: `file_name` and `caption` (or `text`), or
   `question` and `answer` (the layout of an audio folder of Hugging Face datasets);
4. recordings with a text file of the same name beside them, `song.mp3` and `song.txt`, sub-folders included.

Paths in a row of metadata lead to files inside the folder, symbolic links followed; those in a line of JSONL may lead
anywhere. All texts are UTF-8, with or without the mark that some programs put before it.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from mllm.describe import CAPTION_QUESTION
from mllm.errors import ConfigError, MessageError
from mllm.messages import AUDIO_FORMATS, Audio, Item, Message, Text, parse
from mllm.train import built_sets
from mllm.train.recordings import Mention

METADATA = ("metadata.csv", "metadata.jsonl")
VALIDATION = "validation*.jsonl"
_NOT_UTF8 = "\N{REPLACEMENT CHARACTER}"
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


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
    """The files of a folder that are kept for validation.

    Raises:
        ConfigError: it is a data set that is not finished.
    """
    if not path.is_dir():
        return ()
    if built_sets.is_built(path):
        return built_sets.files(path, "validation")
    return tuple(sorted(path.glob(VALIDATION)))


def _readers(path: Path) -> Iterator[Conversation | MessageError]:
    if not path.exists():
        raise ConfigError(f"{path} does not exist; give a JSONL file of conversations, or a folder of music")
    if not path.is_dir():
        if _is_audio(path):
            raise ConfigError(f"{path} is a recording; give a JSONL file of conversations about it, or its folder")
        return _of_table(path) if path.suffix == built_sets.ENDING else _of_lines(path)
    if built_sets.is_built(path):
        return (one for file in built_sets.files(path, "train") for one in _of_table(file))
    kept = set(validation_of(path))
    files = [file for file in sorted(path.glob("*.jsonl")) if file not in kept and file.name not in METADATA]
    if files:
        return (one for file in files for one in _of_lines(file))
    for name in METADATA:
        if (path / name).is_file():
            return _of_rows(path / name)
    pairs = _pairs(path)
    if not pairs:
        raise ConfigError(
            f"the folder {path} says nothing of its recordings; expected a JSONL file of conversations, metadata.csv "
            "with the columns file_name and caption, or song.txt beside song.mp3 (docs/finetune.md)"
        )
    return _of_pairs(pairs)


def _of_table(path: Path) -> Iterator[Conversation | MessageError]:
    folder = built_sets.folder_of(path)
    for place, plain in built_sets.messages(path):
        yield _made(place, functools.partial(_messages, {"messages": plain}, folder))


def _of_lines(path: Path) -> Iterator[Conversation | MessageError]:
    with _opened(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _made(f"{path} line {number}", functools.partial(_of_line, line, path.parent))


def _of_rows(path: Path) -> Iterator[Conversation | MessageError]:
    if path.suffix != ".csv":
        with _opened(path) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _made(f"{path} line {number}", functools.partial(_of_object, line, path.parent))
        return
    with _opened(path) as lines:
        number = 0
        try:
            for number, row in enumerate(csv.DictReader(lines), start=1):
                yield _made(f"{path} row {number}", functools.partial(_of_row, row, path.parent))
        except csv.Error as error:
            yield MessageError(f"{path} row {number + 1}: not CSV ({error}), so nothing behind it was read; mend it")


def _opened(path: Path) -> TextIO:
    """A text file; what is not UTF-8 in it becomes `_NOT_UTF8`."""
    try:
        return path.open(encoding="utf-8-sig", errors="replace", newline="")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); give a file that can") from error


def _of_line(line: str, folder: Path) -> tuple[Message, ...]:
    return _messages(_object(line), folder)


def _of_object(line: str, folder: Path) -> tuple[Message, ...]:
    return _of_row(_object(line), folder)


def _of_row(fields: Mapping[str, Any], folder: Path) -> tuple[Message, ...]:
    name = _text(fields, "file_name")
    if not name:
        there = ", ".join(str(field) for field in fields if field)
        raise MessageError(
            f"the field file_name is missing; give the recording's path in the folder; there are: {there}"
        )
    recording = folder / name
    try:
        inside = recording.resolve().is_relative_to(folder.resolve())
    except (ValueError, OSError, RuntimeError) as error:  # a NUL character, a name too long, links in a circle
        raise MessageError(
            f"file_name {name!r} is no path ({error}); give the recording's path in the folder"
        ) from error
    if not inside:
        raise MessageError(f"file_name {name!r} leads out of the folder; expected a path inside it")
    question, answer = _text(fields, "question"), _text(fields, "answer")
    if question and answer:
        return _said(recording, question, answer)
    caption = _text(fields, "caption") or _text(fields, "text")
    if not caption:
        raise MessageError("the field caption is missing or empty; give caption, or question and answer")
    return _said(recording, CAPTION_QUESTION, caption)


def _text(fields: Mapping[str, Any], name: str) -> str:
    """A field of a row; empty where it is missing."""
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise MessageError(f"the field {name} is {value!r}; expected a text")
    return (value or "").strip()


def _of_pairs(pairs: Sequence[tuple[Path, Path]]) -> Iterator[Conversation | MessageError]:
    for recording, text in pairs:

        def messages(recording: Path = recording, text: Path = text) -> tuple[Message, ...]:
            caption = text.read_text(encoding="utf-8-sig", errors="replace").strip()
            if not caption:
                raise MessageError("the file is empty; write the caption of the recording into it")
            return _said(recording, CAPTION_QUESTION, caption)

        yield _made(str(text), messages)


def _said(recording: Path, question: str, answer: str) -> tuple[Message, ...]:
    return (
        Message(role="user", parts=(Audio(source=recording), Text(text=question))),
        Message(role="assistant", parts=(Text(text=answer),)),
    )


def _made(place: str, messages: Callable[[], tuple[Message, ...]]) -> Conversation | MessageError:
    try:
        made = Conversation(messages=messages(), place=place)
        _check_texts(made)
    except (MessageError, OSError) as error:
        return MessageError(f"{place}: {error}")
    return made


def _check_texts(conversation: Conversation) -> None:
    """Refuse what would be learnt as it never was written: bytes of another encoding, halves of a character."""
    parts = [part for message in conversation.messages for part in message.parts]
    texts = [part.text for part in parts if isinstance(part, Text)] + [
        part.id for part in parts if isinstance(part, Item)
    ]
    texts += [str(part.source) for part in parts if isinstance(part, Audio) and isinstance(part.source, Path)]
    for text in texts:
        if _NOT_UTF8 in text:
            raise MessageError(f"{_shown(text, text.index(_NOT_UTF8))} is not UTF-8; save the file in UTF-8")
        if half := _HALF_CHARACTER.search(text):
            raise MessageError(f"{_shown(text, half.start())} holds half a character ({half[0]!r}); write it whole")


def _shown(text: str, position: int) -> str:
    """The surroundings of a place in a text."""
    return ascii(text[max(0, position - 20) : position + 20])


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


def _pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Recordings and the text files beside them; endings may be in capital letters."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    texts = {path.with_suffix(""): path for path in files if path.suffix.lower() == ".txt"}
    return [(path, texts[path.with_suffix("")]) for path in files if _is_audio(path) and path.with_suffix("") in texts]


def _is_audio(path: Path) -> bool:
    return path.suffix.lower().removeprefix(".") in AUDIO_FORMATS
