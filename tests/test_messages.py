"""The message format: what is accepted, what is refused and in which words, and the way back to JSON."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from mllm import messages as messages_module
from mllm.errors import MessageError
from mllm.messages import Audio, Item, Message, Text, parse, to_json

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
WAV_BASE64 = base64.b64encode(WAV).decode()


def user(*parts: object) -> list[dict[str, object]]:
    return [{"role": "user", "content": list(parts)}]


def test_string_content_is_one_text() -> None:
    parsed = parse([{"role": "system", "content": "You hear."}, {"role": "user", "content": "What key?"}])
    assert parsed == (
        Message(role="system", parts=(Text(text="You hear."),)),
        Message(role="user", parts=(Text(text="What key?"),)),
    )


def test_every_part_type() -> None:
    (message,) = parse(
        user(
            {"type": "text", "text": "Compare"},
            {"type": "input_audio", "input_audio": {"data": WAV_BASE64, "format": "wav"}},
            {"type": "audio_url", "audio_url": {"url": f"data:audio/mpeg;base64,{WAV_BASE64}"}},
            {"type": "audio_url", "audio_url": {"url": f"data:audio/ogg;codecs=opus;base64,{WAV_BASE64}"}, "end": 3},
            {"type": "audio", "path": "x.mp3", "start": 1.5, "end": 20},
            {"type": "item", "item": "song-7"},
        )
    )
    assert message.parts == (
        Text(text="Compare"),
        Audio(source=WAV),
        Audio(source=WAV),
        Audio(source=WAV, end=3.0),
        Audio(source=Path("x.mp3"), start=1.5, end=20.0),
        Item(id="song-7"),
    )


def test_base64_with_line_breaks_is_read() -> None:
    wrapped = base64.encodebytes(WAV * 20).decode()
    (message,) = parse(user({"type": "input_audio", "input_audio": {"data": wrapped, "format": "wav"}}))
    assert message.parts == (Audio(source=WAV * 20),)


def test_to_json_is_the_reverse() -> None:
    given = [
        {"role": "system", "content": "You hear."},
        *user(
            {"type": "text", "text": "These"},
            {"type": "input_audio", "input_audio": {"data": WAV_BASE64, "format": "wav"}, "start": 0.5},
            {"type": "audio", "path": "a/b.flac", "end": 4.0},
            {"type": "item", "item": "i"},
        ),
        {"role": "assistant", "content": "Flute."},
    ]
    parsed = parse(given)
    assert to_json(parsed) == given
    assert parse(json.loads(json.dumps(to_json(parsed)))) == parsed


def test_to_json_of_unknown_bytes_names_no_format() -> None:
    plain = to_json([Message(role="user", parts=(Audio(source=b"?"),))])
    assert plain[0]["content"] == [{"type": "input_audio", "input_audio": {"data": "Pw=="}}]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"messages": []}, "pass what stands under its 'messages'"),
        ("hello", "expected a list of messages, got a string"),
        (3, r"expected a list of messages, got int 3"),
        ([], "the conversation is empty"),
        (["hi"], r"messages\[0\]: expected an object with role, content, got a string"),
        ([{"role": "user"}], r"messages\[0\]: the key 'content' is missing"),
        ([{"role": "user", "contents": "x"}], r"unknown key 'contents', .*did you mean 'content'"),
        ([{"role": "usr", "content": "x"}], r"messages\[0\].role: got 'usr', .*did you mean 'user'"),
        ([{"role": ["user"], "content": "x"}], r"messages\[0\].role: got \['user'\]"),
        (
            [{"role": "user", "content": None}],
            r"messages\[0\].content: expected a string or a list of parts, got nothing",
        ),
        ([{"role": "user", "content": " "}], r"messages\[0\].content: the message is empty"),
        ([{"role": "user", "content": []}], r"messages\[0\].content: the message is empty"),
        (
            [{"role": "user", "content": "x"}, {"role": "system", "content": "y"}],
            r"messages\[1\]: a system message may only be the first",
        ),
        (
            [{"role": "assistant", "content": [{"type": "audio", "path": "x.wav"}]}],
            "the assistant cannot say audio",
        ),
    ],
)
def test_refused_conversations(given: object, said: str) -> None:
    with pytest.raises(MessageError, match=said):
        parse(given)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("x", r"messages\[0\].content\[0\]: expected an object with a 'type', got a string"),
        ({"text": "x"}, r"content\[0\].type: got None, expected one of text, input_audio"),
        ({"type": "input_audo"}, "did you mean 'input_audio'"),
        ({"type": "text", "text": 3}, r"content\[0\].text: expected a string, got int 3"),
        ({"type": "text", "txt": "x"}, "unknown key 'txt', .*did you mean 'text'"),
        ({"type": "item", "item": ""}, r"item: is an empty string"),
        ({"type": "audio", "path": "x.mp3", "strat": 1}, "unknown key 'strat', .*did you mean 'start'"),
        ({"type": "audio", "path": "x.mp3", "start": "1"}, "start: expected a number of seconds, got a string"),
        ({"type": "audio", "path": "x.mp3", "start": True}, "start: expected a number of seconds, got true or false"),
        ({"type": "audio", "path": "x.mp3", "start": -1}, "start: got -1, expected seconds"),
        ({"type": "audio", "path": "x.mp3", "end": float("nan")}, "end: got nan"),
        ({"type": "audio", "path": "x.mp3", "start": 5, "end": 5}, "from start=5 s to end=5 s is empty"),
        ({"type": "audio", "path": "x.mp3", "end": 0}, "from start=0 s to end=0 s is empty"),
        ({"type": "audio", "path": "a\x00b"}, "NUL character"),
        ({"type": "audio", "path": "https://x.org/a.mp3"}, "does not fetch .*; download the file and give its path"),
        ({"type": "audio_url", "audio_url": {"url": "http://x.org/a.mp3"}}, "download the file and give its path"),
        ({"type": "audio_url", "audio_url": {"url": "file:///etc/passwd"}}, "a local file is given as"),
        ({"type": "audio_url", "audio_url": {"url": "/etc/passwd"}}, "a local file is given as"),
        ({"type": "audio_url", "audio_url": {"url": "data:text/html;base64,AAAA"}}, "expected data:audio/"),
        ({"type": "audio_url", "audio_url": {"url": "data:audio/wav,AAAA"}}, "expected data:audio/"),
        ({"type": "audio_url", "audio_url": "data:audio/wav;base64,AAAA"}, "audio_url: expected an object with url"),
        ({"type": "input_audio", "input_audio": {"data": "@@@@", "format": "wav"}}, "not valid base64"),
        ({"type": "input_audio", "input_audio": {"data": "AAA", "format": "wav"}}, "not valid base64"),
        ({"type": "input_audio", "input_audio": {"data": " ", "format": "wav"}}, "holds no bytes"),
        ({"type": "input_audio", "input_audio": {"data": WAV_BASE64, "format": "wave"}}, "did you mean 'wav'"),
        ({"type": "input_audio", "input_audio": {"data": WAV_BASE64, "format": 3}}, "format: got 3"),
    ],
)
def test_refused_parts(part: object, said: str) -> None:
    with pytest.raises(MessageError, match=said):
        parse(user(part))


def test_place_of_the_error_is_named() -> None:
    with pytest.raises(MessageError, match=r"^messages\[1\]\.content\[2\]\.type: "):
        parse([{"role": "system", "content": "s"}, *user(*[{"type": "text", "text": "x"}] * 2, {"type": "video"})])


def test_audio_larger_than_allowed_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages_module, "MAXIMUM_AUDIO_BYTES", 2**20)
    data = "A" * (2**21)
    with pytest.raises(MessageError, match=r"1\.5 MiB of audio, at most 1\.0 MiB fit .*give the file's path"):
        parse(user({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}))


def test_paths_stay_inside_the_base_directory(tmp_path: Path) -> None:
    base = tmp_path / "music"
    (base / "sub").mkdir(parents=True)
    (tmp_path / "secret.wav").touch()
    (base / "link.wav").symlink_to(tmp_path / "secret.wav")
    for good in ("a.wav", "sub/../a.wav", str(base / "a.wav")):
        (message,) = parse(user({"type": "audio", "path": good}), base_directory=base)
        assert message.parts == (Audio(source=base.resolve() / "a.wav"),)
    for bad in ("../secret.wav", str(tmp_path / "secret.wav"), "link.wav", "sub/../../secret.wav", "/etc/passwd"):
        with pytest.raises(MessageError, match="lies outside"):
            parse(user({"type": "audio", "path": bad}), base_directory=base)
