"""Recommendation tasks: what is asked cannot be learnt, who knows the truth is right, files are read strictly."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mllm import registry
from mllm.errors import ConfigError
from mllm.eval import listeners, statistic
from mllm.eval.interactions import Plays
from mllm.eval.model import ModelSettings
from mllm.eval.music import AbsentError, Music
from mllm.eval.questions import Question, Said
from tests.labelled_tracks import labelled_tracks
from tests.rec_world import TASKS, files, simulated

WORLDS: dict[str, Callable[[Path], Music]] = {"simulated": simulated, "files": files}


@pytest.fixture(params=TASKS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=WORLDS)
def music(request: pytest.FixtureRequest, tmp_path: Path) -> Music:
    return WORLDS[request.param](tmp_path / "rec")


def knowing(question: Question) -> Said:
    """Who knows the truth, and recommends what was played and refused before it, which does not count."""
    given = question.given
    return Said(ranking=(*given["disliked"], *given["history"], *question.truth["right"]))


def test_the_same_music_gives_the_same_questions(name: str, music: Music) -> None:
    task = registry.find("task", name)
    questions = task.load(music)
    assert questions == task.load(music)
    assert len({question.id for question in questions}) == len(questions) > 0
    assert all(question.kind == "rank" and question.asked for question in questions)
    assert [one.digest() for one in questions] == [one.digest() for one in task.load(music)]


def test_what_is_asked_cannot_be_learnt(name: str, music: Music) -> None:
    task = registry.find("task", name)
    plays: Plays = task.material(music)
    rows = {user: row for row, user in enumerate(plays.users)}
    for question in task.load(music):
        row = plays.matrix[rows[question.unit]]
        learnt = {plays.items[column] for column in row.indices}
        assert learnt == set(question.given["history"])
        assert len(question.given["plays"]) == len(question.given["history"]) > 0
        right = question.truth["right"]
        assert right
        assert not set(right) & learnt
        assert set(right) <= set(question.given["candidates"] or plays.items)


def test_who_knows_the_truth_is_right_and_silence_is_wrong(name: str, music: Music) -> None:
    task = registry.find("task", name)
    questions = task.load(music)
    for question in questions:
        assert task.credit(question, knowing(question)) == 1.0
        assert task.credit(question, Said()) == 0.0
        assert task.credit(question, Said(error="broken")) == 0.0
    draws = statistic.draw([question.unit for question in questions], resamples=20, seed=0)
    for said, expected in (([knowing(one) for one in questions], 1.0), ([Said()] * len(questions), 0.0)):
        found = {one: statistic.estimate(figure, draws) for one, figure in task.figures(questions, said).items()}
        assert set(found) <= set(task.ABOUT.figures)
        for headline in (one for one, figure in task.ABOUT.figures.items() if figure.headline):
            assert found[headline].value == pytest.approx(expected)


def test_tastes_can_be_learnt_from_what_simulated_listeners_played(tmp_path: Path) -> None:
    task = registry.find("task", "recommend_warm")
    music = simulated(tmp_path, size=1.0)
    questions, plays = task.load(music), task.material(music)
    earned = {}
    for place in (None, "collective"):
        model = registry.find("evaluated model", "ease").open_model(place, ModelSettings())
        model.prepare("recommend_warm", questions, plays)
        said = list(model.respond(questions))
        earned[place] = np.mean([task.credit(*one) for one in zip(questions, said, strict=True)])
    chance = 20 / (len(plays.items) - plays.matrix.nnz / len(plays.users))
    assert earned[None] > 1.5 * chance
    assert earned["collective"] > 1.5 * chance


def test_who_looks_at_no_listener_is_near_chance_and_never_learns_the_truth(name: str, tmp_path: Path) -> None:
    task = registry.find("task", name)
    questions = task.load(simulated(tmp_path))
    lines = task.blind(questions)
    assert set(lines) == {"most listeners", "random order"}
    assert lines == task.blind(questions)
    hidden = [dataclasses.replace(one, truth={}, references=()) for one in questions]
    assert lines == task.blind(hidden)
    for question, said in zip(questions, lines["most listeners"], strict=True):
        assert not set(said.ranking or ()) & {*question.given["history"], *question.given["disliked"]}
    earned = {
        line: np.mean([task.credit(*one) for one in zip(questions, said, strict=True)]) for line, said in lines.items()
    }
    knows = np.mean([task.credit(one, knowing(one)) for one in questions])
    assert earned["random order"] < 0.7 * knows


def test_new_items_have_tags_and_no_listeners(music: Music) -> None:
    task = registry.find("task", "recommend_cold")
    plays: Plays = task.material(music)
    questions = task.load(music)
    pools = {question.groups["pool"] for question in questions}
    assert pools == {"all items", "new items"}
    for question in questions:
        if question.groups["pool"] == "new items":
            for item in question.given["candidates"]:
                assert plays.listeners[plays.places[item]] == 0
                assert plays.tags[item]
        else:
            assert question.given["candidates"] is None


def test_figures_of_new_items_count_their_own_questions_only(tmp_path: Path) -> None:
    task = registry.find("task", "recommend_cold")
    questions = task.load(simulated(tmp_path))
    said = [knowing(one) if one.groups["pool"] == "new items" else Said() for one in questions]
    found = {one: float(figure(np.ones((1, len(said))))[0]) for one, figure in task.figures(questions, said).items()}
    assert (found["recall_20_new"], found["recall_20_all"]) == (1.0, 0.0)


def test_the_last_one_of_a_sequence_is_asked_for(tmp_path: Path) -> None:
    questions = registry.find("task", "recommend_next").load(files(tmp_path))
    assert [(one.given["history"], one.truth["right"]) for one in questions] == [
        (["1", "2", "3"], [str(4 + user)]) for user in (1, 2, 3)
    ]
    everyone = listeners.simulate(labelled_tracks(80), count=100, seed=0)
    asked = registry.find("task", "recommend_next").load(simulated(tmp_path))
    order = {one.id: one.order for one in everyone}
    assert all((*one.given["history"], *one.truth["right"]) == order[one.unit] for one in asked if one.unit in order)


def test_a_critique_refuses_what_the_first_item_has_and_the_target_has_not(tmp_path: Path) -> None:
    task = registry.find("task", "recommend_critique")
    music = simulated(tmp_path)
    plays: Plays = task.material(music)
    questions = task.load(music)
    assert len({question.asked for question in questions}) > len(questions) / 2
    for question in questions:
        (first,), (target,) = question.given["disliked"], question.truth["right"]
        refused = question.truth["refused"]
        assert first in refused
        assert target not in refused
        assert question.given["text"] == question.asked
        shared = set.intersection(*(set(plays.tags[item]) for item in refused))
        assert any(tag in question.asked for tag in shared - set(plays.tags[target]))
        assert any(tag in question.asked for tag in plays.tags[target])
        assert [message.role for message in question.messages] == ["user", "assistant", "user"]


def test_a_critique_counts_what_was_refused(tmp_path: Path) -> None:
    task = registry.find("task", "recommend_critique")
    (question,) = task.load(files(tmp_path))
    assert question.truth["refused"] == ["4", "5", "6", "7"]
    said = [Said(ranking=("3", "4", "5", "7", "0"))]
    found = {name: float(one(np.ones((1, 1)))[0]) for name, one in task.figures([question], said).items()}
    assert found["refused_10"] == pytest.approx(3 / 5)
    assert (found["hit_1"], found["hit_5"]) == (0.0, 1.0)
    assert found["mrr"] == pytest.approx(1 / 5)


def test_the_tail_is_what_few_play(tmp_path: Path) -> None:
    task = registry.find("task", "recommend_warm")
    music = simulated(tmp_path)
    plays: Plays = task.material(music)
    limit = sorted(plays.listeners, reverse=True)[len(plays.items) // 5 - 1]
    for question in task.load(music):
        assert all(plays.listeners[plays.places[item]] <= limit for item in question.truth["tail"])
        others = set(question.truth["right"]) - set(question.truth["tail"])
        assert all(plays.listeners[plays.places[item]] >= limit for item in others)


def test_listeners_are_drawn_by_the_seed_alone() -> None:
    tracks = labelled_tracks(30)
    assert listeners.simulate(tracks, count=5, seed=1) == listeners.simulate(tracks, count=5, seed=1)
    assert listeners.simulate(tracks, count=5, seed=1) != listeners.simulate(tracks, count=5, seed=2)
    more = listeners.simulate(tracks, count=9, seed=1)
    assert more[:5] == listeners.simulate(tracks, count=5, seed=1)
    for one in more:
        assert set(one.order) == set(one.plays)
        assert all(count >= 1 for count in one.plays.values())


def test_what_nobody_knows_of_a_track_is_no_tag() -> None:
    (track,) = labelled_tracks(1)
    tags = listeners.tags_of(track)
    assert track.style in tags
    assert {"slow", "medium tempo", "fast"} & set(tags)
    bare = dataclasses.replace(track, style=None, moods=None, key=None, tempo_bpm=None, activity=None, instruments=None)
    assert listeners.tags_of(bare) == ()


@pytest.mark.parametrize(
    ("task", "gone"),
    [
        ("recommend_warm", "A_val.tsv"),
        ("recommend_cold", "item_tags_all.tsv"),
        ("recommend_next", "C_lastfm_seq.txt"),
        ("recommend_critique", "D_val.jsonl"),
    ],
)
def test_an_absent_file_skips_its_task_by_name(task: str, gone: str, tmp_path: Path) -> None:
    music = files(tmp_path)
    (tmp_path / gone).unlink()
    with pytest.raises(AbsentError, match=gone):
        registry.find("task", task).load(music)


@pytest.mark.parametrize(
    ("task", "file", "content", "told"),
    [
        ("recommend_warm", "A_train.tsv", b"user\titem\tplays\n0\t1\tmany\n", "line 2: a count is 'many'"),
        ("recommend_warm", "A_train.tsv", b"user\titem\tplays\n0\t1\n", "line 2: it has 2 columns"),
        ("recommend_warm", "A_train.tsv", b"user\tplays\n0\t1\n", "no column item"),
        ("recommend_warm", "A_train.tsv", b"user\titem\tplays\n0\t99\t1\n", "such as '99'"),
        ("recommend_warm", "items.tsv", b"item\tname\n0\t\xff\n", "not text in UTF-8"),
        ("recommend_next", "C_lastfm_seq.txt", b"1 2\n", "line 1: expected a user"),
        ("recommend_next", "C_lastfm_seq.txt", b"1 2 3 2\n", "each once"),
        ("recommend_next", "C_lastfm_item2attributes.json", b"[1]", "JSON object of lists"),
        ("recommend_critique", "D_val.jsonl", b'{"user": 1}\n', "line 1: expected an object"),
        ("recommend_critique", "D_val.jsonl", b"__import__('os')\n", "line 1: expected an object"),
    ],
)
def test_a_line_that_cannot_be_read_is_told(task: str, file: str, content: bytes, told: str, tmp_path: Path) -> None:
    music = files(tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ConfigError, match=told):
        registry.find("task", task).load(music)
