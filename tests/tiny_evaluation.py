"""A task, models and questions small enough for tests of the evaluation to know every number."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mllm.eval.music import Music
from mllm.eval.questions import Question, Said, asked
from mllm.eval.task_about import About, Figure
from mllm.messages import Audio


def question(number: int, **fields: Any) -> Question:
    """A yes/no question about a recording of its own; even numbers are answered with yes."""
    right = "Yes." if number % 2 == 0 else "No."
    usual: dict[str, Any] = {
        "id": f"q{number}",
        "messages": asked("Is there a flute?", [Audio(source=Path(f"/music/{number}.wav"))]),
        "truth": number % 2 == 0,
        "references": (right,),
        "unit": f"track {number}",
        "template": "flute",
        "label": "yes" if number % 2 == 0 else "no",
        "groups": {"side": "even" if number % 2 == 0 else "odd"},
    }
    return Question(**usual | fields)


def choice(number: int, *, correct: int) -> Question:
    """A multiple choice of four options, the second of which is the longest."""
    options = ("the flute", "the electric guitar with a lot of distortion", "the harp", "the piano")
    return question(
        number,
        kind="choice",
        choices=options,
        correct=correct,
        references=(f"{'ABCD'[correct]}) {options[correct]}",),
        label=None,
    )


def task(questions: Sequence[Question], **others: Any) -> types.ModuleType:
    """A task that asks these questions; an answer is right that is the reference."""
    module = types.ModuleType("tiny")
    module.ABOUT = About(  # type: ignore[attr-defined]
        title="Tiny",
        version="1",
        summary="Is there a flute?",
        figures={"score": Figure(title="share right", headline=True, chance=0.5)},
    )

    def load(music: Music) -> Sequence[Question]:
        return list(questions)

    def credit(question: Question, said: Said) -> float | None:
        return float(said.text == question.references[0])

    module.load, module.credit = load, credit  # type: ignore[attr-defined]
    for name, value in others.items():
        setattr(module, name, value)
    return module


@dataclasses.dataclass
class Knowing:
    """A model that knows the right answer to each recording by the recording's name, and says "No." to others.

    Args:
        stops_after: answers after which it is ended, as by a kill.
    """

    name: str = "knowing"
    listens: bool = True
    stops_after: int | None = None
    description: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {"kind": "test"})
    asked: list[Question] = dataclasses.field(default_factory=list)

    def answers(self, question: Question) -> bool:
        """Whatever is a text."""
        return question.kind == "text"

    def prepare(self, task: str, questions: Sequence[Question], material: Any) -> None:
        """Nothing."""

    def respond(self, questions: Sequence[Question]) -> Iterator[Said]:
        """By the name of the recording that stands there."""
        for question in questions:
            if self.stops_after is not None and len(self.asked) >= self.stops_after:
                raise KeyboardInterrupt
            self.asked.append(question)
            source = question.recordings[0].source
            even = not isinstance(source, bytes) and int(source.stem) % 2 == 0
            yield Said(text="Yes." if even else "No.", confidence=0.9)
