"""What every model under evaluation can do.

In: questions. Out: the type `Model`. Knows no model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

from mllm.eval.questions import Question, Said


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """How models answer."""

    engine: Literal["transformers", "vllm"] = "transformers"
    """Of mllm checkpoints: what computes the answers. Both give the same ones."""
    batch_size: int = 32
    """Questions that are answered at once."""
    threads: int | None = None
    """That torch computes with; None: as it chooses."""
    key_variable: str | None = None
    """Environment variable that holds the key of an address."""


class Model(Protocol):
    """A language model that hears, a tool, or a recommender."""

    name: str
    """As tables call it: short, unique among those of a run."""
    listens: bool
    """Whether blind controls (silence, noise, another recording) are asked of it: language models yes, tools no."""
    description: Mapping[str, Any]
    """For the record, as JSON: kind, place, hash, versions, licence."""

    def answers(self, question: Question) -> bool:
        """Whether it can answer such a question at all: by `kind`, `field`, number of recordings."""

    def prepare(self, task: str, questions: Sequence[Question], material: Any) -> None:
        """Called once before the questions of a task: a recommender learns here from `material` (what the task's
        `material(music)` gives, None where it has no such function); others do nothing.
        """

    def respond(self, questions: Sequence[Question]) -> Iterator[Said]:
        """One `Said` a question, in order, as they come. What fails is told in `Said.error`, never raised."""
