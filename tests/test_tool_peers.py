"""Tools that hear: the tempo of clicks, the key of a cadence, one rendered piece, and what they refuse."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mllm import registry
from mllm.errors import ConfigError
from mllm.eval.model import Model, ModelSettings
from mllm.eval.models.krumhansl import MAJOR, MINOR, key_of
from mllm.eval.music import Music
from mllm.eval.questions import Question, asked
from mllm.facts import KEYS
from mllm.messages import Audio

RATE_HZ = 22_050
BPM = 100.0
CADENCE = ((65, 69, 72), (70, 74, 77), (72, 76, 79, 82), (65, 69, 72))
"""In F major: I, IV, V7, I."""
TOOLS = tuple(
    pytest.param(
        name, marks=pytest.mark.skipif(importlib.util.find_spec(library) is None, reason=f"{library} is not installed")
    )
    for name, library in (("librosa", "librosa"), ("krumhansl", "librosa"), ("essentia", "essentia"))
)


@pytest.fixture(params=TOOLS)
def tool(request: pytest.FixtureRequest) -> Model:
    return opened(request.param)


@pytest.fixture(scope="module")
def piece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds of clicks with a cadence under them, after three seconds at another tempo in another key."""
    folder = tmp_path_factory.mktemp("tools")
    before = _clicks(3.0, 171.0) + _chords(3.0, [[note + 6 for note in chord] for chord in CADENCE])
    after = _clicks(12.0, BPM) + _chords(12.0, CADENCE * 2)
    path = folder / "piece.wav"
    soundfile.write(path, np.concatenate([before, after]), RATE_HZ)
    return path


def opened(name: str) -> Model:
    model: Model = registry.find("evaluated model", name).open_model(None, ModelSettings())
    return model


def question(path: Path, field: str | None, *, start: float | None = 3.0, **more: object) -> Question:
    spoken = asked("What is it?", [Audio(source=path, start=start)])
    return Question(**{"id": "q", "messages": spoken, "unit": "u", "template": "t", "field": field} | more)  # type: ignore[arg-type]


def beats_of(text: str) -> list[float]:
    return [float(one) for one in re.findall(r"(\d+\.\d+) s", text)]


def test_a_piece_is_told_in_words(tool: Model, piece: Path) -> None:
    questions = [
        one for one in (question(piece, field) for field in ("tempo_bpm", "key", "beats")) if tool.answers(one)
    ]
    told = {
        str(one.field): said for one, said in zip(questions, tool.respond(questions), strict=True) if said.error is None
    }
    assert len(told) == len(questions) == {"librosa": 2, "krumhansl": 1, "essentia": 3}[tool.name]
    if "tempo_bpm" in told:
        match = re.fullmatch(r"(\d+\.\d) bpm", told["tempo_bpm"].text)
        assert match is not None
        assert float(match[1]) == pytest.approx(BPM, rel=0.04)
    if "key" in told:
        assert told["key"].text == "F major"
    if "beats" in told:
        beats = beats_of(told["beats"].text)
        assert len(beats) >= 12
        places = np.array(beats) / (60 / BPM)
        assert np.abs(places - np.round(places)).max() * 60 / BPM < 0.07


def test_only_the_stretch_is_heard(tool: Model, piece: Path) -> None:
    field = "beats" if tool.name == "librosa" else "key"
    whole, stretch = tool.respond([question(piece, field, start=None), question(piece, field)])
    if field == "beats":
        assert max(beats_of(stretch.text)) < 12.1 < max(beats_of(whole.text))
    else:
        assert stretch.text == "F major"


def test_what_takes_reading_or_two_recordings_is_not_answered(tool: Model, piece: Path) -> None:
    field = "key" if tool.name == "krumhansl" else "tempo_bpm"
    assert tool.answers(question(piece, field))
    both = asked("Which is faster?", [Audio(source=piece), Audio(source=piece)])
    refused = [
        question(piece, "instruments"),
        question(piece, None),
        question(piece, field, label="yes"),
        question(piece, field, kind="choice"),
        question(piece, field, messages=both),
        question(piece, field, messages=asked("What is it?")),
    ]
    assert not any(tool.answers(one) for one in refused)
    assert all(said.error and not said.text for said in tool.respond(refused[:2]))
    assert not tool.listens


def test_what_cannot_be_heard_is_told_and_the_rest_is_answered(tool: Model, piece: Path, tmp_path: Path) -> None:
    field = "key" if tool.name == "krumhansl" else "tempo_bpm"
    (tmp_path / "text.wav").write_text("no sound")
    soundfile.write(tmp_path / "silence.wav", np.zeros(5 * RATE_HZ), RATE_HZ)
    paths = [tmp_path / "absent.wav", tmp_path / "text.wav", tmp_path / "silence.wav", piece]
    *bad, good = tool.respond([question(path, field, start=None) for path in paths])
    assert all(said.error and not said.text for said in bad)
    assert good.error is None
    assert good.text


def test_a_recording_is_analysed_once(tool: Model, piece: Path, tmp_path: Path) -> None:
    field = "key" if tool.name == "krumhansl" else "tempo_bpm"
    copy = tmp_path / "copy.wav"
    copy.write_bytes(piece.read_bytes())
    (first,) = tool.respond([question(copy, field)])
    copy.unlink()
    (again,) = tool.respond([question(copy, field)])
    assert again == first
    assert first.text


def test_a_rendered_piece_is_told_rightly_by_one_of_them(tmp_path: Path) -> None:
    pytest.importorskip("pretty_midi")
    pytest.importorskip("librosa")
    track, *_ = Music(folder=tmp_path, size=0.0125).short()
    path = Path(track.path)
    (tempo,) = opened("librosa").respond([question(path, "tempo_bpm", start=None)])
    (key,) = opened("krumhansl").respond([question(path, "key", start=None)])
    assert track.tempo_bpm is not None
    ratio = float(tempo.text.removesuffix(" bpm")) / track.tempo_bpm
    assert any(abs(ratio / octave - 1) <= 0.08 for octave in (1 / 3, 1 / 2, 1, 2, 3))
    assert key.text in KEYS


def test_templates_name_their_own_keys() -> None:
    for number, key in enumerate(KEYS):
        assert key_of(np.roll(MAJOR if number < 12 else MINOR, number % 12)) == key
    assert key_of(np.ones(12)) is None


@pytest.mark.parametrize("name", ["librosa", "krumhansl", "essentia"])
def test_an_absent_library_is_told_with_the_line_that_installs_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "essentia", None)
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(ConfigError, match="pip install"):
        opened(name)


@pytest.mark.parametrize("name", ["librosa", "krumhansl", "essentia"])
def test_a_place_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"--model {name}=x"):
        registry.find("evaluated model", name).open_model("x", ModelSettings())


def _clicks(seconds: float, bpm: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    sound = np.zeros(round(seconds * RATE_HZ))
    for begin in np.arange(0.0, seconds, 60 / bpm):
        place = round(begin * RATE_HZ)
        length = min(1000, len(sound) - place)
        sound[place : place + length] += 0.5 * rng.standard_normal(length) * np.exp(-np.arange(length) / 150)
    return sound


def _chords(seconds: float, chords: Sequence[Sequence[int]]) -> np.ndarray:
    return np.concatenate(list(_sounding(seconds, chords)))


def _sounding(seconds: float, chords: Sequence[Sequence[int]]) -> Iterator[np.ndarray]:
    borders = np.linspace(0, round(seconds * RATE_HZ), len(chords) + 1).round().astype(int)
    for chord, begin, end in zip(chords, borders[:-1], borders[1:], strict=True):
        times = np.arange(end - begin) / RATE_HZ
        tones = [440 * 2 ** ((note - 69) / 12) * overtone for note in chord for overtone in (1, 2, 3)]
        yield 0.02 * np.sum([np.sin(2 * np.pi * tone * times) for tone in tones], axis=0)
