"""What is said of a clip: the truth, as far as the encoder's readout lets it be heard."""

from __future__ import annotations

import random

import pytest
import torch

from mllm import facts as vocabulary
from mllm.facts import Facts
from mllm.instruct_data import blocks, clips
from mllm.instruct_data.clips import HeardClip

TRUTH = Facts(tempo_bpm=120, key="D minor", meter="3/4", instruments=("flute", "drums"))


def readout(*, tempo: int, key: str, meter: str, probability: float) -> dict[str, list[float]]:
    """Probabilities that give `probability` to one value of each field and share the rest."""
    result = {}
    for name, vocabulary_, value in (
        ("tempo", vocabulary.TEMPO_CLASSES_BPM, tempo),
        ("key", vocabulary.KEYS, key),
        ("meter", vocabulary.METERS, meter),
    ):
        rest = (1.0 - probability) / (len(vocabulary_) - 1)
        result[name] = [probability if entry == value else rest for entry in vocabulary_]
    return result


def test_a_tempo_that_is_nearly_right_is_said_as_it_is_heard() -> None:
    assert clips.facts_to_say(TRUTH, readout(tempo=118, key="D minor", meter="3/4", probability=0.9)).tempo_bpm == 118


def test_wrong_and_sure_is_taught_the_truth() -> None:
    assert clips.facts_to_say(TRUTH, readout(tempo=60, key="F major", meter="4/4", probability=0.9)) == TRUTH


def test_wrong_and_unsure_is_taught_to_be_unknown() -> None:
    said = clips.facts_to_say(TRUTH, readout(tempo=60, key="F major", meter="4/4", probability=0.25))
    assert said == Facts(tempo_bpm=None, key=None, meter=None, instruments=TRUTH.instruments)


def test_right_and_unsure_is_taught_the_truth() -> None:
    said = clips.facts_to_say(TRUTH, readout(tempo=120, key="D minor", meter="3/4", probability=0.25))
    assert said == TRUTH


def test_labels_become_facts() -> None:
    assert clips.exact_facts(121.0, 14, 1, (16, 13)) == TRUTH
    assert clips.exact_facts(0.0, -1, -1, ()) == Facts(instruments=())


@pytest.fixture
def heard() -> list[HeardClip]:
    generator = torch.Generator().manual_seed(0)
    keys = ("C major", "A minor", "G major")
    return [
        HeardClip(
            id=f"clip-{index}",
            features=torch.randn(1, 7, 4, generator=generator),
            facts=Facts(tempo_bpm=60 + index, key=key, meter="4/4", instruments=("piano",)),
        )
        for index, key in enumerate(keys)
    ]


def test_a_lesson_asks_about_its_own_clips(heard: list[HeardClip]) -> None:
    rng = random.Random(0)
    for _ in range(50):
        lesson = clips.lesson(rng, heard, turns=3)
        parts = [part for message in lesson.messages for part in message["content"] if isinstance(part, dict)]
        paths = [part["path"] for part in parts if part["type"] == "audio"]
        assert paths == [clip.id for clip in lesson.clips]
        assert [message["role"] for message in lesson.messages] == ["user", "assistant"] * 3
        for message in lesson.messages[1::2]:
            if message["content"].startswith("The key is") and len(lesson.clips) == 1:
                assert lesson.clips[0].facts.key in message["content"]


def test_targets_are_the_words_of_the_block(heard: list[HeardClip]) -> None:
    lexicon = blocks.lexicon()
    for clip in heard:
        assert tuple(lexicon[index] for index in clips.targets(clip.facts)) == blocks.words(clip.facts)
