"""Facts from answers: what is stated becomes a field, everything else is null; the schema is what is printed."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import hypothesis
import jsonschema
import pytest
from hypothesis import strategies

import mllm
from mllm import describe, facts
from mllm.answer import Answer, Token
from mllm.errors import ConfigError
from mllm.instruct_data import dialogue, statements

SCHEMA = json.loads((Path(mllm.__file__).parent / "schema" / "describe.schema.json").read_text(encoding="utf-8"))
ROOT = json.dumps({"tempo_bpm": 120, "key": "F# minor", "meter": "6/8", "instruments": ["flute", "piano"]})


def answer(text: str, **probability_of: float) -> Answer:
    """An answer of one token a character; the characters of each word in `probability_of` get that probability."""
    chances = [1.0] * len(text)
    for word, probability in probability_of.items():
        start = text.index(word)
        chances[start] = probability
    tokens = [Token(start=i, end=i + 1, probability=chance) for i, chance in enumerate(chances)]
    end = Token(start=len(text), end=len(text), probability=1.0)
    return Answer(text=text, seconds_heard=30.0, total_seconds=30.0, tokens=(*tokens, end), complete=True)


def read(text: str, **probability_of: float) -> dict[str, Any]:
    """The printed object, which must be of the schema."""
    plain: dict[str, Any] = json.loads(json.dumps(describe.read(answer(text, **probability_of)).to_json()))
    jsonschema.validate(plain, SCHEMA)
    return plain


def test_what_is_stated_becomes_a_field() -> None:
    plain = read(ROOT)
    assert plain["tempo_bpm"] == 120
    assert plain["key"] == "F# minor"
    assert plain["meter"] == "6/8"
    assert plain["instruments"] == ["piano", "flute"]
    assert plain["genre"] is plain["mood"] is plain["vocals"] is None
    assert plain["seconds_heard"] == 30.0
    assert list(plain) == [*describe.FIELDS, "confidence", "seconds_heard"]


def test_it_reads_what_the_backbone_is_taught_to_answer() -> None:
    known = facts.Facts(tempo_bpm=87, key="Bb major", meter="3/4", instruments=("bass", "drums"))
    plain = read(dialogue.json_answer(known))
    assert (plain["tempo_bpm"], plain["key"], plain["meter"]) == (87, "Bb major", "3/4")
    assert plain["instruments"] == ["bass", "drums"]
    assert read(dialogue.json_answer(facts.Facts()))["key"] is None


def test_the_questions_are_those_of_the_training() -> None:
    known = statements.known_from_facts(facts.Facts())
    rng = random.Random(0)
    asked = {dialogue.random_turn(rng, known).question for _ in range(600)}
    assert {describe.QUESTION, describe.CAPTION_QUESTION} <= asked


def test_confidence_is_the_probability_of_the_stated_value() -> None:
    confidence = read(ROOT, **{"120": 0.5, "minor": 0.25, "flute": 0.81})["confidence"]
    assert confidence["tempo_bpm"] == 0.5
    assert confidence["key"] == 0.25
    assert confidence["meter"] == 1.0
    assert confidence["instruments"] == pytest.approx(0.9)  # two instruments: the square root of 0.81
    assert confidence["genre"] == 0.0


def test_a_token_that_spells_more_than_the_value_counts_for_it() -> None:
    text = '{"tempo_bpm": 120}'
    tokens = (
        Token(start=0, end=12, probability=0.1),
        Token(start=12, end=15, probability=0.5),  # `: 1`
        Token(start=15, end=18, probability=0.5),  # `20}`
        Token(start=18, end=18, probability=0.01),
    )
    stated = describe.read(Answer(text=text, seconds_heard=1, total_seconds=1, tokens=tokens, complete=True))
    assert stated.confidence["tempo_bpm"] == 0.25


def test_a_minimum_confidence_makes_null() -> None:
    given = answer(ROOT, **{"120": 0.5, "minor": 0.25})
    sure = describe.read(given, minimum_confidence=0.3)
    assert (sure.tempo_bpm, sure.key, sure.confidence["key"]) == (120, None, 0.0)
    with pytest.raises(ConfigError, match=r"minimum confidence is 1\.5; expected a number from 0 to 1"):
        describe.read(given, minimum_confidence=1.5)


@pytest.mark.parametrize(
    ("spelling", "key"),
    [("A# major", "Bb major"), ("Gb major", "F# major"), ("Db minor", "C# minor"), ("E minor", "E minor")],
)
def test_spellings_of_a_key_become_one(spelling: str, key: str) -> None:
    assert read(json.dumps({"key": spelling}))["key"] == key


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tempo_bpm", None),
        ("tempo_bpm", "120"),
        ("tempo_bpm", True),
        ("tempo_bpm", 12),
        ("tempo_bpm", 1e9),
        ("key", "H major"),
        ("key", "C# dorian"),
        ("key", 3),
        ("meter", "7/8"),
        ("meter", 4),
        ("instruments", []),
        ("instruments", "piano"),
        ("instruments", ["theremin"]),
        ("instruments", [["piano"]]),
        ("genre", ""),
        ("genre", "very " * 20),
        ("mood", 1),
        ("vocals", "yes"),
    ],
)
def test_what_is_outside_the_vocabulary_is_null(name: str, value: object) -> None:
    plain = read(json.dumps({name: value}))
    assert plain[name] is None
    assert plain["confidence"][name] == 0.0


def test_a_word_outside_the_vocabulary_does_not_take_the_others_with_it() -> None:
    assert read('{"instruments": ["theremin", "harp", "harp"]}')["instruments"] == ["harp"]


def test_genre_mood_and_vocals_are_told_where_the_model_states_them() -> None:
    plain = read('{"genre": " reel ", "mood": "merry", "vocals": false, "lyrics": "la la"}')
    assert (plain["genre"], plain["mood"], plain["vocals"]) == ("reel", "merry", False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot tell.",
        '{"tempo_bpm": 120, "key": "C maj',
        '{"tempo_bpm": 120,}',
        '{"tempo_bpm": NaN}',
        '{"tempo_bpm": 100, "tempo_bpm": 120}',
        '{"tempo_bpm": 120} and more',
        '[{"tempo_bpm": 120}]',
        '"tempo_bpm"',
        "{120: 120}",
        '{"tempo_bpm" 120}',
    ],
)
def test_what_is_not_one_json_object_states_nothing(text: str) -> None:
    plain = read(text)
    assert all(plain[name] is None for name in describe.FIELDS)
    assert set(plain["confidence"].values()) == {0.0}


@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(strategies.text(alphabet='{}[]",: \n0123456789.-eEnulltrfasinfkyCmajor#', max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    read(text.strip())


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(
    strategies.dictionaries(
        strategies.sampled_from([*describe.FIELDS, "lyrics"]),
        strategies.recursive(
            strategies.none()
            | strategies.booleans()
            | strategies.integers()
            | strategies.floats(allow_nan=False)
            | strategies.sampled_from(["C major", "3/4", "piano", "waltz"]),
            lambda inner: strategies.lists(inner, max_size=3),
            max_leaves=4,
        ),
    )
)
def test_no_object_breaks_it(stated: dict[str, object]) -> None:
    read(json.dumps(stated))


def test_the_schema_has_the_vocabulary() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    properties = SCHEMA["properties"]
    assert properties["key"]["enum"] == [*facts.KEYS, None]
    assert properties["meter"]["enum"] == [*facts.METERS, None]
    assert properties["instruments"]["items"]["enum"] == list(facts.INSTRUMENTS)
    assert (properties["tempo_bpm"]["minimum"], properties["tempo_bpm"]["maximum"]) == (
        facts.LOWEST_TEMPO_BPM,
        facts.HIGHEST_TEMPO_BPM,
    )
    assert SCHEMA["required"] == [*describe.FIELDS, "confidence", "seconds_heard"]


def test_confidence_of_an_answer_is_the_geometric_mean() -> None:
    tokens = [Token(start=0, end=1, probability=0.5), Token(start=1, end=1, probability=0.125)]
    said = Answer(text="a", seconds_heard=0, total_seconds=0, tokens=tuple(tokens), complete=True)
    assert said.confidence == pytest.approx(0.25)
    long = Answer(text="a", seconds_heard=0, total_seconds=0, tokens=tuple(tokens[:1] * 4000), complete=False)
    assert long.confidence == pytest.approx(0.5)


def test_the_schema_for_decoding_admits_what_the_model_learns_and_nothing_strange() -> None:
    schema = describe.answer_schema()
    good: dict[str, object] = {"tempo_bpm": 141, "key": "G# minor", "meter": "4/4", "instruments": ["flute", "drums"]}
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(good, schema)
    jsonschema.validate(dict.fromkeys(good), schema)
    jsonschema.validate({**good, "genre": "jazz", "mood": None, "vocals": False}, schema)
    strange: list[dict[str, object]] = [
        {"tempo_bpm": 400},
        {"key": "H minor"},
        {"meter": "5/4"},
        {"instruments": []},
        {"artist": "me"},
    ]
    for wrong in strange:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**good, **wrong}, schema)


@pytest.mark.parametrize("value", ["9" * 400, "-" + "9" * 400, "1e999", "[" * 5000])
def test_a_value_that_python_cannot_take_states_nothing(value: str) -> None:
    assert read(f'{{"tempo_bpm": {value}}}')["tempo_bpm"] is None
