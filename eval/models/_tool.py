"""Shared by tools that hear: one analysis of a recording answers every question about it that is of its fields.

In: questions in words about one recording each. Out: answers in words, as a person would read them off the tool. Each
stretch of a recording is analysed once in a run. Reads no question: what is asked is the question's `field`. Knows no
library.
"""

from __future__ import annotations

import abc
import dataclasses
import importlib
import types
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from mllm import audio
from mllm.audio import Samples
from mllm.errors import ConfigError, MllmError
from mllm.eval.questions import Question, Said
from mllm.messages import Audio

TEMPO, KEY, BEATS = "tempo_bpm", "key", "beats"
"""Fields, as `Question.field` names them."""


@dataclasses.dataclass(kw_only=True)
class Tool(abc.ABC):
    """Analyses recordings."""

    name: str
    description: Mapping[str, Any]
    fields: tuple[str, ...]
    """That it can tell."""
    sample_rate_hz: int
    """Of what it wants to hear."""
    listens: bool = False
    _heard: dict[Audio, Mapping[str, str] | MllmError] = dataclasses.field(default_factory=dict)

    @abc.abstractmethod
    def analyse(self, samples: Samples) -> Mapping[str, str]:
        """What is found in mono samples (W,) at `sample_rate_hz`: by field, in words; a field may be missing."""

    def answers(self, question: Question) -> bool:
        """Open questions about one fact of one recording; not whether something is so, which takes reading."""
        return (
            question.kind == "text"
            and question.field in self.fields
            and question.label not in ("yes", "no")
            and len(question.recordings) == 1
        )

    def prepare(self, task: str, questions: Sequence[Question], material: Any) -> None:  # noqa: B027
        """Nothing is learnt."""

    def respond(self, questions: Sequence[Question]) -> Iterator[Said]:
        """What the analysis of its recording says to each question."""
        for question in questions:
            yield self._said(question)

    def _said(self, question: Question) -> Said:
        if not self.answers(question):
            return Said(error=f"{self.name} tells {', '.join(self.fields)} of one recording, and nothing else")
        (recording,) = question.recordings
        if recording not in self._heard:
            self._heard[recording] = self._analysed(recording)
        found = self._heard[recording]
        if isinstance(found, MllmError):
            return Said(error=str(found))
        told = found.get(question.field or "")
        return Said(text=told) if told else Said(error=f"{self.name} finds no {question.field} in it")

    def _analysed(self, recording: Audio) -> Mapping[str, str] | MllmError:
        try:
            clip = audio.load(
                recording.source, sample_rate_hz=self.sample_rate_hz, start=recording.start, end=recording.end
            )
        except MllmError as error:
            return error
        return self.analyse(clip.samples)


def tempo_in_words(beats_per_minute: float) -> str:
    """Such as "118.0 bpm"; "" where none was found."""
    return f"{beats_per_minute:.1f} bpm" if beats_per_minute > 0 else ""


def beats_in_words(seconds: Sequence[float]) -> str:
    """Such as "0.52 s, 1.04 s"; "" where none were found."""
    return ", ".join(f"{one:.2f} s" for one in seconds)


def installed(name: str, *, install: str) -> types.ModuleType:
    """The library of a tool.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(f"--model needs {name}, which is not installed: {install}") from error


def described(tool: str, library: str, *, licence: str, **more: object) -> dict[str, Any]:
    """A tool, for the record."""
    return {"kind": tool, "licence": licence, "versions": {library: version(library)}, **more}


def refuse_place(name: str, place: str | None) -> None:
    """A tool opens nothing.

    Raises:
        ConfigError: a place was given.
    """
    if place is not None:
        raise ConfigError(f"--model {name}={place}: {name} opens nothing; give --model {name}")
