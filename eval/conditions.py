"""Blind controls of a model that hears: the same questions with something else in place of the recordings.

In: questions. Out: the same questions, of which only the recordings differ. Knows no model and no task.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import soundfile
from numpy.typing import NDArray

from mllm.errors import ConfigError
from mllm.eval.questions import Question
from mllm.messages import Audio, Text

HEARD, SILENCE, NOISE, ANOTHER, TOLD = "heard", "silence", "noise", "another recording", "told as text"
CONDITIONS: Mapping[str, str] = {
    HEARD: "the recording itself",
    SILENCE: "digital silence in its place",
    NOISE: "pink noise in its place",
    ANOTHER: "another recording of the same task in its place",
    TOLD: "the true facts in English in its place: what the backbone reads",
}
BLIND = (SILENCE, NOISE, ANOTHER)

_SECONDS = 20.0
_RATE_HZ = 16_000
_NOISE_PEAK = 0.3


def put(condition: str, questions: Sequence[Question], *, seed: int) -> list[Question]:
    """The questions as they are asked under a condition; those without a recording are left as they are."""
    if condition == HEARD:
        return list(questions)
    if condition == ANOTHER:
        return _others(questions, seed)
    if condition == TOLD:
        return [_with(question, [Text(text=question.told or "")]) for question in questions]
    sound = silence() if condition == SILENCE else noise()
    return [_with(question, [Audio(source=sound)] * len(question.recordings)) for question in questions]


@functools.cache
def silence() -> bytes:
    """A file of 20 s of digital silence."""
    return _file(np.zeros(round(_SECONDS * _RATE_HZ)))


@functools.cache
def noise() -> bytes:
    """A file of 20 s of pink noise, always the same: equal power in each octave."""
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft(rng.standard_normal(round(_SECONDS * _RATE_HZ)))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0.0
    sound = np.fft.irfft(spectrum)
    return _file(_NOISE_PEAK * sound / np.abs(sound).max())


def _others(questions: Sequence[Question], seed: int) -> list[Question]:
    """Each question with the recordings of one that is about something else.

    The units stand in a circle, in an order that the seed decides; the next one that shares no recording lends its own.
    One that has fewer lends them again.
    """
    of_unit: dict[str, tuple[Audio, ...]] = {}
    for question in questions:
        if question.recordings and len(question.recordings) > len(of_unit.get(question.unit, ())):
            of_unit[question.unit] = question.recordings
    lenders = _lenders(of_unit, seed)
    lent = []
    for question in questions:
        if not question.recordings:
            lent.append(question)
            continue
        sounds = of_unit[lenders[question.unit]]
        lent.append(_with(question, [sounds[place % len(sounds)] for place in range(len(question.recordings))]))
    return lent


def _lenders(of_unit: Mapping[str, tuple[Audio, ...]], seed: int) -> dict[str, str]:
    """For each unit the one that lends its recordings.

    Raises:
        ConfigError: all units are about one recording.
    """
    circle = sorted(of_unit, key=lambda unit: hashlib.sha256(f"{seed}/{unit}".encode()).digest())
    heard = {unit: {str(sound.source) for sound in sounds} for unit, sounds in of_unit.items()}
    lenders = {}
    for place, unit in enumerate(circle):
        following = (circle[(place + step) % len(circle)] for step in range(1, len(circle)))
        lender = next((other for other in following if not heard[other] & heard[unit]), None)
        if lender is None:
            raise ConfigError(
                f"the recording of {unit} has no other one to be replaced by; ask about two recordings or more"
            )
        lenders[unit] = lender
    return lenders


def answers_of_others(questions: Sequence[Question], *, seed: int) -> list[str]:
    """For each question the right answer to another one of the same template, about something else; "" without one."""
    of_template: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        of_template[question.template].append(question)
    given = []
    for question in questions:
        rng = random.Random(f"{seed}/{question.id}")
        others = [one for one in of_template[question.template] if one.unit != question.unit and one.references]
        given.append(rng.choice(others).references[0] if others else "")
    return given


def _with(question: Question, others: Sequence[Audio | Text]) -> Question:
    """The question with something else in the places of its recordings; places beyond the last of them stay empty."""
    waiting = iter(others)
    spoken = []
    for message in question.messages:
        parts = (next(waiting, None) if isinstance(part, Audio) else part for part in message.parts)
        spoken.append(dataclasses.replace(message, parts=tuple(part for part in parts if part is not None)))
    return dataclasses.replace(question, messages=tuple(spoken))


def _file(samples: NDArray[np.float64]) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, _RATE_HZ, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
