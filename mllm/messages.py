"""The one message format: chat messages whose content is text, audio and catalogue items.

In: what a JSON file or an HTTP request holds (lists, dictionaries, strings). Out: checked, immutable `Message` objects,
and back again with `to_json`. Opens no file, fetches nothing, and knows nothing of tokens, templates or models.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import difflib
import math
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, NoReturn, TypeAlias

from mllm.errors import MessageError

Role: TypeAlias = Literal["system", "user", "assistant"]

ROLES: tuple[Role, ...] = ("system", "user", "assistant")
PART_TYPES: tuple[str, ...] = ("text", "input_audio", "audio_url", "audio", "item")
AUDIO_FORMATS: tuple[str, ...] = ("wav", "mp3", "flac", "ogg", "opus", "m4a", "aac", "mp4", "mkv", "webm")
MAXIMUM_AUDIO_BYTES = 256 * 1024 * 1024
"""Largest audio accepted inside a message, in bytes after decoding; a longer recording is given by its path."""

_DATA_URL = re.compile(r"data:(?:audio|video)/[\w.+-]+(?:;[\w.+-]+=[^;,]*)*;base64,", re.IGNORECASE)
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):")
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"RIFF", "wav"),
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (0, b"ID3", "mp3"),
    (0, b"\xff\xfb", "mp3"),
    (0, b"\xff\xf3", "mp3"),
    (4, b"ftyp", "m4a"),
    (0, b"\x1a\x45\xdf\xa3", "webm"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
    """A piece of text."""

    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Audio:
    """A recording, or a stretch of it."""

    source: Path | bytes
    """A local file, or the bytes of an encoded file."""
    start: float | None = None
    """Where listening begins, in seconds from the beginning, at least 0; None is the beginning."""
    end: float | None = None
    """Where listening ends, in seconds from the beginning, greater than `start`; None is the end."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
    """An item of a catalogue."""

    id: str


Part: TypeAlias = Text | Audio | Item


@dataclasses.dataclass(frozen=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Role
    parts: tuple[Part, ...]


def parse(
    messages: object, *, base_directory: Path | None = None, remote: Mapping[str, bytes] | None = None
) -> tuple[Message, ...]:
    """Checks a conversation and turns it into `Message` objects.

    Args:
        messages: A list of `{"role": …, "content": …}` as JSON gives it; content is a string or a list of parts.
        base_directory: Where relative audio paths begin. When given, no path may lead outside it, symbolic links
            included; without it every path is taken as it stands.
        remote: Recordings by the address that an `audio_url` names, for who fetched them before.

    Returns:
        The messages, in order; a string content becomes one `Text` part.

    Raises:
        MessageError: It is not in the format; the sentence names the place: `messages[1].content[0]`.
    """
    if isinstance(messages, dict) and "messages" in messages:
        raise MessageError(
            "messages: expected a list of messages, got an object; pass what stands under its 'messages'."
        )
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        raise MessageError(f"messages: expected a list of messages, got {_kind(messages)}.")
    if not messages:
        raise MessageError("messages: the conversation is empty; give at least one message with a role and a content.")
    parsed = tuple(
        _message(message, f"messages[{i}]", base_directory, remote or {}) for i, message in enumerate(messages)
    )
    for i, message in enumerate(parsed):
        if message.role == "system" and i > 0:
            _fail(f"messages[{i}]", "a system message may only be the first message; move it there or join the two")
    return parsed


def to_json(messages: Sequence[Message]) -> list[dict[str, object]]:
    """The reverse of `parse`: plain lists, dictionaries, strings and numbers, ready for `json.dumps`.

    A message of one text gets a string content; bytes of audio become base64 `input_audio`.
    """
    plain: list[dict[str, object]] = []
    for message in messages:
        first = message.parts[0] if len(message.parts) == 1 else None
        content = first.text if isinstance(first, Text) else [_part_to_json(part) for part in message.parts]
        plain.append({"role": message.role, "content": content})
    return plain


def _message(message: object, place: str, base_directory: Path | None, remote: Mapping[str, bytes]) -> Message:
    fields = _fields(message, place, required=("role", "content"))
    role = fields["role"]
    if role not in ROLES:
        _fail(f"{place}.role", f"got {role!r}, expected one of {', '.join(ROLES)}{_near(role, ROLES)}")
    content = fields["content"]
    if isinstance(content, str):
        parts: tuple[Part, ...] = (Text(text=content),)
    elif isinstance(content, Sequence) and not isinstance(content, bytes):
        parts = tuple(_part(part, f"{place}.content[{i}]", base_directory, remote) for i, part in enumerate(content))
    else:
        _fail(f"{place}.content", f"expected a string or a list of parts, got {_kind(content)}")
    if all(isinstance(part, Text) and not part.text.strip() for part in parts):
        _fail(f"{place}.content", "the message is empty; give some text, audio or item")
    if role == "assistant" and any(isinstance(part, Audio) for part in parts):
        _fail(f"{place}.content", "the assistant cannot say audio; put the recording into a user message")
    return Message(role=role, parts=parts)


def _part(part: object, place: str, base_directory: Path | None, remote: Mapping[str, bytes]) -> Part:
    if not isinstance(part, dict):
        _fail(place, f"expected an object with a 'type', got {_kind(part)}")
    kind = part.get("type")
    if kind not in PART_TYPES:
        _fail(f"{place}.type", f"got {kind!r}, expected one of {', '.join(PART_TYPES)}{_near(kind, PART_TYPES)}")
    if kind == "text":
        return Text(text=_string(_fields(part, place, required=("type", "text"))["text"], f"{place}.text", empty=True))
    if kind == "item":
        return Item(id=_string(_fields(part, place, required=("type", "item"))["item"], f"{place}.item"))
    key = "path" if kind == "audio" else str(kind)
    fields = _fields(part, place, required=("type", key), optional=("start", "end"))
    start, end = _seconds(fields.get("start"), f"{place}.start"), _seconds(fields.get("end"), f"{place}.end")
    if end is not None and end <= (start or 0.0):
        _fail(
            place, f"the stretch from start={start or 0.0:g} s to end={end:g} s is empty; give an end after the start"
        )
    return Audio(source=_source(fields[key], key, f"{place}.{key}", base_directory, remote), start=start, end=end)


def _source(
    value: object, key: str, place: str, base_directory: Path | None, remote: Mapping[str, bytes]
) -> Path | bytes:
    if key == "path":
        return _path(_string(value, place), place, base_directory)
    if key == "audio_url":
        url = _string(_fields(value, place, required=("url",))["url"], f"{place}.url")
        return remote[url] if url in remote else read_data_url(url, f"{place}.url")
    fields = _fields(value, place, required=("data",), optional=("format",))
    audio_format = fields.get("format", "wav")
    if audio_format not in AUDIO_FORMATS:
        expected = ", ".join(AUDIO_FORMATS)
        _fail(
            f"{place}.format", f"got {audio_format!r}, expected one of {expected}{_near(audio_format, AUDIO_FORMATS)}"
        )
    return _from_base64(_string(fields["data"], f"{place}.data"), f"{place}.data")


def _path(given: str, place: str, base_directory: Path | None) -> Path:
    if given.lower().startswith(("http:", "https:", "file:", "data:")):
        _refuse_url(given, place)
    if "\x00" in given:
        _fail(place, f"{given!r} has a NUL character, which no file name has")
    if base_directory is None:
        return Path(given)
    base = base_directory.resolve()
    path = (base / given).resolve()
    if not path.is_relative_to(base):
        _fail(place, f"{given!r} lies outside {base}; only files inside that directory may be used")
    return path


def read_data_url(url: str, place: str) -> bytes:
    """The bytes that a data: URL of audio holds.

    Args:
        url: as a request holds it.
        place: where it stands, for the message.

    Raises:
        MessageError: It is no such URL, or not base64.
    """
    header = _DATA_URL.match(url)
    if header is None:
        _refuse_url(url, place)
    return _from_base64(url[header.end() :], place)


def _refuse_url(url: str, place: str) -> NoReturn:
    shown = repr(url if len(url) <= 80 else url[:77] + "...")
    scheme = _SCHEME.match(url)
    if scheme is not None and scheme[1].lower() in ("http", "https"):
        what = "this command does not fetch from the network; download the file and give its path"
    elif scheme is not None and scheme[1].lower() == "data":
        what = "expected data:audio/<format>;base64,<data>"
    else:
        what = 'expected data:audio/<format>;base64,<data>; a local file is given as {"type": "audio", "path": …}'
    _fail(place, f"got {shown}: {what}")


def _from_base64(data: str, place: str) -> bytes:
    if len(data) * 3 // 4 > MAXIMUM_AUDIO_BYTES:
        given, most = len(data) * 0.75 / 2**20, MAXIMUM_AUDIO_BYTES / 2**20
        _fail(
            place, f"{given:.1f} MiB of audio, at most {most:.1f} MiB fit into a message; give the file's path instead"
        )
    try:
        decoded = base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MessageError(f"{place}: not valid base64 ({error}); encode the bytes of the audio file again.") from error
    if not decoded:
        _fail(place, "holds no bytes; give the base64 of a whole audio file")
    return decoded


def _part_to_json(part: Part) -> dict[str, object]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Item):
        return {"type": "item", "item": part.id}
    plain: dict[str, object]
    if isinstance(part.source, Path):
        plain = {"type": "audio", "path": str(part.source)}
    else:
        audio = {"data": base64.b64encode(part.source).decode("ascii")}
        for offset, magic, audio_format in _MAGIC:
            if part.source[offset : offset + len(magic)] == magic:
                audio["format"] = audio_format
        plain = {"type": "input_audio", "input_audio": audio}
    bounds = {"start": part.start, "end": part.end}
    return plain | {name: seconds for name, seconds in bounds.items() if seconds is not None}


def _fields(
    value: object, place: str, *, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, object]:
    if not isinstance(value, dict):
        _fail(place, f"expected an object with {', '.join(required)}, got {_kind(value)}")
    allowed = required + optional
    for key in value:
        if key not in allowed:
            _fail(place, f"unknown key {key!r}, expected {', '.join(allowed)}{_near(key, allowed)}")
    for key in required:
        if key not in value:
            _fail(place, f"the key {key!r} is missing")
    return value


def _string(value: object, place: str, *, empty: bool = False) -> str:
    if not isinstance(value, str):
        _fail(place, f"expected a string, got {_kind(value)}")
    if not value and not empty:
        _fail(place, "is an empty string")
    return value


def _seconds(value: object, place: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        _fail(place, f"expected a number of seconds, got {_kind(value)}")
    if not math.isfinite(value) or value < 0:
        _fail(place, f"got {value}, expected seconds from the beginning of the file, at least 0")
    return float(value)


def _near(given: object, known: Collection[str]) -> str:
    close = difflib.get_close_matches(given, known, n=2) if isinstance(given, str) else []
    return f" (did you mean {' or '.join(repr(word) for word in close)}?)" if close else ""


def _kind(value: object) -> str:
    names = {str: "a string", dict: "an object", list: "a list", bool: "true or false", type(None): "nothing (null)"}
    return names.get(type(value), f"{type(value).__name__} {value!r}"[:60])


def _fail(place: str, what: str) -> NoReturn:
    raise MessageError(f"{place}: {what}{'' if what.endswith(('?', ')')) else '.'}")
