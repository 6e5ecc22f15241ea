"""Every kind of question about recordings: true answers, nothing unknown said, chance from the draw, wordings apart."""

from __future__ import annotations

import dataclasses
import random
import re
import string
from collections import Counter
from collections.abc import Iterator

import pytest

from mllm import registry
from mllm.instruct_data import asked, phrases
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.phrases import Phrasings
from mllm.instruct_data.tracks import Track
from tests import answer_truth, random_tracks

KINDS = tuple(answer_truth.CHECKS)
TRACKS = random_tracks.tracks(120)
WORDINGS = [(kind, intent) for kind in asked.kinds() for intent in asked.phrasings(kind)]


def exchanges(
    kind: str, tracks: list[Track], *, seed: int = 0, held_out: bool = False
) -> Iterator[tuple[tuple[Track, ...], Exchange]]:
    """What a kind asks about each of some tracks, or about each and the next but one."""
    module = registry.find("augmentation", kind)
    for number, track in enumerate(tracks):
        about = (track,) if module.TRACKS == 1 else (track, tracks[(number + 2) % len(tracks)])
        others = tuple(one for one in tracks[number + 1 :] + tracks[:number] if one not in about)[:12]
        draw = Draw(rng=random.Random(f"{seed}/{number}"), held_out=held_out, others=others)
        for exchange in module.exchanges(about, draw):
            yield about, exchange


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_says_what_it_is(kind: str) -> None:
    module = registry.find("augmentation", kind)
    assert module.SUMMARY.endswith(".")
    assert module.TRACKS in (1, 2)


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_true(kind: str, held_out: bool) -> None:
    found = list(exchanges(kind, TRACKS, held_out=held_out))
    assert len(found) >= len(TRACKS)
    for tracks, exchange in found:
        answer_truth.CHECKS[kind](tracks, exchange)
        assert exchange.template.startswith(f"{kind}/")
        for question, answer in exchange.turns:
            assert question[0] == question[0].upper()
            assert answer.endswith((".", *"ABCD")) or kind in ("multiple_choice", "caption")
            if kind not in ("comparison", "multiple_choice", "cannot_tell"):
                answer_truth.says_only_what_is_so(tracks[0], answer)


@pytest.mark.parametrize("kind", KINDS)
def test_every_question_of_a_kind_is_asked_and_checked(kind: str) -> None:
    asked_about = Counter(exchange.template.split("/")[1] for _, exchange in exchanges(kind, TRACKS))
    if kind in asked.kinds() and kind not in ("multi_turn", "single_fact", "caption", "multiple_choice"):
        assert set(asked.phrasings(kind)) <= set(asked_about)
    assert min(asked_about.values()) >= 3, asked_about


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "cannot_tell"])
def test_of_unknown_tracks_nothing_is_asked(kind: str) -> None:
    blanks = [random_tracks.blank(number) for number in range(8)]
    assert list(exchanges(kind, blanks)) == []


FIELDS = (
    "seconds",
    "tempo_bpm",
    "tempo_curve",
    "downbeats",
    "meter",
    "key",
    "keys",
    "chords",
    "activity",
    "instruments",
    "absent",
    "sections",
    "registers",
    "density",
    "dynamics",
    "drum_pattern",
    "style",
    "moods",
    "vocals",
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("field", FIELDS)
def test_what_is_unknown_is_not_said(kind: str, field: str) -> None:
    gone = {field: None}
    gone |= {"keys": None} if field == "key" else {}
    gone |= {"tempo_curve": None} if field == "tempo_bpm" else {}
    gone |= {"activity": None, "registers": None, "drum_pattern": None} if field == "instruments" else {}
    unknowing = [dataclasses.replace(track, **gone) for track in TRACKS[:25]]  # type: ignore[arg-type]
    for tracks, exchange in exchanges(kind, unknowing):
        said = " ".join(answer for _, answer in exchange.turns)
        assert "None" not in said
        without_chords = (
            "" if "chord" in exchange.template else re.sub(r"[^.]*(?:harmony|chords|sets out)[^.]*\.", "", said)
        )
        if field == "key":
            assert not answer_truth.KEY.search(without_chords), said
        if field == "tempo_bpm":
            assert "BPM" not in said
        if field == "meter":
            assert not answer_truth.METER.search(said), said
        if field == "instruments":
            assert not answer_truth.mentioned(said), said
        if field == "absent":
            assert "hear no " not in said.replace("hear no singing", "")
        if field == "style" and kind in ("caption", "single_fact"):
            assert str(tracks[0].style) == "None"
            assert "waltz" not in said


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("kind", KINDS)
def test_one_known_field_is_enough_to_begin_with(kind: str, field: str) -> None:
    names = {"activity": ("activity", "instruments"), "key": ("key", "keys")}.get(field, (field,))
    sparse = [
        dataclasses.replace(random_tracks.blank(number), **{name: getattr(track, name) for name in names})
        for number, track in enumerate(TRACKS[:12])
    ]
    for _, exchange in exchanges(kind, sparse):
        assert "None" not in str(exchange.turns)


@pytest.mark.parametrize("kind", KINDS)
def test_chance_comes_from_the_draw_alone(kind: str) -> None:
    first, again = ([one for _, one in exchanges(kind, TRACKS[:20])] for _ in range(2))
    assert first == again
    assert first != [one for _, one in exchanges(kind, TRACKS[:20], seed=1)]


def test_half_of_the_verdicts_are_yes() -> None:
    labels = Counter(exchange.label for seed in range(6) for _, exchange in exchanges("yes_no", TRACKS, seed=seed))
    assert labels.keys() == {"yes", "no"}
    assert labels["yes"] / labels.total() == pytest.approx(0.5, abs=0.04)


def test_positions_of_right_options_are_even() -> None:
    found = [exchange for seed in range(4) for _, exchange in exchanges("multiple_choice", TRACKS, seed=seed)]
    for count in (2, 3, 4):
        places = Counter(exchange.correct for exchange in found if len(exchange.choices) == count)
        assert len(places) == count
        assert all(value / places.total() == pytest.approx(1 / count, abs=0.06) for value in places.values())


def test_a_list_that_may_lack_instruments_is_not_called_the_line_up() -> None:
    partly = [dataclasses.replace(track, activity=None, absent=None, registers=None) for track in TRACKS[:60]]
    for _, exchange in exchanges("caption", partly):
        assert not re.search(
            r"(?:played|performed) by|for an? |alone|only|instruments are|line-up", exchange.turns[0][1]
        )


def test_long_captions_differ_in_their_plans() -> None:
    track = TRACKS[1]
    module = registry.find("augmentation", "caption")
    said = set()
    for seed in range(60):
        draw = Draw(rng=random.Random(seed), held_out=False)
        said |= {one.turns[0][1] for one in module.exchanges((track,), draw) if one.template == "caption/long"}
    assert len(said) > 50
    assert len({text.split(".")[0] for text in said}) > 20
    assert all(text.count(".") >= 2 for text in said)


@pytest.mark.parametrize(("kind", "intent"), WORDINGS, ids=lambda value: str(value).replace(" ", "-"))
def test_wordings_of_training_and_test_are_apart(kind: str, intent: str) -> None:
    wordings: Phrasings = asked.phrasings(kind)[intent]
    rng = random.Random(0)
    kept = {phrases.plain(sentence) for sentence in wordings.held_out}
    trained = {phrases.plain(phrases.say(rng, rng.choice(wordings.train))) for _ in range(400)}
    assert len(kept) >= 8
    assert len({phrases.say(rng, rng.choice(wordings.train)) for _ in range(400)}) >= 20
    assert not kept & trained
    fields = [{name for _, name, _, _ in string.Formatter().parse(one) if name} for one in wordings.held_out]
    known = {
        name
        for pattern in wordings.train
        for _, name, _, _ in string.Formatter().parse(re.sub(r"[\[\]|<>]", " ", pattern))
        if name
    }
    assert all(one <= known | {"name", "a_name", "it", "obj", "does", "is"} for one in fields)
    if known & {"time", "bpm", "section", "clause"}:
        assert all(one & known for one in fields)


def test_held_out_questions_are_asked_of_the_test_split_alone() -> None:
    def questions(*, held_out: bool) -> set[str]:
        return {
            re.sub(r"[\d:.]+|\n.*", "", phrases.plain(question))
            for kind in KINDS
            for _, exchange in exchanges(kind, TRACKS[:40], held_out=held_out)
            for question, _ in exchange.turns
        }

    trained, tested = questions(held_out=False), questions(held_out=True)
    assert len(trained & tested) < 0.01 * len(tested)
