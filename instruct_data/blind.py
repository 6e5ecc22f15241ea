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


Said: TypeAlias = int | str | None
"""The position of an option, or a label; None from an answerer that does not answer such a question."""
Answerer: TypeAlias = Callable[[Sequence[Question]], Callable[[Question], Said]]
"""Learns from questions, then says the answer to one."""


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


def truth(question: Question) -> Said:
    """The right answer to a question: the position of an option, or a label."""
    return question.correct if question.choices else question.label


def _score(task: str, kind: str, name: str, among: Sequence[Question]) -> Score | None:
    halves = split_evenly(among)
    labels = _label_counts(among)
    right, chances = 0, []
    for learnt, asked in (halves, halves[::-1]):
        answer = ANSWERERS[name](learnt)
        for question in asked:
            said = answer(question)
            if said is None:
                continue
            right += said == truth(question)
            chances.append(1 / (len(question.choices) or labels[question.template]))
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
        groups[f"{question.template}/{len(question.choices)}", str(truth(question))].append(question)
    halves: tuple[list[Question], list[Question]] = ([], [])
    for group, among in sorted(groups.items()):
        first = _hash("/".join(group)) % 2
        for number, question in enumerate(sorted(among, key=lambda one: _hash(one.id))):
            halves[(first + number) % 2].append(question)
    return halves


def _label_counts(questions: Sequence[Question]) -> Mapping[str, int]:
    """How many labels the answers to each template have; at least two, for a question has at least two answers."""
    found: dict[str, set[str | None]] = defaultdict(set)
    for question in questions:
        found[question.template].add(question.label)
    return {template: max(2, len(labels)) for template, labels in found.items()}


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share."""
    share = right / count
    centre = share + _Z**2 / (2 * count)
    spread = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    scale = 1 + _Z**2 / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def _majority(key: Callable[[Question], str], *, of_options: bool = False) -> Answerer:
    """Says what is commonest among the learnt questions with the same key, or among all where there are none.

    Of a multiple choice this is a position, or with `of_options` an option.
    """

    def answer(question: Question) -> Said:
        return question.choices[question.correct] if of_options and question.correct is not None else truth(question)

    def learn(questions: Sequence[Question]) -> Callable[[Question], Said]:
        counts: dict[str, Counter[Said]] = defaultdict(Counter)
        every: Counter[Said] = Counter()
        for question in questions:
            counts[key(question)][answer(question)] += 1
            every[answer(question)] += 1
        best = {name: _commonest(counter) for name, counter in counts.items()}
        anyhow = _commonest(every)

        def say(question: Question) -> Said:
            said = best.get(key(question), anyhow)
            if not question.choices or isinstance(said, int):
                return said
            return question.choices.index(said) if said in question.choices else 0

        return say

    return learn


def _commonest(counter: Counter[Said]) -> Said:
    return max(sorted(counter, key=str), key=counter.__getitem__, default=None)


def _most_often_right(questions: Sequence[Question]) -> Callable[[Question], Said]:
    """Says the option that was right most often where it was offered, under the same template."""
    offered: Counter[tuple[str, str]] = Counter()
    right: Counter[tuple[str, str]] = Counter()
    for question in questions:
        offered.update((question.template, option) for option in question.choices)
        if question.correct is not None:
            right[question.template, question.choices[question.correct]] += 1

    def share(question: Question, place: int) -> float:
        key = (question.template, question.choices[place])
        return (right[key] + 1) / (offered[key] + len(question.choices))

    def say(question: Question) -> Said:
        return max(range(len(question.choices)), key=lambda place: share(question, place), default=None)

    return say


def _by_length(*, longest: bool) -> Answerer:
    """Says the longest or the shortest option; of several, the first."""
    sign = 1 if longest else -1

    def say(question: Question) -> Said:
        return max(range(len(question.choices)), key=lambda place: sign * len(question.choices[place]), default=None)

    return lambda _: say


def _always(place: int) -> Answerer:
    """Says the option in one place, where there is one."""
    return lambda _: lambda question: place if place < len(question.choices) else None


def _always_label(label: str) -> Answerer:
    """Says one label, where the answer is that or the other one of a pair."""
    pair = next(pair for pair in _PAIRS if label in pair)
    return lambda _: lambda question: label if question.label in pair else None


ANSWERERS: Mapping[str, Answerer] = {
    "majority per template": _majority(lambda question: f"{question.template}/{len(question.choices)}"),
    "majority per template and options": _majority(
        lambda question: "/".join([question.template, *sorted(question.choices)]), of_options=True
    ),
    "option most often right": _most_often_right,
    "longest option": _by_length(longest=True),
    "shortest option": _by_length(longest=False),
    **{f"always {letter}": _always(place) for place, letter in enumerate("ABCD")},
    "always yes": _always_label("yes"),
    "always first": _always_label("first"),
}
"""Blind answerers by name."""


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
