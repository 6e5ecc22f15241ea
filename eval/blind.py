"""Answerers that hear nothing: what is gained by knowing how questions are made.

In: questions with their truth. Out: an answer to each, in the words of its references. Those that learn do so on one
half of the units and answer the other, so that nobody is told the answer that he gives. Opens no recording.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from mllm.eval import conditions
from mllm.eval.questions import Question, Said

SEED = 0

Way: TypeAlias = Callable[[Question], str]
"""A way of answering without hearing: it may look at what is asked, never at what is true."""


def majority(questions: Sequence[Question]) -> list[Said]:
    """The answer that is commonest among questions of the same template in the other half."""
    counts: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    texts: dict[tuple[str, str], str] = {}
    for question in questions:
        if question.references:
            label = question.label if question.label is not None else question.references[0]
            counts[_half(question), question.template][label] += 1
            texts.setdefault((question.template, label), question.references[0])
    said = []
    for question in questions:
        known = counts.get((1 - _half(question), question.template))
        if not known:
            said.append(Said(error="no question of this template is in the other half"))
            continue
        label = min(known, key=lambda one: (-known[one], one))
        said.append(_option(question, texts[question.template, label]))
    return said


def another(questions: Sequence[Question]) -> list[Said]:
    """The right answer to the same question about another recording."""
    return [
        _option(one, text)
        for one, text in zip(questions, conditions.answers_of_others(questions, seed=SEED), strict=True)
    ]


def longest(questions: Sequence[Question]) -> list[Said]:
    """Of a multiple choice the longest option; the first of several."""
    return [
        _place(one, max(range(len(one.choices)), key=lambda at: len(one.choices[at]), default=0)) for one in questions
    ]


def shortest(questions: Sequence[Question]) -> list[Said]:
    """Of a multiple choice the shortest option; the first of several."""
    return [
        _place(one, min(range(len(one.choices)), key=lambda at: len(one.choices[at]), default=0)) for one in questions
    ]


def always(place: int) -> Callable[[Sequence[Question]], list[Said]]:
    """Of a multiple choice always the option in one place; the last where there are fewer."""
    return lambda questions: [_place(one, min(place, max(0, len(one.choices) - 1))) for one in questions]


ANSWERERS: Mapping[str, Callable[[Sequence[Question]], list[Said]]] = {
    "majority per template": majority,
    "another recording's answer": another,
}
"""Of every task that is answered in words."""
OF_CHOICES: Mapping[str, Callable[[Sequence[Question]], list[Said]]] = {
    "longest option": longest,
    "shortest option": shortest,
    **{f"always {letter}": always(place) for place, letter in enumerate("ABCD")},
}
"""Of multiple choices besides."""


def answers(questions: Sequence[Question]) -> dict[str, list[Said]]:
    """What every blind answerer that fits these questions says."""
    spoken = [question for question in questions if question.kind in ("text", "choice")]
    if len(spoken) != len(questions) or not questions:
        return {}
    fitting = dict(ANSWERERS) | (dict(OF_CHOICES) if all(question.choices for question in questions) else {})
    return {name: answerer(questions) for name, answerer in fitting.items()}


def best_way(
    questions: Sequence[Question],
    ways: Callable[[Sequence[Question]], Sequence[Way]],
    credit: Callable[[Question, Said], float | None],
) -> list[Said]:
    """For questions of each template the way of answering that earns most in the other half.

    For a task's own blind answerers, such as one that names the commonest instruments each time.

    Args:
        questions: all of a task.
        ways: given those of one template in one half, the ways to choose from, at least one.
        credit: how right an answer is.
    """
    groups: dict[tuple[int, str], list[Question]] = defaultdict(list)
    for question in questions:
        groups[_half(question), question.template].append(question)
    chosen = {
        key: max(ways(known), key=lambda way: sum(credit(one, Said(text=way(one))) or 0.0 for one in known))
        for key, known in groups.items()
    }
    said = []
    for question in questions:
        way = chosen.get((1 - _half(question), question.template))
        said.append(
            Said(error="no question of this template is in the other half") if way is None else Said(text=way(question))
        )
    return said


def _option(question: Question, text: str) -> Said:
    """A text as the answer; of a multiple choice with the letter under which it is offered here, if it is."""
    if question.choices and text in question.choices:
        return _place(question, question.choices.index(text))
    return Said(text=text)


def _place(question: Question, place: int) -> Said:
    if not question.choices:
        return Said(error="this is no multiple choice")
    return Said(text=f"{chr(ord('A') + place)}. {question.choices[place]}")


def _half(question: Question) -> int:
    return hashlib.sha256(question.unit.encode()).digest()[0] % 2
