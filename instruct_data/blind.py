"""Answerers that do not listen: what questions alone give away, measured.

In: records with labels or with choices. Out: how often each blind answerer is right, beside chance, for each task. An
answerer that learns does so on one half of the records and is scored on the other; each answer to a template is divided
evenly between the halves, by the hash of the ids, so that a bias shows as it is and the halves make none of their own.
Hears nothing and reads nothing but template, options and their order.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from mllm.instruct_data.records import Record

LETTERS = "ABCD"
YES_NO, CHOICE = "yes/no and the like", "multiple choice"
_PAIRS = (("yes", "no"), ("first", "second"))
_Z = 1.96


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a blind answerer may know of a record, and the answer; see `Record` for the fields."""

    id: str
    template: str
    choices: tuple[str, ...]
    correct: int | None
    label: str | None


Answerer: TypeAlias = Callable[[Sequence[Question]], Callable[[Question], str | None]]
"""Learns from questions, then says the answer to one as `truth` does; None where it does not answer that kind."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """How one blind answerer fares on one set of questions."""

    task: str
    kind: str
    """`YES_NO` or `CHOICE`."""
    answerer: str
    count: int
    score: float
    """Share of right answers, in [0, 1]."""
    chance: float
    """Share that guessing evenly among the answers of each question gives."""
    low: float
    """Lower end of the 95 % Wilson interval of the score."""
    high: float
    """Upper end."""

    def gains(self, margin: float) -> bool:
        """Whether the score is above chance by more than a margin, and not by chance alone."""
        return self.score > self.chance + margin and self.low > self.chance


def scores(records: Iterable[Record]) -> list[Score]:
    """The score of every blind answerer on every set: the records of one task that have labels, or choices."""
    sets: dict[tuple[str, str], list[Question]] = defaultdict(list)
    for record in records:
        if record.choices or record.label is not None:
            sets[record.task, CHOICE if record.choices else YES_NO].append(
                Question(
                    id=record.id,
                    template=record.template,
                    choices=record.choices,
                    correct=record.correct,
                    label=record.label,
                )
            )
    found = [_score(task, kind, name, among) for (task, kind), among in sorted(sets.items()) for name in ANSWERERS]
    return [score for score in found if score is not None]


def truth(question: Question) -> str:
    """The right answer to a question: the text of an option, or the label."""
    return question.choices[question.correct] if question.correct is not None else str(question.label)


def _score(task: str, kind: str, name: str, among: Sequence[Question]) -> Score | None:
    halves = split_evenly(among)
    answers = _answers(among)
    right, chances = 0, []
    for learnt, asked in (halves, halves[::-1]):
        answer = ANSWERERS[name](learnt)
        for question in asked:
            said = answer(question)
            if said is None:
                continue
            right += said == truth(question)
            chances.append(1 / (len(question.choices) or len(answers[question.template])))
    if not chances:
        return None
    low, high = wilson(right, len(chances))
    return Score(
        task=task,
        kind=kind,
        answerer=name,
        count=len(chances),
        score=right / len(chances),
        chance=sum(chances) / len(chances),
        low=low,
        high=high,
    )


def split_evenly(questions: Sequence[Question]) -> tuple[list[Question], list[Question]]:
    """Two halves, in each of which every answer to every template is as common as in the other, give or take one."""
    groups: dict[tuple[str, str], list[Question]] = defaultdict(list)
    for question in questions:
        answer = str(question.correct) if question.choices else truth(question)
        groups[f"{question.template}/{len(question.choices)}", answer].append(question)
    halves: tuple[list[Question], list[Question]] = ([], [])
    for group, among in sorted(groups.items()):
        first = _hash("/".join(group)) % 2
        for number, question in enumerate(sorted(among, key=lambda one: _hash(one.id))):
            halves[(first + number) % 2].append(question)
    return halves


def _answers(questions: Sequence[Question]) -> Mapping[str, set[str]]:
    """The labels that occur among the answers to each template; at least two, for a question has at least two."""
    found: dict[str, set[str]] = defaultdict(set)
    for question in questions:
        found[question.template].add(truth(question))
    return {template: labels if len(labels) > 1 else labels | {""} for template, labels in found.items()}


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share."""
    share = right / count
    centre = share + _Z**2 / (2 * count)
    spread = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    scale = 1 + _Z**2 / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def _majority(key: Callable[[Question], str], answer: Callable[[Question], str]) -> Answerer:
    """Says what is commonest among the learnt questions with the same key."""

    def learn(questions: Sequence[Question]) -> Callable[[Question], str | None]:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for question in questions:
            counts[key(question)][answer(question)] += 1
        best = {name: max(sorted(counter), key=counter.__getitem__) for name, counter in counts.items()}
        return lambda question: _spoken(question, best.get(key(question)))

    return learn


def _position_or_label(question: Question) -> str:
    return LETTERS[question.correct] if question.correct is not None else str(question.label)


def _spoken(question: Question, said: str | None) -> str | None:
    """An answer as `truth` words it; a letter stands for its option, and the first option for nothing learnt."""
    if not question.choices:
        return said or "yes"
    if said in question.choices:
        return said
    place = LETTERS.find(said) if said else 0
    return question.choices[min(max(place, 0), len(question.choices) - 1)]


def _asked_about(question: Question) -> str:
    """Template and options, whatever their order."""
    return f"{question.template}/{'/'.join(sorted(question.choices))}"


def _most_often_right(questions: Sequence[Question]) -> Callable[[Question], str | None]:
    """Says the option that was right most often where it was offered, under the same template."""
    offered: Counter[tuple[str, str]] = Counter()
    right: Counter[tuple[str, str]] = Counter()
    for question in questions:
        offered.update((question.template, option) for option in question.choices)
        if question.choices:
            right[question.template, truth(question)] += 1

    def share(question: Question, option: str) -> float:
        key = (question.template, option)
        return (right[key] + 1) / (offered[key] + len(question.choices))

    return lambda question: (
        max(question.choices, key=lambda option: share(question, option)) if question.choices else None
    )


def _by_length(*, longest: bool) -> Answerer:
    """Says the longest or the shortest option; of several, the first."""

    def choose(question: Question) -> str | None:
        if not question.choices:
            return None
        return max(question.choices, key=len) if longest else min(question.choices, key=len)

    return lambda _: choose


def _always(letter: str) -> Answerer:
    """Says the option with one letter, where there is one."""
    place = LETTERS.index(letter)
    return lambda _: lambda question: question.choices[place] if place < len(question.choices) else None


def _always_label(label: str) -> Answerer:
    """Says one label, where the answer is that or the other one of a pair."""
    pair = next(pair for pair in _PAIRS if label in pair)
    return lambda _: lambda question: label if question.label in pair else None


ANSWERERS: Mapping[str, Answerer] = {
    "majority per template": _majority(
        lambda question: f"{question.template}/{len(question.choices)}", _position_or_label
    ),
    "majority per template and options": _majority(_asked_about, truth),
    "option most often right": _most_often_right,
    "longest option": _by_length(longest=True),
    "shortest option": _by_length(longest=False),
    **{f"always {letter}": _always(letter) for letter in LETTERS},
    "always yes": _always_label("yes"),
    "always first": _always_label("first"),
}
"""Blind answerers by name."""


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
