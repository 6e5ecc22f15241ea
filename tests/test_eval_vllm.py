"""Evaluation through vLLM: the same answers, confidences and likelihoods as through transformers."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mllm.errors import ConfigError
from mllm.eval import conditions
from mllm.eval.model import Model, ModelSettings
from mllm.eval.models import mllm as checkpoints
from mllm.eval.questions import Question, Said, asked
from mllm.messages import Audio, Item, Message, Text
from tests import vllm_engine
from tests.vllm_engine import DEMO, ENVIRONMENT, MARKS_OF_VLLM

OPTIONS = ("piano", "a flute and the drums", "D minor")
# pytest finds the fixtures of a file by their names in it.
directory = vllm_engine.directory
music = vllm_engine.music


def opened(place: str | None, engine: Any) -> Model:
    return checkpoints.open_model(place, ModelSettings(engine=engine, batch_size=8))


def served(place: str | None) -> Iterator[Model]:
    """Opened by vLLM, and given back."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        with warnings.catch_warnings():
            # What the hundreds of modules that vLLM imports while it starts tell their developers.
            warnings.simplefilter("ignore")
            model = opened(place, "vllm")
        yield model
        assert isinstance(model, checkpoints.Checkpoint)
        model.close()


@pytest.fixture(scope="module")
def both(directory: Path) -> Iterator[tuple[Model, Model]]:
    """The tiny checkpoint through transformers and through vLLM."""
    for model in served(str(directory)):
        yield opened(str(directory), "transformers"), model


def question(text: str, *recordings: Path | Audio, **settings: Any) -> Question:
    sounds = [one if isinstance(one, Audio) else Audio(source=one) for one in recordings]
    told = {"id": text, "unit": text, "template": "any", "max_new_tokens": 8, **settings}
    return Question(messages=asked(text, sounds), **told)


def respond(model: Model, *questions: Question) -> list[Said]:
    return list(model.respond(questions))


def assert_same(one: Said, other: Said) -> None:
    """Measured worst difference of a confidence: 9e-7, of a likelihood: 2e-5."""
    assert one.text == other.text
    assert one.error == other.error
    assert one.ranking == other.ranking
    assert one.seconds_heard == other.seconds_heard
    assert one.confidence == pytest.approx(other.confidence, abs=1e-4)
    assert one.likelihoods == pytest.approx(other.likelihoods, abs=1e-3)


class TestVllm:
    """A tiny checkpoint of random parts."""

    pytestmark = MARKS_OF_VLLM

    def test_both_say_the_same(self, both: tuple[Model, Model], music: Path) -> None:
        questions = [
            question("Which key?", music / "one.wav"),
            question("How many instruments are there?", music / "two.wav", max_new_tokens=12),
            question("Both?", music / "two.wav", music / "one.wav"),
            question("Hello"),
            question("And what of this stretch?", Audio(source=music / "long.wav", start=2.5, end=11.25)),
            question("And of all?", music / "long.wav"),
            question("Silence?", music / "silent.wav"),
            question("Which?", music / "missing.wav"),
            question("Which?", music / "one.wav", kind="choice", choices=OPTIONS),
            question("A) piano\nB) flute", music / "two.wav", kind="choice", choices=("piano", "flute")),
            question("Rank.", music / "one.wav", kind="rank", given={"candidates": ["a", "b", "c"], "texts": OPTIONS}),
            question("word " * 400, music / "one.wav"),
        ]
        ours, vllms = (respond(model, *questions) for model in both)
        for one, other in zip(ours, vllms, strict=True):
            assert_same(one, other)
        assert [said.error is None for said in vllms] == [True] * 7 + [False] + [True] * 3 + [False]
        assert len({said.text for said in vllms}) > 6

    def test_blind_controls_are_the_same(self, both: tuple[Model, Model], music: Path) -> None:
        heard = [question("Which?", music / f"{name}.wav", unit=name) for name in ("one", "two")]
        for condition in conditions.BLIND:
            ours, vllms = (respond(model, *conditions.put(condition, heard, seed=0)) for model in both)
            for one, other in zip(ours, vllms, strict=True):
                assert_same(one, other)
                assert other.error is None

    def test_text_without_sound_is_measured_through_transformers(self, both: tuple[Model, Model]) -> None:
        (said,) = respond(both[1], question("Which?", kind="plain"))
        assert said.value == 0.0

    def test_items_and_too_many_recordings_are_told(self, both: tuple[Model, Model], music: Path) -> None:
        listed = (Message(role="user", parts=(Item(id="song-1"), Text(text="This?"))),)
        item, many = respond(
            both[1],
            Question(id="a", messages=listed, unit="a", template="a"),
            question("All?", *[music / "one.wav"] * 9),
        )
        assert "holds catalogue items" in str(item.error)
        assert "has 9 recordings; at most 8 are taken" in str(many.error)

    def test_its_record_says_so(self, both: tuple[Model, Model]) -> None:
        ours, vllms = (model.description for model in both)
        assert (ours["engine"], vllms["engine"]) == ("transformers", "vllm")
        assert ours["sha256"] == vllms["sha256"]
        assert any(name.startswith("vllm") for name in vllms["versions"])


class TestReference:
    """The checkpoint of the package."""

    pytestmark = MARKS_OF_VLLM

    def test_both_say_the_same(self) -> None:
        questions = [
            question(text, recording, max_new_tokens=64)
            for text in ("What is the key?", "How fast is it?", "What do you hear?", "Describe it.")
            for recording in (DEMO, Audio(source=DEMO, start=3.0, end=15.0))
        ]
        ours = respond(opened(None, "transformers"), *questions)
        for model in served(None):
            for one, other in zip(ours, respond(model, *questions), strict=True):
                assert_same(one, other)


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_vllm_it_is_told() -> None:
    with pytest.raises(ConfigError, match="--engine vllm needs vLLM, which is not installed: make install-serve"):
        opened(None, "vllm")
