"""A run: every condition is asked, every answer kept, a run that was ended goes on, hearing is shown or it is not."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mllm import registry
from mllm.errors import ConfigError
from mllm.eval import answers, results, run
from mllm.eval.music import AbsentError, Music
from mllm.eval.questions import Question, Said
from mllm.eval.results import Results
from tests.tiny_evaluation import Knowing, question, task

QUESTIONS = [question(number) for number in range(30)]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, types.ModuleType]:
    """Tasks by name, beside those of eval/tasks."""
    tasks = {"tiny": task(QUESTIONS)}
    find = registry.find
    monkeypatch.setattr(registry, "find", lambda kind, name: tasks[name] if name in tasks else find(kind, name))
    return tasks


def evaluate(out: Path, *models: Any, tasks: Sequence[str] = ("tiny",), **settings: Any) -> Results:
    chosen = run.Settings(out=out, tasks=tuple(tasks), command="mllm eval run", **{"resamples": 300, **settings})
    return run.run(chosen, models, Music(folder=out.parent / "music"), lambda _: None)


def test_hearing_is_shown_where_it_is_there(given: dict[str, types.ModuleType], tmp_path: Path) -> None:
    found = evaluate(tmp_path / "out", Knowing())
    figure = found.tasks["tiny"].figures["score"]
    scores = figure.scores["knowing"]
    assert scores["heard"].value == 1.0
    assert scores["silence"].value == scores["noise"].value == 0.5
    assert set(figure.blind) == {"majority per template", "another recording's answer"}
    gain = figure.gains["knowing"]
    assert gain.shown
    assert gain.difference.low is not None
    assert gain.difference.low > 0
    assert figure.groups["side"]["even"]["knowing"].value == 1.0
    assert found.tasks["tiny"].answered == {"knowing": 30}
    assert found.run["music"] is None


def test_hearing_is_not_shown_by_one_who_always_says_the_same(
    given: dict[str, types.ModuleType], tmp_path: Path
) -> None:
    class Deaf(Knowing):
        def respond(self, questions: Sequence[Question]) -> Iterator[Said]:
            return (Said(text="Yes.") for _ in questions)

    gain = evaluate(tmp_path / "out", Deaf(name="deaf")).tasks["tiny"].figures["score"].gains["deaf"]
    assert not gain.shown
    assert gain.difference.value is not None
    assert gain.difference.value <= 0


def test_whoever_does_not_listen_is_not_asked_blind(given: dict[str, types.ModuleType], tmp_path: Path) -> None:
    figure = evaluate(tmp_path / "out", Knowing(listens=False)).tasks["tiny"].figures["score"]
    assert set(figure.scores["knowing"]) == {"heard"}
    assert figure.gains == {}


def test_no_answer_counts_as_wrong_and_stays_in_the_denominator(
    given: dict[str, types.ModuleType], tmp_path: Path
) -> None:
    class Failing(Knowing):
        def respond(self, questions: Sequence[Question]) -> Iterator[Said]:
            for place, said in enumerate(super().respond(questions)):
                yield Said(error="it broke") if place % 3 == 0 else said

    found = evaluate(tmp_path / "out", Failing()).tasks["tiny"]
    assert found.figures["score"].scores["knowing"]["heard"].value == pytest.approx(20 / 30)
    assert found.answered == {"knowing": 20}


def test_every_answer_is_kept_with_its_question_truth_and_credit(
    given: dict[str, types.ModuleType], tmp_path: Path
) -> None:
    evaluate(tmp_path / "out", Knowing())
    lines = list(answers.read_lines(tmp_path / "out" / results.ANSWERS))
    assert len(lines) == 30 * (4 + 2)
    first = lines[0]
    assert (first["task"], first["model"], first["condition"], first["id"]) == ("tiny 1", "knowing", "heard", "q0")
    assert (first["question"], first["truth"], first["text"], first["credit"]) == ("Is there a flute?", True, "Yes.", 1)
    assert first["recordings"] == [{"path": "/music/0.wav", "start": None, "end": None}]
    assert {line["condition"] for line in lines if line["model"] == "blind"} == {
        "majority per template",
        "another recording's answer",
    }


def test_a_run_that_was_ended_goes_on_and_ends_the_same(given: dict[str, types.ModuleType], tmp_path: Path) -> None:
    whole = evaluate(tmp_path / "whole", Knowing())
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        evaluate(out, Knowing(stops_after=47))
    with (out / results.ANSWERS).open("ab") as file:
        file.write(b'{"task": "tiny 1", "model": "knowing", "condition": "heard", "id": "q0", "te')
    second = Knowing()
    again = evaluate(out, second)
    assert len(second.asked) == 4 * 30 - 47
    assert again.tasks["tiny"].figures == whole.tasks["tiny"].figures
    assert (out / results.ANSWERS).read_bytes() == (tmp_path / "whole" / results.ANSWERS).read_bytes()
    third = Knowing()
    evaluate(out, third)
    assert third.asked == []


def test_an_answer_that_was_an_error_is_asked_for_again(given: dict[str, types.ModuleType], tmp_path: Path) -> None:
    class Down(Knowing):
        def respond(self, questions: Sequence[Question]) -> Iterator[Said]:
            return (Said(error="the address does not answer") for _ in questions)

    assert evaluate(tmp_path / "out", Down()).tasks["tiny"].figures["score"].scores["knowing"]["heard"].value == 0
    assert evaluate(tmp_path / "out", Knowing()).tasks["tiny"].figures["score"].scores["knowing"]["heard"].value == 1


def test_other_settings_and_foreign_folders_are_refused(given: dict[str, types.ModuleType], tmp_path: Path) -> None:
    evaluate(tmp_path / "out", Knowing())
    with pytest.raises(ConfigError, match="holds a run of other settings: seed is 1 and was 0; give another --out"):
        evaluate(tmp_path / "out", Knowing(), seed=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("kept")
    with pytest.raises(ConfigError, match="holds something that no evaluation has begun"):
        evaluate(tmp_path / "mine", Knowing())
    with pytest.raises(ConfigError, match="two models are called knowing"):
        evaluate(tmp_path / "two", Knowing(), Knowing())


def test_the_same_seed_gives_the_same_numbers(given: dict[str, types.ModuleType], tmp_path: Path) -> None:
    first, second = (evaluate(tmp_path / name, Knowing()) for name in ("a", "b"))
    assert first.tasks["tiny"].figures == second.tasks["tiny"].figures


def test_a_task_without_its_files_is_skipped_by_name(given: dict[str, types.ModuleType], tmp_path: Path) -> None:
    def load(music: Music) -> Sequence[Question]:
        music.place("musiccaps", "Get them from Kaggle.")
        return []

    given["absent"] = task([], load=load)
    found = evaluate(tmp_path / "out", Knowing(), tasks=("absent", "tiny"))
    assert found.skipped == {
        "absent": "its files are not here; give them with --data musiccaps=DIR. Get them from Kaggle."
    }
    assert list(found.tasks) == ["tiny"]


def test_questions_that_a_model_cannot_answer_are_not_asked(given: dict[str, types.ModuleType], tmp_path: Path) -> None:
    given["mixed"] = task([*QUESTIONS[:10], question(90, kind="rank"), question(91, kind="rank")])
    given["rank"] = task([question(90, kind="rank"), question(91, kind="rank")])
    found = evaluate(tmp_path / "out", Knowing(), tasks=("mixed", "rank"))
    assert found.tasks["mixed"].figures["score"].scores["knowing"]["heard"].value == 1.0
    assert found.tasks["mixed"].answered == {"knowing": 10}
    assert found.tasks["rank"].not_asked == {"knowing": "it answers no such questions"}


def test_a_limit_keeps_whole_units(given: dict[str, types.ModuleType], tmp_path: Path) -> None:
    given["tiny"] = task([question(number, unit=f"u{number // 3}") for number in range(30)])
    assert evaluate(tmp_path / "out", Knowing(), limit=7).tasks["tiny"].questions == 9


def test_two_questions_of_one_id_are_refused(given: dict[str, types.ModuleType], tmp_path: Path) -> None:
    given["tiny"] = task([question(1), question(1)])
    with pytest.raises(ConfigError, match="two questions of one id"):
        evaluate(tmp_path / "out", Knowing())


def test_results_are_read_as_they_were_written(given: dict[str, types.ModuleType], tmp_path: Path) -> None:
    found = evaluate(tmp_path / "out", Knowing())
    assert results.read(tmp_path / "out") == found
    path = tmp_path / "out" / results.NAME
    path.write_text(json.dumps({"mllm_eval": 99}))
    with pytest.raises(ConfigError, match="its format is 99, this version reads 1"):
        results.read(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        results.read(tmp_path / "nothing")


def test_absent_recordings_of_a_source_are_told(tmp_path: Path) -> None:
    music = Music(folder=tmp_path, places={"mmau_music": tmp_path / "absent"})
    with pytest.raises(AbsentError, match="is not there"):
        music.source_records("mmau_music")
