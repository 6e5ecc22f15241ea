"""Conversations that are kept for validation: no recording on both sides, and the same division each time."""

from __future__ import annotations

import base64
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from mllm.errors import ConfigError, MllmError
from mllm.messages import Audio
from mllm.train.conversations import Conversation
from mllm.train.held_out import FEWEST, divide
from mllm.train.run_config import DataSection

Sides = tuple[list[Conversation | MllmError], list[Conversation | MllmError] | None]


def line(number: int, *recordings: str | bytes) -> str:
    parts: list[dict[str, Any]] = [{"type": "text", "text": f"Question {number}?"}]
    for recording in recordings:
        if isinstance(recording, bytes):
            data = {"data": base64.b64encode(recording).decode(), "format": "wav"}
            parts.append({"type": "input_audio", "input_audio": data})
        else:
            parts.append({"type": "audio", "path": recording, "start": float(number)})
    return json.dumps({"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": "Yes."}]})


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def sides(path: Path, share: float = 0.3) -> Sides:
    return divide(DataSection(train=(str(path),), validation_share=share))


def questions(found: list[Conversation | MllmError] | None) -> list[str]:
    assert found is not None
    return [str(one.messages[0].parts[0]) for one in found if isinstance(one, Conversation)]


def recordings(found: list[Conversation | MllmError] | None) -> set[Any]:
    assert found is not None
    parts = [part for one in found if isinstance(one, Conversation) for part in one.recordings]
    return {part.source.resolve() if isinstance(part.source, Path) else part.source for part in parts}


def test_a_share_of_the_recordings_is_kept_and_always_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "songs.jsonl", *(line(number, f"{number % 300}.wav") for number in range(900)))
    train, kept = sides(path, 0.1)
    assert kept is not None
    assert len(train) + len(kept) == 900
    assert not recordings(train) & recordings(kept)
    assert 15 <= len(recordings(kept)) <= 45  # 30 are expected, with a deviation of 5
    assert sides(path, 0.1) == (train, kept)
    fewer = write(tmp_path / "fewer.jsonl", *(line(number, f"{number % 300}.wav") for number in range(450)))
    assert set(questions(sides(fewer, 0.1)[1])) == set(questions(kept)) & {str(t) for t in map(_asked, range(450))}


def _asked(number: int) -> str:
    return f"Text(text='Question {number}?')"


def test_a_folder_that_is_moved_is_divided_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "songs.jsonl", *(line(number, f"{number}.wav") for number in range(40)))
    monkeypatch.chdir(tmp_path / "here")
    before = sides(Path("songs.jsonl"))
    monkeypatch.chdir(tmp_path / "there")
    assert [questions(side) for side in sides(Path("songs.jsonl"))] == [questions(side) for side in before]


def test_conversations_that_share_a_recording_stay_together(tmp_path: Path) -> None:
    """Some have several recordings, which others mention alone or with further ones."""
    rng = random.Random(1)
    lines = [
        line(number, *(f"{rng.randrange(80)}.wav" for _ in range(rng.choice((1, 1, 1, 2))))) for number in range(60)
    ]
    for share in (0.1, 0.3, 0.5):
        train, kept = sides(write(tmp_path / "songs.jsonl", *lines), share)
        assert not recordings(train) & recordings(kept)
    shuffled = rng.sample(lines, len(lines))
    train, kept = sides(write(tmp_path / "songs.jsonl", *lines))
    assert set(questions(sides(write(tmp_path / "songs.jsonl", *shuffled))[1])) == set(questions(kept))


def test_a_recording_is_known_by_its_place_however_its_path_is_written(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    lines = []
    for number in range(40):
        (tmp_path / f"{number}.wav").write_bytes(b"%d" % number)
        (tmp_path / f"link-{number}.wav").symlink_to(tmp_path / f"{number}.wav")
        names = [f"{number}.wav", f"./sub/../{number}.wav", str(tmp_path / f"{number}.wav"), f"link-{number}.wav"]
        lines += [line(4 * number + index, name) for index, name in enumerate(names)]
    train, kept = sides(write(tmp_path / "songs.jsonl", *lines))
    assert kept
    assert not recordings(train) & recordings(kept)
    assert len(kept) == 4 * len(recordings(kept))


def test_a_copy_under_another_name_is_another_recording(tmp_path: Path) -> None:
    """Content is not looked at: a division must be possible, and stay, where recordings are gone."""
    lines = [line(number, f"{number}.wav") for number in range(30)] + [
        line(number, f"c{number}.wav") for number in range(30)
    ]
    path = write(tmp_path / "songs.jsonl", *lines)
    before = sides(path)
    for number in range(30):
        (tmp_path / f"{number}.wav").write_bytes(b"%d" % number)
        shutil.copy(tmp_path / f"{number}.wav", tmp_path / f"c{number}.wav")
    assert sides(path) == before
    assert before[1]


def test_recordings_inside_messages_are_known_by_their_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "songs.jsonl", *(line(number, b"RIFF%d" % (number % 20)) for number in range(60)))
    train, kept = sides(path)
    assert kept
    assert not recordings(train) & recordings(kept)
    assert isinstance(next(part for part in kept[0].messages[0].parts if isinstance(part, Audio)).source, bytes)  # type: ignore[union-attr]


def test_conversations_without_recordings_are_divided_by_what_they_say(tmp_path: Path) -> None:
    path = write(tmp_path / "songs.jsonl", *(line(number % 30) for number in range(90)))
    train, kept = sides(path)
    assert not set(questions(train)) & set(questions(kept))


def test_lines_that_cannot_be_read_stay_with_what_is_learnt(tmp_path: Path) -> None:
    path = write(tmp_path / "songs.jsonl", "{", *(line(number, f"{number}.wav") for number in range(40)))
    train, kept = sides(path)
    assert [isinstance(one, MllmError) for one in train] == [True] + [False] * (len(train) - 1)
    assert kept
    assert len(train) + len(kept) == 41


@pytest.mark.parametrize(("count", "share"), [(FEWEST - 1, 0.5), (40, 0.0)])
def test_little_data_and_no_share_keep_nothing(count: int, share: float, tmp_path: Path) -> None:
    path = write(tmp_path / "songs.jsonl", *(line(number, f"{number}.wav") for number in range(count)))
    train, kept = sides(path, share)
    assert (len(train), kept) == (count, None)


@pytest.mark.parametrize("name", [f"{number}.wav" for number in range(12)])
def test_what_hangs_together_is_never_kept_whole(name: str, tmp_path: Path) -> None:
    """Where all are about one recording, something must be left to learn from."""
    train, kept = sides(write(tmp_path / "songs.jsonl", "{", *(line(number, name) for number in range(20))), 0.5)
    assert (len(train), kept) == (21, None)


def test_validation_that_is_given_is_taken_as_it_is(tmp_path: Path) -> None:
    train = write(tmp_path / "songs.jsonl", *(line(number, f"{number}.wav") for number in range(30)))
    other = write(tmp_path / "other.jsonl", line(99, "0.wav"), "{")
    found, kept = divide(DataSection(train=(str(train),), validation=(str(other),)))
    assert len(found) == 30
    assert questions(kept) == [_asked(99)]
    write(tmp_path / "validation.jsonl", line(7, "7.wav"))
    other.unlink()
    found, kept = sides(tmp_path)
    assert (len(found), questions(kept)) == (30, [_asked(7)])
    with pytest.raises(ConfigError, match="absent does not exist"):
        divide(DataSection(train=(str(train),), validation=(str(tmp_path / "absent"),)))
