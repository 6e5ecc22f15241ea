"""Tests of `augment.negation`: answers agree with the track, questions alone tell nothing, wordings are kept apart."""

from __future__ import annotations

import collections
import dataclasses
import random
import re

import pytest

from mllm.facts import INSTRUMENTS
from mllm.instruct_data.augment import _negation_wordings, negation
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.tracks import Track
from tests.labelled_tracks import check_wordings, labelled_tracks

TRACKS = labelled_tracks(120)
WORDS = {
    "sax": "saxophone",
    "synth": "synthesizer",
    "bowed strings": "strings",
    "mallet percussion": "mallets",
    "mallet instruments": "mallets",
    "woodwinds": "woodwind",
}


def drawn(track: Track, seed: int, *, held_out: bool = False, others: list[Track] = TRACKS) -> list[Exchange]:
    return list(negation.exchanges((track,), Draw(rng=random.Random(seed), held_out=held_out, others=others)))


EXCHANGES = [(track, one) for seed, track in enumerate(TRACKS) for one in drawn(track, seed)]
HELD_OUT = [(track, one) for seed, track in enumerate(TRACKS) for one in drawn(track, seed, held_out=True)]


def named(text: str) -> list[str]:
    """Instruments in the order in which a text names them, longer names first where one is in another."""
    names = sorted([*INSTRUMENTS, "guitar", *WORDS], key=len, reverse=True)
    found = re.findall(rf"(?<![\w-])({'|'.join(names)})(?!\w)", text.lower())
    return [WORDS.get(name, name) for name in found]


def plays(track: Track, name: str) -> bool:
    assert track.activity is not None
    return any(
        one in track.activity for one in (("acoustic guitar", "electric guitar") if name == "guitar" else (name,))
    )


def of(kind: str, exchanges: list[tuple[Track, Exchange]] = EXCHANGES) -> list[tuple[Track, str, str, Exchange]]:
    found = [(track, *one.turns[0], one) for track, one in exchanges if one.template.startswith(f"negation/{kind}")]
    assert found
    return found


@pytest.mark.parametrize("exchanges", [EXCHANGES, HELD_OUT])
def test_clauses_of_answers_are_true(exchanges: list[tuple[Track, Exchange]]) -> None:
    checked = 0
    for track, one in exchanges:
        answer = one.turns[-1][1]
        if found := re.search(r"I hear (.*)$", answer):
            before, _, after = re.sub(r"\bno ", "|", found[1], count=1).partition("|")
            assert all(plays(track, name) for name in named(before)), answer
            assert not any(plays(track, name) for name in named(after)), answer
            checked += bool(named(found[1]))
    assert checked > 200


@pytest.mark.parametrize("exchanges", [EXCHANGES, HELD_OUT])
def test_verdicts_agree_with_the_track(exchanges: list[tuple[Track, Exchange]]) -> None:
    for kind, yes_if_playing in (("lacks", False), ("double", True), ("pair/has", True), ("pair/lacks", False)):
        for track, question, answer, one in of(kind, exchanges):
            name = one.template.rpartition("/")[2]
            assert set(named(question)) == {name}
            assert one.label == ("yes" if plays(track, name) == yes_if_playing else "no"), (question, answer)
    for track, question, _, one in of("neither", exchanges):
        assert one.label == ("no" if any(plays(track, name) for name in named(question)) else "yes"), question
    for kind in ("but_no", "pair/but_no"):
        for track, question, _, one in of(kind, exchanges):
            first, second = named(question)
            assert one.label == ("yes" if plays(track, first) and not plays(track, second) else "no"), question
    for _, one in exchanges:
        if one.label is not None:
            assert one.turns[0][1].startswith(one.label.capitalize())


def test_everything_but_one() -> None:
    for track, question, _, one in of("everything_but"):
        *listed, left_out = named(question)
        kept = set(listed) - {left_out}
        assert len(kept) == 2
        true = all(plays(track, name) for name in kept) and not plays(track, left_out)
        assert one.label == ("yes" if true else "no"), question


def test_the_rest_is_named_whole() -> None:
    for track, question, answer, _ in of("except"):
        (left_out,) = set(named(question))
        assert track.activity is not None
        covered = {"acoustic guitar", "electric guitar"} if left_out == "guitar" else {left_out}
        rest = answer.replace(f"besides the {left_out}", "").replace(f"no {left_out}", "")
        assert set(named(rest)) == set(track.activity) - covered


def test_choices_have_one_true_answer() -> None:
    for kind, wanted in (("which/", True), ("which_not/", False)):
        for track, question, answer, one in of(kind):
            assert one.correct is not None
            assert [plays(track, name) == wanted for name in one.choices].index(True) == one.correct
            assert sum(plays(track, name) == wanted for name in one.choices) == 1
            assert answer == f"({'ABCD'[one.correct]}) {one.choices[one.correct]}."
            assert all(f"({letter}) {name}" in question for letter, name in zip("ABCD", one.choices, strict=False))


def test_captions_are_true_or_false_as_said() -> None:
    labels = set()
    for track, question, _, one in of("caption"):
        true = True
        if mode := re.search(r"in a (major|minor) key", question):
            assert track.key is not None
            true &= track.key.endswith(mode[1])
        if meter := re.search(r"in (\d+/\d+) time", question):
            true &= track.meter == meter[1]
        if speed := re.search(r"a (slow|fast|mid-tempo) ", question.lower()):
            assert track.tempo_bpm is not None
            true &= speed[1] == ("slow" if track.tempo_bpm < 80 else "fast" if track.tempo_bpm >= 130 else "mid-tempo")
        playing, _, silent = re.split(r"(without|with no|has no| no )", question, maxsplit=1)
        true &= all(plays(track, name) for name in named(playing))
        true &= not any(plays(track, name) for name in named(silent))
        assert one.label == ("yes" if true else "no"), question
        labels.add(one.label)
    assert labels == {"yes", "no"}


def test_described_absences_are_true() -> None:
    for track, question, answer, _ in of("describe"):
        asked = set(named(question))
        playing, _, silent = re.split(r"(without|with no|has no| no |$)", answer, maxsplit=1)
        assert set(named(silent)) == {name for name in asked if not plays(track, name)}
        assert set(named(playing)) == {name for name in asked if plays(track, name)}


def test_both_members_of_a_pair_are_there_with_opposite_answers() -> None:
    for seed, track in enumerate(TRACKS):
        found = drawn(track, seed)
        polar = [one for one in found if one.template.startswith(("negation/pair/has", "negation/pair/lacks"))]
        exchanged = [one for one in found if one.template == "negation/pair/but_no"]
        for pair in (polar, exchanged):
            assert len(pair) in (0, 2)
            assert len({one.label for one in pair}) == len(pair)
        if polar:
            has, lacks = (one.turns[0][0].lower() for one in polar)
            assert re.sub(r"(?<!\w)(an? |no )", "", has) == re.sub(r"(?<!\w)(an? |no )", "", lacks)
        if exchanged:
            first, second = (named(one.turns[0][0]) for one in exchanged)
            assert first == second[::-1]


def test_a_question_alone_tells_nothing() -> None:
    """Whoever knows how often each question was answered with yes guesses the next ones no better than by chance."""
    votes: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    right = asked = 0
    for round_number in range(2):
        for seed, track in enumerate(labelled_tracks(300, seed=7)):
            draw = Draw(rng=random.Random(f"{round_number}/{seed}"), held_out=False, others=TRACKS)
            for one in negation.exchanges((track,), draw):
                if one.label is None or one.template.startswith("negation/pair"):
                    continue
                clue = f"{one.template}|{'+'.join(sorted(set(named(one.turns[0][0]))))}"
                if round_number == 0:
                    votes[clue][one.label] += 1
                elif votes[clue]:
                    asked += 1
                    right += votes[clue].most_common(1)[0][0] == one.label
    assert asked > 1000
    assert abs(right / asked - 0.5) < 0.05


def test_what_is_not_known_is_not_asked() -> None:
    known = TRACKS[0]
    nothing = dataclasses.replace(known, activity=None, instruments=None, absent=None)
    assert drawn(nothing, 0) == []
    forgetful = dataclasses.replace(known, activity=None, absent=None)
    for seed in range(20):
        for one in drawn(forgetful, seed):
            assert set(named(one.turns[0][0])) <= {*forgetful.instruments, "guitar"}  # type: ignore[misc]
    partly = dataclasses.replace(known, activity=None, instruments=("piano",), absent=("drums", "harp", "organ"))
    asked = {name for seed in range(30) for one in drawn(partly, seed) for name in named(one.turns[0][0])}
    assert asked
    assert asked <= {"piano", "drums", "harp", "organ"}


def test_woodwind_is_not_denied_where_a_flute_plays() -> None:
    fluted = dataclasses.replace(TRACKS[0], activity={"flute": ((0.0, 60.0),)}, instruments=("flute",), absent=None)
    asked = {name for seed in range(60) for one in drawn(fluted, seed) for name in named(one.turns[0][0])}
    assert "flute" in asked
    assert "woodwind" not in asked


def test_without_other_tracks_both_answers_are_drawn() -> None:
    labels = collections.Counter(
        one.label for seed in range(200) for one in drawn(TRACKS[seed % 20], seed, others=[]) if one.label is not None
    )
    assert abs(labels["yes"] - labels["no"]) < 0.1 * labels.total()


def test_the_same_draw_gives_the_same() -> None:
    assert drawn(TRACKS[3], 5) == drawn(TRACKS[3], 5)


@pytest.mark.parametrize("intent", _negation_wordings.WORDINGS)
def test_wordings_are_many_and_kept_apart(intent: str) -> None:
    check_wordings(_negation_wordings.WORDINGS[intent])
