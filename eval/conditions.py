"""The same questions put in four ways: with the clip, with silence, with another clip, and with the facts told.

In: clips, their yes/no questions and something that answers conversations. Out: for each way one `Said` a clip, and
every text answer with its question and the truth. Knows the models only by their answers.
"""

from __future__ import annotations

import dataclasses
import io
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import soundfile

from mllm import audio, describe
from mllm.answer import Answer
from mllm.errors import ConfigError
from mllm.eval.clips import Clip
from mllm.eval.metrics import Question, Said, Truth, yes_or_no
from mllm.eval.questions import stated
from mllm.messages import Audio, Message, Part, Text

HEARD = "heard"
SILENCE = "silence"
ANOTHER = "another clip"
TOLD = "told as text"
ASKED: dict[str, str] = {
    HEARD: "the model's text answers about the clip",
    SILENCE: "the same questions with silence of the same length in place of the clip",
    ANOTHER: "the same questions with another clip of the set in place of the clip",
    TOLD: "the same questions with the true facts told in English instead of audio: what the backbone reads",
}
"""The four ways, by their names in the report."""
BLIND = (SILENCE, ANOTHER)

MAX_YES_NO_TOKENS = 24
"""The first word decides; the rest is for people who read the answers."""

Conversation: TypeAlias = tuple[Message, ...]
Answering: TypeAlias = Callable[[Sequence[Conversation], int], list[Answer]]
"""What answers conversations, in order, each with at most so many tokens: a model, or a stand-in for one."""

_SILENCE_RATE_HZ = 8000


class Remembering:
    """Answers each conversation once, however often it is put.

    Args:
        answer: gives the answers to different conversations, in order.
    """

    def __init__(self, answer: Answering) -> None:
        self._answer = answer
        self._known: dict[Conversation, Answer] = {}

    def __call__(self, conversations: Sequence[Conversation], max_new_tokens: int) -> list[Answer]:
        """The answer to each conversation, in order; one that was given before is given again."""
        new = [conversation for conversation in dict.fromkeys(conversations) if conversation not in self._known]
        if new:
            self._known.update(zip(new, self._answer(new, max_new_tokens), strict=True))
        return [self._known[conversation] for conversation in conversations]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What came of one way of asking."""

    said: list[Said]
    """One entry a clip."""
    answers: list[dict[str, Any]]
    """Every question: clip, condition, question, answer, truth, right (for yes/no questions)."""


def put(
    condition: str,
    clips: Sequence[Clip],
    questions: Sequence[Sequence[Question]],
    answer: Answering,
    *,
    seed: int,
) -> Asked:
    """Ask for a description of each clip and put its yes/no questions.

    Args:
        condition: one of `ASKED`.
        clips: the recordings.
        questions: the yes/no questions of each.
        answer: gives the answers, also about recordings that are silent.
        seed: of the order in which clips replace each other, and of the wordings in which facts are told.
    """
    contexts = _contexts(condition, clips, seed)
    described = answer([_conversation(context, describe.QUESTION) for context in contexts], describe.MAX_NEW_TOKENS)
    flat = [(index, question) for index, of_clip in enumerate(questions) for question in of_clip]
    yes_no = answer([_conversation(contexts[i], question.text) for i, question in flat], MAX_YES_NO_TOKENS)

    answers: list[dict[str, Any]] = []
    for clip, answered in zip(clips, described, strict=True):
        line = {"clip": clip.id, "condition": condition, "question": describe.QUESTION, "answer": answered.text}
        answers.append(line | {"truth": _plain(clip.truth)})
    words: list[list[bool | None]] = [[] for _ in clips]
    for (index, question), answered in zip(flat, yes_no, strict=True):
        word = yes_or_no(answered.text)
        words[index].append(word)
        line = {"clip": clips[index].id, "condition": condition, "question": question.text, "answer": answered.text}
        answers.append(line | {"truth": "yes" if question.yes else "no", "right": word == question.yes})
    said = [_said(describe.read(text), tuple(row)) for text, row in zip(described, words, strict=True)]
    return Asked(said=said, answers=answers)


def _said(description: describe.Description, yes_no: tuple[bool | None, ...]) -> Said:
    return Said(
        tempo_bpm=description.tempo_bpm,
        key=description.key,
        meter=description.meter,
        instruments=description.instruments,
        yes_no=yes_no,
    )


def derangement(count: int, *, seed: int) -> list[int]:
    """For each of `count` clips another one, each used once.

    Raises:
        ConfigError: if there are fewer than two.
    """
    if count < 2:
        raise ConfigError("one clip has no other clip to be replaced by; evaluate at least 2 clips")
    order = list(range(count))
    random.Random(seed).shuffle(order)
    other = [0] * count
    for index, following in zip(order, [*order[1:], order[0]], strict=True):
        other[index] = following
    return other


def silent_file(seconds: float) -> bytes:
    """A file of digital silence."""
    buffer = io.BytesIO()
    silence = np.zeros(round(seconds * _SILENCE_RATE_HZ), dtype=np.int16)
    soundfile.write(buffer, silence, _SILENCE_RATE_HZ, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def _contexts(condition: str, clips: Sequence[Clip], seed: int) -> list[Part | None]:
    """What stands before the question, for each clip."""
    if condition == HEARD:
        return [_recording(clip.audio) for clip in clips]
    if condition == ANOTHER:
        return [_recording(clips[other].audio) for other in derangement(len(clips), seed=seed)]
    if condition == SILENCE:
        lengths = [round(audio.probe(clip.audio).seconds, 1) for clip in clips]
        files = {seconds: silent_file(seconds) for seconds in set(lengths)}
        return [Audio(source=files[seconds]) for seconds in lengths]
    if condition == TOLD:
        told = [stated(clip.truth, seed=seed + index) for index, clip in enumerate(clips)]
        return [Text(text=text) if text else None for text in told]
    raise ConfigError(f"there is no condition {condition!r}; expected one of {', '.join(ASKED)}")


def _recording(path: Path) -> Audio:
    return Audio(source=path)


def _conversation(context: Part | None, question: str) -> Conversation:
    parts: Iterable[Part] = [Text(text=question)] if context is None else [context, Text(text=question)]
    return (Message(role="user", parts=tuple(parts)),)


def _plain(truth: Truth) -> dict[str, Any]:
    instruments = truth.instruments
    return {
        "tempo_bpm": truth.tempo_bpm,
        "key": truth.key,
        "meter": truth.meter,
        "instruments": None if instruments is None else [" or ".join(sorted(names)) for names in instruments],
    }
