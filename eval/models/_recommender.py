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
from mllm.eval import interactions
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
    def weights(self, history: NDArray[np.int64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """How well each item fits, the more the better.

        Args:
            history: (played,), the columns of what was played.
            counts: (played,), how often.

        Returns:
            (items,)
        """

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
        """One ranking a question; items that weigh the same come in an order drawn by the question's id."""
        for question in questions:
            yield self._said(question)

    def _said(self, question: Question) -> Said:
        if self._plays is None:
            return Said(error="it has learnt from no plays yet")
        places = self._plays.places
        given = question.given
        liked = dict.fromkeys(given.get("liked", ()), 1.0)
        liked |= dict(zip(given["history"], given.get("plays") or [1.0] * len(given["history"]), strict=True))
        known = {places[item]: count for item, count in liked.items() if item in places}
        barred = [*known, *(places[item] for item in given.get("disliked", ()) if item in places)]
        weights = self.weights(np.array(list(known), dtype=np.int64), np.array(list(known.values()), dtype=np.float64))
        candidates = given.get("candidates")
        if candidates is None:
            admitted = np.ones(len(places), dtype=bool)
        else:
            if unknown := [item for item in candidates if item not in places]:
                return Said(error=f"{len(unknown)} candidates are no items of the plays, such as {unknown[0]!r}")
            admitted = np.zeros(len(places), dtype=bool)
            admitted[[places[item] for item in candidates]] = True
        admitted[barred] = False
        places_of_best = interactions.best(weights, admitted, count=LENGTH, name=question.id)
        return Said(ranking=tuple(self._plays.items[place] for place in places_of_best))
