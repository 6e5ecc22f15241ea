"""Recommenders: EASE is the ridge regression of each item, what was played is not recommended, ties tell nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from mllm import registry
from mllm.errors import ConfigError
from mllm.eval import results, run
from mllm.eval.interactions import Plays, gather
from mllm.eval.model import Model, ModelSettings
from mllm.eval.models import ease
from mllm.eval.questions import Question, asked
from tests.rec_world import TASKS, files, simulated

PLAYED = {
    "one": {"a": 3.0, "b": 1.0, "c": 9.0},
    "two": {"a": 2.0, "b": 5.0},
    "three": {"d": 1.0, "e": 4.0, "a": 1.0},
    "four": {"d": 7.0, "e": 1.0},
}
TAGS = {"a": {"rock": 3.0}, "b": {"rock": 1.0}, "d": {"jazz": 2.0}, "e": {"jazz": 1.0}, "new": {"jazz": 5.0}}
PLAYS = gather(PLAYED, ("a", "b", "c", "d", "e", "new"), TAGS)
RECOMMENDERS = (("popularity", None), ("ease", None), ("ease", "collective"))


def opened(name: str, place: str | None = None) -> Model:
    model: Model = registry.find("evaluated model", name).open_model(place, ModelSettings())
    return model


def question(history: list[str], name: str = "q", **given: Any) -> Question:
    told = {"history": history, "liked": [], "disliked": [], "text": "", "candidates": None} | given
    return Question(id=name, messages=asked("What else?"), kind="rank", unit=name, template="t", given=told)


def rankings(model: Model, *questions: Question, plays: Plays = PLAYS) -> list[tuple[str, ...]]:
    model.prepare("recommend_warm", questions, plays)
    said = list(model.respond(questions))
    assert all(one.error is None for one in said)
    return [one.ranking or () for one in said]


def test_ease_is_the_ridge_regression_of_each_item_on_the_others() -> None:
    rng = np.random.default_rng(0)
    rows = (rng.random((40, 7)) < 0.4) * rng.random((40, 7))
    found = ease.item_weights(sparse.csr_matrix(rows), penalty=1.7)
    for item in range(7):
        others = [one for one in range(7) if one != item]
        left, right = rows[:, others], rows[:, item]
        direct = np.linalg.solve(left.T @ left + 1.7 * np.eye(6), left.T @ right)
        np.testing.assert_allclose(found[others, item], direct, atol=1e-12)
        assert found[item, item] == 0.0


def test_ease_weighs_listeners_alike_and_counts_by_their_logarithms() -> None:
    logarithms = np.log1p(PLAYS.matrix.toarray())
    rows = logarithms / np.linalg.norm(logarithms, axis=1, keepdims=True)
    weights = ease.item_weights(sparse.csr_matrix(rows), penalty=ease.PENALTY)
    asked_for = question(["a", "b"], plays=[7.0, 1.0])
    expected = np.log1p(7.0) * weights[0] + np.log1p(1.0) * weights[1]
    order = [item for item in np.argsort(-expected, kind="stable") if item > 1]
    (found,) = rankings(opened("ease"), asked_for)
    assert found[:3] == tuple(PLAYS.items[item] for item in order)[:3]
    assert found[0] == "c"


def test_popularity_counts_listeners_not_plays() -> None:
    (found,) = rankings(opened("popularity"), question([]))
    assert found[0] == "a"
    assert set(found[1:4]) == {"b", "d", "e"}
    assert found[4:] == ("c", "new")


def test_tags_reach_items_that_nobody_played() -> None:
    (plain,) = rankings(opened("ease"), question(["d"]))
    (collective,) = rankings(opened("ease", "collective"), question(["d"]))
    assert collective.index("new") < collective.index("b") < len(collective)
    assert collective.index("new") < collective.index("c")
    assert set(plain) == set(collective)


@pytest.mark.parametrize(("name", "place"), RECOMMENDERS)
def test_what_was_played_or_refused_is_not_recommended(name: str, place: str | None) -> None:
    model = opened(name, place)
    found = rankings(
        model,
        question(["a"]),
        question(["a"], disliked=["e"], liked=["b"]),
        question(["a"], candidates=["new", "b", "a"]),
        question(["never heard of", "a"]),
        question([]),
    )
    assert [set(one) for one in found] == [
        {"b", "c", "d", "e", "new"},
        {"c", "d", "new"},
        {"new", "b"},
        {"b", "c", "d", "e", "new"},
        set(PLAYS.items),
    ]
    assert all(len(set(one)) == len(one) for one in found)


def test_items_that_weigh_the_same_do_not_come_in_the_order_of_the_catalogue() -> None:
    plays = gather({"one": {"0": 1.0}}, [str(number) for number in range(50)], {})
    questions = [question(["0"], name=f"q{number}") for number in range(200)]
    found = rankings(opened("popularity"), *questions, plays=plays)
    assert found == rankings(opened("popularity"), *questions, plays=plays)
    firsts = [int(one[0]) for one in found]
    assert 20 < np.mean(firsts) < 30
    assert len(set(firsts)) > 30


def test_a_ranking_has_a_hundred_places() -> None:
    plays = gather({"one": {"0": 1.0}}, [str(number) for number in range(300)], {})
    (found,) = rankings(opened("ease"), question(["0"]), plays=plays)
    assert len(found) == 100


def test_what_cannot_be_ranked_is_told() -> None:
    model = opened("ease")
    assert not model.listens
    assert model.answers(question([]))
    assert not model.answers(dataclasses.replace(question([]), kind="text"))
    assert not model.answers(dataclasses.replace(question([]), given={"candidates": ["a"], "texts": ["A."]}))
    (early,) = model.respond([question(["a"])])
    assert "learnt from no plays" in str(early.error)
    with pytest.raises(ConfigError, match="gives ease NoneType to learn from"):
        model.prepare("retrieval", [question([])], None)
    model.prepare("recommend_warm", [], PLAYS)
    (unknown,) = model.respond([question(["a"], candidates=["z"])])
    assert "1 candidates are no items" in str(unknown.error)


@pytest.mark.parametrize(("name", "place"), [("popularity", "x"), ("ease", "tags")])
def test_a_place_that_means_nothing_is_refused(name: str, place: str) -> None:
    with pytest.raises(ConfigError, match=f"--model {name}={place}"):
        opened(name, place)


@pytest.mark.parametrize(
    ("played", "tags", "told"),
    [({"one": {"z": 1.0}}, {}, "such as 'z'"), ({"one": {"a": 1.0}}, {"z": {"rock": 1.0}}, "tags are given for 1")],
)
def test_plays_of_unknown_items_are_refused(
    played: dict[str, dict[str, float]], tags: dict[str, dict[str, float]], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        gather(played, ("a",), tags)


@pytest.mark.parametrize("real", [True, False])
def test_a_run_ranks_them_side_by_side_and_goes_on_where_it_was(real: bool, tmp_path: Path) -> None:
    music = files(tmp_path / "rec") if real else simulated(tmp_path, size=0.2)
    asking = run.Settings(out=tmp_path / "run", tasks=TASKS, command="mllm eval run", resamples=50)
    models = [opened(name, place) for name, place in RECOMMENDERS]
    found = run.run(asking, models, music, lambda _: None)
    assert not found.skipped
    for task in TASKS:
        result = found.tasks[task]
        assert result.answered == dict.fromkeys(("popularity", "ease", "ease collective"), result.questions)
        for figure in result.figures.values():
            assert all(scores["heard"].value is not None for scores in figure.scores.values()) or figure.groups
    answers = [json.loads(line) for line in (tmp_path / "run" / results.ANSWERS).read_text().splitlines()]
    asked = [line for line in answers if line["model"] != results.BLIND_ANSWERER]
    assert asked
    assert all(line["ranking"] and line["credit"] is not None for line in asked)
    again = run.run(asking, [opened(name, place) for name, place in RECOMMENDERS], music, lambda _: None)
    assert again.tasks["recommend_warm"].figures == found.tasks["recommend_warm"].figures
