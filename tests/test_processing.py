"""The processor: batches of conversations with real files, what was heard, and the way to disk and back."""

from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from transformers import AutoProcessor, LlamaConfig, PreTrainedTokenizerFast

from mllm.configuration import MusicLLMConfig
from mllm.errors import AudioError, ConfigError, MessageError, PromptError
from mllm.messages import parse
from mllm.processing import Heard, MusicLLMProcessor
from mllm.prompt import IGNORE_INDEX, Markers

RATE_HZ = 24_000
WINDOW_SECONDS = 2.0


@pytest.fixture(scope="module")
def config(named_markers: Callable[[str], Markers]) -> MusicLLMConfig:
    markers = named_markers("reference")
    return MusicLLMConfig(
        text_config=LlamaConfig(vocab_size=512, hidden_size=16, num_attention_heads=2, max_position_embeddings=200),
        audio_encoder={"name": "cqt", "window_seconds": WINDOW_SECONDS},
        audio_adapter={"name": "linear", "tokens_per_second": 2.0},
        audio_token=markers.audio_token,
        audio_token_id=markers.audio_token_id,
        audio_start=markers.audio_start,
        audio_end=markers.audio_end,
        max_windows=3,
    )


@pytest.fixture(scope="module")
def processor(config: MusicLLMConfig, reference_tokenizer: PreTrainedTokenizerFast) -> MusicLLMProcessor:
    return MusicLLMProcessor.from_config(config, reference_tokenizer)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones of 1.5, 5 and 20 seconds, and 3 seconds of silence."""
    folder = tmp_path_factory.mktemp("music")
    for name, seconds, level in (("short", 1.5, 0.5), ("five", 5.0, 0.4), ("long", 20.0, 0.3), ("silent", 3.0, 0.0)):
        time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
        soundfile.write(folder / f"{name}.wav", level * np.sin(2 * np.pi * 220 * time), RATE_HZ)
    return folder


def ask(*names: str, text: str = "What is the key?", **bounds: float) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"type": "audio", "path": f"{name}.wav", **bounds} for name in names]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


def answered(*names: str, answer: str = "D minor.") -> list[dict[str, Any]]:
    return [*ask(*names), {"role": "assistant", "content": answer}]


def test_one_question_about_one_file(processor: MusicLLMProcessor, music: Path) -> None:
    batch = processor(ask("five"), base_directory=music)
    assert set(batch) == {"input_ids", "attention_mask", "audio_waveforms"}
    assert [waveform.shape for waveform in batch["audio_waveforms"]] == [(2 * RATE_HZ,)] * 3
    assert all(waveform.dtype == torch.float32 for waveform in batch["audio_waveforms"])
    assert batch["attention_mask"].all()
    assert (batch["input_ids"] == processor.audio_token_id).sum() == 3 * processor.num_tokens(2 * RATE_HZ) == 3 * 4
    assert batch.heard == ((Heard(seconds_heard=5.0, total_seconds=5.0),),)


def test_a_file_shorter_than_a_window_is_heard_as_it_is(processor: MusicLLMProcessor, music: Path) -> None:
    batch = processor(ask("short"), base_directory=music)
    assert [len(waveform) for waveform in batch["audio_waveforms"]] == [1.5 * RATE_HZ]
    assert (batch["input_ids"] == processor.audio_token_id).sum() == processor.num_tokens(36_000) == 3
    assert batch.heard == ((Heard(seconds_heard=1.5, total_seconds=1.5),),)


def test_what_is_not_heard_of_a_long_file_is_reported(processor: MusicLLMProcessor, music: Path) -> None:
    batch = processor(ask("long"), base_directory=music)
    assert len(batch["audio_waveforms"]) == 3
    assert batch.heard == ((Heard(seconds_heard=6.0, total_seconds=20.0),),)


def test_a_stretch_of_a_file(processor: MusicLLMProcessor, music: Path) -> None:
    batch = processor(ask("long", start=4.0, end=6.0), base_directory=music)
    (waveform,) = batch["audio_waveforms"]
    whole, _ = soundfile.read(music / "long.wav", dtype="float32")
    torch.testing.assert_close(waveform, torch.from_numpy(whole[4 * RATE_HZ : 6 * RATE_HZ]))
    assert batch.heard == ((Heard(seconds_heard=2.0, total_seconds=20.0),),)


def test_bytes_in_a_message(processor: MusicLLMProcessor, music: Path) -> None:
    data = base64.b64encode((music / "five.wav").read_bytes()).decode()
    part = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    given = processor([{"role": "user", "content": [part, {"type": "text", "text": "What is the key?"}]}])
    from_path = processor(ask("five"), base_directory=music)
    assert given["input_ids"].tolist() == from_path["input_ids"].tolist()
    assert given.heard == from_path.heard
    for ours, theirs in zip(given["audio_waveforms"], from_path["audio_waveforms"], strict=True):
        assert torch.equal(ours, theirs)


def test_text_alone_has_no_waveforms(processor: MusicLLMProcessor) -> None:
    batch = processor([{"role": "user", "content": "What is a key?"}])
    assert set(batch) == {"input_ids", "attention_mask"}
    assert batch.heard == ((),)


@pytest.mark.parametrize("training", [False, True])
def test_a_batch_holds_the_rows_of_single_runs(processor: MusicLLMProcessor, music: Path, training: bool) -> None:
    options: dict[str, Any] = {"add_generation_prompt": not training, "return_labels": training}
    conversations = (
        [answered("five", "short"), answered("short"), answered(answer="G.")]
        if training
        else [ask("five", "short"), ask("short"), ask()]
    )
    batch = processor(conversations, base_directory=music, **options)
    waveforms = list(batch["audio_waveforms"])
    for i, conversation in enumerate(conversations):
        single = processor(conversation, base_directory=music, **options)
        length = single["input_ids"].shape[1]
        padding = batch["input_ids"].shape[1] - length
        row = slice(padding, None) if not training else slice(0, length)
        pad = slice(0, padding) if not training else slice(length, None)
        assert batch["attention_mask"][i, row].all()
        assert not batch["attention_mask"][i, pad].any()
        assert (batch["input_ids"][i, pad] == processor.tokenizer.pad_token_id).all()
        assert torch.equal(batch["input_ids"][i, row], single["input_ids"][0])
        if training:
            assert torch.equal(batch["labels"][i, row], single["labels"][0])
            assert (batch["labels"][i, pad] == IGNORE_INDEX).all()
        for waveform in single.get("audio_waveforms", []):
            assert torch.equal(waveforms.pop(0), waveform)
        assert batch.heard[i] == single.heard[0]
    assert not waveforms
    assert [len(heard) for heard in batch.heard] == [2, 1, 0]


def test_labels_are_the_answer_with_its_end(processor: MusicLLMProcessor, music: Path) -> None:
    batch = processor(answered("short"), base_directory=music, add_generation_prompt=False, return_labels=True)
    learnt = batch["labels"][batch["labels"] != IGNORE_INDEX].tolist()
    assert learnt[-1] == processor.tokenizer.eos_token_id
    assert processor.decode(learnt) == "D minor."
    asked = processor(ask("short"), base_directory=music)["input_ids"][0]
    assert torch.equal(batch["input_ids"][0, : len(asked)], asked)


def test_recordings_that_were_listened_to_before_give_the_same_prompt(
    processor: MusicLLMProcessor, music: Path
) -> None:
    messages = parse(ask("five"), base_directory=music)
    recording = processor.listen(messages[0].parts[0])  # type: ignore[arg-type]  # the first part is the recording
    prompt = processor.prompt(messages, [recording], add_generation_prompt=True)
    batch = processor(messages)
    assert batch["input_ids"].tolist() == [list(prompt.input_ids)]
    assert recording.heard == batch.heard[0][0]


def test_silence_is_heard_only_when_asked_for(processor: MusicLLMProcessor, music: Path) -> None:
    with pytest.raises(AudioError, match="silent"):
        processor(ask("silent"), base_directory=music)
    batch = processor(ask("silent"), base_directory=music, require_sound=False)
    assert batch.heard == ((Heard(seconds_heard=3.0, total_seconds=3.0),),)


def test_the_context_of_the_backbone_is_the_limit(processor: MusicLLMProcessor, music: Path) -> None:
    assert processor.max_length == 200
    with pytest.raises(PromptError, match=r"tokens \(12 of them for audio and items\), but at most 200 fit"):
        processor(ask("five", text="piano " * 200), base_directory=music)


def test_errors_in_a_batch_name_the_conversation(processor: MusicLLMProcessor, music: Path) -> None:
    with pytest.raises(AudioError, match=r"^conversation 1: .*missing\.wav"):
        processor([ask("short"), ask("missing")], base_directory=music)
    with pytest.raises(MessageError, match=r"^conversation 0: messages\[0\].content\[0\].path: .* lies outside"):
        processor([ask("../short")], base_directory=music)
    with pytest.raises(MessageError, match="the conversation is empty"):
        processor([])


def test_nothing_to_learn_is_an_error(processor: MusicLLMProcessor) -> None:
    with pytest.raises(PromptError, match="nothing to learn: end it with an assistant message"):
        processor(ask(), add_generation_prompt=False, return_labels=True)


def test_a_batch_keeps_what_was_heard(processor: MusicLLMProcessor, music: Path) -> None:
    batch = processor(ask("short"), base_directory=music)
    assert pickle.loads(pickle.dumps(batch)).heard == batch.heard
    moved = batch.to("cpu", dtype=torch.float64)
    assert moved.heard == batch.heard
    assert moved["audio_waveforms"][0].dtype == torch.float64


def test_padding_without_a_pad_token(
    config: MusicLLMConfig, reference_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    reference_tokenizer.save_pretrained(tmp_path)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    tokenizer.pad_token = None
    batch = MusicLLMProcessor.from_config(config, tokenizer)([ask(), ask(text="Which instruments do you hear in it?")])
    assert batch["input_ids"][0, 0] == tokenizer.eos_token_id
    assert batch["attention_mask"][0, 0] == 0


def test_decoding_leaves_out_placeholders_and_special_tokens(processor: MusicLLMProcessor) -> None:
    words = processor.tokenizer("The key is D minor.")["input_ids"]
    ids = [processor.audio_token_id, *words, processor.tokenizer.eos_token_id, 40_000]
    assert processor.decode(ids) == "The key is D minor."
    assert processor.decode(torch.tensor(ids), skip_special_tokens=False) == "The key is D minor.<|end|>"
    assert processor.batch_decode(torch.tensor([ids, ids])) == ["The key is D minor."] * 2


@pytest.mark.parametrize("loader", [MusicLLMProcessor, AutoProcessor])
def test_saved_and_opened_again(processor: MusicLLMProcessor, music: Path, tmp_path: Path, loader: Any) -> None:
    processor.save_pretrained(tmp_path)
    opened = loader.from_pretrained(tmp_path)
    assert isinstance(opened, MusicLLMProcessor)
    assert opened.to_json_string() == processor.to_json_string()
    assert opened.tokenizer.chat_template == processor.tokenizer.chat_template
    ours, theirs = processor(ask("five"), base_directory=music), opened(ask("five"), base_directory=music)
    assert theirs["input_ids"].tolist() == ours["input_ids"].tolist()


def rewritten(processor: MusicLLMProcessor, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    processor.save_pretrained(folder)
    path = folder / "processor_config.json"
    settings = json.loads(path.read_text())
    change(settings)
    path.write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.update(max_window=2), "'max_window' is not a setting .*did you mean 'max_windows'"),
        (lambda s: s.update(zzz=2), "'zzz' is not a setting of the processor; take it out"),
        (lambda s: s.pop("sample_rate_hz"), "the setting 'sample_rate_hz' is missing"),
        (lambda s: s.update(max_windows=0), "max_windows: got 0, expected at least 1"),
        (lambda s: s.update(audio_token=""), "audio_token: got an empty text"),
        (lambda s: s["audio_encoder"].update(name="cqd"), "cqt"),
        (lambda s: s["audio_encoder"].update(widht=3), "encoder 'cqt' do not fit .*widht.*; it has: .*width"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    processor: MusicLLMProcessor, tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        MusicLLMProcessor.from_pretrained(rewritten(processor, tmp_path, change))
