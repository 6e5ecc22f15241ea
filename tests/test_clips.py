"""What is said of a clip: what the encoder names in it, as far as it is sure."""

from __future__ import annotations

import random

import pytest
import torch

from mllm import facts as vocabulary
from mllm.facts import Facts
from mllm.instruct_data import blocks, clips
from mllm.instruct_data.clips import HeardClip


def readout(**probabilities: dict[str | int, float]) -> dict[str, list[float]]:
    """Probabilities by field; the values not given share what is left, instruments get 0.1."""
    result = {"instruments": [probabilities.get("instruments", {}).get(name, 0.1) for name in vocabulary.INSTRUMENTS]}
    for field, names in (
        ("tempo", vocabulary.TEMPO_CLASSES_BPM),
        ("key", vocabulary.KEYS),
        ("meter", vocabulary.METERS),
    ):
        given = probabilities.get(field, {})
        rest = (1.0 - sum(given.values())) / (len(names) - len(given))
        result[field] = [given.get(name, rest) for name in names]
    return result


def test_what_the_encoder_is_sure_of_is_passed_on() -> None:
    heard = readout(
        tempo={120: 0.9}, key={"D minor": 0.5}, meter={"3/4": 0.4}, instruments={"flute": 0.5, "drums": 0.9}
    )
    assert clips.named_facts(heard) == Facts(tempo_bpm=120, key="D minor", meter="3/4", instruments=("flute", "drums"))


def test_what_it_is_not_sure_of_is_unknown() -> None:
    heard = readout(tempo={120: 0.3, 60: 0.28}, key={"D minor": 0.29}, meter={"3/4": 0.3}, instruments={"flute": 0.49})
    assert clips.named_facts(heard) == Facts(tempo_bpm=None, key=None, meter=None, instruments=())


def test_neighbouring_tempi_make_each_other_sure() -> None:
    tempi = vocabulary.TEMPO_CLASSES_BPM
    best = tempi.index(120)
    heard = readout(tempo={120: 0.3, tempi[best - 1]: 0.1, tempi[best + 1]: 0.1})
    assert clips.named_facts(heard).tempo_bpm == 120


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
