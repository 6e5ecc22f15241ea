"""Serving: vLLM and transformers get the same prompt of a conversation, and say the same with the same probability."""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import os
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

from mllm import checkpoint, serve
from mllm.errors import CheckpointError
from mllm.listener import Listener
from mllm.messages import Audio, parse
from mllm.prompt import build_prompt
from tests import vllm_engine
from tests.tiny_checkpoint import RATE_HZ, item, user
from tests.vllm_engine import (
    DEMO,
    LONGEST_ANSWER,
    MARKS_OF_VLLM,
    PAST_VOCABULARY,
    Said,
    assert_same,
    engine,
    file,
    said_by_transformers,
    served,
)

pytestmark = MARKS_OF_VLLM
# pytest finds the fixtures of a file by their names in it.
directory = vllm_engine.directory
catalogue = vllm_engine.catalogue
music = vllm_engine.music


@pytest.fixture(scope="class")
def listener(directory: Path, catalogue: Path) -> Listener:
    return Listener.load(directory, catalogue=catalogue)


@pytest.fixture(scope="class")
def tiny(directory: Path, catalogue: Path) -> Iterator[Any]:
    with engine(directory, catalogue=catalogue) as llm:
        yield llm


@pytest.fixture(scope="class")
def conversations(music: Path) -> dict[str, Any]:
    one, two, long = (music / f"{name}.wav" for name in ("one", "two", "long"))
    return {
        "audio alone": user(file(one)),
        "text alone": [{"role": "user", "content": "Is there a guitar in it?"}],
        "audio and text": user(file(one), "Which instruments do you hear?"),
        "two audios around text": user(file(two), "Is it like this?", file(one)),
        "two audios side by side": user("What is the key of", file(one), file(two)),
        "longer than what is heard": user(file(long), "What is the key of this piece?"),
        "a stretch of two windows": user(file(long, start=2.5, end=11.25), "And here?"),
        "an item": user(item(0), "Who plays?"),
        "items around an audio": user("Is it like", item(1), file(one), item(2), "or like", item(1), "?"),
        "several turns": [
            {"role": "system", "content": "An assistant that hears music."},
            *user(file(two), "What is the key?"),
            {"role": "assistant", "content": "It is in D minor."},
            *user("And of this?", item(4), file(one)),
        ],
    }


@pytest.fixture(scope="class")
def expected(listener: Listener, conversations: dict[str, Any]) -> dict[str, Said]:
    return {name: said_by_transformers(listener, one) for name, one in conversations.items()}


@pytest.fixture(scope="class")
def reference() -> Iterator[Any]:
    with engine(checkpoint.reference_directory()) as llm:
        yield llm


def test_vllm_is_told_of_the_model() -> None:
    settings = tomllib.loads((DEMO.parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    entry = settings["project"]["entry-points"]["vllm.general_plugins"]["mllm"]
    assert entry == f"{serve.register.__module__}:{serve.register.__name__}"


class TestTinyModel:
    """Random weights, MERT, windows of 5 s of which 3 are heard; the placeholder lies past the vocabulary."""

    def test_each_conversation_alone(self, tiny: Any, conversations: dict[str, Any], expected: dict[str, Said]) -> None:
        for name, conversation in conversations.items():
            (found,) = served(tiny, [conversation])
            prompt = [0 if token == PAST_VOCABULARY else token for token in expected[name].prompt]
            assert found.prompt == prompt, name
            assert_same(found, expected[name])

    def test_a_mixed_batch(self, tiny: Any, conversations: dict[str, Any], expected: dict[str, Said]) -> None:
        tiny.reset_prefix_cache()
        found = served(tiny, list(conversations.values()))
        assert len(found) == 10
        for one, answer in zip(found, expected.values(), strict=True):
            assert_same(one, answer)

    def test_no_row_of_32_depends_on_its_neighbours(
        self, tiny: Any, listener: Listener, conversations: dict[str, Any]
    ) -> None:
        batch = []
        for number, one in enumerate(itertools.islice(itertools.cycle(conversations.values()), 32)):
            content = one[-1]["content"]
            parts = content if isinstance(content, list) else [content]
            batch.append([*one[:-1], *user(*parts, f"Number {number}.")])
        tiny.reset_prefix_cache()
        for found, conversation in zip(served(tiny, batch), batch, strict=True):
            assert_same(found, said_by_transformers(listener, conversation))

    def test_soft_tokens_and_samples_beside_files(
        self, tiny: Any, listener: Listener, conversations: dict[str, Any], expected: dict[str, Said], music: Path
    ) -> None:
        processor, model = listener.processor, listener.model
        prompt = build_prompt(
            parse(conversations["audio and text"]),
            processor.tokenizer,
            audio_tokens=[1],
            markers=processor.markers,
            add_generation_prompt=True,
        )
        recording = processor.listen(Audio(source=music / "one.wav"))
        with torch.no_grad():
            embeds = torch.cat(model.soft_tokens(model.encode_audio(recording.waveforms)))
        samples, rate = soundfile.read(music / "one.wav", dtype="float32")
        assert rate == RATE_HZ
        forms: list[Any] = [[embeds], Audio(source=music / "one.wav"), samples, (samples, rate)]
        prompts = [{"prompt_token_ids": list(prompt.input_ids), "multi_modal_data": {"audio": form}} for form in forms]
        for found in served(tiny, prompts, chat=False):
            assert_same(found, expected["audio and text"])

    def test_items_by_id_and_by_features(
        self, tiny: Any, listener: Listener, conversations: dict[str, Any], expected: dict[str, Said]
    ) -> None:
        from vllm.exceptions import VLLMValidationError

        assert listener.catalogue is not None
        prompt = build_prompt(
            parse(conversations["an item"]),
            listener.processor.tokenizer,
            audio_tokens=[],
            item_tokens=[1],
            markers=listener.processor.markers,
            add_generation_prompt=True,
        )
        features = listener.catalogue.features("song-0")
        forms: list[Any] = ["song-0", ["song-0"], features, [features.numpy()]]
        prompts = [{"prompt_token_ids": list(prompt.input_ids), "multi_modal_data": {"item": form}} for form in forms]
        for found in served(tiny, prompts, chat=False):
            assert_same(found, expected["an item"])
        for wrong, sentence in (
            ("song-9", "there is no item"),
            (torch.zeros(2, 7), r"shape \(2, 7\); expected \(2, 6\)"),
        ):
            with pytest.raises((ValueError, VLLMValidationError), match=sentence):
                served(tiny, [{**prompts[0], "multi_modal_data": {"item": wrong}}], chat=False)

    def test_a_recording_is_encoded_once(self, tiny: Any, music: Path) -> None:
        heard: list[int] = []

        def count(model: Any) -> Any:
            return model.audio_encoder.register_forward_hook(lambda *_: heard.append(1))

        (hook,) = tiny.apply_model(count)
        path = music / "copy.wav"
        soundfile.write(path, soundfile.read(music / "two.wav")[0][: 2 * RATE_HZ], RATE_HZ)
        served(tiny, [user(file(path), "What is the key?")])
        served(tiny, [user("How many beats?", file(path))])
        assert len(heard) == 1
        served(tiny, [user(file(path, start=0.5), "What is the key?")])
        assert len(heard) == 2
        hook.remove()

    def test_bad_requests_are_told_and_the_next_one_is_served(
        self, tiny: Any, conversations: dict[str, Any], expected: dict[str, Said], music: Path
    ) -> None:
        from vllm.exceptions import VLLMValidationError

        bad = {
            "is silent": user(file(music / "silent.wav"), "What is the key?"),
            "does not exist": user(file(music / "missing.wav"), "What is the key?"),
            r"messages\[0\].content\[0\].type: got 'audo'": user({"type": "audo"}),
            "there is no item 'song-7' among the 5": user(item(7), "Like this?"),
            "4 catalogue items were sent; at most 3": user(*[item(1)] * 4),
            "does not fetch from the network": user({"type": "audio_url", "audio_url": {"url": "http://x.de/a.wav"}}),
            "At most 4 audio": user(*[file(music / "one.wav")] * 5),
        }
        for sentence, conversation in bad.items():
            with pytest.raises(VLLMValidationError, match=sentence):
                served(tiny, [conversation])
        (found,) = served(tiny, [conversations["audio and text"]])
        assert_same(found, expected["audio and text"])

    def test_files_are_closed_unless_opened(
        self, tiny: Any, conversations: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from vllm.exceptions import VLLMValidationError

        monkeypatch.setattr(tiny.llm_engine.renderer, "_files", None)
        with pytest.raises(VLLMValidationError, match="names a file, but no directory was opened for that"):
            served(tiny, [conversations["audio alone"]])

    def test_weights_are_loaded_strictly(self, tiny: Any, directory: Path) -> None:
        def load(weights: list[Any]) -> None:
            tiny.apply_model(lambda model: model.load_weights(weights))

        with pytest.raises(CheckpointError, match=r"missing: .*layer_mix\.logits"):
            load([])
        norm = torch.ones(32)
        with pytest.raises(CheckpointError, match=r"not expected: language_model\.model\.norm\.weight"):
            load([("language_model.model.norm.weight", norm)])
        settings = json.loads((directory / "backbone" / "config.json").read_text(encoding="utf-8"))
        (weight,) = tiny.apply_model(lambda model: model.language_model.model.norm.weight.clone())
        assert weight.shape == (settings["hidden_size"],)


@pytest.mark.skipif(not importlib.metadata.entry_points(group="vllm.general_plugins", name="mllm"), reason="no plug-in")
@pytest.mark.timeout(600)
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two processes need two cores")
def test_a_backbone_split_over_two_processes_says_the_same(
    directory: Path, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "0|1")
    conversation = user(file(music / "one.wav"), "Who plays?", file(music / "two.wav"))
    expected = said_by_transformers(Listener.load(directory), conversation)
    with engine(directory, tensor_parallel_size=2) as llm:
        assert_same(served(llm, [conversation])[0], expected)


@pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler (Debian: apt-get install g++)")
def test_a_backbone_whose_layers_lie_in_two_processes_says_the_same(
    directory: Path, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled, as vLLM's part for CPUs hands nothing from one process to the next otherwise."""
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "0|1")
    conversation = user(file(music / "one.wav"), "Who plays?", file(music / "two.wav"))
    expected = said_by_transformers(Listener.load(directory), conversation)
    with engine(directory, pipeline_parallel_size=2, enforce_eager=False) as llm:
        assert_same(served(llm, [conversation])[0], expected)


class TestReferenceCheckpoint:
    """The shipped checkpoint about the shipped recording; its placeholders lie in the vocabulary."""

    def test_it_says_what_transformers_says(self, reference: Any) -> None:
        from vllm.exceptions import VLLMValidationError

        listener = Listener.load()
        conversations = [
            user(file(DEMO), "What is the key?"),
            user("Which instruments do you hear?", file(DEMO, start=2.0, end=12.0)),
            [{"role": "user", "content": "What is a chorale?"}],
        ]
        with pytest.raises(VLLMValidationError, match="catalogue items, which this model cannot take"):
            served(reference, [user(item(1), "Like this?")])
        for found, conversation in zip(served(reference, conversations), conversations, strict=True):
            expected = said_by_transformers(listener, conversation)
            assert found.prompt == expected.prompt
            assert_same(found, expected)
            text = listener.respond(conversation, max_new_tokens=LONGEST_ANSWER).text
            assert listener.processor.decode(found.ids) == text
