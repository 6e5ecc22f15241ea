"""Other audio language models through transformers: tiny random checkpoints in their published formats."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import PreTrainedTokenizerFast, Qwen2Config, WhisperFeatureExtractor

from mllm import audio, registry
from mllm.errors import ConfigError
from mllm.eval import conditions
from mllm.eval.model import Model, ModelSettings
from mllm.eval.models import _transformers
from mllm.eval.questions import Question, Said, asked
from mllm.messages import Audio, Item, Message, Text
from tests.tiny_checkpoint import write_music

WINDOW_SECONDS = 2
MOST_SECONDS = 6
"""Of a recording that the two Flamingos hear; Qwen2-Audio hears one window."""
RATE_HZ = 16_000
WIDTH = 32
MARKERS = {
    "qwen2_audio": ["<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"],
    "audio_flamingo_3": ["<sound>"],
    "music_flamingo": ["<sound>", "<|sound_bos|>", "<|sound_eos|>"],
}
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'audio' %}<sound>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Opened:
    """A family, and its tiny checkpoint opened through our file."""

    name: str
    directory: Path
    model: Model

    @property
    def file(self) -> types.ModuleType:
        return registry.find("evaluated model", self.name)

    def seconds(self, whole: float) -> float:
        """Of a recording as long as `whole` seconds that are heard."""
        return min(whole, WINDOW_SECONDS if self.name == "qwen2_audio" else MOST_SECONDS)


def write_peer(name: str, tokenizer: PreTrainedTokenizerFast, directory: Path) -> Path:
    """A checkpoint of tiny random parts with windows of two seconds; the answers mean nothing."""
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>", *MARKERS[name]]})
    ids = {marker: tokenizer.convert_tokens_to_ids(marker) for marker in MARKERS[name]}
    torch.manual_seed(5)
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 1024,
        **_LIVELY,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
    }
    encoder = {
        "num_mel_bins": 16,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 16,
        "d_model": 16,
        "max_source_positions": WINDOW_SECONDS * 50,
        **_LIVELY,
    }
    listening = WhisperFeatureExtractor(feature_size=16, sampling_rate=RATE_HZ, chunk_length=WINDOW_SECONDS)
    model, processor = _BUILDERS[name](Qwen2Config(**text), encoder, listening, tokenizer, ids)
    model.save_pretrained(directory)
    processor.save_pretrained(directory)
    return directory


def _qwen2_audio(text: Any, encoder: Any, listening: Any, tokenizer: Any, ids: dict[str, int]) -> tuple[Any, Any]:
    config = transformers.Qwen2AudioConfig(
        audio_config={"model_type": "qwen2_audio_encoder", **encoder},
        text_config=text.to_dict(),
        audio_token_index=ids["<|AUDIO|>"],
        **_LIVELY,
    )
    processor = transformers.Qwen2AudioProcessor(listening, tokenizer)  # with its own chat template
    return transformers.Qwen2AudioForConditionalGeneration(config), processor


def _audio_flamingo_3(text: Any, encoder: Any, listening: Any, tokenizer: Any, ids: dict[str, int]) -> tuple[Any, Any]:
    config = transformers.AudioFlamingo3Config(
        audio_config={"model_type": "audioflamingo3_encoder", **_renamed(encoder)},
        text_config=text.to_dict(),
        audio_token_id=ids["<sound>"],
        **_LIVELY,
    )
    processor = transformers.AudioFlamingo3Processor(
        listening, tokenizer, chat_template=TEMPLATE, max_audio_len=MOST_SECONDS
    )
    return transformers.AudioFlamingo3ForConditionalGeneration(config), processor


def _music_flamingo(text: Any, encoder: Any, listening: Any, tokenizer: Any, ids: dict[str, int]) -> tuple[Any, Any]:
    config = transformers.MusicFlamingoConfig(
        audio_config={"model_type": "audioflamingo3_encoder", **_renamed(encoder)},
        text_config=text.to_dict(),
        audio_token_id=ids["<sound>"],
        audio_bos_token_id=ids["<|sound_bos|>"],
        audio_eos_token_id=ids["<|sound_eos|>"],
        **_LIVELY,
    )
    processor = transformers.MusicFlamingoProcessor(
        listening, tokenizer, chat_template=TEMPLATE, max_audio_len=MOST_SECONDS
    )
    return transformers.MusicFlamingoForConditionalGeneration(config), processor


_LIVELY: Any = {"initializer_range": 0.4}
"""Of the weights, so that the answer depends on what is heard."""


def _renamed(encoder: dict[str, Any]) -> dict[str, Any]:
    names = {
        "encoder_layers": "num_hidden_layers",
        "encoder_attention_heads": "num_attention_heads",
        "encoder_ffn_dim": "intermediate_size",
        "d_model": "hidden_size",
    }
    return {names.get(name, name): value for name, value in encoder.items()}


_BUILDERS: dict[str, Callable[..., tuple[Any, Any]]] = {
    "qwen2_audio": _qwen2_audio,
    "audio_flamingo_3": _audio_flamingo_3,
    "music_flamingo": _music_flamingo,
}


@pytest.fixture(scope="module", params=_BUILDERS)
def opened(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    reference_tokenizer: PreTrainedTokenizerFast,
) -> Opened:
    own = tmp_path_factory.mktemp("tokenizer")
    reference_tokenizer.save_pretrained(own)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(own)
    tokenizer.chat_template = None
    place = write_peer(request.param, tokenizer, tmp_path_factory.mktemp("peers") / request.param)
    file = registry.find("evaluated model", request.param)
    return Opened(name=request.param, directory=place, model=file.open_model(str(place), ModelSettings(batch_size=4)))


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_music(tmp_path_factory.mktemp("music"))


def question(text: str, *recordings: Path | Audio, **settings: Any) -> Question:
    sounds = [one if isinstance(one, Audio) else Audio(source=one) for one in recordings]
    told = {"id": text, "unit": "one", "template": "any", "max_new_tokens": 8, **settings}
    return Question(messages=asked(text, sounds), **told)


def respond(model: Model, *questions: Question) -> list[Said]:
    return list(model.respond(questions))


def afresh(opened: Opened) -> Model:
    """Opened again, so that it remembers nothing."""
    again: Model = opened.file.open_model(str(opened.directory), ModelSettings(batch_size=4))
    return again


def test_its_name_and_its_record(opened: Opened) -> None:
    model = opened.model
    assert model.name == opened.name
    assert model.listens
    assert model.description["kind"] == opened.name
    assert model.description["place"] == str(opened.directory)
    assert len(model.description["sha256"]) == 64
    assert model.description["dtype"] == "float32"


def test_a_batch_equals_single_answers(opened: Opened, music: Path) -> None:
    questions = [
        question("Which key is this piece in?", music / "one.wav"),
        question("And here?", music / "two.wav"),
        question("Hello"),
        question("And in this one, which is longer than all of the others?", music / "long.wav"),
        question("Short?", music / "two.wav", max_new_tokens=3),
        question("Silence?", music / "silent.wav"),
    ]
    together = respond(opened.model, *questions)
    again = afresh(opened)
    assert len(together) == len(questions)
    for one, said in zip(questions, together, strict=True):
        (alone,) = respond(again, one)
        assert said.error is None
        assert said.text == alone.text
        assert said.confidence == pytest.approx(alone.confidence, abs=1e-3)
        assert said.seconds_heard == alone.seconds_heard


def test_the_answer_is_that_of_generate(opened: Opened, music: Path) -> None:
    """Through the classes of transformers alone, as their documentation tells."""
    file = opened.file
    processor = getattr(transformers, file._FAMILY.processor).from_pretrained(opened.directory)
    model = getattr(transformers, file._FAMILY.model).from_pretrained(opened.directory)
    conversation = [
        {
            "role": "user",
            "content": [
                {"type": "audio", "audio": audio.load(music / "two.wav", sample_rate_hz=RATE_HZ).samples},
                {"type": "text", "text": "Which key is it in?"},
            ],
        }
    ]
    inputs = processor.apply_chat_template(
        conversation, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    ids = model.generate(**inputs, max_new_tokens=8, do_sample=False)
    expected = processor.tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    (said,) = respond(opened.model, question("Which key is it in?", music / "two.wav"))
    assert said.text == expected.strip()


def test_it_listens(opened: Opened, music: Path) -> None:
    one, two = respond(opened.model, *(question("What?", music / name) for name in ("one.wav", "two.wav")))
    assert (one.text, one.confidence) != (two.text, two.confidence)
    assert one.confidence is not None
    assert 0.0 < one.confidence < 1.0


def test_the_stretch_that_is_meant_is_heard(opened: Opened, music: Path) -> None:
    whole, stretch, copied = respond(
        opened.model,
        question("What?", music / "long.wav"),
        question("What?", Audio(source=music / "long.wav", start=3.0, end=4.5)),
        question("What?", Audio(source=(music / "long.wav").read_bytes(), start=3.0, end=4.5)),
    )
    assert stretch.seconds_heard == 1.5
    assert (stretch.text, stretch.confidence) == (copied.text, copied.confidence)
    assert whole.confidence != stretch.confidence


def test_what_is_cut_off_is_not_counted_as_heard(opened: Opened, music: Path) -> None:
    long, short, two = respond(
        opened.model, *(question("What?", music / f"{name}.wav") for name in ("long", "one", "two"))
    )
    assert long.seconds_heard == opened.seconds(30.0) < 30.0
    assert short.seconds_heard == 2.0
    assert two.seconds_heard == opened.seconds(3.0)
    begin = question("What?", Audio(source=music / "long.wav", end=opened.seconds(30.0)))
    (first,) = respond(opened.model, begin)
    assert first.text == long.text
    assert first.confidence == pytest.approx(long.confidence, abs=1e-4)


def test_two_recordings(opened: Opened, music: Path) -> None:
    both = question("Are they alike?", music / "one.wav", music / "two.wav")
    if opened.name != "qwen2_audio":
        assert not opened.model.answers(both)
        return
    assert opened.model.answers(both)
    swapped = question("Are they alike?", music / "two.wav", music / "one.wav")
    one = question("Are they alike?", music / "one.wav")
    said, other, single = respond(opened.model, both, swapped, one)
    assert said.seconds_heard == 4.0
    assert len({(answer.text, answer.confidence) for answer in (said, other, single)}) == 3
    (alone,) = respond(afresh(opened), both)
    assert alone.text == said.text


def test_errors_stand_in_the_place_of_answers(opened: Opened, music: Path) -> None:
    missing, heard = respond(
        opened.model, question("Which?", music / "missing.wav"), question("Which?", music / "one.wav")
    )
    assert "does not exist" in str(missing.error)
    assert missing.text == ""
    assert heard.error is None


def test_a_marker_in_a_text_is_told(opened: Opened, music: Path) -> None:
    marker = "<|AUDIO|>" if opened.name == "qwen2_audio" else "<sound>"
    bad, good = respond(
        opened.model, question(f"Which {marker}?", music / "one.wav"), question("Which?", music / "two.wav")
    )
    assert f"the text holds {marker!r}, which stands for a recording" in str(bad.error)
    assert good.error is None


def test_what_fails_together_is_asked_alone(opened: Opened, music: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = afresh(opened)
    assert isinstance(model, _transformers.Peer)
    generate = model._model.generate

    def with_little_memory(**inputs: Any) -> Any:
        if len(inputs["input_ids"]) > 1 or inputs["max_new_tokens"] > 8:
            raise torch.OutOfMemoryError("out of memory")
        return generate(**inputs)

    monkeypatch.setattr(model._model, "generate", with_little_memory)
    one, two, long = respond(
        model,
        question("Which?", music / "one.wav"),
        question("Which?", music / "two.wav"),
        question("Which?", music / "two.wav", max_new_tokens=9),
    )
    assert one.error is None
    assert two.error is None
    assert str(long.error).endswith("fails: out of memory")
    assert two.text == respond(opened.model, question("Which?", music / "two.wav"))[0].text


def test_blind_controls_can_be_asked(opened: Opened, music: Path) -> None:
    heard = [question("Which?", music / f"{name}.wav", unit=name) for name in ("one", "two")]
    for condition in conditions.BLIND:
        for said in respond(opened.model, *conditions.put(condition, heard, seed=0)):
            assert said.error is None


def test_what_it_cannot_be_asked(opened: Opened, music: Path) -> None:
    assert opened.model.answers(question("a", music / "one.wav", kind="choice", choices=("b", "c")))
    assert not opened.model.answers(question("a", kind="rank"))
    assert not opened.model.answers(question("a", kind="plain"))
    listed = (Message(role="user", parts=(Item(id="song"), Text(text="This?"))),)
    assert not opened.model.answers(Question(id="a", messages=listed, unit="a", template="a"))


def test_another_checkpoint_is_told(opened: Opened, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"--model {opened.name}: .* cannot be opened as .*; give the directory"):
        opened.file.open_model(str(tmp_path), ModelSettings())
