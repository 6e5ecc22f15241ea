"""The engine: answers, what was heard, batches equal to single answers, and sound that is heard only once."""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from mllm import describe
from mllm.answer import Answer
from mllm.errors import AudioError, CheckpointError, ConfigError, MessageError, PromptError
from mllm.listener import Listener, about, as_audio
from mllm.messages import Audio
from mllm.sounds import Sound, SoundMemory, identity_of
from mllm.speech import plain_text, token_spans
from tests.tiny_checkpoint import CONTEXT_TOKENS, RATE_HZ, tone, write_checkpoint, write_music

LENGTH = 12
"""Tokens of most answers here."""


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Listener:
    return Listener.load(write_checkpoint(tmp_path_factory.mktemp("tiny"), reference_tokenizer))


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_music(tmp_path_factory.mktemp("music"))


def ask(text: str, *paths: Path, **bounds: float) -> list[dict[str, Any]]:
    parts = [{"type": "audio", "path": str(path), **bounds} for path in paths]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


def assert_same(one: Answer, two: Answer) -> None:
    assert one.text == two.text
    assert len(one.tokens) == len(two.tokens)
    assert one.confidence == pytest.approx(two.confidence, abs=1e-4)


def count_hearing(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the windows that go through the encoder from now on."""
    heard: list[int] = []
    encode = listener.model.encode_audio

    def counting(waveforms: Any) -> Any:
        heard.append(len(waveforms))
        return encode(waveforms)

    monkeypatch.setattr(listener.model, "encode_audio", counting)
    return heard


def test_an_answer_says_what_was_heard_and_how_sure_it_is(listener: Listener, music: Path) -> None:
    answer = listener.respond(ask("Which key?", music / "one.wav"), max_new_tokens=LENGTH)
    assert answer.seconds_heard == answer.total_seconds == 2.0
    assert 0.0 < answer.confidence < 1.0
    assert 1 <= len(answer.tokens) <= LENGTH
    assert answer.tokens[-1].end == len(answer.text)
    logs = [math.log(token.probability) for token in answer.tokens]
    assert answer.confidence == pytest.approx(math.exp(sum(logs) / len(logs)))


def test_the_answer_is_that_of_generate(listener: Listener, music: Path) -> None:
    """Text and probabilities equal those of the model called directly; measured worst difference: 2e-7."""
    messages = ask("Which key?", music / "two.wav")
    answer = listener.respond(messages, max_new_tokens=LENGTH)
    batch = listener.processor(messages)
    ids = listener.model.generate(
        **batch, max_new_tokens=LENGTH, do_sample=False, output_scores=True, return_dict_in_generate=True
    )
    new = ids.sequences[0, batch["input_ids"].shape[1] :]
    assert answer.text == listener.processor.decode(new)
    chances = [score[0].softmax(-1)[token].item() for score, token in zip(ids.scores, new, strict=True)]
    assert answer.complete == (listener.processor.tokenizer.eos_token_id in new)
    found = [token.probability for token in answer.tokens]
    assert found == pytest.approx(chances[: len(found)], abs=1e-5)


def test_it_listens(listener: Listener, music: Path) -> None:
    one = listener.caption(music / "one.wav", max_new_tokens=LENGTH)
    two = listener.caption(music / "two.wav", max_new_tokens=LENGTH)
    assert (one.text, one.confidence) != (two.text, two.confidence)


def test_text_alone_is_answered(listener: Listener) -> None:
    answer = listener.respond([{"role": "user", "content": "Hello"}], max_new_tokens=LENGTH)
    assert answer.seconds_heard == answer.total_seconds == 0.0


def test_a_batch_equals_single_answers(listener: Listener, music: Path) -> None:
    one, two = music / "one.wav", music / "two.wav"
    conversations = [
        ask("Which key is this piece in, and which instruments do you hear?", one, two),
        ask("What?", two),
        [{"role": "user", "content": "Hello there"}],
        [*ask("Is there a guitar?", one), {"role": "assistant", "content": "No."}, *ask("And a flute?")],
        ask("Which key?", music / "long.wav"),
    ]
    together = listener.respond_many(conversations, max_new_tokens=LENGTH, batch_size=4)
    for conversation, answer in zip(conversations, together, strict=True):
        assert_same(answer, listener.respond(conversation, max_new_tokens=LENGTH))


def test_errors_stand_in_the_place_of_answers(listener: Listener, music: Path) -> None:
    conversations = [ask("What?", music / name) for name in ("missing.wav", "one.wav", "silent.wav")]
    missing, heard, silent = listener.respond_each(conversations, max_new_tokens=4)
    assert isinstance(heard, Answer)
    assert isinstance(missing, AudioError)
    assert "missing.wav does not exist" in str(missing)
    assert isinstance(silent, AudioError)
    with pytest.raises(AudioError, match=r"missing\.wav does not exist"):
        listener.respond_many(conversations, max_new_tokens=4)


def test_drawn_answers_depend_on_the_seed_alone(listener: Listener, music: Path) -> None:
    messages = ask("What?", music / "one.wav")
    state = torch.get_rng_state()
    drawn = [
        listener.respond(messages, max_new_tokens=LENGTH, temperature=1.5, seed=seed).text for seed in (1, 1, 2, 3)
    ]
    assert torch.equal(torch.get_rng_state(), state)
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 1
    settings: dict[str, Any] = {"max_new_tokens": LENGTH, "temperature": 1.5, "seed": 1}
    together = listener.respond_many([messages, ask("Who?", music / "two.wav"), messages], **settings)
    assert together[0].text == together[2].text == drawn[0]


def test_the_stream_is_the_answer(listener: Listener, music: Path) -> None:
    for temperature in (0.0, 2.0):
        pieces: list[str] = []
        messages = ask("What?", music / "one.wav")
        answer = listener.respond(messages, max_new_tokens=60, temperature=temperature, stream=pieces.append)
        assert "".join(pieces) == answer.text
        assert all(pieces)


def test_spans_are_the_text_of_the_tokens(reference_tokenizer: PreTrainedTokenizerFast) -> None:
    text = "  Größe: 120 ♩ in D minor. "
    ids = [*reference_tokenizer.encode(text, add_special_tokens=False), reference_tokenizer.eos_token_id]
    assert plain_text(reference_tokenizer, ids) == text
    spans = token_spans(reference_tokenizer, ids)
    answer = text.strip()
    assert "".join(answer[start:end] for start, end in spans) == answer
    digits = [answer[start:end] for start, end in spans if answer[start:end].strip().isdigit()]
    assert "".join(digits).strip() == "120"
    assert spans[-1] == (len(answer), len(answer))


def test_a_second_question_costs_no_encoder(
    listener: Listener, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "new.wav"
    shutil.copy(music / "long.wav", file)
    heard = count_hearing(listener, monkeypatch)
    monkeypatch.setattr(listener, "_memory", SoundMemory(listener._hear))
    first = listener.ask([file], "What?", max_new_tokens=4)
    assert heard == [3]
    second = listener.ask([file], "What?", max_new_tokens=4)
    assert heard == [3]
    assert_same(first, second)
    copied = tmp_path / "copy.wav"
    shutil.copy(file, copied)
    listener.ask([copied], "What?", max_new_tokens=4)
    assert heard == [3]  # the same content under another name
    listener.respond(ask("What?", file, end=4.0), max_new_tokens=4)
    assert heard == [3, 1]
    shutil.copy(music / "one.wav", file)
    assert listener.ask([file], "What?", max_new_tokens=4).total_seconds == 2.0
    assert heard == [3, 1, 1]


def test_large_files_are_known_by_path_size_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mllm.sounds.HASHED_BYTES", 10)
    file = tmp_path / "large.wav"
    file.write_bytes(b"x" * 20)
    before = identity_of(Audio(source=file))
    assert before == identity_of(Audio(source=file))
    os.utime(file, ns=(0, 0))
    assert identity_of(Audio(source=file)) != before
    assert identity_of(Audio(source=tmp_path / "missing.wav")) is None
    assert identity_of(Audio(source=b"1")) != identity_of(Audio(source=b"2"))


def test_the_memory_is_bounded(listener: Listener) -> None:
    asked: list[bytes] = []

    def hear(audio: Audio, require_sound: bool) -> Sound:
        assert isinstance(audio.source, bytes)
        asked.append(audio.source)
        return dataclasses.replace(known, soft_tokens=(torch.zeros(10, 10),))

    known = listener.hear(as_audio(tone(1.0, 440.0), RATE_HZ))
    memory = SoundMemory(hear, kept_bytes=900)  # two of 400 bytes
    for source in (b"a", b"b", b"a", b"c", b"a", b"b"):
        memory.recall(Audio(source=source), require_sound=True)
    assert len(memory) == 2
    assert asked == [b"a", b"b", b"c", b"b"]
    tight = SoundMemory(hear, kept_bytes=1)
    tight.recall(Audio(source=b"a"), require_sound=True)
    assert len(tight) == 1


def test_samples_are_heard_as_they_are(listener: Listener, music: Path) -> None:
    samples = tone(2.0, 220.0)
    from_samples = listener.hear(as_audio(samples, RATE_HZ))
    direct = listener.model.soft_tokens(listener.model.encode_audio([torch.from_numpy(samples)]))
    for one, two in zip(from_samples.soft_tokens, direct, strict=True):
        assert torch.equal(one, two)
    silent = as_audio(np.zeros(RATE_HZ * 2, np.float32), RATE_HZ)
    with pytest.raises(AudioError, match="silent"):
        listener.caption(silent, max_new_tokens=4)
    assert listener.caption(silent, max_new_tokens=4, require_sound=False).seconds_heard == 2.0
    with pytest.raises(AudioError, match="silent"):
        listener.caption(silent, max_new_tokens=4)


def test_what_is_not_heard_of_a_long_file_is_accounted_for(listener: Listener, music: Path) -> None:
    answer = listener.caption(music / "long.wav", max_new_tokens=4)
    assert (answer.seconds_heard, answer.total_seconds) == (15.0, 30.0)


def test_describe_states_nothing_that_the_model_does_not_say(listener: Listener, music: Path) -> None:
    described = listener.describe(music / "one.wav", max_new_tokens=LENGTH)
    assert described.seconds_heard == 2.0
    assert all(getattr(described, name) is None for name in describe.FIELDS)


def test_a_conversation_longer_than_the_context_is_refused(listener: Listener, music: Path) -> None:
    question = "Which instruments do you hear? " * 60
    with pytest.raises(PromptError, match=rf"at most {CONTEXT_TOKENS - 50} fit"):
        listener.respond(ask(question, music / "one.wav"), max_new_tokens=50)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens is 0; expected 1 or more"),
        ({"max_new_tokens": CONTEXT_TOKENS}, f"the context of this model holds {CONTEXT_TOKENS} tokens"),
        ({"temperature": -1.0}, "temperature is -1; expected 0"),
        ({"temperature": math.nan}, "temperature is nan"),
    ],
)
def test_settings_out_of_range_are_refused(listener: Listener, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        listener.respond([{"role": "user", "content": "Hello"}], **settings)
    with pytest.raises(ConfigError, match="batch_size is 0"):
        listener.respond_many([], batch_size=0)


def test_catalogue_items_are_refused(listener: Listener) -> None:
    item = [{"role": "user", "content": [{"type": "item", "item": "17"}, {"type": "text", "text": "What?"}]}]
    with pytest.raises(MessageError, match="catalogue items, which this model cannot take"):
        listener.respond(item)


def test_paths_stay_inside_a_base_directory(listener: Listener, music: Path) -> None:
    inside = [{"role": "user", "content": [{"type": "audio", "path": "one.wav"}, {"type": "text", "text": "What?"}]}]
    assert listener.respond(inside, max_new_tokens=4, base_directory=music).seconds_heard == 2.0
    with pytest.raises(MessageError, match="lies outside"):
        listener.respond(ask("What?", music / "one.wav"), max_new_tokens=4, base_directory=music / "deeper")


def test_messages_of_files_and_parts_mix(listener: Listener, music: Path) -> None:
    conversation = about([music / "one.wav", str(music / "two.wav"), as_audio(tone(1.0, 440.0), RATE_HZ)], "Which?")
    assert listener.respond(conversation, max_new_tokens=4).seconds_heard == 6.0


def test_an_unknown_model_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match="there is no model at"):
        Listener.load(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="threads is 0; expected 1 or more"):
        Listener.load(tmp_path / "nothing", threads=0)
    monkeypatch.setattr("mllm.checkpoint.reference_directory", lambda: tmp_path)
    with pytest.raises(CheckpointError, match="has no reference checkpoint"):
        Listener.load()
