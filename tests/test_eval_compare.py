"""Tests of `mllm eval compare`: two runs over the same questions are paired, and what cannot be paired is told."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mllm import cli, registry
from mllm.errors import ConfigError
from mllm.eval import answers, compare, results, scoring, statistic
from mllm.eval.music import Music
from mllm.eval.questions import Question
from tests import small_evaluation
from tests.small_evaluation import TASK, Scripted, evaluate, right_answers


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Music:
    return Music(folder=tmp_path_factory.mktemp("music"), size=0.03, tell=lambda what: None)


@pytest.fixture(scope="module")
def questions(music: Music) -> list[Question]:
    return list(registry.find("task", TASK).load(music))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, music: Music, questions: list[Question]) -> dict[str, Path]:
    """Runs of a model that is always right, of one that says nothing, of one that errs once, and one cut short."""
    right = right_answers(questions)
    folder = tmp_path_factory.mktemp("runs")
    perfect = Scripted(name="mllm", right=right)
    silent = Scripted(name="mllm", right={})
    errs = Scripted(name="mllm", right=right, instead={questions[0].id: "I cannot tell."})
    evaluate(folder / "perfect", music, [perfect])
    evaluate(folder / "silent", music, [silent])
    evaluate(folder / "errs", music, [errs, dataclasses.replace(silent, name="other")])
    evaluate(folder / "short", music, [perfect], limit=3)
    return {name: folder / name for name in ("perfect", "silent", "errs", "short")}


def altered(folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Path:
    """A copy of a run with other lines of answers."""
    copy = tmp_path / "altered"
    shutil.copytree(folder, copy)
    path = copy / results.ANSWERS
    lines = [change(line) for line in answers.read_lines(folder / results.ANSWERS)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines if line is not None), encoding="utf-8")
    return copy


def test_figures_come_out_again_from_the_answers_to_the_digit(runs: dict[str, Path], questions: list[Question]) -> None:
    found = results.read(runs["errs"]).tasks[TASK]
    task = registry.find("task", TASK)
    lines = list(answers.read_lines(runs["errs"] / results.ANSWERS))
    for condition in ("heard", "silence", "another recording"):
        own = [line for line in lines if line["model"] == "mllm" and line["condition"] == condition]
        rebuilt = [answers.question_of(line) for line in own]
        again = scoring.figures(task, rebuilt, [answers.said_of(line) for line in own])
        draws = statistic.draw([question.unit for question in rebuilt], resamples=200, seed=0)
        for name, figure in found.figures.items():
            assert statistic.estimate(again[name], draws) == figure.scores["mllm"][condition]
    kept = ("id", "kind", "truth", "references", "unit", "template", "label", "choices", "correct", "field", "groups")
    own = [line for line in lines if line["model"] == "mllm" and line["condition"] == "heard"]
    for question, line in zip(questions, own, strict=True):
        again_asked = answers.question_of(line)
        assert [getattr(again_asked, name) for name in kept] == [getattr(question, name) for name in kept]
        assert (again_asked.asked, again_asked.recordings) == (question.asked, question.recordings)


def test_the_better_run_is_named_whichever_stands_first(runs: dict[str, Path], questions: list[Question]) -> None:
    found = compare.compare(runs["perfect"], runs["silent"], resamples=100)
    (task,) = found.tasks
    assert (task.paired, task.units) == (len(questions), len({question.unit for question in questions}))
    assert task.right == {"both": 0, "only A": len(questions), "only B": 0, "neither": 0}
    headlines = [figure for figure in task.figures.values() if figure.headline]
    assert headlines
    for figure in headlines:
        assert (figure.left.value, figure.right.value, figure.difference.value) == (1.0, 0.0, 1.0)
        assert figure.verdict == "A is better"
    (turned,) = compare.compare(runs["silent"], runs["perfect"], resamples=100).tasks
    assert {figure.verdict for figure in turned.figures.values() if figure.headline} == {"B is better"}


def test_what_may_be_chance_is_no_difference(runs: dict[str, Path], questions: list[Question]) -> None:
    (task,) = compare.compare(runs["perfect"], runs["errs"], resamples=200).tasks
    assert task.models == ("mllm", "mllm")
    assert task.right["only A"] == 1
    assert task.right["both"] == len(questions) - 1
    for figure in task.figures.values():
        if figure.headline:
            assert figure.verdict == "no difference is shown"
            assert np.isclose(figure.difference.value or 0.0, 1 / len(questions))
    same = compare.compare(runs["perfect"], runs["perfect"], resamples=50).tasks[0]
    assert {figure.difference.value for figure in same.figures.values()} <= {0.0, None}


def test_two_models_of_one_run_are_compared_by_their_names(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(runs["errs"])
    assert cli.main(["eval", "compare", run, run, "--model", "mllm=other", "--json", "--resamples", "100"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tasks"][0]["models"] == ["mllm", "other"]
    assert {figure["verdict"] for figure in told["tasks"][0]["figures"].values() if figure["headline"]} == {
        "A is better"
    }


def test_questions_of_one_run_only_are_named_and_left_out(
    runs: dict[str, Path], questions: list[Question], capsys: pytest.CaptureFixture[str]
) -> None:
    (task,) = compare.compare(runs["short"], runs["perfect"], resamples=50).tasks
    assert task.paired == 3
    assert (task.only_left, task.only_right) == ((), tuple(question.id for question in questions[3:]))
    assert cli.main(["eval", "compare", str(runs["short"]), str(runs["perfect"]), "--resamples", "50"]) == 0
    told = capsys.readouterr().out
    assert f"only in B: {len(questions) - 3} questions, {questions[3].id}" in told
    assert "3 questions, 3 units" in told
    assert "no difference is shown" in told


def test_questions_that_changed_are_not_paired(
    runs: dict[str, Path], questions: list[Question], tmp_path: Path
) -> None:
    changed: dict[str, dict[str, Any]] = {questions[0].id: {"digest": "0" * 16}, questions[1].id: {"truth": 1.0}}
    other = altered(runs["perfect"], tmp_path, lambda line: {**line, **changed.get(line["id"], {})})
    (task,) = compare.compare(runs["perfect"], other, resamples=50).tasks
    assert task.changed == (questions[0].id, questions[1].id)
    assert task.paired == len(questions) - 2


def test_answers_that_do_not_give_the_results_are_not_compared(
    runs: dict[str, Path], questions: list[Question], tmp_path: Path
) -> None:
    spoilt = altered(
        runs["perfect"], tmp_path, lambda line: {**line, "text": ""} if line["id"] == questions[0].id else line
    )
    (task,) = compare.compare(runs["silent"], spoilt, resamples=50).tasks
    verdicts = {figure.verdict for figure in task.figures.values() if figure.headline}
    assert verdicts == {"not compared: its value does not come out again from the answers"}


def test_disjoint_runs_are_refused(runs: dict[str, Path], questions: list[Question], tmp_path: Path) -> None:
    other = altered(runs["perfect"], tmp_path, lambda line: {**line, "id": f"other {line['id']}"})
    with pytest.raises(
        ConfigError, match=rf"no question in common \({len(questions)} only in A, {len(questions)} only"
    ):
        compare.compare(runs["perfect"], other)


def test_other_versions_are_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(runs["perfect"], other)
    found = results.read(other)
    tasks = {TASK: dataclasses.replace(found.tasks[TASK], version="0.1")}
    results.write(dataclasses.replace(found, tasks=tasks), other / results.NAME)
    version = results.read(runs["perfect"]).tasks[TASK].version
    with pytest.raises(ConfigError, match=rf"{TASK} is version {version} in A and 0.1 in B"):
        compare.compare(runs["perfect"], other)
    with pytest.raises(ConfigError, match=rf"{TASK} is version 0.1 in both and {version} in this mllm"):
        compare.compare(other, other)


def test_a_task_that_is_no_more_is_refused(tmp_path: Path) -> None:
    run = small_evaluation.hand_written(tmp_path / "run")
    found = results.read(run)
    results.write(dataclasses.replace(found, tasks={"gone": found.tasks["meter"]}), run / results.NAME)
    with pytest.raises(ConfigError, match="gone is version 3 in both and not there in this mllm"):
        compare.compare(run, run)


def test_lines_that_stand_twice_are_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    copy = altered(runs["perfect"], tmp_path, lambda line: line)
    path = copy / results.ANSWERS
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(ConfigError, match="two answers of mllm to question"):
        compare.compare(copy, runs["perfect"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model", "nobody"], "--model nobody: expected NAME or NAME_OF_A=NAME_OF_B; A holds mllm, B holds mllm"),
        (["--tasks", "temop"], "neither run holds task 'temop' (did you mean 'tempo'?)"),
    ],
)
def test_wrong_names_are_told(
    runs: dict[str, Path], words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["eval", "compare", str(runs["perfect"]), str(runs["silent"]), *words]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_models_of_different_names_are_asked_for(
    runs: dict[str, Path], music: Music, questions: list[Question], tmp_path: Path
) -> None:
    several = [Scripted(name=name, right={}) for name in ("one", "two")]
    evaluate(tmp_path / "several", music, several)
    with pytest.raises(ConfigError, match="say which are compared with --model one=mllm"):
        compare.compare(tmp_path / "several", runs["perfect"])
    evaluate(tmp_path / "single", music, several[:1])
    (task,) = compare.compare(tmp_path / "single", runs["perfect"], resamples=50).tasks
    assert task.models == ("one", "mllm")


def test_a_folder_without_a_finished_run_is_told(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["eval", "compare", str(runs["perfect"]), str(tmp_path)]) == 2
    assert "give the folder of a finished run" in capsys.readouterr().err


def test_all_tasks_and_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["eval", "tasks", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["tasks"]) == set(registry.names("task"))
    assert set(told["models"]) == set(registry.names("evaluated model"))
    assert cli.main(["eval", "tasks"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for name, about in told["tasks"].items():
        assert f"{name}: {about['title']}, version {about['version']}" in text
        assert " ".join(about["where"].split()) in text
