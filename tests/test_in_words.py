"""How facts are written: times, names with their verbs, chords, notes and numbers."""

from __future__ import annotations

import random

import pytest

from mllm.instruct_data import in_words


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.0, "0:00.0"), (5.04, "0:05.0"), (59.96, "1:00.0"), (65.44, "1:05.4"), (600.0, "10:00.0")]
)
def test_a_stamp_to_a_tenth(seconds: float, said: str) -> None:
    assert in_words.stamp(seconds) == said


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0:00"), (59.5, "1:00"), (62.49, "1:02"), (3599.6, "60:00")])
def test_a_stamp_to_the_second(seconds: float, said: str) -> None:
    assert in_words.whole_stamp(seconds) == said


def test_a_time_says_how_exact_it_is() -> None:
    said = {in_words.at(random.Random(n), 65.44) for n in range(40)}
    assert said == {"at 1:05.4", "at about 1:05", "at 65.4 seconds"}
    assert in_words.at(random.Random(0), 0.0) == "at the very beginning"


@pytest.mark.parametrize(
    ("text", "agreeing"),
    [
        ("Does the drums play?", "Do the drums play?"),
        ("Is there drums in it?", "Are there drums in it?"),
        ("the strings first enters at 0:05.", "the strings first enter at 0:05."),
        ("When does the piano stop?", "When does the piano stop?"),
        ("The first one has strings.", "The first one has strings."),
        ("Has the drums been used?", "Have the drums been used?"),
        ("drums is part of the mix", "drums are part of the mix"),
        ("the brass enters", "the brass enters"),
        ("Is the drum kit playing?", "Is the drum kit playing?"),
    ],
)
def test_verbs_agree_with_names_in_the_plural(text: str, agreeing: str) -> None:
    assert in_words.agreeing(text) == agreeing


@pytest.mark.parametrize(
    ("harte", "said"),
    [
        ("C:maj", "C major"),
        ("C", "C major"),
        ("F#:min", "F# minor"),
        ("Bb:7", "Bb7"),
        ("C:min7", "C minor seventh"),
        ("D:maj/3", "D major in inversion"),
        ("N", "no chord"),
        ("C:(1,5,b9)", "C:(1,5,b9)"),
    ],
)
def test_chords_are_said(harte: str, said: str) -> None:
    assert in_words.chord(harte) == said


def test_names_and_numbers() -> None:
    assert in_words.named(("organ", "brass", "drums")) == "an organ, brass and drums"
    assert in_words.with_the(("piano", "drums")) == "the piano and the drums"
    assert in_words.with_article("bowed strings") == "bowed strings"
    assert (in_words.note(60), in_words.note(34)) == ("C4", "Bb1")
    assert (in_words.section("chorus"), in_words.section("B")) == ("the chorus", "section B")
    assert (in_words.times(1), in_words.times(2), in_words.times(5)) == ("once", "twice", "five times")
    assert (in_words.several(1, "bar"), in_words.several(3, "chorus"), in_words.several(20, "bar")) == (
        "one bar",
        "three choruses",
        "20 bars",
    )
    assert (in_words.a("one drop"), in_words.a("old tune")) == ("a one drop", "an old tune")
    assert in_words.pattern("four on the floor") == "four on the floor"
    assert in_words.pattern("bossa") == "a bossa pattern"
