"""The one message format: chat messages whose content is text, audio and catalogue items.

In: what a JSON file or an HTTP request holds (lists, dictionaries, strings). Out: checked, immutable `Message` objects,
and back again with `to_json`. Tools, their calls and results become text (`mllm.tool_calls`). Opens no file, fetches
nothing, and knows nothing of tokens, templates or models.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import math
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, NoReturn, TypeAlias

from mllm.errors import MessageError
from mllm.message_fields import fail, kind_of, near, read_fields, read_string
from mllm.tool_calls import spell_calls, spell_result, spell_tools

Role: TypeAlias = Literal["system", "user", "assistant"]

ROLES: tuple[Role, ...] = ("system", "user", "assistant")
TOOL_ROLE = "tool"
"""Of a message that holds what a tool gave back; becomes a user message."""
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
    messages: object,
    *,
    base_directory: Path | None = None,
    remote: Mapping[str, bytes] | None = None,
    tools: object = None,
) -> tuple[Message, ...]:
    """Checks a conversation and turns it into `Message` objects.

    Args:
        messages: A list of `{"role": …, "content": …}` as JSON gives it; content is a string or a list of parts.
        base_directory: Where relative audio paths begin. When given, no path may lead outside it, symbolic links
            included; without it every path is taken as it stands.
        remote: Recordings by the address that an `audio_url` names, for who fetched them before.
        tools: What the assistant may call, as OpenAI's requests say it; the system message tells it. None or an empty
            list: nothing.

    Returns:
        The messages, in order; a string content becomes one `Text` part. Results of tools that follow one another are
        one message of the user.

    Raises:
        MessageError: It is not in the format; the sentence names the place: `messages[1].content[0]`.
    """
    if isinstance(messages, dict) and "messages" in messages:
        raise MessageError(
            "messages: expected a list of messages, got an object; pass what stands under its 'messages'."
        )
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        raise MessageError(f"messages: expected a list of messages, got {kind_of(messages)}.")
    if not messages:
        raise MessageError("messages: the conversation is empty; give at least one message with a role and a content.")
    parsed: list[Message] = []
    calls: set[str] = set()
    after_result = False
    for i, message in enumerate(messages):
        made, called = _message(message, f"messages[{i}]", base_directory, remote or {}, calls)
        if made.role == "system" and i > 0:
            fail(f"messages[{i}]", "a system message may only be the first message; move it there or join the two")
        calls.update(called)
        is_result = isinstance(message, dict) and message["role"] == TOOL_ROLE
        if is_result and after_result:
            made = Message(role=made.role, parts=(*parsed.pop().parts, *made.parts))
        parsed.append(made)
        after_result = is_result
    if tools is not None and tools != []:
        told = Text(text=spell_tools(tools))
        before = parsed.pop(0).parts if parsed[0].role == "system" else ()
        parsed.insert(0, Message(role="system", parts=(*before, told)))
    return tuple(parsed)


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


def _message(
    message: object, place: str, base_directory: Path | None, remote: Mapping[str, bytes], calls: Collection[str]
) -> tuple[Message, Collection[str]]:
    """A message, and the ids of the calls in it; `calls` are those before it."""
    role = message.get("role") if isinstance(message, dict) else None
    if role == TOOL_ROLE:
        return _result(message, place, calls), ()
    called: dict[str, str] = {}
    if role == "assistant" and isinstance(message, dict) and "tool_calls" in message:
        message = dict(message)
        called = spell_calls(message.pop("tool_calls"), f"{place}.tool_calls")
        if called:
            message.setdefault("content", "")
    fields = read_fields(message, place, required=("role", "content"))
    if role not in ROLES:
        fail(f"{place}.role", f"got {role!r}, expected one of {', '.join(ROLES)}{near(role, ROLES)}")
    content = fields["content"]
    if isinstance(content, str):
        parts: tuple[Part, ...] = (Text(text=content),) if content or not called else ()
    elif isinstance(content, Sequence) and not isinstance(content, bytes):
        parts = tuple(_part(part, f"{place}.content[{i}]", base_directory, remote) for i, part in enumerate(content))
    else:
        fail(f"{place}.content", f"expected a string or a list of parts, got {kind_of(content)}")
    parts += tuple(Text(text=text) for text in called.values())
    if all(isinstance(part, Text) and not part.text.strip() for part in parts):
        fail(f"{place}.content", "the message is empty; give some text, audio or item")
    if role == "assistant" and any(isinstance(part, Audio) for part in parts):
        fail(f"{place}.content", "the assistant cannot say audio; put the recording into a user message")
    return Message(role=role, parts=parts), called.keys()


def _result(message: object, place: str, calls: Collection[str]) -> Message:
    """What a tool gave back, as a message of the user."""
    fields = read_fields(message, place, required=("role", "content", "tool_call_id"))
    identity = read_string(fields["tool_call_id"], f"{place}.tool_call_id")
    if identity not in calls:
        fail(f"{place}.tool_call_id", f"no message before has a call {identity!r}{near(identity, calls)}")
    content = fields["content"]
    if not isinstance(content, str):
        if not isinstance(content, Sequence) or isinstance(content, bytes):
            fail(f"{place}.content", f"expected a string or a list of texts, got {kind_of(content)}")
        parts = [_part(part, f"{place}.content[{i}]", None, {}) for i, part in enumerate(content)]
        if not all(isinstance(part, Text) for part in parts):
            fail(f"{place}.content", "a tool gives back text; put a recording or an item into a user message")
        content = "\n".join(part.text for part in parts if isinstance(part, Text))
    return Message(role="user", parts=(Text(text=spell_result(content)),))


def _part(part: object, place: str, base_directory: Path | None, remote: Mapping[str, bytes]) -> Part:
    if not isinstance(part, dict):
        fail(place, f"expected an object with a 'type', got {kind_of(part)}")
    kind = part.get("type")
    if kind not in PART_TYPES:
        fail(f"{place}.type", f"got {kind!r}, expected one of {', '.join(PART_TYPES)}{near(kind, PART_TYPES)}")
    if kind == "text":
        return Text(
            text=read_string(read_fields(part, place, required=("type", "text"))["text"], f"{place}.text", empty=True)
        )
    if kind == "item":
        return Item(id=read_string(read_fields(part, place, required=("type", "item"))["item"], f"{place}.item"))
    key = "path" if kind == "audio" else str(kind)
    fields = read_fields(part, place, required=("type", key), optional=("start", "end"))
    start, end = _seconds(fields.get("start"), f"{place}.start"), _seconds(fields.get("end"), f"{place}.end")
    if end is not None and end <= (start or 0.0):
        fail(place, f"the stretch from start={start or 0.0:g} s to end={end:g} s is empty; give an end after the start")
    return Audio(source=_source(fields[key], key, f"{place}.{key}", base_directory, remote), start=start, end=end)


def _source(
    value: object, key: str, place: str, base_directory: Path | None, remote: Mapping[str, bytes]
) -> Path | bytes:
    if key == "path":
        return _path(read_string(value, place), place, base_directory)
    if key == "audio_url":
        url = read_string(read_fields(value, place, required=("url",))["url"], f"{place}.url")
        return remote[url] if url in remote else read_data_url(url, f"{place}.url")
    fields = read_fields(value, place, required=("data",), optional=("format",))
    audio_format = fields.get("format", "wav")
    if audio_format not in AUDIO_FORMATS:
        expected = ", ".join(AUDIO_FORMATS)
        fail(f"{place}.format", f"got {audio_format!r}, expected one of {expected}{near(audio_format, AUDIO_FORMATS)}")
    return _from_base64(read_string(fields["data"], f"{place}.data"), f"{place}.data")


def _path(given: str, place: str, base_directory: Path | None) -> Path:
    if given.lower().startswith(("http:", "https:", "file:", "data:")):
        _refuse_url(given, place)
    if "\x00" in given:
        fail(place, f"{given!r} has a NUL character, which no file name has")
    if base_directory is None:
        return Path(given)
    base = base_directory.resolve()
    path = (base / given).resolve()
    if not path.is_relative_to(base):
        fail(place, f"{given!r} lies outside {base}; only files inside that directory may be used")
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
    fail(place, f"got {shown}: {what}")


def _from_base64(data: str, place: str) -> bytes:
    if len(data) * 3 // 4 > MAXIMUM_AUDIO_BYTES:
        given, most = len(data) * 0.75 / 2**20, MAXIMUM_AUDIO_BYTES / 2**20
        fail(
            place, f"{given:.1f} MiB of audio, at most {most:.1f} MiB fit into a message; give the file's path instead"
        )
    try:
        decoded = base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MessageError(f"{place}: not valid base64 ({error}); encode the bytes of the audio file again.") from error
    if not decoded:
        fail(place, "holds no bytes; give the base64 of a whole audio file")
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


def _seconds(value: object, place: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        fail(place, f"expected a number of seconds, got {kind_of(value)}")
    if not math.isfinite(value) or value < 0:
        fail(place, f"got {value}, expected seconds from the beginning of the file, at least 0")
    return float(value)
