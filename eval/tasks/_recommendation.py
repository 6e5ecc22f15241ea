"""Shared by the recommendation tasks: what is recommended becomes questions, and rankings become figures.

In: listeners with what they played before and what is right. Out: questions that ask for a ranking, and scores of full
rankings. Knows neither files nor how anybody recommends.
"""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mllm.eval import interactions
from mllm.eval.metrics import ranking
from mllm.eval.questions import Question, Said, asked
from mllm.eval.statistic import Ratio
from mllm.instruct_data.statements import join
from mllm.messages import Message, Text

_TOLD = 8
"""Of what somebody played, so much is named in words."""
_LENGTH = 100
"""Of the rankings of blind answerers."""

_WORDINGS = (
    "I keep coming back to {names}. What should I listen to next?",
    "Lately I have played {names}. What else would I like?",
    "My favourites are {names}. Please recommend something that I do not know yet.",
    "These are in my collection: {names}. What is missing from it?",
    "I listen to {names}. Which others would suit me?",
    "If someone likes {names}, what would you play them?",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One thing to recommend."""

    id: str
    user: str
    history: Mapping[str, float]
    """How often he played what, the earliest first where the order is known; it may not be recommended again."""
    right: Sequence[str]
    """What he played besides, unknown to whoever recommends."""
    candidates: Sequence[str] | None = None
    """What may be recommended; None: all items of the material that are neither played nor refused."""
    head: Collection[str] = ()
    """The items with most listeners: what is right besides is in the tail."""
    first: str | None = None
    """What was recommended to him before, and refused."""
    reply: str = ""
    """What he said to that."""
    refused: Sequence[str] = ()
    """Items that carry what he refused."""
    pool: str | None = None
    """Name of the candidates, for figures of each pool."""


def question(case: Case, names: Mapping[str, str], *, catalogue: int, seed: int) -> Question:
    """The question that a case asks.

    Args:
        case: what is to be recommended.
        names: what items are called, by id; those without a name are called by their id.
        catalogue: how many items there are.
        seed: of the wording.
    """
    told = join([names.get(item, item) for item in list(case.history)[-_TOLD:]])
    wording = random.Random(f"{seed}/{case.id}").choice(_WORDINGS)
    spoken = asked(wording.format(names=told))
    if case.first is not None:
        offered = Message(role="assistant", parts=(Text(text=f"How about {names.get(case.first, case.first)}?"),))
        spoken = (*spoken, offered, *asked(case.reply))
    truth: dict[str, Any] = {"right": list(case.right), "catalogue": catalogue}
    if case.head:
        truth["tail"] = [item for item in case.right if item not in case.head]
    if case.first is not None:
        truth["refused"] = list(case.refused)
    return Question(
        id=case.id,
        messages=spoken,
        kind="rank",
        truth=truth,
        unit=case.user,
        template="recommendation",
        given={
            "history": list(case.history),
            "plays": list(case.history.values()),
            "liked": [],
            "disliked": [] if case.first is None else [case.first],
            "text": case.reply,
            "candidates": case.candidates,
        },
        groups={} if case.pool is None else {"pool": case.pool},
    )


def right_of(questions: Sequence[Question]) -> list[list[str]]:
    """What is right, of each question."""
    return [question.truth["right"] for question in questions]


def rankings_of(questions: Sequence[Question], said: Sequence[Said]) -> list[tuple[str, ...]]:
    """Rankings without what may not be recommended: what was played or refused, or is no candidate."""
    return [_ranking(question, one) for question, one in zip(questions, said, strict=True)]


def among(questions: Sequence[Question], pool: str, figure: Ratio) -> Ratio:
    """A figure of the questions of a pool of candidates only."""
    counted = [float(question.groups.get("pool") == pool) for question in questions]
    return dataclasses.replace(
        figure, denominators=figure.denominators * counted, numerators=figure.numerators * counted
    )


def blind(questions: Sequence[Question]) -> dict[str, list[Said]]:
    """Who looks at no listener: what most others have in their histories, and a random order of the same items."""
    counts = Counter(item for question in questions for item in question.given["history"])
    places = {item: place for place, item in enumerate(sorted({*counts, *_candidates(questions)}))}
    popular = np.array([counts[item] for item in places], dtype=np.float64)
    ways = {"most listeners": popular, "random order": np.zeros(len(places))}
    return {name: [_of_weights(question, places, weights) for question in questions] for name, weights in ways.items()}


def recall_of(question: Question, said: Said, *, k: int) -> float:
    """Share of what is right among the first `k`; 0 without a ranking."""
    return _alone(ranking.recall(right_of([question]), rankings_of([question], [said]), k=k))


def hit_of(question: Question, said: Said, *, k: int) -> float:
    """Whether anything right is among the first `k`; 0 without a ranking."""
    return _alone(ranking.hit_rate(right_of([question]), rankings_of([question], [said]), k=k))


def _alone(figure: Ratio) -> float:
    return float(figure.numerators[0])


def _candidates(questions: Sequence[Question]) -> set[str]:
    """All that questions name as candidates."""
    return {item for question in questions for item in question.given["candidates"] or ()}


def _of_weights(question: Question, places: Mapping[str, int], weights: NDArray[np.float64]) -> Said:
    candidates = question.given["candidates"]
    admitted = np.full(len(places), candidates is None)
    admitted[[places[item] for item in candidates or ()]] = True
    admitted[[places[item] for item in _barred(question) if item in places]] = False
    best = interactions.best(weights, admitted, count=_LENGTH, name=f"blind/{question.id}")
    items = tuple(places)
    return Said(ranking=tuple(items[place] for place in best))


def _barred(question: Question) -> set[str]:
    """What is no recommendation: played or refused before."""
    return {*question.given["history"], *question.given["liked"], *question.given["disliked"]}


def _ranking(question: Question, said: Said) -> tuple[str, ...]:
    barred = _barred(question)
    candidates = question.given["candidates"]
    admitted = None if candidates is None else set(candidates)
    return tuple(item for item in said.ranking or () if item not in barred and (admitted is None or item in admitted))
