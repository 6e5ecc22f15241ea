"""Shared by recommenders: items are weighed from a history, and what was played or refused is left out.

In: the plays of a task, then questions that ask for a ranking. Out: rankings of ids, a hundred long where there are so
many candidates. Of a history, items that were never seen in training are passed over. Knows no way to weigh items.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mllm.errors import ConfigError
from mllm.eval.interactions import Plays
from mllm.eval.questions import Question, Said

LENGTH = 100
"""Of a ranking."""


@dataclasses.dataclass(kw_only=True)
class Recommender(abc.ABC):
    """Weighs all items for a history."""

    name: str
    description: Mapping[str, Any]
    listens: bool = False
    _plays: Plays | None = None

    @abc.abstractmethod
    def learn(self, plays: Plays) -> None:
        """Learn from plays; what was learnt before is forgotten."""

    @abc.abstractmethod
    def weights(self, history: NDArray[np.int64]) -> NDArray[np.float64]:
        """How well each item fits (items,), the more the better, for the columns of what was played."""

    def answers(self, question: Question) -> bool:
        """Rankings of items for a history."""
        return question.kind == "rank" and "history" in question.given

    def prepare(self, task: str, questions: Sequence[Question], material: Any) -> None:  # noqa: ARG002
        """Learn from the plays of a task.

        Raises:
            ConfigError: it gives none.
        """
        if not isinstance(material, Plays):
            raise ConfigError(
                f"task {task} gives {self.name} {type(material).__name__} to learn from; expected plays: its "
                "material() returns mllm.eval.interactions.Plays"
            )
        self._plays = material
        self.learn(material)

    def respond(self, questions: Sequence[Question]) -> Iterator[Said]:
        """One ranking a question; of items that weigh the same those that stand first in the catalogue."""
        for question in questions:
            yield self._said(question)

    def _said(self, question: Question) -> Said:
        if self._plays is None:
            return Said(error="it has learnt from no plays yet")
        places = self._plays.places
        given = question.given
        liked = dict.fromkeys([*given["history"], *given.get("liked", ())])
        barred = [places[item] for item in (*liked, *given.get("disliked", ())) if item in places]
        weights = self.weights(np.array([places[item] for item in liked if item in places], dtype=np.int64))
        candidates = given.get("candidates")
        if candidates is None:
            admitted = np.ones(len(places), dtype=bool)
        else:
            if unknown := [item for item in candidates if item not in places]:
                return Said(error=f"{len(unknown)} candidates are no items of the plays, such as {unknown[0]!r}")
            admitted = np.zeros(len(places), dtype=bool)
            admitted[[places[item] for item in candidates]] = True
        admitted[barred] = False
        order = np.argsort(-weights, kind="stable")
        best = order[admitted[order]][:LENGTH]
        return Said(ranking=tuple(self._plays.items[place] for place in best))
