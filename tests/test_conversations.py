"""Conversations from JSONL files and folders of music: what is read, and what is said of lines that cannot be used."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from mllm.describe import CAPTION_QUESTION
from mllm.errors import ConfigError, MessageError
from mllm.messages import Audio, Message, Text
from mllm.train.conversations import Conversation, read, validation_of


def line(*content: object, answer: object = "A flute.", **more: object) -> str:
    parts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in content]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": messages, **more})


def song(path: str, **bounds: float) -> dict[str, Any]:
    return {"type": "audio", "path": path, **bounds}


def lines(path: Path, *written: str) -> Path:
    path.write_text("".join(f"{one}\n" for one in written), encoding="utf-8")
    return path


def said(recording: Path, question: str, answer: str) -> tuple[Message, ...]:
    return (
        Message(role="user", parts=(Audio(source=recording), Text(text=question))),
        Message(role="assistant", parts=(Text(text=answer),)),
    )


def good(path: Path) -> list[tuple[Message, ...]]:
    found = list(read([path]))
    assert all(isinstance(one, Conversation) for one in found), found
    return [one.messages for one in found if isinstance(one, Conversation)]


def bad(path: Path) -> list[str]:
    return [str(one) for one in read([path]) if isinstance(one, MessageError)]


def test_lines_of_a_file_are_read_in_order_with_paths_from_its_folder(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "songs.jsonl", line(song("a.wav"), "What?"), "", line("Why?"), line(song("/b.wav", end=3.0))
    )
    found = [one for one in read([path, path]) if isinstance(one, Conversation)]
    assert [one.place for one in found[:3]] == [f"{path} line {number}" for number in (1, 3, 4)]
    assert [one.recordings for one in found[:3]] == [
        (Audio(source=tmp_path / "a.wav"),),
        (),
        (Audio(source=Path("/b.wav"), end=3.0),),
    ]
    assert found[0].mentions[0].place == found[0].place
    assert [one.messages for one in found[3:]] == [one.messages for one in found[:3]]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_files_of_other_systems_are_read_alike(mark: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / "songs.jsonl"
    path.write_bytes((mark + ending.join([line("Café?"), "", line("Why?")])).encode())
    found = [one for one in read([path]) if isinstance(one, Conversation)]
    assert [one.place for one in found] == [f"{path} line 1", f"{path} line 3"]
    assert found[0].messages[0].parts == (Text(text="Café?"),)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{", "not JSON"),
        ("[]", "a list instead of an object"),
        ("[" * 100_000, "not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON"),
        ("\0", "not JSON"),
        ('{"message": []}', "the key 'messages' is missing"),
        ('{"messages": []}', "the conversation is empty"),
        (
            '{"messages": [{"role": "user", "content": "a"}]}',
            "the last message is the user's; expected the assistant's",
        ),
        ('{"messages": [{"role": "assistant", "content": ""}]}', "the message is empty"),
        (line(song("a\0b.wav")), "has a NUL character"),
        (line(song("http://x/a.wav")), "does not fetch from the network"),
        (line("half \ud800"), "half a character"),
        (line(song("half\udfff.wav")), "half a character"),
        (line({"type": "item", "item": "half \ud800"}), "half a character"),
        (line("a", tools=[{"type": "function"}]), "tools"),
        (line("a", tools=3), "tools"),
        (json.dumps({"messages": [{"role": "tool", "tool_call_id": "1", "content": "a"}]}), "no message before has"),
    ],
)
def test_a_line_that_cannot_be_used_is_told_and_the_next_is_read(written: str, expected: str, tmp_path: Path) -> None:
    path = lines(tmp_path / "songs.jsonl", written, line("Why?"))
    first, second = read([path])
    assert isinstance(first, MessageError)
    assert str(first).startswith(f"{path} line 1: ")
    assert expected in str(first)
    assert isinstance(second, Conversation)


def test_bytes_of_another_encoding_are_no_text_to_learn(tmp_path: Path) -> None:
    path = tmp_path / "songs.jsonl"
    path.write_bytes(line("Caf_?").replace("_", "\xe9").encode("latin-1") + b"\n" + line("Why?").encode())
    (sentence,) = bad(path)
    assert sentence.startswith(f"{path} line 1: ")
    assert "is not UTF-8; save the file in UTF-8" in sentence


def test_tools_of_a_line_are_told_to_the_model(tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "find_song", "parameters": {"type": "object", "properties": {}}}}
    ((system, *_),) = good(lines(tmp_path / "songs.jsonl", line("Why?", tools=[tool])))
    assert system.role == "system"
    assert "find_song" in str(system.parts)


def test_a_folder_gives_its_conversations_without_those_for_validation(tmp_path: Path) -> None:
    lines(tmp_path / "b.jsonl", line("second"))
    lines(tmp_path / "a.jsonl", line("first"))
    lines(tmp_path / "validation.jsonl", line("kept"))
    lines(tmp_path / "validation-2.jsonl", line("kept too"))
    (tmp_path / "metadata.csv").write_text("file_name,caption\na.wav,unread\n")
    texts = [messages[0].parts[0] for messages in good(tmp_path)]
    assert texts == [Text(text="first"), Text(text="second")]
    assert validation_of(tmp_path) == (tmp_path / "validation-2.jsonl", tmp_path / "validation.jsonl")
    assert validation_of(tmp_path / "a.jsonl") == ()


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_table_of_captions(mark: str, ending: str, tmp_path: Path) -> None:
    table = ["file_name,caption", 'a.wav,"A flute, and ""drums"".\nLoud."', "sub/b.wav, Café ", 'c.wav,"x",more']
    (tmp_path / "metadata.csv").write_bytes((mark + ending.join(table) + ending).encode())
    assert good(tmp_path) == [
        said(tmp_path / "a.wav", CAPTION_QUESTION, 'A flute, and "drums".\nLoud.'),
        said(tmp_path / "sub" / "b.wav", CAPTION_QUESTION, "Café"),
        said(tmp_path / "c.wav", CAPTION_QUESTION, "x"),
    ]


def test_a_table_of_questions_and_lines_of_metadata(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,question,answer,text\na.wav,Loud?,No.,\nb.wav,,,A horn.\n")
    assert good(tmp_path) == [
        said(tmp_path / "a.wav", "Loud?", "No."),
        said(tmp_path / "b.wav", CAPTION_QUESTION, "A horn."),
    ]
    (tmp_path / "metadata.csv").unlink()
    rows = [{"file_name": "a.wav", "caption": "A flute."}, {"file_name": "b.wav", "text": "A horn."}]
    lines(tmp_path / "metadata.jsonl", *(json.dumps(row) for row in rows))
    assert good(tmp_path) == [
        said(tmp_path / "a.wav", CAPTION_QUESTION, "A flute."),
        said(tmp_path / "b.wav", CAPTION_QUESTION, "A horn."),
    ]


def test_rows_that_cannot_be_used_are_told_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "away.wav").write_bytes(b"")
    folder = tmp_path / "music"
    folder.mkdir()
    (folder / "linked.wav").symlink_to(tmp_path / "away.wav")
    (folder / "circle").symlink_to("circle")
    names = ["../away.wav", str(tmp_path / "away.wav"), "linked.wav", "circle/a.wav", "a\0b.wav", ""]
    rows = ["file_name,caption", *(f"{name},A flute." for name in names), "a.wav,", "a.wav,  ", "good.wav,A flute."]
    (folder / "metadata.csv").write_text("\n".join(rows))
    found = list(read([folder]))
    sentences = [str(one) for one in found if isinstance(one, MessageError)]
    assert len(sentences) == len(found) - 1 == 8
    assert all(f"{folder / 'metadata.csv'} row {number}: " in one for number, one in enumerate(sentences, start=1))
    assert all("leads out of the folder" in one for one in sentences[:3])
    assert all("is no path" in one for one in sentences[3:5])
    assert "file_name is missing" in sentences[5]
    assert all("caption is missing or empty" in one for one in sentences[6:])


def test_lines_of_metadata_that_cannot_be_used(tmp_path: Path) -> None:
    rows = ["", "{", "[1]", '{"file_name": 3, "caption": "a"}', '{"file_name": "a.wav", "caption": ["a", "b"]}']
    sentences = bad(lines(tmp_path / "metadata.jsonl", *rows).parent)
    assert [one.partition(": ")[0] for one in sentences] == [
        f"{tmp_path / 'metadata.jsonl'} line {n}" for n in (2, 3, 4, 5)
    ]
    assert "expected a text" in sentences[2]
    assert "the field caption is ['a', 'b']; expected a text" in sentences[3]


@pytest.mark.parametrize("header", ["path,caption", "file_name;caption", ""])
def test_a_table_without_its_columns_says_which_it_has(header: str, tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text(f"{header}\na.wav;A flute,x\n")
    assert all("the field file_name is missing" in sentence for sentence in bad(tmp_path))
    assert all(header.replace(",", ", ") in sentence for sentence in bad(tmp_path))
    assert bad(tmp_path)


def test_a_quote_that_is_never_closed_is_told(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text('file_name,caption\na.wav,A flute.\nb.wav,"A horn' + "\nc.wav,x" * 30_000)
    first, second = read([tmp_path])
    assert isinstance(first, Conversation)
    assert str(second).startswith(f"{tmp_path / 'metadata.csv'} row 2: not CSV (field larger than field limit")


def test_a_table_in_another_encoding_is_not_learnt(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_bytes(b"file_name,caption\na.wav,Caf\xe9\nb.wav,Bar\n")
    assert ["row 1" in sentence and "is not UTF-8" in sentence for sentence in bad(tmp_path)] == [True]


def test_recordings_with_texts_beside_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.wav", "SONG.MP3", "sub/other.Flac", "alone.wav", "v1.2.ogg", "sub/a.txt"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "a.txt").write_text("\ufeffA flute.\n", encoding="utf-8")
    (tmp_path / "SONG.TXT").write_text("A horn.")
    (tmp_path / "sub" / "other.txt").write_text(" ")
    (tmp_path / "v1.2.txt").write_bytes(b"caf\xe9")
    found = list(read([tmp_path]))
    assert [one.messages for one in found if isinstance(one, Conversation)] == [
        said(tmp_path / "SONG.MP3", CAPTION_QUESTION, "A horn."),
        said(tmp_path / "a.wav", CAPTION_QUESTION, "A flute."),
    ]
    first, second = bad(tmp_path)
    assert first.startswith(f"{tmp_path / 'sub' / 'other.txt'}: the file is empty")
    assert second.startswith(f"{tmp_path / 'v1.2.txt'}: ")
    assert "is not UTF-8" in second


def test_what_is_no_data_is_told_before_anything_is_read(tmp_path: Path) -> None:
    path = lines(tmp_path / "songs.jsonl", line("Why?"))
    with pytest.raises(ConfigError, match=r"absent does not exist; give a JSONL file of conversations, or a folder"):
        read([path, tmp_path / "absent"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"the folder .*empty says nothing of its recordings; expected a JSONL file"):
        read([path, tmp_path / "empty"])
    (tmp_path / "empty" / "a.wav").write_bytes(b"")
    with pytest.raises(ConfigError, match="says nothing of its recordings"):
        read([tmp_path / "empty"])
    with pytest.raises(ConfigError, match=r"a\.wav is a recording; give a JSONL file of conversations about it"):
        read([tmp_path / "empty" / "a.wav"])


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the address of a socket is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s")
        with pytest.raises(ConfigError, match=r"/s cannot be read \(No such device or address\)"):
            list(read([tmp_path / "s"]))
