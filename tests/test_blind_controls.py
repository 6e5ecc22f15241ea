"""Blind controls: recordings are replaced by silence, noise and others; answerers that hear nothing stay at chance."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mllm.errors import ConfigError
from mllm.eval import blind, conditions
from mllm.eval.questions import Question, asked
from mllm.messages import Audio, Text
from tests.tiny_evaluation import choice, question

QUESTIONS = [question(number) for number in range(20)]


def sound(content: object) -> tuple[np.ndarray, int]:
    assert isinstance(content, bytes)
    samples, rate_hz = soundfile.read(io.BytesIO(content))
    return samples, rate_hz


def test_nothing_but_the_recordings_changes() -> None:
    for condition in (conditions.SILENCE, conditions.NOISE, conditions.ANOTHER):
        for before, after in zip(QUESTIONS, conditions.put(condition, QUESTIONS, seed=0), strict=True):
            assert after.asked == before.asked
            assert (after.id, after.truth, after.references) == (before.id, before.truth, before.references)
            assert after.recordings != before.recordings
            assert len(after.recordings) == 1
    assert conditions.put(conditions.HEARD, QUESTIONS, seed=0) == QUESTIONS


def test_silence_is_silent_and_noise_has_equal_power_in_each_octave() -> None:
    silence, rate_hz = sound(conditions.put(conditions.SILENCE, QUESTIONS, seed=0)[0].recordings[0].source)
    assert len(silence) == 20 * rate_hz
    assert not silence.any()
    noise, rate_hz = sound(conditions.put(conditions.NOISE, QUESTIONS, seed=0)[0].recordings[0].source)
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequencies = np.fft.rfftfreq(len(noise), 1 / rate_hz)
    octaves = [power[(frequencies >= low) & (frequencies < 2 * low)].sum() for low in (125, 250, 500, 1000, 2000)]
    assert max(octaves) < 1.2 * min(octaves)
    assert 0.25 < np.abs(noise).max() < 0.35


def test_each_recording_is_lent_once_and_never_to_its_own_question() -> None:
    put = conditions.put(conditions.ANOTHER, QUESTIONS, seed=0)
    lent = [one.recordings[0].source for one in put]
    own = [one.recordings[0].source for one in QUESTIONS]
    assert all(theirs != mine for theirs, mine in zip(lent, own, strict=True))
    assert sorted(map(str, lent)) == sorted(map(str, own))
    assert conditions.put(conditions.ANOTHER, QUESTIONS, seed=0) == put
    assert conditions.put(conditions.ANOTHER, QUESTIONS, seed=1) != put


def test_pairs_are_lent_recordings_that_they_do_not_hold() -> None:
    def pair(left: int, right: int) -> Question:
        recordings = [Audio(source=Path(f"/music/{number}.wav")) for number in (left, right)]
        return question(left, id=f"{left}+{right}", unit=f"{left} + {right}", messages=asked("Faster?", recordings))

    pairs = [pair(0, 1), pair(1, 2), pair(2, 3), pair(3, 4), pair(4, 0)]
    for before, after in zip(pairs, conditions.put(conditions.ANOTHER, pairs, seed=0), strict=True):
        assert len(after.recordings) == 2
        assert not {one.source for one in before.recordings} & {one.source for one in after.recordings}


def test_one_recording_alone_has_no_other() -> None:
    with pytest.raises(ConfigError, match="has no other one to be replaced by; ask about two recordings or more"):
        conditions.put(conditions.ANOTHER, [question(1)], seed=0)


def test_facts_stand_where_the_recordings_were() -> None:
    (put,) = conditions.put(conditions.TOLD, [question(2, told="A flute plays.")], seed=0)
    assert put.messages[0].parts == (Text(text="A flute plays."), Text(text="Is there a flute?"))


def test_the_majority_is_learnt_from_others_than_those_it_answers() -> None:
    """Where the answers are balanced it is at chance; where most are yes it says yes."""
    even = blind.majority([question(number) for number in range(400)])
    right = [said.text == question(number).references[0] for number, said in enumerate(even)]
    assert 0.4 < np.mean(right) < 0.6
    mostly = [question(0, id=str(number), unit=f"u{number}") for number in range(9)] + [question(1)]
    assert {said.text for said in blind.majority(mostly)} == {"Yes."}
    (alone,) = blind.majority([question(0)])
    assert alone.error is not None


def test_another_recordings_answer_is_that_of_another_unit() -> None:
    said = blind.another([question(0), question(1)])
    assert [one.text for one in said] == ["No.", "Yes."]
    assert [one.text for one in blind.another([question(0), question(2, template="other")])] == ["", ""]


def test_blind_answers_to_choices() -> None:
    questions = [choice(number, correct=number % 4) for number in range(8)]
    found = blind.answers(questions)
    assert {said.text for said in found["longest option"]} == {"B. the electric guitar with a lot of distortion"}
    assert {said.text for said in found["shortest option"]} == {"C. the harp"}
    assert {said.text for said in found["always D"]} == {"D. the piano"}
    assert set(blind.answers(QUESTIONS)) == {"majority per template", "another recording's answer"}
    assert blind.answers([question(1, kind="rank")]) == {}
