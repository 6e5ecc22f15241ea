"""What was understood of answers: of each the one of few possible answers that it gives, for confusion matrices.

In: a task, its questions, what was said, and the credits that the task gave. Out: a short text for each answer, or None
where nothing was understood or the question has no few answers. Scores nothing: where the credit says that an answer is
right or wrong, what is understood agrees with it.
"""

from __future__ import annotations

import re
import types
from collections.abc import Sequence

from mllm.eval.questions import Question, Said
from mllm.eval.reading import yes_no

_YES_NO = frozenset({"yes", "no"})
_LONGEST_READ = 2_000
"""Characters of an answer in which labels are looked for."""


def read_each(
    task: types.ModuleType, questions: Sequence[Question], said: Sequence[Said], credits_: Sequence[float | None]
) -> list[str | None]:
    """What was understood of each answer.

    A task that has a function `read(question, said) -> str | None` decides. Of all others it is the label of the
    question where the answer is right, and otherwise the one other label of the task that the answer names.
    """
    if hasattr(task, "read"):
        return [task.read(question, one) for question, one in zip(questions, said, strict=True)]
    labels = sorted({question.label for question in questions if question.label is not None})
    patterns = {label: re.compile(rf"(?<!\w){re.escape(label)}(?!\w)", re.IGNORECASE) for label in labels}
    return [
        _read(question, one, credit, patterns) for question, one, credit in zip(questions, said, credits_, strict=True)
    ]


def _read(question: Question, said: Said, credit: float | None, patterns: dict[str, re.Pattern[str]]) -> str | None:
    if question.label is None:
        return None
    if credit == 1.0:
        return question.label
    text = said.text[:_LONGEST_READ]
    if set(patterns) <= _YES_NO:
        verdict = yes_no.read(text)
        named = [] if verdict is None else ["yes" if verdict else "no"]
    else:
        named = _named(text, patterns)
    return named[0] if len(named) == 1 and named[0] != question.label else None


def _named(text: str, patterns: dict[str, re.Pattern[str]]) -> list[str]:
    """The labels that stand in a text, without those that are a part of another one that stands there."""
    found = [label for label, pattern in patterns.items() if pattern.search(text)]
    return [label for label in found if not any(label != other and label in other for other in found)]
