"""Tests of `augment.paraphrase`: other words, the same instruments, numbers, keys and negations."""

from __future__ import annotations

import dataclasses
import random
import re
from pathlib import Path

import pytest

from mllm.instruct_data.augment import paraphrase
from mllm.instruct_data.endpoint import Endpoint, EndpointSettings
from mllm.instruct_data.exchanges import Draw
from mllm.instruct_data.records import Record
from tests.labelled_tracks import labelled_tracks
from tests.test_endpoint import Model, lines, model  # noqa: F401 - a fixture

CAPTIONS = (
    "This is a fast rock song in 4/4 at about 140 BPM with electric guitar, bass and drums but no vocals.",
    "The low quality recording features a ballad song that contains sustained strings, mellow piano melody and soft "
    "female vocal singing over it. It sounds sad and soulful, like something you would hear at Sunday services.",
    "A slow piece in C minor without drums. There is no singing. It is played by a harp and a flute.",
    "A calm track that has neither a piano nor a guitar. You hear two violins.",
    "An energetic techno track. It features a synthesizer. It moves at around 128 BPM.",
)
NAMED = ("piano", "guitar", "bass", "drums", "strings", "harp", "flute", "violins", "synthesizer", "vocals", "neither")
TRACKS = [dataclasses.replace(track, captions=CAPTIONS) for track in labelled_tracks(20)]


def words(text: str) -> list[str]:
    return re.findall(r"[\w/]+", text.lower())


@pytest.mark.parametrize("caption", CAPTIONS)
def test_the_facts_stay_and_the_words_change(caption: str) -> None:
    found = {text for seed in range(60) if (text := paraphrase.reworded(random.Random(seed), caption)) is not None}
    assert len(found) >= 5
    for text in found:
        assert text != caption
        assert sorted(re.findall(r"\d[\d/]*", text)) == sorted(re.findall(r"\d[\d/]*", caption))
        for word in NAMED:
            assert words(text).count(word) == words(caption).count(word), text
        assert ("C minor" in text) == ("C minor" in caption)
        denials = (len(re.findall(r"\b(?:no|without|nobody|no one)\b", one.lower())) for one in (text, caption))
        assert len(set(denials)) == 1, text
        assert re.fullmatch(r"[A-Z].*\.", text)
        assert not re.search(r"\ba (?=[aeio])|\ban (?=[^aeiou])", text, re.IGNORECASE), text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "A quick rock tune in 4/4 at about 140 BPM with electric guitar, bass and drums and vocals.",
            "it names vocals",
        ),
        (
            "A quick rock tune in 4/4 at about 140 BPM with guitar, bass, drums but no vocals and a banjo.",
            "it denies banjo",
        ),
        ("A quick rock tune in 4/4 with electric guitar, bass and drums but no vocals.", "it does not say 140"),
        (
            "A quick rock tune in 4/4 at about 140 BPM with electric guitar and bass but no vocals.",
            "it does not name drums",
        ),
        (CAPTIONS[0], "it is the caption itself"),
        (
            "A fast rock tune in 4/4 at about 140 BPM with electric guitar, bass and drums but no vocals" + " it" * 60,
            "chara",
        ),
    ],
)
def test_what_says_something_else_is_found(text: str, problem: str) -> None:
    assert any(problem in found for found in paraphrase.differences(CAPTIONS[0], text))


def test_records_ask_in_two_ways() -> None:
    records = list(paraphrase.records(TRACKS, seed=5))
    assert {record.template for record in records} == {"paraphrase/caption", "paraphrase/reword"}
    assert len({record.id for record in records}) == len(records)
    for record in records:
        _, number, kind = record.id.rsplit("/", 2)
        caption = CAPTIONS[int(number)]
        assert paraphrase.differences(caption, record.answer) == []
        assert (caption in question(record)) == (kind == "reword")
    assert list(paraphrase.records(TRACKS, seed=5)) == records


def question(record: Record) -> str:
    return record.messages[0].parts[1].text  # type: ignore[union-attr]


def test_a_track_without_captions_gets_one_composed() -> None:
    draw = Draw(rng=random.Random(0), held_out=True)
    found = [one for track in labelled_tracks(10) for one in paraphrase.exchanges((track,), draw)]
    assert {one.template for one in found} == {"paraphrase/caption", "paraphrase/reword"}
    bare = dataclasses.replace(TRACKS[0], captions=("Xylograph.",))
    assert list(paraphrase.exchanges((bare,), draw)) == []


def test_answers_of_a_model_are_checked(model: Model, tmp_path: Path) -> None:  # noqa: F811 - a fixture
    """The model answers in capitals: the same said, but for captions in which capitals make a note of a word."""
    settings = EndpointSettings(base=model.base, model="tiny")
    plain = "A waltz for accordion and harp, without drums."
    tracks = [dataclasses.replace(TRACKS[0], captions=(plain, "A tuba solo."))]
    model.behave = lambda text, times: None if text == plain else (200, {}, ANOTHER)
    with Endpoint(settings, tmp_path / "log") as endpoint:
        records = list(paraphrase.records(tracks, seed=0, writer=endpoint))
    assert records == []
    refused = [line["refused"] for line in lines(tmp_path / "log") if "refused" in line]
    assert refused == ["it is the caption itself", "it names piano; it does not name brass"]
    model.behave = lambda text, times: (200, {}, RIGHT)
    with Endpoint(settings, tmp_path / "other") as endpoint:
        first, second = paraphrase.records([dataclasses.replace(TRACKS[0], captions=(plain,))], seed=0, writer=endpoint)
    assert first.answer == second.answer == "Harp and accordion dance a waltz with no drums."


ANOTHER = b'{"choices": [{"message": {"content": "A piano solo."}, "finish_reason": "stop"}]}'
RIGHT = ANOTHER.replace(b"A piano solo.", b"Harp and accordion dance a waltz with no drums.")
