"""A record of instruction data: a conversation in the message format that ends with an answer, and where it is from.

In: messages and what is said of them. Out: checked, immutable `Record` objects. Paths of recordings begin in the folder
of the data set. Knows no file format and nothing of how conversations are made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from mllm import messages
from mllm.errors import MessageError
from mllm.instruct_data.tracks import SPLITS, Track
from mllm.messages import Message


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """One conversation to learn from or to be asked."""

    id: str
    """Unique in a data set."""
    messages: tuple[Message, ...]
    """Ends with a message of the assistant."""
    task: str
    """What is asked: the name of a file in `augment/`, or "caption" and "question" of what people wrote."""
    template: str
    """Name of the pattern that the question was made from, equal for questions that differ only in their wording or in
    what they ask about; "free" for what people wrote. A blind answerer gives one answer to all of a template."""
    source: str
    licence: str
    split: str
    """One of `SPLITS`."""
    tracks: tuple[str, ...] = ()
    """Ids of the recordings it is about."""
    families: tuple[str, ...] = ()
    """Families of these."""
    choices: tuple[str, ...] = ()
    """Of a multiple choice: the options without their letters, in the order of the question."""
    correct: int | None = None
    """Of a multiple choice: which of `choices` is true."""
    label: str | None = None
    """Of a question that has few answers: which it is, such as "yes" and "no"; what a blind answerer would guess."""

    def __post_init__(self) -> None:
        problems = [
            f"{name} is empty" for name in ("id", "task", "template", "source", "licence") if not getattr(self, name)
        ]
        if self.split not in SPLITS:
            problems.append(f"split is {self.split!r}, expected one of {', '.join(SPLITS)}")
        if not self.messages or self.messages[-1].role != "assistant":
            problems.append("the last message is not the assistant's")
        if (self.correct is None) != (not self.choices) or (
            self.correct is not None and not 0 <= self.correct < len(self.choices)
        ):
            problems.append(f"correct is {self.correct}, with {len(self.choices)} choices")
        if problems:
            raise MessageError(f"record {self.id!r}: {'; '.join(problems)}")

    @property
    def answer(self) -> str:
        """What the assistant says last."""
        return "".join(part.text for part in self.messages[-1].parts if isinstance(part, messages.Text))


def conversation(tracks: Sequence[Track], turns: Sequence[tuple[str, str]]) -> tuple[Message, ...]:
    """The messages of a conversation about recordings, which stand before the first question.

    Args:
        tracks: the recordings, in the order in which they are heard; none for a conversation without sound.
        turns: questions and their answers.
    """
    plain: list[dict[str, Any]] = []
    for number, (question, answer) in enumerate(turns):
        heard = [audio_part(track) for track in tracks] if number == 0 else []
        plain.append({"role": "user", "content": [*heard, {"type": "text", "text": question}]})
        plain.append({"role": "assistant", "content": answer})
    return messages.parse(plain)


def audio_part(track: Track) -> Mapping[str, Any]:
    """The content part that lets a track be heard."""
    bounds = {"start": track.start, "end": track.end}
    return {"type": "audio", "path": track.path} | {name: at for name, at in bounds.items() if at is not None}
