"""Tasks about single facts: right answers earn all, silence nothing, and whoever does not hear stays near chance."""

from __future__ import annotations

import dataclasses
import functools
import json
import types
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import soundfile

from mllm import registry
from mllm.errors import ConfigError
from mllm.eval import blind, scoring, statistic, suite
from mllm.eval.music import AbsentError, Music
from mllm.eval.questions import Question, Said
from mllm.eval.tasks import catalogue
from mllm.facts import INSTRUMENTS
from mllm.instruct_data import tracks
from mllm.instruct_data.tracks import Track
from tests import random_tracks, source_samples

Asked: TypeAlias = Callable[[str], Sequence[Question]]
TASKS = ("beats", "chords", "genre", "instruments", "key", "meter", "mood", "tagging", "tempo")
USUAL = {
    "beats": 40,
    "chords": 60,
    "genre": 60,
    "instruments": 200,
    "key": 120,
    "meter": 120,
    "mood": 60,
    "tagging": 60,
    "tempo": 120,
}
AT_MOST: Mapping[str, Mapping[str, float]] = {
    "beats": {"f_measure": 0.45},
    "chords": {"majmin": 0.2, "root": 0.35, "sequence": 0.35},
    "genre": {"balanced": 0.3},
    "instruments": {"when": 0.2},
    "key": {"exact": 0.25, "mirex": 0.4},
    "meter": {"balanced": 0.35},
    "mood": {"pace": 0.5, "loudness": 0.5},
    "tagging": {"macro_f1": 0.3},
    "tempo": {"acc1": 0.25},
}
"""What somebody who hears nothing reaches at most of some figures."""


def task_of(name: str) -> types.ModuleType:
    return registry.find("task", name)


def piece(number: int) -> Track:
    """A random track as a rendered piece would be: with beats, and with loudness bar by bar."""
    track = random_tracks.track(number, split="test")
    seconds = track.seconds or 0.0
    tempo = 60.3 + number * 37 % 120
    curve = ((0.0, tempo), (15.0, 1.2 * tempo)) if number % 8 == 0 else ((0.0, tempo),)
    track = dataclasses.replace(track, tempo_bpm=tempo, tempo_curve=curve)
    beats = tuple(round(0.2 + 60 / tempo * n, 3) for n in range(int((seconds - 1) * tempo / 60)))
    rise = (-6.0, 0.0, 6.0)[number % 3]
    dynamics = tuple((float(second), round(rise * second / seconds, 2)) for second in range(int(seconds)))
    return dataclasses.replace(track, beats=beats, dynamics=dynamics, moods=None)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which rendered pieces stand as a run leaves them, without their recordings."""
    folder = tmp_path_factory.mktemp("written")
    known = suite.place(folder) / "short" / "known"
    known.mkdir(parents=True)
    for number in range(160):
        (known / f"{number}.json").write_text(tracks.line(piece(number)), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def music(written: Path) -> Music:
    return Music(folder=written)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Music:
    """A few pieces, really rendered."""
    return Music(folder=tmp_path_factory.mktemp("rendered"), size=0.04)


@pytest.fixture(scope="module")
def asked(music: Music) -> Asked:
    """The questions of a task, made once."""
    return functools.cache(lambda name: task_of(name).load(music))


def values(task: types.ModuleType, questions: Sequence[Question], said: Sequence[Said]) -> dict[str, float | None]:
    draws = statistic.draw([question.unit for question in questions], resamples=2, seed=0)
    found = scoring.figures(task, questions, said)
    return {name: statistic.estimate(figure, draws).value for name, figure in found.items()}


def perfect(questions: Sequence[Question]) -> list[Said]:
    return [Said(text=question.references[0]) for question in questions]


def lowest(task: types.ModuleType) -> list[str]:
    """Figures of which 0 is the worst."""
    return [name for name, figure in task.ABOUT.figures.items() if figure.better == "higher"]


def check_answers(task: types.ModuleType, questions: Sequence[Question]) -> None:
    """Right answers earn all, nothing said earns nothing, and every figure is there."""
    for question in questions:
        assert task.credit(question, Said(text=question.references[0])) == 1.0, question
        for nothing in (Said(), Said(error="it failed"), Said(text="I cannot tell."), Said(text="[1].__class__")):
            assert task.credit(question, nothing) == 0.0, question
    best = values(task, questions, perfect(questions))
    worst = values(task, questions, [Said(error="it failed")] * len(questions))
    assert set(best) == set(worst) == set(task.ABOUT.figures)
    for name in lowest(task):
        assert best[name] in (1.0, None), name
        assert worst[name] in (0.0, None), name


@pytest.mark.parametrize("name", TASKS)
def test_questions_are_many_and_always_the_same(name: str, music: Music, asked: Asked) -> None:
    task = task_of(name)
    questions = asked(name)
    assert questions == task.load(music)
    assert len(questions) == USUAL[name]
    assert len({question.id for question in questions}) == len(questions)
    assert Counter(question.groups["source"] for question in questions) == {"rendered": len(questions)}
    assert questions != task.load(dataclasses.replace(music, seed=1))
    json.dumps([[question.truth, dict(question.given)] for question in questions])
    assert all(question.recordings[0].source.is_absolute() for question in questions)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", TASKS)
def test_right_answers_earn_all_and_silence_nothing(name: str, asked: Asked) -> None:
    check_answers(task_of(name), asked(name))


@pytest.mark.parametrize("name", TASKS)
def test_whoever_hears_nothing_stays_near_chance(name: str, asked: Asked) -> None:
    task, questions = task_of(name), asked(name)
    lines = blind.answers(questions) | (task.blind(questions) if hasattr(task, "blind") else {})
    for line, said in lines.items():
        found = values(task, questions, said)
        for figure, most in AT_MOST[name].items():
            assert (found[figure] or 0.0) <= most, (line, figure)


@pytest.mark.parametrize("name", TASKS)
def test_pieces_that_are_really_rendered(name: str, rendered: Music) -> None:
    task = task_of(name)
    questions = task.load(rendered)
    assert len(questions) >= 1
    assert all(Path(str(question.recordings[0].source)).is_file() for question in questions)
    check_answers(task, questions)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("tempo", "giantsteps_tempo"),
        ("tempo", "gtzan"),
        ("key", "giantsteps_key"),
        ("key", "gtzan"),
        ("genre", "gtzan"),
        ("instruments", "nsynth"),
        ("instruments", "openmic"),
        ("mood", "mtg_jamendo"),
        ("tagging", "magnatagatune"),
        ("tagging", "mtg_jamendo"),
    ],
)
def test_benchmarks_that_are_given_are_asked_about_too(name: str, source: str, written: Path, tmp_path: Path) -> None:
    task = task_of(name)
    music = Music(folder=written, places={source: source_samples.prepare(source, tmp_path)})
    questions = [question for question in task.load(music) if question.groups["source"] == source]
    assert questions
    check_answers(task, questions)


def test_a_task_that_is_given_an_empty_folder_is_absent(written: Path, tmp_path: Path) -> None:
    with pytest.raises(AbsentError, match="GiantSteps tempo"):
        task_of("tempo").load(Music(folder=written, places={"giantsteps_tempo": tmp_path}))


def test_the_answers_of_others_are_read_and_weighed(asked: Asked) -> None:
    tempo, key = task_of("tempo"), task_of("key")
    question = asked("tempo")[0]
    double = Said(text=f"Roughly {2 * question.truth:.1f} beats per minute")
    assert tempo.credit(question, double) == 0.0
    assert values(tempo, [question], [double])["acc2"] == 1.0
    question = asked("key")[0]
    tonic, _, mode = question.truth.partition(" ")
    assert key.credit(question, Said(text=json.dumps({"key": tonic, "mode": mode}))) == 1.0
    assert key.credit(question, Said(text=f"{question.truth} or F# minor, or C major")) == 0.0


def test_line_ups_and_moments(asked: Asked) -> None:
    task, questions = task_of("instruments"), asked("instruments")
    line_up = next(one for one in questions if one.template == "single_fact/instruments")
    everything = Said(text=", ".join(INSTRUMENTS))
    playing = len(line_up.truth["playing"])
    assert task.credit(line_up, everything) == pytest.approx(2 * playing / (playing + len(INSTRUMENTS)))
    moment = next(one for one in questions if one.template == "when/enters")
    seconds = moment.truth["seconds"]
    assert task.credit(moment, Said(text=f"It comes in {seconds + 0.4:.2f} seconds into the piece.")) == 1.0
    assert task.credit(moment, Said(text=f"At {seconds + 0.6:.2f} s")) == 0.0
    assert task.credit(moment, Said(text=f"At {seconds:.2f} s or {seconds + 5:.2f} s")) == 0.0
    found = values(task, [moment], [Said(text=f"At {seconds + 2:.2f} s")])
    assert found["when_error"] == pytest.approx(2.0, abs=0.01)
    assert found["micro_f1"] is None, "no line-up was asked for"


def test_an_instrument_of_which_nothing_is_known_is_not_scored(written: Path, tmp_path: Path) -> None:
    task = task_of("instruments")
    music = Music(folder=written, places={"openmic": source_samples.prepare("openmic", tmp_path)})
    question = next(one for one in task.load(music) if one.groups["source"] == "openmic" and one.truth["unknown"])
    right = question.references[0]
    assert task.credit(question, Said(text=f"{right} And {question.truth['unknown'][0]}.")) == 1.0


def test_beats_outside_the_stretch_do_not_count(asked: Asked) -> None:
    task, question = task_of("beats"), asked("beats")[0]
    whole = [*np.arange(0, question.given["begin"], 0.5), *question.truth, question.given["end"] + 1.0]
    assert task.credit(question, Said(text=json.dumps([float(time) for time in whole]))) == 1.0
    stretch = f"Between 0:{question.given['begin']:02d} and 0:{question.given['end']:02d}"
    assert task.credit(question, Said(text=f"{stretch} {question.references[0]}")) == 1.0
    late = Said(text=", ".join(f"{time + 0.1:.3f}" for time in question.truth))
    assert task.credit(question, late) < 0.5


def test_a_genre_is_one_of_the_list(asked: Asked) -> None:
    task, question = task_of("genre"), asked("genre")[0]
    assert all(style in question.asked for style in question.truth["among"])
    others = [style for style in question.truth["among"] if style != question.label]
    assert task.credit(question, Said(text=f"This is {question.label}!")) == 1.0
    assert task.credit(question, Said(text=f"{question.label} or {others[0]}")) == 0.0
    assert task.credit(question, Said(text=f"{question.label}, not {others[0]}")) == 1.0


def test_each_answer_about_energy_is_as_often_right(asked: Asked) -> None:
    labels = Counter((one.groups["asked"], one.label) for one in asked("mood"))
    assert set(labels.values()) == {10}
    assert len(labels) == 6


# --- catalogue

ROWS = (
    {"file": "audio/a.wav", "tempo": 120, "instruments": ["guitar", "drums", "orchestra"]},
    {"file": "audio/b.wav", "tempo": 90, "instruments": ["cello", "piano. flute"]},
    {"file": "audio/c.wav", "tempo": None, "instruments": ["kalimba"]},
    {"file": "audio/d.wav", "tempo": 75, "instruments": ["choir", "organ"]},
    {"file": "audio/e.wav", "tempo": 140, "instruments": ["synth", "kit", "bass"]},
    {"file": "audio/gone.wav", "tempo": 100, "instruments": ["piano"]},
)


@pytest.fixture
def small_catalogue(tmp_path: Path) -> Music:
    (tmp_path / "audio").mkdir()
    for row in ROWS[:-1]:
        soundfile.write(tmp_path / str(row["file"]), np.zeros(2400), 24_000)
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / catalogue.LABELS).write_text(lines, encoding="utf-8")
    return Music(folder=tmp_path / "none", places={"catalogue": tmp_path})


def test_catalogue(small_catalogue: Music) -> None:
    questions = catalogue.load(small_catalogue)
    assert questions == catalogue.load(small_catalogue)
    assert Counter(question.template for question in questions) == {
        "tempo": 4,
        "instruments": 4,
        "yes_no/plain": 4,
        "yes_no/negated": 4,
    }
    check_answers(catalogue, questions)
    for template in ("yes_no/plain", "yes_no/negated"):
        assert Counter(one.label for one in questions if one.template == template) == {"yes": 2, "no": 2}


def test_catalogue_counts_what_several_names_are_right_for(small_catalogue: Music) -> None:
    (question,) = (one for one in catalogue.load(small_catalogue) if one.id == "a/instruments")
    for guitar in ("a guitar", "an acoustic guitar", "an electric guitar"):
        assert catalogue.credit(question, Said(text=f"{guitar}, drums and a violin")) == 1.0
    assert catalogue.credit(question, Said(text="drums and a piano")) == 0.5


@pytest.mark.parametrize(
    ("words", "names", "unscored", "unknown"),
    [
        (["piano", "kit"], [["drums"], ["piano"]], [], []),
        (["cello, violin", "violas"], [["strings"]], [], []),
        (["guitar"], [["acoustic guitar", "electric guitar"]], [], []),
        (["guitar", "nylon guitar"], [["acoustic guitar"]], ["electric guitar"], []),
        (["piano", "orchestra", "kalimba"], [["piano"]], sorted(catalogue.ENSEMBLES["orchestra"]), ["kalimba"]),
    ],
)
def test_catalogue_words(words: list[str], names: list[list[str]], unscored: list[str], unknown: list[str]) -> None:
    found = catalogue.map_words(words)
    assert [sorted(one) for one in found[0]] == names
    assert sorted(found[1]) == unscored
    assert found[2] == unknown


def test_catalogue_table_speaks_the_vocabulary() -> None:
    assert {name for names in catalogue.WORDS.values() for name in names.split("|")} <= set(INSTRUMENTS)
    words = [word for words in catalogue.WORDS for word in words]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    "line", ["no json", "[]", '{"tempo": 1}', '{"file": "a", "tempo": -3}', '{"file": "a", "tempo": "x"}']
)
def test_a_spoilt_line_of_a_catalogue_is_told(small_catalogue: Music, line: str) -> None:
    labels = small_catalogue.places["catalogue"] / catalogue.LABELS
    labels.write_text(f"{labels.read_text(encoding='utf-8')}{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="line 7 is no entry of a catalogue"):
        catalogue.load(small_catalogue)


def test_a_catalogue_that_is_not_there_is_absent(tmp_path: Path) -> None:
    with pytest.raises(AbsentError, match="--data catalogue=DIR"):
        catalogue.load(Music(folder=tmp_path))
    with pytest.raises(AbsentError, match=r"labels\.jsonl is not there"):
        catalogue.load(Music(folder=tmp_path, places={"catalogue": tmp_path}))
    (tmp_path / catalogue.LABELS).write_text(json.dumps(ROWS[0]) + "\n", encoding="utf-8")
    with pytest.raises(AbsentError, match="none of the 1 recordings"):
        catalogue.load(Music(folder=tmp_path, places={"catalogue": tmp_path}))


def test_a_way_of_answering_is_learnt_on_the_other_half() -> None:
    questions = [
        Question(id=f"{number}", messages=(), unit=f"{number}", template="t", truth=number % 2) for number in range(40)
    ]

    def credit(question: Question, said: Said) -> float:
        return float(said.text == str(question.truth))

    told = blind.best_way(questions, lambda _: [lambda one: str(int(one.id) % 2), lambda _: "0"], credit)
    assert sum(credit(*pair) for pair in zip(questions, told, strict=True)) == 40
    alone = blind.best_way(questions[:1], lambda _: [lambda _: "0"], credit)
    assert alone[0].error is not None
