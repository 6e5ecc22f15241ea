"""A checkpoint under evaluation: likelihoods, text without sound, equal questions asked once, the encoder's readout."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from mllm import checkpoint
from mllm.errors import AudioError, CheckpointError, ConfigError
from mllm.eval import conditions
from mllm.eval.model import Model, ModelSettings
from mllm.eval.models import encoder as encoder_model
from mllm.eval.models import mllm as checkpoints
from mllm.eval.questions import Question, Said, asked
from mllm.likelihoods import log_probabilities
from mllm.listener import Listener, about
from mllm.messages import Audio, Message, Text
from tests.tiny_checkpoint import write_checkpoint, write_music

OPTIONS = ("piano", "a flute and the drums", "guitar", "D minor")
DEMO = Path(__file__).parents[1] / "mllm" / "data" / "demo.mp3"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"), reference_tokenizer)


@pytest.fixture(scope="module")
def listener(directory: Path) -> Listener:
    return Listener.load(directory)


@pytest.fixture(scope="module")
def model(directory: Path) -> Model:
    return checkpoints.open_model(str(directory), ModelSettings(batch_size=3))


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_music(tmp_path_factory.mktemp("music"))


@pytest.fixture(scope="module")
def encoder() -> Model:
    return encoder_model.open_model(None, ModelSettings())


def question(text: str, *paths: Path, **settings: Any) -> Question:
    recordings = [Audio(source=path) for path in paths]
    told = {"id": text, "unit": "one", "template": "any", "max_new_tokens": 8, **settings}
    return Question(messages=asked(text, recordings), **told)


def respond(model: Model, *questions: Question) -> list[Said]:
    return list(model.respond(questions))


def by_hand(listener: Listener, conversation: Sequence[Message], answer: str) -> float:
    """The sum over the tokens of the answer, from one pass over the whole conversation without any cache."""
    batch = listener.processor(conversation)
    said = Message(role="assistant", parts=(Text(text=answer),))
    whole = listener.processor((*conversation, said), add_generation_prompt=False)
    begun = batch["input_ids"].shape[1]
    with torch.no_grad():
        logits = listener.model(**whole).logits[0].float()
    logits[:, listener.model.generation_config.suppress_tokens] = -math.inf
    ids = whole["input_ids"][0, begun:]
    return float(logits[begun - 1 : -1].log_softmax(-1).gather(1, ids[:, None]).sum())


class TestLikelihoods:
    """How likely answers are that somebody else gives."""

    def test_they_are_the_sum_over_tokens(self, listener: Listener, music: Path) -> None:
        """Measured worst difference: 4e-6."""
        for conversation in (
            about([music / "one.wav"], "Which is it?"),
            about([music / "two.wav", music / "long.wav"], "And here?"),
            about([], "Which is it?"),
        ):
            expected = [by_hand(listener, conversation, option) for option in OPTIONS]
            assert listener.likelihoods(conversation, OPTIONS) == pytest.approx(expected, abs=1e-5 * 12, rel=0)

    def test_they_do_not_depend_on_what_else_is_weighed(self, listener: Listener, music: Path) -> None:
        """Measured worst difference: 4e-6."""
        conversation = about([music / "one.wav"], "Which is it?")
        many = [*OPTIONS, *(f"{option} {number}" for option in OPTIONS for number in range(6))]
        together = listener.likelihoods(conversation, many)
        alone = [listener.likelihoods(conversation, [one])[0] for one in many]
        assert together == pytest.approx(alone, abs=1e-4, rel=0)
        assert len(set(together)) == len(many)

    def test_they_depend_on_what_is_heard(self, listener: Listener, music: Path) -> None:
        one, two = (listener.likelihoods(about([music / name], "Which?"), OPTIONS) for name in ("one.wav", "two.wav"))
        assert one != pytest.approx(two, abs=1e-3)

    def test_all_that_can_be_said_next_is_as_likely_as_anything_at_all(self, listener: Listener) -> None:
        begun = listener.processor(about([], "Which is it?"))["input_ids"][0].tolist()
        words = range(len(listener.processor.tokenizer))
        single = [math.exp(one) for one in log_probabilities(listener.model, begun, [[word] for word in words])]
        assert sum(single) == pytest.approx(1.0, abs=1e-5)
        never = set(listener.model.generation_config.suppress_tokens)
        assert {word for word in words if single[word] == 0.0} == never
        end = listener.processor.tokenizer.eos_token_id
        pairs = log_probabilities(listener.model, begun, [[word, end] for word in words if word not in never])
        assert 0.0 < single[end] + sum(math.exp(one) for one in pairs) < 1.0

    def test_a_likely_answer_is_the_one_that_is_given(self, listener: Listener, music: Path) -> None:
        conversation = about([music / "two.wav"], "Which is it?")
        batch = listener.processor(conversation)
        begun = batch["input_ids"].shape[1]
        ids = listener.model.generate(**batch, max_new_tokens=3, do_sample=False)[0, begun:].tolist()
        sounds = listener.model.soft_tokens(listener.model.encode_audio(batch["audio_waveforms"]))
        others = [[ids[0], word] for word in range(5, 60) if word != ids[1]]
        likely, *rest = log_probabilities(
            listener.model, batch["input_ids"][0].tolist(), [ids[:2], *others], audio_embeds=sounds
        )
        assert likely > max(rest)

    def test_what_cannot_be_heard_is_told(self, listener: Listener, music: Path) -> None:
        with pytest.raises(AudioError, match="does not exist"):
            listener.likelihoods(about([music / "missing.wav"], "Which?"), OPTIONS)


class TestCheckpoint:
    """A checkpoint that is asked questions."""

    def test_its_name_and_its_record(self, model: Model, directory: Path) -> None:
        assert model.name == directory.name
        assert model.listens
        assert model.description["place"] == str(directory)
        assert len(model.description["sha256"]) == 64
        assert model.description["engine"] == "transformers"
        assert set(model.description["versions"]) == {"torch", "transformers"}

    def test_answers_are_the_listeners(self, model: Model, listener: Listener, music: Path) -> None:
        questions = [
            question("Which key?", music / "one.wav"),
            question("And here?", music / "two.wav", max_new_tokens=4),
            question("Both?", music / "two.wav", music / "one.wav"),
            question("Hello"),
            question("How long?", music / "long.wav"),
        ]
        for one, said in zip(questions, model.respond(questions), strict=True):
            expected = listener.respond(one.messages, max_new_tokens=one.max_new_tokens)
            assert said.text == expected.text
            assert said.confidence == pytest.approx(expected.confidence, abs=1e-4)
            assert said.seconds_heard == expected.seconds_heard

    def test_errors_stand_in_the_place_of_answers_and_silence_is_answered(self, model: Model, music: Path) -> None:
        missing, silent = respond(
            model, question("Which?", music / "missing.wav"), question("Which?", music / "silent.wav")
        )
        assert missing.error is not None
        assert "missing.wav does not exist" in missing.error
        assert missing.text == ""
        assert silent.error is None
        assert silent.seconds_heard == 2.0

    @pytest.mark.parametrize("form", ["{}) {}", "({}) {}", "{}. {}"])
    def test_options_are_weighed_as_they_are_offered(
        self, model: Model, listener: Listener, music: Path, form: str
    ) -> None:
        offered = [form.format(letter, option) for letter, option in zip("ABCD", OPTIONS, strict=True)]
        one = question("\n".join(["Which?", *offered]), music / "one.wav", kind="choice", choices=OPTIONS)
        (said,) = respond(model, one)
        expected = listener.likelihoods(one.messages, offered)
        assert said.likelihoods == pytest.approx(expected, abs=1e-5)
        assert said.text == listener.respond(one.messages, max_new_tokens=8).text

    def test_options_that_are_offered_nowhere_have_letters(self, model: Model, listener: Listener) -> None:
        one = question("Which?", kind="choice", choices=("red", "blue"))
        (said,) = respond(model, one)
        assert said.likelihoods == pytest.approx(listener.likelihoods(one.messages, ["A) red", "B) blue"]), abs=1e-5)

    def test_texts_are_ranked_by_their_likelihood(self, model: Model, listener: Listener, music: Path) -> None:
        given = {"candidates": ["a", "b", "c", "d"], "texts": list(OPTIONS)}
        one = question("What is it?", music / "one.wav", kind="rank", given=given)
        assert model.answers(one)
        assert not model.answers(question("More?", kind="rank", given={"candidates": ["a"], "history": []}))
        (said,) = respond(model, one)
        chances = listener.likelihoods(one.messages, OPTIONS)
        (silent,) = conditions.put(conditions.SILENCE, [one], seed=0)
        without = listener.likelihoods(silent.messages, OPTIONS, require_sound=False)
        gains = {name: with_sound - blind for name, with_sound, blind in zip("abcd", chances, without, strict=True)}
        assert said.ranking == tuple(sorted(gains, key=lambda name: -gains[name]))

    def test_recordings_are_ranked_by_how_likely_a_text_is_about_each(
        self, model: Model, listener: Listener, music: Path
    ) -> None:
        recordings = [Audio(source=music / f"{name}.wav") for name in ("one", "two", "long")]
        given = {"candidates": ["a", "b", "c"], "texts": [OPTIONS[0]]}
        one = dataclasses.replace(
            question("What is it?", music / "one.wav", kind="rank", given=given),
            messages=asked("What is it?", recordings),
        )
        (said,) = respond(model, one)
        chances = {
            name: listener.likelihoods(asked("What is it?", [recording]), OPTIONS[:1])[0]
            for name, recording in zip("abc", recordings, strict=True)
        }
        assert said.ranking == tuple(sorted(chances, key=lambda name: -chances[name]))

    def test_equal_questions_are_asked_once(
        self, directory: Path, music: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        counted: list[int] = []
        respond_each = Listener.respond_each

        def counting(self: Listener, conversations: Any, **settings: Any) -> Any:
            counted.append(len(conversations))
            return respond_each(self, conversations, **settings)

        monkeypatch.setattr(Listener, "respond_each", counting)
        model = checkpoints.open_model(str(directory), ModelSettings(batch_size=3))
        names = ("one", "two", "long", "silent")
        heard = [question(text, music / f"{name}.wav") for name in names for text in ("Which key?", "How fast?")]
        blind = conditions.put(conditions.SILENCE, heard, seed=0)
        said = respond(model, *blind)
        assert len(said) == 8
        assert sum(counted) == 2
        assert said[0::2] == [said[0]] * 4
        assert said[1::2] == [said[1]] * 4
        assert len({one.text for one in respond(model, *heard)}) > 2
        assert sum(counted) == 10
        assert respond(model, *blind) == said
        assert sum(counted) == 10
        missing = question("Which key?", music / "missing.wav")
        assert respond(model, missing)[0].error
        assert respond(model, missing)[0].error
        assert sum(counted) == 12

    def test_longer_answers_are_other_questions(self, model: Model, music: Path) -> None:
        short, long = respond(
            model,
            question("Which?", music / "one.wav", max_new_tokens=2),
            question("Which?", music / "one.wav", max_new_tokens=8),
        )
        assert short.text != long.text

    def test_no_checkpoint_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError):
            checkpoints.open_model(str(tmp_path), ModelSettings())


class TestPlain:
    """What the adapters change of text without sound."""

    def test_nothing_where_the_backbone_is_frozen(self, model: Model) -> None:
        plain = [question(text, kind="plain") for text in ("Which instruments?", "Hello. Is it in D minor?")]
        assert [said.value for said in respond(model, *plain)] == [0.0, 0.0]

    def test_nothing_in_the_reference_checkpoint(self) -> None:
        reference = checkpoints.open_model(None, ModelSettings())
        assert reference.name == "mllm"
        (said,) = respond(reference, question("What is a waltz in 3/4?", kind="plain"))
        assert said.value == 0.0

    def test_a_lora_is_found_out(self, directory: Path, tmp_path: Path) -> None:
        changed, processor = checkpoint.load(directory)
        checkpoint.with_parts(changed, lora={"rank": 2}, seed=5)
        for name, weight in changed.named_parameters():
            if "lora_B" in name:
                torch.nn.init.constant_(weight, 0.01)
        checkpoint.save(changed, processor, tmp_path / "lora", card="# Tiny\n", run={})
        (said,) = respond(
            checkpoints.open_model(str(tmp_path / "lora"), ModelSettings()), question("Which?", kind="plain")
        )
        assert said.value is not None
        assert said.value > 1e-3


class TestEncoderReadout:
    """What the encoder names without the language model."""

    def test_it_names_the_facts_of_a_recording(self, encoder: Model) -> None:
        fields = ("tempo_bpm", "key", "meter", "instruments")
        tempo, key, meter, instruments = respond(encoder, *(question("?", DEMO, field=field) for field in fields))
        assert encoder.name == "encoder"
        assert not encoder.listens
        assert tempo.text.endswith(" bpm")
        assert key.text == "G# minor"
        assert meter.text == "4/4"
        assert instruments.text == "acoustic guitar"
        assert key.confidence is not None
        assert 0.5 < key.confidence <= 1.0
        assert instruments.confidence is None
        assert tempo.seconds_heard is not None
        assert tempo.seconds_heard > 10

    def test_it_answers_nothing_else(self, encoder: Model, music: Path) -> None:
        assert encoder.answers(question("?", DEMO, field="key"))
        for other in (
            question("?", DEMO, field="chords"),
            question("?", DEMO),
            question("?", field="key"),
            question("?", DEMO, DEMO, field="key"),
            question("?", DEMO, field="instruments", label="yes"),
            question("?", DEMO, field="key", kind="choice", choices=("D minor", "E minor")),
        ):
            assert not encoder.answers(other)
        (said,) = respond(encoder, question("?", music / "missing.wav", field="key"))
        assert "does not exist" in str(said.error)

    def test_an_encoder_without_a_readout_is_told(self, directory: Path) -> None:
        with pytest.raises(ConfigError, match=r"the encoder of .* is 'mert', which names no facts itself"):
            encoder_model.open_model(str(directory), ModelSettings())
