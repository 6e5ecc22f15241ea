"""Tests of what is understood of answers: the labels in confusion matrices agree with the credits."""

from __future__ import annotations

import types
from collections.abc import Sequence

import pytest

from mllm.eval import understood
from mllm.eval.questions import Question, Said, asked

TASK = types.ModuleType("task")


def questions(*labels: str | None) -> list[Question]:
    return [
        Question(id=str(place), messages=asked("What is it?"), unit=str(place), template="t", label=label)
        for place, label in enumerate(labels)
    ]


def read(labels: Sequence[str | None], texts: Sequence[str], earned: Sequence[float | None]) -> list[str | None]:
    return understood.read_each(TASK, questions(*labels), [Said(text=text) for text in texts], earned)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("It sounds like a waltz.", "waltz"),
        ("JAZZ WALTZ, I think", "jazz waltz"),
        ("A waltz or a polka", None),
        ("Waltzing along", None),
        ("", None),
        ("something else", None),
    ],
)
def test_a_wrong_answer_is_the_one_other_label_that_it_names(text: str, meant: str | None) -> None:
    assert read(["polka+", "waltz", "jazz waltz", "polka"], [text, "", "", ""], [0.0] * 4)[0] == meant


def test_what_is_understood_agrees_with_the_credit() -> None:
    labels = ["3/4", "3/4", "6/8"]
    assert read(labels, ["three in a bar", "3/4", "6/8"], [1.0, 0.0, 0.5]) == ["3/4", None, None]


def test_yes_and_no_are_read_by_the_first_word() -> None:
    said = ["No, yes is not what I say", "Yes, there is no piano.", "It is hard to say, no?", "yes"]
    assert read(["yes", "no", "no", "yes"], said, [0.0, 0.0, 0.0, 1.0]) == ["no", "yes", None, "yes"]


def test_questions_without_labels_are_not_read() -> None:
    assert read([None, "a"], ["a", "a"], [1.0, 1.0]) == [None, "a"]


def test_a_task_that_reads_decides() -> None:
    task = types.ModuleType("task")
    vars(task)["read"] = lambda question, said: said.text.upper()
    assert understood.read_each(task, questions("a"), [Said(text="b")], [1.0]) == ["B"]
