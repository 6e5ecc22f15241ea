"""Questions, answers, blocks and statements agree with the facts they are made from."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import random
import re
import subprocess
import sys

import pytest

from mllm import facts as vocabulary
from mllm.errors import ConfigError
from mllm.facts import Facts
from mllm.instruct_data import blocks, dialogue, phrases, statements
from mllm.instruct_data.phrases import SYNONYMS, Phrasings
from mllm.instruct_data.wordings import CANNOT_TELL, QUESTIONS, STATEMENTS

FACTS = Facts(tempo_bpm=120, key="F# minor", meter="3/4", instruments=("piano", "acoustic guitar", "drums"))


def test_a_block_states_every_field_in_its_slot() -> None:
    words = blocks.words(FACTS)
    assert len(words) == blocks.SLOTS
    assert words[:4] == ("<|hundreds:1|>", "<|tens:2|>", "<|ones:0|>", "<|tonic:F#|>")
    assert words[4:6] == ("<|mode:minor|>", "<|meter:3/4|>")
    assert [word for word in words[6:] if "yes" in word] == [f"<|{name}:yes|>" for name in FACTS.instruments or ()]


def test_an_empty_block_is_unknown_throughout() -> None:
    words = blocks.words(Facts())
    assert len(words) == blocks.SLOTS
    assert all(word.endswith(":unknown|>") for word in words)


def test_every_word_of_every_block_is_in_the_lexicon() -> None:
    rng = random.Random(0)
    for _ in range(300):
        words = blocks.words(statements.random_facts(rng, unknown=0.2))
        assert all(word in slot for word, slot in zip(words, blocks.SLOT_WORDS, strict=True))
    assert len(set(blocks.lexicon())) == len(blocks.lexicon())


def test_training_and_gate_share_no_wording() -> None:
    rng = random.Random(0)
    for phrasings in (*QUESTIONS.values(), *CANNOT_TELL.values(), *STATEMENTS.values()):
        kept = {phrases.plain(sentence) for sentence in phrasings.held_out}
        assert len(kept) > 5
        assert not kept & {phrases.plain(phrasings.choose(rng, held_out=False)) for _ in range(300)}


def test_a_pattern_says_each_of_its_alternatives() -> None:
    rng = random.Random(0)
    said = {phrases.say(rng, "[is|was] it [a [big|small] |]song in {key}<in_it>?") for _ in range(4000)}
    assert {"Is it a big song in {key}?", "Was it song in {key} at all?", "Was it a small song in {key} here?"} <= said
    assert not any(character in sentence for sentence in said for character in "[]<>|")


def test_a_held_out_sentence_is_never_said_in_training() -> None:
    phrasings = Phrasings(
        train=("[The|A] key of the [song|piece] is {x}[.|!]", "Key: {x}"), held_out=("Key of piece is {x}",)
    )
    rng = random.Random(0)
    assert {phrasings.choose(rng, held_out=False) for _ in range(50)} == {"Key: {x}"}
    assert phrasings.choose(rng, held_out=True) == "Key of piece is {x}"


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_of_negated_questions_can_be_chosen(share: float) -> None:
    rng = random.Random(0)
    known = statements.known_from_facts(FACTS)
    mix = dialogue.Mix(negated=share)
    intents = {dialogue.random_turn(rng, known, mix=mix).intent for _ in range(300)}
    assert intents & {"has", "lacks"} == {"lacks" if share else "has"}


def test_a_thinned_question_keeps_its_fields_and_what_carries_its_meaning() -> None:
    rng = random.Random(0)
    sentence = "Is there not any {name} in this piece, or did they leave it out?"
    said = {phrases.thinned(rng, sentence) for _ in range(200)}
    assert len(said) > 20
    for text in said:
        assert all(word in text.lower().split() for word in ("not", "{name}", "piece,", "leave", "out?"))
        assert text[0].isupper() or text.startswith("{")
    assert phrases.thinned(rng, "Is it?") in ("Is it?", "Is", "It?")


def test_questions_do_not_depend_on_how_python_hashes_strings() -> None:
    program = (
        "import random\n"
        "from mllm.instruct_data import dialogue, statements\n"
        "rng = random.Random(5)\n"
        "for _ in range(300):\n"
        "    print(dialogue.random_turn(rng, statements.known_from_facts(statements.random_facts(rng))).question)\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1] != ""


def test_a_roll_call_says_of_each_instrument_whether_it_plays() -> None:
    rng = random.Random(0)
    known = statements.known_from_facts(FACTS)
    for _ in range(200):
        turn = dialogue.roll_call_turn(rng, known, held_out=False)
        verdicts = dict(part.rsplit(" ", 1) for part in turn.answer[len("I checked: ") : -1].split(", "))
        assert 2 <= len(verdicts) <= 4
        assert all((verdict == "yes") == (name in (FACTS.instruments or ())) for name, verdict in verdicts.items())
        for name in verdicts:
            assert any(said in turn.question.lower() for said in SYNONYMS[name])
    nothing = dialogue.roll_call_turn(rng, statements.known_from_facts(Facts()), held_out=False)
    assert nothing.answer == "I cannot tell the instruments."


def test_a_checked_key_mode_or_meter_is_confirmed_only_where_true() -> None:
    rng = random.Random(0)
    known = statements.known_from_facts(FACTS)
    seen = collections.Counter[str]()
    for _ in range(6000):
        turn = dialogue.random_turn(rng, known)
        if turn.intent not in ("is_key", "is_mode", "is_meter"):
            continue
        truth = {"is_key": "F# minor", "is_mode": "minor", "is_meter": "3/4"}[turn.intent]
        agrees = re.search(rf"(?<![a-zA-Z]){truth}", turn.question, re.IGNORECASE) is not None
        verdict, _, fact = turn.answer.removeprefix("I checked: ").partition(". ")
        asked, _, word = verdict.rpartition(" ")
        assert asked.lower() in turn.question.lower()
        assert word == ("yes" if agrees else "no"), turn
        assert fact == ("The time signature is 3/4." if turn.intent == "is_meter" else "The key is F# minor.")
        seen[f"{turn.intent} {agrees}"] += 1
    assert min(seen.values()) > 20
    assert len(seen) == 6


def test_of_several_keys_or_meters_the_true_one_is_confirmed() -> None:
    rng = random.Random(0)
    seen = collections.Counter[str]()
    for _ in range(3000):
        turn = dialogue.random_turn(rng, statements.known_from_facts(FACTS))
        if turn.intent != "choices":
            continue
        verdicts = re.findall(r"(\d+/\d|[A-G][#b]? (?:major|minor)) (yes|no)", turn.answer)
        assert f"I checked: {', '.join(map(' '.join, verdicts))}." == turn.answer
        assert [turn.question.lower().index(name.lower()) for name, _ in verdicts] == sorted(
            turn.question.lower().index(name.lower()) for name, _ in verdicts
        )
        for name, verdict in verdicts:
            assert (verdict == "yes") == (name in ("F# minor", "3/4"))
            seen[verdict] += 1
    assert min(seen.values()) > 50


@pytest.mark.parametrize("negated", [False, True])
def test_yes_and_no_follow_the_facts(negated: bool) -> None:
    rng = random.Random(1)
    known = statements.known_from_facts(FACTS)
    for name in vocabulary.INSTRUMENTS:
        turn = dialogue.instrument_turn(rng, known, negated=negated, held_out=False, name=name)
        plays = name in (FACTS.instruments or ())
        assert turn.answer.startswith("Yes," if plays != negated else "No,")
        assert any(said in turn.question.lower() for said in SYNONYMS[name])


def test_half_of_the_instruments_asked_about_play() -> None:
    rng = random.Random(2)
    known = statements.known_from_facts(FACTS)
    turns = [dialogue.instrument_turn(rng, known, negated=False, held_out=False) for _ in range(2000)]
    yes = sum(turn.answer.startswith("Yes") for turn in turns)
    assert 850 < yes < 1100


@pytest.mark.parametrize("intent", dialogue.OPEN_INTENTS)
def test_open_questions_about_nothing_known_are_not_answered(intent: str) -> None:
    rng = random.Random(3)
    unknown = statements.known_from_facts(Facts())
    turns = [dialogue.random_turn(rng, unknown) for _ in range(600)]
    answers = {turn.answer for turn in turns if turn.intent == intent}
    assert answers
    assert not any(re.search(r"\d|major\b|minor\b|piano", answer) for answer in answers)


def test_the_json_answer_is_json() -> None:
    assert json.loads(dialogue.json_answer(FACTS)) == {
        "tempo_bpm": 120,
        "key": "F# minor",
        "meter": "3/4",
        "instruments": ["piano", "acoustic guitar", "drums"],
    }
    assert set(json.loads(dialogue.json_answer(Facts())).values()) == {None}


def test_several_windows_agree_on_what_most_of_them_state() -> None:
    rng = random.Random(4)
    for _ in range(100):
        context = statements.audio_context(rng, windows=5)
        found = re.findall(r"tonic:([A-G][#b]?)\|><\|mode:(\w+)", context.text)
        key = context.known[0].facts.key
        if key is not None:
            assert found.count(tuple(key.split())) >= 3


def test_text_statements_tell_no_more_than_is_known() -> None:
    rng = random.Random(5)
    for held_out in (False, True):
        for _ in range(200):
            context = statements.text_context(rng, held_out=held_out)
            facts = context.known[0].facts
            assert (facts.key is not None) == bool(re.search(r"\b(major|minor)\b", context.text))
            assert (facts.meter is not None) == bool(re.search(r"\d/\d", context.text))
            for name in facts.instruments or ():
                assert name in context.text.lower()


def test_a_question_about_one_of_two_recordings_is_answered_from_that_one() -> None:
    rng = random.Random(6)
    known = tuple(
        statements.known_from_facts(dataclasses.replace(FACTS, key=key, tempo_bpm=tempo))
        for key, tempo in (("C major", 60), ("A minor", 150))
    )
    turns = [dialogue.two_recordings_turn(rng, known) for _ in range(800)]
    for turn in turns:
        if "faster" in turn.question:
            assert turn.answer == "The second one is faster."
        elif "The key is" in turn.answer and "Is " not in turn.question:
            assert ("C major" in turn.answer) == ("first" in turn.question)


def test_tempo_classes_are_within_two_percent_of_any_tempo() -> None:
    for tempo in range(400, 2380):
        named = vocabulary.TEMPO_CLASSES_BPM[vocabulary.nearest_tempo_class(tempo / 10)]
        assert abs(named / (tempo / 10) - 1) < 0.02


def test_keys_are_found_in_any_spelling() -> None:
    assert vocabulary.KEYS[vocabulary.key_index("A# major")] == "Bb major"
    assert [vocabulary.key_index(key) for key in vocabulary.KEYS] == list(range(24))
    with pytest.raises(ConfigError, match=r"'H minor'|'H' is not a note name"):
        vocabulary.key_index("H minor")
    with pytest.raises(ConfigError, match="is not a key"):
        vocabulary.key_index("C dorian")
