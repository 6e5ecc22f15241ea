"""A checkpoint of mllm, answered by transformers or by vLLM.

In: questions. Out: answers with the confidence and, of choices, the likelihood of each option. A ranking of texts is
one by their likelihood as the answer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from mllm import contract
from mllm.answer import Answer
from mllm.errors import MllmError
from mllm.eval.model import Model, ModelSettings
from mllm.eval.questions import Question, Said
from mllm.listener import Listener, find_model
from mllm.messages import Message
from mllm.strict_io import content_hash

TITLE = "a checkpoint of mllm: a directory or a name; without one, the reference checkpoint of the package"
NEEDS = ""


def open_model(place: str | None, settings: ModelSettings) -> Model:
    """Open a checkpoint.

    Raises:
        CheckpointError: it is absent, incomplete or altered.
    """
    directory = contract.find_checkpoint(find_model(place))
    return Checkpoint(
        Listener.load(directory, threads=settings.threads),
        settings,
        name="mllm" if place is None else str(place).rstrip("/").rpartition("/")[2],
        description={
            "kind": "mllm",
            "place": place or "the reference checkpoint",
            "sha256": content_hash(directory),
            "engine": "transformers",
            "versions": {name: version(name) for name in ("torch", "transformers")},
        },
    )


@dataclasses.dataclass
class Checkpoint:
    """A checkpoint behind a `Listener`."""

    listener: Listener
    settings: ModelSettings
    name: str
    description: Mapping[str, Any]
    listens: bool = True

    def answers(self, question: Question) -> bool:
        """Everything but rankings of items that it has never seen."""
        return question.kind != "rank" or "texts" in question.given

    def prepare(self, task: str, questions: Sequence[Question], material: Any) -> None:
        """Nothing is learnt."""

    def respond(self, questions: Sequence[Question]) -> Iterator[Said]:
        """Answers in order, as many at once as the settings say."""
        for begin in range(0, len(questions), self.settings.batch_size):
            yield from self._respond(questions[begin : begin + self.settings.batch_size])

    def _respond(self, questions: Sequence[Question]) -> list[Said]:
        spoken = [question for question in questions if question.kind in ("text", "choice")]
        answers = iter(self._spoken(spoken))
        said = []
        for question in questions:
            if question.kind in ("text", "choice"):
                said.append(next(answers))
            else:
                said.append(self._alone(question))
        return said

    def _spoken(self, questions: Sequence[Question]) -> list[Said]:
        by_length: dict[int, list[int]] = {}
        for place, question in enumerate(questions):
            by_length.setdefault(question.max_new_tokens, []).append(place)
        found: dict[int, Said] = {}
        for length, places in by_length.items():
            answers = self.listener.respond_each(
                [questions[place].messages for place in places],
                max_new_tokens=length,
                require_sound=False,
                batch_size=self.settings.batch_size,
            )
            for place, answer in zip(places, answers, strict=True):
                found[place] = self._said(questions[place], answer)
        return [found[place] for place in range(len(questions))]

    def _said(self, question: Question, answer: Answer | MllmError) -> Said:
        if isinstance(answer, MllmError):
            return Said(error=str(answer))
        likelihoods = None
        if question.choices:
            options = [f"{chr(ord('A') + place)}) {option}" for place, option in enumerate(question.choices)]
            likelihoods = self._likelihoods(question.messages, options)
        return Said(
            text=answer.text,
            confidence=answer.confidence,
            likelihoods=likelihoods,
            seconds_heard=answer.seconds_heard,
        )

    def _alone(self, question: Question) -> Said:
        if question.kind == "plain":
            return Said(value=self._change_of_text(question.asked))
        candidates: Sequence[str] = question.given["candidates"]
        texts: Sequence[str] = question.given["texts"]
        likelihoods = self._likelihoods(question.messages, texts)
        if likelihoods is None:
            return Said(error="the candidates cannot be weighed")
        order = sorted(range(len(candidates)), key=lambda place: -likelihoods[place] / max(1, len(texts[place])))
        return Said(ranking=tuple(candidates[place] for place in order))

    def _likelihoods(self, messages: Sequence[Message], texts: Sequence[str]) -> tuple[float, ...] | None:
        try:
            return tuple(self.listener.likelihoods(messages, texts, require_sound=False))
        except MllmError:
            return None

    def _change_of_text(self, text: str) -> float:
        raise NotImplementedError
