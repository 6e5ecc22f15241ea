"""Rewards: every file keeps the contract, golden answers earn what they should, lists and tricks earn little."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from mllm import facts as vocabulary
from mllm import registry
from mllm.errors import ConfigError
from mllm.eval.metrics import key as key_metrics
from mllm.train import reward_data, reward_scores
from mllm.train.rewards import _reading
from tests.test_describe import SCHEMA

REWARDS = registry.names("reward")
CLIP: dict[str, Any] = {
    "tempo_bpm": 120.3,
    "key": "F# minor",
    "meter": "3/4",
    "instruments": ["piano", "flute", "drums"],
    "times": [12.0, 65.5],
    "yes": True,
}
ASKED = ["tempo_bpm", "key", "instruments", "times", "yes", "json"]
QUESTIONS: tuple[dict[str, Any], ...] = (
    {**CLIP, "asked": ASKED, "answerable": True},
    {**CLIP, "asked": ASKED, "answerable": False},
    CLIP,
    {},
)
JSON = json.dumps({"tempo_bpm": 120, "key": "F# minor", "meter": "3/4", "instruments": ["piano", "flute", "drums"]})
PIECES = [
    *("The key is", "F# minor", "A major", "120", "BPM", "1:05", "12.5 s", "no", "piano", "flute", "or", "yes"),
    *("{", "}", '"key":', ",", "null", "[", "]", "9" * 400, "1e999", "NaN", "\n", "\N{ARABIC-INDIC DIGIT ONE}"),
    "I cannot tell",
]
ANSWERS = strategies.one_of(
    strategies.text(), strategies.lists(strategies.sampled_from(PIECES), max_size=40).map(" ".join)
)


def earn(name: str, answer: str, **facts: object) -> float | None:
    """What an answer earns by one reward."""
    value: float | None = registry.find("reward", name).reward(answer, facts)
    return value


def test_there_are_the_rewards() -> None:
    assert {"cannot_tell", "instruments", "json_form", "key", "tempo", "times", "yes_no"} == set(REWARDS)


@pytest.mark.parametrize("facts", QUESTIONS, ids=["answerable", "unanswerable", "all asked", "nothing known"])
@pytest.mark.parametrize("name", REWARDS)
@hypothesis.settings(deadline=None, max_examples=30)
@hypothesis.given(answer=ANSWERS)
def test_whether_a_reward_applies_is_the_questions_and_what_it_gives_is_a_share(
    name: str, facts: Mapping[str, Any], answer: str
) -> None:
    reward = registry.find("reward", name).reward
    earned = reward(answer, facts)
    assert (earned is None) == (reward("", facts) is None)
    assert earned is None or (isinstance(earned, float) and 0.0 <= earned <= 1.0)
    assert reward(answer, facts) == earned


@pytest.mark.parametrize("name", REWARDS)
@pytest.mark.parametrize("answer", ["", " \n", "?"])
def test_an_empty_answer_earns_nothing(name: str, answer: str) -> None:
    earned = registry.find("reward", name).reward(answer, QUESTIONS[0])
    assert earned == (1.0 if name == "cannot_tell" and answer == "?" else 0.0)


@pytest.mark.parametrize("name", REWARDS)
def test_nothing_is_asked_of_a_question_without_facts(name: str) -> None:
    assert registry.find("reward", name).reward("The tempo is about 120 BPM.", {}) is None
    assert registry.find("reward", name).reward("The tempo is about 120 BPM.", {**CLIP, "asked": []}) is None


@pytest.mark.parametrize("name", REWARDS)
@pytest.mark.parametrize(
    "piece", ["1", "1:", "piano or ", "no ", "A ", "[", '{"a":', "I cannot ", "9 ", "\N{MUSIC SHARP SIGN}"]
)
def test_a_huge_answer_takes_no_time_and_earns_nothing(name: str, piece: str) -> None:
    reward = registry.find("reward", name).reward
    for length in (_reading.LONGEST_ANSWER, 2_000_000):
        answer = (piece * length)[:length]
        start = time.perf_counter()
        earned = reward(answer, QUESTIONS[1])
        assert time.perf_counter() - start < 0.5
        assert earned is not None
        assert earned <= 0.5 or length == _reading.LONGEST_ANSWER
    assert earned == 0.0


TEMPO = [
    ("The tempo is about 120 BPM.", 1.0),
    ("About 124bpm", 1.0),
    (JSON, 1.0),
    ("A fast piece in F# minor, in 3/4 time, at about 120 BPM. It is played by 2 flutes.", 1.0),
    ("The tempo is about 60 BPM.", 0.5),
    ("The tempo is about 240.6 BPM.", 0.0),
    ("It has 135 beats a minute.", (0.20 - 14.7 / 120.3) / 0.16),
    ("It is 160.", 0.0),
    ("It is 120 or 60 BPM.", 0.5),
    ("100-120-140 BPM", 0.03 / 0.16),
    ("I cannot tell the tempo.", 0.0),
    (" ".join(str(bpm) for bpm in range(40, 240)), 0.0),
    ('{"tempo_bpm": 120, "tempo_bpm": 60}', 0.0),
    ("120/60", 0.0),
]


@pytest.mark.parametrize(("answer", "expected"), TEMPO)
def test_tempi(answer: str, expected: float) -> None:
    assert earn("tempo", answer, tempo_bpm=120.3) == pytest.approx(expected, abs=0.02)


KEYS = [
    ("The key is F# minor.", 1.0),
    ("It is in Gb minor.", 1.0),
    ("F sharp minor", 1.0),
    ("It is in G-flat minor", 1.0),
    (JSON, 1.0),
    ("C# minor", 0.5),
    ("A major", 0.3),
    ("F# major", 0.2),
    ("D minor", 0.0),
    ("F# minor or A major", 0.3),
    (", ".join(vocabulary.KEYS), 0.0),
    ("It is in a minor key.", 0.0),
    ("I cannot tell the key.", 0.0),
]


@pytest.mark.parametrize(("answer", "expected"), KEYS)
def test_keys(answer: str, expected: float) -> None:
    assert earn("key", answer, key="F# minor") == expected


def test_keys_are_weighted_as_the_evaluation_weights_them() -> None:
    for true in vocabulary.KEYS:
        for said in vocabulary.KEYS:
            assert earn("key", f"The key is {said}.", key=true) == key_metrics.mirex(true, said)


INSTRUMENTS = [
    ("I hear a piano, a flute and drums.", 1.0),
    ("Pianos, flutes, DRUMS!", 1.0),
    (JSON, 1.0),
    ("I hear a piano.", 0.5),
    ("I hear a piano and an acoustic guitar.", 0.4),
    ("I checked: piano yes, flute yes, drums yes, organ no.", 1.0),
    ("A piano, a flute and drums, but no organ or choir.", 1.0),
    ("Piano, no piano.", 0.0),
    ("piano " * 30, 0.5),
    (", ".join(vocabulary.INSTRUMENTS), 0.0),
    (json.dumps({"instruments": list(vocabulary.INSTRUMENTS)}), 0.0),
    ("I hear music.", 0.0),
]


@pytest.mark.parametrize(("answer", "expected"), INSTRUMENTS)
def test_instruments(answer: str, expected: float) -> None:
    assert earn("instruments", answer, instruments=["piano", "flute", "drums"]) == expected


def test_every_instrument_is_read_as_itself() -> None:
    for name in vocabulary.INSTRUMENTS:
        assert earn("instruments", f"I hear {name}.", instruments=[name]) == 1.0


TIMES = [
    ("At 0:12 and 1:05.5.", 1.0),
    ("It enters at 12.4 and 65.9 seconds.", 1.0),
    ("From 12 to 65 s", 1.0),
    ("At 12 seconds.", 2 / 3),
    ("At 12.6 seconds.", 0.0),
    ("At 12.0 s, 12.1 s, 12.2 s and 12.3 s", 2 / 6),
    ("After 12 bars and 65 notes.", 0.0),
    (" ".join(f"{second / 2}s" for second in range(160)), 4 / 162),
    ("1:05:30", 0.0),
]


@pytest.mark.parametrize(("answer", "expected"), TIMES)
def test_times(answer: str, expected: float) -> None:
    assert earn("times", answer, times=[12.0, 65.5]) == pytest.approx(expected)


FORMS = [
    (JSON, 1.0),
    (json.dumps({"tempo_bpm": 200, "key": None, "meter": None, "instruments": ["organ"]}), 1.0),
    (json.dumps(dict.fromkeys(("tempo_bpm", "key", "meter", "instruments"))), 0.0),
    (json.dumps({"tempo_bpm": 9000, "key": None, "meter": None, "instruments": None}), 0.0),
    (json.dumps({"tempo_bpm": 100, "key": "H minor", "meter": None, "instruments": None}), 0.0),
    (JSON + JSON, 0.0),
    (JSON.replace("}", ', "tempo_bpm": 60}'), 0.0),
    ("Here it is: " + JSON, 0.0),
    (json.dumps([JSON]), 0.0),
    ("[" * 3000, 0.0),
]


@pytest.mark.parametrize(("answer", "expected"), FORMS)
def test_forms(answer: str, expected: float) -> None:
    assert earn("json_form", answer, **{**CLIP, "asked": ["json"]}) == expected


def test_where_nothing_is_known_an_object_of_nulls_is_right() -> None:
    nothing = json.dumps(dict.fromkeys(("tempo_bpm", "key", "meter", "instruments")))
    assert earn("json_form", nothing, asked=["json"]) == 1.0


def test_the_fields_of_a_valid_answer_are_valid_in_the_published_schema() -> None:
    """What this reward asks for is never more than what the published schema says of the same fields."""
    properties = registry.find("reward", "json_form").describe.answer_schema()["properties"]
    published = SCHEMA["properties"]
    assert set(properties) <= set(published)
    for name in ("key", "meter"):
        (values,) = [one["enum"] for one in properties[name]["anyOf"] if "enum" in one]
        assert set(values) | {None} == set(published[name]["enum"])


REFUSALS = [
    ("I cannot tell the lyrics.", 1.0, 0.0),
    ("I can't say.", 1.0, 0.0),
    ("I do not know who sings", 1.0, 0.0),
    ("I cannot tell, but it may be Queen.", 0.0, 0.0),
    ("I cannot tell. It is by Queen.", 0.0, 0.0),
    ("I cannot tell the year 1975.", 0.0, 0.0),
    ("It is by Queen. I cannot tell the year.", 0.0, 0.0),
    ("It is by Queen.", 0.0, 1.0),
    ("", 0.0, 0.0),
    ("I cannot tell " + "very " * 40, 0.0, 0.0),
]


@pytest.mark.parametrize(("answer", "of_the_unanswerable", "of_the_answerable"), REFUSALS)
def test_refusals(answer: str, of_the_unanswerable: float, of_the_answerable: float) -> None:
    assert earn("cannot_tell", answer, answerable=False) == of_the_unanswerable
    assert earn("cannot_tell", answer, answerable=True) == of_the_answerable


def test_yes_and_no() -> None:
    for answer, expected in (("Yes, I hear drums.", 1.0), ("No.", 0.0), ("Perhaps yes.", 0.0), ("- yes", 1.0)):
        assert earn("yes_no", answer, yes=True) == expected
    assert earn("yes_no", "No, I hear no drums.", yes=False) == 1.0


def test_scores_name_what_applies() -> None:
    found = reward_scores.scores("The tempo is about 60 BPM.", {**CLIP, "asked": ["tempo_bpm"]}, REWARDS)
    assert found == {"tempo": pytest.approx(0.5, abs=0.02)}
    with pytest.raises(ConfigError, match="did you mean 'tempo'"):
        reward_scores.scores("", CLIP, ["tempos"])


WRONG_FACTS = [
    ({"tempo_bpm": "fast"}, "facts.tempo_bpm is 'fast'; expected a number above 0"),
    ({"key": "H minor"}, "expected a key such as 'F# minor'"),
    ({"instruments": ["kazoo"]}, "facts.instruments"),
    ({"times": [-1]}, "expected a list of seconds"),
    ({"answerable": "yes"}, "facts.answerable is 'yes'; expected true or false"),
    ({"asked": ["tempo"]}, "facts.asked names 'tempo'.*did you mean 'tempo_bpm'"),
]


@pytest.mark.parametrize(("facts", "sentence"), WRONG_FACTS)
def test_wrong_facts_are_told(facts: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        reward_data.check_facts(facts)


def test_right_facts_are_not(tmp_path: Path) -> None:
    for facts in QUESTIONS:
        reward_data.check_facts(facts)
