"""Styles of captions: what is taken of an answer."""

from __future__ import annotations

import pytest

from mllm import captions

ANSWER = "A fast piece in C major, at about 120.5 BPM. It is played by a piano."


@pytest.mark.parametrize(
    ("style", "expected"),
    [("short", "A fast piece in C major, at about 120.5 BPM."), ("long", ANSWER), ("tags", ANSWER)],
)
def test_texts(style: captions.Style, expected: str) -> None:
    assert captions.text(style, ANSWER) == expected


def test_a_short_caption_of_nothing_is_nothing() -> None:
    assert captions.text("short", "") == ""


def test_tags() -> None:
    assert captions.tags("fast, C major, , 4/4, fast, piano.") == ["fast", "C major", "4/4", "piano"]
    assert captions.tags("") == []


def test_every_style_has_a_question() -> None:
    assert all(captions.question(style) for style in captions.STYLES)
