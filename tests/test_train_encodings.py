"""Training without hearing: recordings in data files, what the encoder makes of them, and the model that reads it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from transformers import PreTrainedTokenizerFast

from mllm import audio as module_of_audio
from mllm import checkpoint, contract, registry
from mllm.absent_encoder import AbsentEncoder
from mllm.encoders import mert
from mllm.errors import CheckpointError, ConfigError, EncodingError, MessageError
from mllm.messages import Audio, Message, parse
from mllm.train import encode, recordings
from mllm.train.encode import EncodeConfig, Outcome
from mllm.train.encoding_store import ABSOLUTE_ERROR, RELATIVE_ERROR
from mllm.train.encodings import Encodings
from mllm.train.recordings import Mention
from tests.tiny_checkpoint import RATE_HZ, tone, user, write_checkpoint, write_music

LOSS_TOLERANCE = 2e-4
"""Of a loss of 7.3; measured: 2.7e-5."""
BATCH_TOLERANCE = 1e-5
"""Of float32: the model encodes the windows of a conversation together, the store those of each recording."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"), reference_tokenizer)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_music(tmp_path / "music")


def audio(path: Path, **bounds: float) -> dict[str, Any]:
    return {"type": "audio", "path": str(path), **bounds}


def answered(*content: str | dict[str, Any]) -> tuple[Message, ...]:
    return parse([*user(*content), {"role": "assistant", "content": "It is in D minor."}])


def run(model: Path, store: Path, *mentions: Mention | MessageError, **settings: Any) -> list[Outcome]:
    outcomes: list[Outcome] = []
    config = EncodeConfig(model=str(model), store=store, **settings)
    encode.encode(mentions, config, encode.in_this_process, outcomes.append)
    return outcomes


def mentions_of(*conversations: tuple[Message, ...]) -> list[Mention]:
    parts = [part for messages in conversations for message in messages for part in message.parts]
    return [Mention(audio=part) for part in parts if isinstance(part, Audio)]


def test_a_loss_without_encoder_and_recordings(model: Path, music: Path, tmp_path: Path) -> None:
    """The store alone gives features, prompt and loss: the encoder's weights and the recordings are gone."""
    conversation = answered(
        audio(music / "long.wav"), "or", audio(music / "two.wav"), audio(music / "long.wav", start=3, end=9.5), "Which?"
    )
    whole, processor = checkpoint.load(model)
    heard = processor(conversation, add_generation_prompt=False, return_labels=True)
    with torch.no_grad():
        expected = whole(**heard).loss
        states = whole.encode_audio(heard["audio_waveforms"])
    store = tmp_path / "store"
    outcomes = run(model, store, *mentions_of(conversation))
    assert [(one.made, one.found, one.error) for one in outcomes] == [(3, 0, ""), (1, 0, ""), (2, 0, "")]
    assert sum(one.seconds for one in outcomes) == 15.0 + 3.0 + 6.5

    bare = tmp_path / "bare"
    shutil.copytree(model, bare)
    for weights in (bare / "audio_encoder").glob("*.safetensors"):
        weights.unlink()
    shutil.rmtree(music)
    with pytest.raises(CheckpointError, match="holds no weights"):
        checkpoint.load(bare)
    reader, processor = checkpoint.load(bare, with_encoder=False)
    encodings = Encodings(store, reader.config, processor)
    found = encodings.of(conversation)
    assert encodings.num_tokens(conversation) == found.num_tokens
    assert found.heard == heard.heard[0]
    for window, given in zip(found.features, states, strict=True):
        assert window.shape == given.shape
        error = (window.double() - given.double()).abs()
        bound = torch.clamp(RELATIVE_ERROR * given.double().abs(), min=ABSOLUTE_ERROR)
        assert bool((error <= bound + BATCH_TOLERANCE).all())
    prompt = processor.prompt_of(conversation, found.num_tokens, add_generation_prompt=False)
    assert list(prompt.input_ids) == heard["input_ids"][0].tolist()
    assert list(prompt.labels) == heard["labels"][0].tolist()
    with torch.no_grad():
        loss = reader(
            input_ids=torch.tensor([prompt.input_ids]),
            labels=torch.tensor([prompt.labels]),
            attention_mask=torch.ones(1, len(prompt.input_ids), dtype=torch.long),
            audio_features=found.features,
        ).loss
    torch.testing.assert_close(loss, expected, rtol=0, atol=LOSS_TOLERANCE)


def test_a_model_without_its_encoder_learns_and_says_so_when_it_shall_hear(model: Path, tmp_path: Path) -> None:
    whole, _ = checkpoint.load(model)
    reader, _ = checkpoint.load(model, with_encoder=False)
    features = whole.encode_audio([torch.from_numpy(tone(5.0, 220.0))])
    tokens = reader.soft_tokens(features)
    torch.testing.assert_close(tokens, whole.soft_tokens(features), rtol=0, atol=0)
    torch.autograd.backward(tokens[0].sum())
    assert all(parameter.grad is not None for parameter in reader.trained_parts().parameters())
    with pytest.raises(CheckpointError, match="opened without its audio encoder; give audio_features"):
        reader.encode_audio([torch.zeros(RATE_HZ)])
    reader.save_pretrained(tmp_path / "saved")
    whole.save_pretrained(tmp_path / "whole")
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "saved" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("name", registry.names("encoder"))
def test_every_encoder_can_be_absent(name: str) -> None:
    module = registry.find("encoder", name)
    config = module.Config()
    absent, there = AbsentEncoder(module, config), module.Encoder(config)
    for field in ("config", "sample_rate_hz", "window_seconds", "frames_per_second", "width", "num_layers"):
        assert getattr(absent, field) == getattr(there, field)
    assert not absent.state_dict()


def test_nothing_is_encoded_twice(model: Path, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (music / "copy.wav").write_bytes((music / "one.wav").read_bytes())
    inside = Audio(source=(music / "one.wav").read_bytes())
    one, copy = Mention(audio=Audio(source=music / "one.wav")), Mention(audio=Audio(source=music / "copy.wav"))
    start = Mention(audio=Audio(source=music / "one.wav", start=0.0))
    part = Mention(audio=Audio(source=music / "one.wav", end=1.5))
    asked = (one, copy, start, Mention(audio=inside), part, one)
    assert [(each.made, each.found) for each in run(model, tmp_path / "store", *asked)] == [(1, 0), (1, 0)]

    monkeypatch.setattr(contract, "load_stated_encoder", lambda *given: pytest.fail("the encoder was opened"))
    monkeypatch.setattr("mllm.audio.hear", lambda *given, **more: pytest.fail("audio was decoded"))
    encode._opened.cache_clear()
    assert [(each.made, each.found) for each in run(model, tmp_path / "store", *asked)] == [(0, 1), (0, 1)]


def test_a_run_goes_on_where_it_stood(model: Path, music: Path, tmp_path: Path) -> None:
    asked = [Mention(audio=Audio(source=music / name)) for name in ("one.wav", "two.wav", "long.wav")]

    def interrupt(outcome: Outcome) -> None:
        raise KeyboardInterrupt

    config = EncodeConfig(model=str(model), store=tmp_path / "store")
    with pytest.raises(KeyboardInterrupt):
        encode.encode(asked, config, encode.in_this_process, interrupt)
    found = run(model, tmp_path / "store", *asked)
    assert [(each.made, each.found) for each in found] == [(0, 1), (1, 0), (3, 0)]


def test_the_same_encoding_has_the_same_bytes(model: Path, music: Path, tmp_path: Path) -> None:
    asked = [Mention(audio=Audio(source=music / name)) for name in ("one.wav", "two.wav", "long.wav")]
    run(model, tmp_path / "a", *asked)
    run(model, tmp_path / "b", *reversed(asked))
    contents = [
        {path.name: path.read_bytes() for path in (tmp_path / name / "shards").rglob("*.safetensors")} for name in "ab"
    ]
    assert len(contents[0]) == 3
    assert contents[0] == contents[1]


def test_other_settings_find_nothing(model: Path, music: Path, tmp_path: Path) -> None:
    run(model, tmp_path / "store", Mention(audio=Audio(source=music / "long.wav")))
    config = contract.read_config(model)
    processor = checkpoint.open_processor(model, config)
    conversation = answered(audio(music / "long.wav"), "What?")
    assert Encodings(tmp_path / "store", config, processor).num_tokens(conversation) == (30,)
    config.frozen["audio_encoder"]["sha256"] = "0" * 64
    with pytest.raises(EncodingError, match=r"long\.wav is not in the store .* mllm data encode"):
        Encodings(tmp_path / "store", config, processor).of(conversation)
    with pytest.raises(EncodingError, match=r"long\.wav from 2 s to 4\.5 s is not in the store"):
        Encodings(tmp_path / "store", config, processor).num_tokens(
            answered(audio(music / "long.wav", start=2, end=4.5), "What?")
        )
    with pytest.raises(EncodingError, match=r"missing\.wav is not in the store"):
        Encodings(tmp_path / "store", config, processor).of(answered(audio(music / "missing.wav"), "What?"))
    config.frozen = {}
    with pytest.raises(CheckpointError, match="does not say which audio_encoder"):
        Encodings(tmp_path / "store", config, processor)


def test_only_the_last_layer_is_kept_where_no_mix_is_learnt(model: Path, music: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(model, plain)
    settings = json.loads((plain / "config.json").read_text())
    (plain / "config.json").write_text(json.dumps({**settings, "layer_mix": False}))
    config = contract.read_config(plain)
    processor = checkpoint.open_processor(plain, config)
    asked = Mention(audio=Audio(source=music / "two.wav"))
    run(plain, tmp_path / "store", asked)
    run(model, tmp_path / "store", asked)
    conversation = answered(audio(music / "two.wav"), "What?")
    last = Encodings(tmp_path / "store", config, processor).of(conversation)
    every = Encodings(tmp_path / "store", contract.read_config(model), processor).of(conversation)
    assert [window.shape[0] for window in (*last.features, *every.features)] == [1, 3]
    assert torch.equal(last.features[0][-1], every.features[0][-1])


def test_failures_are_told_and_the_rest_goes_on(model: Path, music: Path, tmp_path: Path) -> None:
    names = ("missing.wav", "silent.wav", "one.wav")
    asked = [Mention(audio=Audio(source=music / name), place=f"data.jsonl line {i}") for i, name in enumerate(names)]
    outcomes = run(model, tmp_path / "store", *asked, MessageError("data.jsonl line 9: not JSON"))
    assert [bool(one.error) for one in outcomes] == [True, True, False, True]
    assert outcomes[0].error.startswith(f"data.jsonl line 0: {music / 'missing.wav'} does not exist")
    assert "data.jsonl line 1: " in outcomes[1].error
    assert "is silent" in outcomes[1].error
    assert outcomes[3].error == "data.jsonl line 9: not JSON"


def test_values_that_cannot_be_kept_fail_one_recording(
    model: Path, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = mert.Encoder.forward

    def loud(self: mert.Encoder, waveform: torch.Tensor) -> torch.Tensor:
        states = forward(self, waveform)
        return states * 1e6 if waveform.shape[1] == 3 * RATE_HZ else states

    monkeypatch.setattr(mert.Encoder, "forward", loud)
    names = ("one.wav", "two.wav", "long.wav")
    outcomes = run(model, tmp_path / "store", *(Mention(audio=Audio(source=music / name)) for name in names))
    assert [one.made for one in outcomes] == [1, 0, 3]
    assert f"of window 1 of {music / 'two.wav'}; float16 holds up to 65504" in outcomes[1].error


def test_a_recording_that_changes_while_it_is_read_is_not_kept(
    model: Path, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, probe = music / "one.wav", module_of_audio.probe

    def change(source: Any) -> Any:
        soundfile.write(path, tone(2.0, 330.0), RATE_HZ)
        return probe(source)

    monkeypatch.setattr(module_of_audio, "probe", change)
    (outcome,) = run(model, tmp_path / "store", Mention(audio=Audio(source=path)))
    assert "one.wav was changed while it was read; run this again" in outcome.error
    assert not list((tmp_path / "store").rglob("*.safetensors"))


def test_what_does_not_fit_is_told(model: Path, music: Path, tmp_path: Path) -> None:
    asked = [Mention(audio=Audio(source=music / name)) for name in ("one.wav", "two.wav", "long.wav")]
    run(model, tmp_path / "free", *asked)
    sizes = {path.stat().st_size for path in (tmp_path / "free").rglob("*.safetensors")}
    bounded = run(model, tmp_path / "store", *asked, max_bytes=max(sizes) + 10)
    assert [one.made for one in bounded] == [1, 1, 3]
    assert sum(one.evicted for one in bounded) == 2


def test_mentions(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    lines = [
        json.dumps({"id": 4, "messages": user(audio(Path("a.wav")), audio(Path("b.wav"), start=1), "What?")}),
        "",
        "{not json",
        json.dumps({"question": "?"}),
        json.dumps({"messages": [{"role": "usr", "content": "?"}]}),
        "[1]",
        json.dumps({"messages": user("Hello")}),
        json.dumps({"messages": user(audio(tmp_path / "c.wav"), "?")}),
    ]
    data.write_text("\n".join(lines))
    found = list(recordings.mentions([data]))
    assert [one for one in found if isinstance(one, Mention)] == [
        Mention(audio=Audio(source=tmp_path / "a.wav"), place=f"{data} line 1"),
        Mention(audio=Audio(source=tmp_path / "b.wav", start=1), place=f"{data} line 1"),
        Mention(audio=Audio(source=tmp_path / "c.wav"), place=f"{data} line 8"),
    ]
    errors = [str(one) for one in found if isinstance(one, MessageError)]
    assert [error.partition(": ")[0] for error in errors] == [f"{data} line {number}" for number in (3, 4, 5, 6)]
    assert "not JSON" in errors[0]
    assert "'messages' is missing" in errors[1]
    assert "messages[0].role: got 'usr'" in errors[2]


def test_mentions_of_folders_and_files(tmp_path: Path) -> None:
    folder = tmp_path / "clips" / "inner"
    folder.mkdir(parents=True)
    for name in ("b.mp3", "A.FLAC", "notes.txt"):
        (folder / name).write_bytes(b"")
    (folder.parent / "z.wav").write_bytes(b"")
    found = [_source(one) for one in recordings.mentions([folder.parent, folder / "b.mp3"])]
    assert found == [folder / "A.FLAC", folder / "b.mp3", folder.parent / "z.wav", folder / "b.mp3"]
    with pytest.raises(ConfigError, match=r"nothing does not exist; give a JSONL file"):
        recordings.mentions([folder, tmp_path / "nothing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"empty holds no audio file; expected files that end in \.wav"):
        recordings.mentions([tmp_path / "empty"])


def _source(mention: object) -> object:
    assert isinstance(mention, Mention)
    return mention.audio.source
