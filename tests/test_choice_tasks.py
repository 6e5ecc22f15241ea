"""Multiple choices: shuffled under every seed, read strictly, blind answerers at chance, benchmarks as published."""

from __future__ import annotations

import json
import types
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mllm import registry
from mllm.errors import MessageError
from mllm.eval import blind, conditions, statistic
from mllm.eval.music import AbsentError, Music
from mllm.eval.questions import Question, Said
from mllm.eval.tasks import _choices
from tests import known_music, source_samples

SEEDS = range(5)
BENCHMARKS = ("muchomusic", "rulistening", "mmau_music", "mmar")
RUL = {
    "1": {
        "question": "What leads?",
        "caption": "An accordion leads.",
        "correct_answer": "Accordion",
        "distractors": ["Tuba", "Oboe", "Bell", "Harp"],
        "PI": 0.9,
    },
    "2": {
        "question": "How does it end?",
        "caption": "",
        "correct_answer": "It fades",
        "distractors": ["Abruptly", "In silence", "With a roll", "It loops"],
        "PI": 0.8,
    },
    "3": {"question": "Not here?", "caption": "", "correct_answer": "a", "distractors": ["b", "c"], "PI": 0.5},
}
MMAR = [
    {
        "id": "x1",
        "audio_path": "./audio/x1.wav",
        "question": "Which instrument stops first?",
        "choices": ["Bass", "Drums", "Organ"],
        "answer": "Organ",
        "modality": "music",
        "category": "Perception Layer",
        "sub-category": "Temporal",
        "language": "no",
    },
    {
        "id": "x2",
        "audio_path": "./audio/x2.wav",
        "question": "Who speaks?",
        "choices": ["He", "She"],
        "answer": "She",
        "modality": "mix-music-speech",
        "category": "Signal Layer",
    },
    {
        "id": "x3",
        "audio_path": "./audio/x3.wav",
        "question": "Which mode?",
        "choices": ["major", "minor"],
        "answer": "dorian",
        "modality": "music",
        "category": "Signal Layer",
    },
]


def of_benchmark(name: str, folder: Path, *, seed: int = 0, told: list[str] | None = None) -> Music:
    """The files of a benchmark, small ones of our own in its form."""
    if not folder.is_dir():
        folder.mkdir()
        if name in ("muchomusic", "mmau_music"):
            source_samples.prepare(name, folder)
        else:
            (folder / "audio").mkdir()
            plain, file = (RUL, "RUL-MuchoMusic.json") if name == "rulistening" else (MMAR, "MMAR-meta.json")
            (folder / file).write_text(json.dumps(plain), encoding="utf-8")
            for recording in ("1.mp3", "2.wav") if name == "rulistening" else ("x1.wav", "x2.wav", "x3.wav"):
                known_music.write_tone(folder / "audio" / recording)
    return known_music.with_files(name, folder, seed=seed, told=told)


def task(name: str) -> types.ModuleType:
    return registry.find("task", name)


def figure(name: str, task: types.ModuleType, questions: Sequence[Question], said: Sequence[Said]) -> float:
    return float(task.figures(questions, said)[name](np.ones((1, len(questions))))[0])


def said(texts: Sequence[str]) -> list[Said]:
    return [Said(text=text) for text in texts]


def test_rendered_questions_are_the_same_each_time_and_in_another_order_under_another_seed() -> None:
    asked = {seed: task("multiple_choice").load(known_music.of(60, seed=seed)) for seed in SEEDS}
    assert asked[0] == task("multiple_choice").load(known_music.of(60, seed=0))
    for seed in SEEDS:
        assert [one.id for one in asked[seed]] == [one.id for one in asked[0]]
        for one, first in zip(asked[seed], asked[0], strict=True):
            assert sorted(one.choices) == sorted(first.choices)
            assert one.truth == first.truth
            assert one.asked.splitlines()[0] == first.asked.splitlines()[0]
    orders = {tuple(one.choices for one in asked[seed]) for seed in SEEDS}
    assert len(orders) == len(SEEDS)


def test_options_stand_on_lines_of_their_own_as_in_training() -> None:
    for one in task("multiple_choice").load(known_music.of(30)):
        lines = one.asked.splitlines()
        assert lines[-len(one.choices) :] == [f"{'ABCD'[n]}) {option}" for n, option in enumerate(one.choices)]
        assert one.truth not in lines[0].split()
        assert len(one.recordings) == 1


def test_perfect_answers_earn_all_and_silence_nothing() -> None:
    module = task("multiple_choice")
    questions = module.load(known_music.of(160))
    assert len(questions) == 160
    for reference in (0, 1):
        answers = said([one.references[reference] for one in questions])
        assert [module.credit(one, answer) for one, answer in zip(questions, answers, strict=True)] == [1.0] * 160
    assert figure("accuracy", module, questions, [Said(error="none")] * 160) == 0.0
    assert figure("answered", module, questions, [Said(error="none")] * 160) == 0.0


def test_blind_answerers_are_at_chance() -> None:
    module = task("multiple_choice")
    questions = module.load(known_music.of(320, size=2.0))
    guessing = figure("guessing", module, questions, said([""] * len(questions)))
    found = {name: figure("accuracy", module, questions, answers) for name, answers in blind.answers(questions).items()}
    assert set(blind.OF_CHOICES) < set(found)
    for name, accuracy in found.items():
        assert accuracy < guessing + 0.08, (name, accuracy, guessing)
    assert abs(found["always B"] - guessing) < 0.1


def test_every_letter_is_right_equally_often_over_seeds() -> None:
    places: Counter[int | None] = Counter()
    for seed in range(400):
        one = _choices.make("q", [], "What?", ["w", "x", "y", "z"], 2, seed=seed, unit="u", template="t")
        places[one.correct] += 1
        assert one.choices[one.correct or 0] == "y"
    assert set(places) == {0, 1, 2, 3}
    assert min(places.values()) > 70


def test_an_unreadable_answer_is_wrong_and_counted() -> None:
    module = task("multiple_choice")
    questions = module.load(known_music.of(10))
    answers = said([one.references[0] for one in questions[:5]] + ["I cannot tell."] * 5)
    assert figure("accuracy", module, questions, answers) == 0.5
    assert figure("answered", module, questions, answers) == 0.5


def test_likelihoods_are_compared_whole_and_by_character() -> None:
    one = _choices.make("q", [], "What?", ["ab", "a long option indeed"], 1, seed=0, unit="u", template="t")
    likelier = {"ab": -4.0, "a long option indeed": -10.0}
    weighed = Said(likelihoods=tuple(likelier[option] for option in one.choices))
    module = task("multiple_choice")
    assert figure("likelihood_accuracy", module, [one], [weighed]) == 0.0
    assert figure("likelihood_accuracy_per_character", module, [one], [weighed]) == 1.0
    assert figure("accuracy", module, [one], [weighed]) == 0.0
    assert figure("likelihood_accuracy", module, [one] * 2, [weighed, Said(error="none")]) == 0.0
    assert np.isnan(figure("likelihood_accuracy", module, [one], [Said(text="B")]))
    tied = Said(likelihoods=(-1.0, -1.0))
    assert figure("likelihood_accuracy", module, [one], [tied]) == 0.5


def test_options_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(MessageError, match="same"):
        _choices.make("q", [], "What?", ["Rock!", "rock"], 0, seed=0, unit="u", template="t")
    with pytest.raises(MessageError, match="expected 2 to 10"):
        _choices.make("q", [], "What?", ["rock"], 0, seed=0, unit="u", template="t")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmarks_are_read_in_their_formats(name: str, tmp_path: Path) -> None:
    module, told = task(name), list[str]()
    questions = module.load(of_benchmark(name, tmp_path / "files", told=told))
    assert questions == module.load(of_benchmark(name, tmp_path / "files"))
    assert len(questions) >= 1
    for one in questions:
        assert one.kind == "choice"
        assert all(Path(str(sound.source)).is_file() for sound in one.recordings)
        assert module.credit(one, Said(text=one.references[0])) == 1.0
        assert module.credit(one, Said(text=f"({'ABCDE'[one.correct or 0]})")) == 1.0
        assert module.credit(one, Said()) == 0.0
        assert one.choices[one.correct or 0] == one.truth
    orders = {
        tuple(one.choices for one in module.load(of_benchmark(name, tmp_path / "files", seed=seed)))
        for seed in range(8)
    }
    assert len(orders) > 1
    if name in ("rulistening", "mmar"):
        assert len(told) == 1
        assert "cannot be used" in told[0]


def test_what_the_two_variants_of_muchomusic_say(tmp_path: Path) -> None:
    (first, second) = task("rulistening").load(of_benchmark("rulistening", tmp_path / "files"))
    assert (first.truth, sorted(first.choices)) == ("Accordion", ["Accordion", "Bell", "Harp", "Oboe", "Tuba"])
    assert "leads." not in first.asked  # the caption is not told
    assert second.truth == "It fades"
    assert task("rulistening").ABOUT.title != task("muchomusic").ABOUT.title
    assert task("rulistening").ABOUT.source != task("muchomusic").ABOUT.source


def test_mmar_is_about_music_alone(tmp_path: Path) -> None:
    (one,) = task("mmar").load(of_benchmark("mmar", tmp_path / "files"))
    assert (one.id, one.truth, dict(one.groups)) == ("x1", "Organ", {"category": "Perception Layer"})


@pytest.mark.parametrize("name", BENCHMARKS)
def test_absent_files_are_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(AbsentError, match=f"--data {name}="):
        task(name).load(Music(folder=tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(AbsentError, match=r"https://"):
        task(name).load(Music(folder=tmp_path, places={name: tmp_path / "empty"}))


@pytest.mark.parametrize("name", ["rulistening", "mmar"])
@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"3", b"[[[", b"[]", b"{}", b'{"1": 3}'])
def test_spoilt_files_are_told(name: str, content: bytes, tmp_path: Path) -> None:
    music = of_benchmark(name, tmp_path / "files")
    (tmp_path / "files" / task(name).FILE).write_bytes(content)
    with pytest.raises(AbsentError):
        task(name).load(music)


def test_ones_own_file(tmp_path: Path) -> None:
    known_music.write_tone(tmp_path / "a.wav")
    rows = [
        {"audio": "a.wav", "question": "Which?", "choices": ["x", "y", "z"], "answer": "y", "group": "odd"},
        {"audio": "a.wav", "question": "Which?", "choices": ["x", "y"], "answer": "q"},
        {"audio": "b.wav", "question": "Which?", "choices": ["x", "y"], "answer": "x"},
        {"audio": "a.wav", "question": "Which?", "choices": ["x", "X"], "answer": "x"},
    ]
    path = tmp_path / "choices.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows) + "no json\n", encoding="utf-8")
    told: list[str] = []
    for place in (tmp_path, path):
        music = Music(folder=tmp_path / "m", places={"choices": place}, tell=told.append)
        (one,) = task("multiple_choice").load(music)
        assert (one.truth, sorted(one.choices), dict(one.groups)) == ("y", ["x", "y", "z"], {"group": "odd"})
    assert "4 of 5 rows" in told[0]


def test_another_recording_can_be_put_in_the_place_of_each() -> None:
    questions = task("multiple_choice").load(known_music.of(12))
    put = conditions.put(conditions.ANOTHER, questions, seed=0)
    assert all(one.recordings != other.recordings for one, other in zip(questions, put, strict=True))
    assert [one.asked for one in put] == [one.asked for one in questions]
    assert statistic.draw([one.unit for one in questions], seed=0).weights.shape[1] == 12
