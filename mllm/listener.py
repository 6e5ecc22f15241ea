"""The engine: a conversation with recordings in, the model's answer out.

Joins checkpoint, processor and model for the command line and for evaluation. Soft tokens of a recording are kept, so
that a second question about it costs no decoding and no encoder. Prints nothing and parses no command line.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from torch import Tensor

from mllm import checkpoint, describe
from mllm.answer import MAX_NEW_TOKENS, Answer
from mllm.errors import AudioError, CheckpointError, ConfigError, MllmError
from mllm.items import Catalogue, open_for
from mllm.likelihoods import log_probabilities
from mllm.messages import Audio, Message, Text, parse
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.processing import MusicLLMProcessor
from mllm.prompt import IGNORE_INDEX, Prompt, build_prompt
from mllm.sounds import KEPT_BYTES, Sound, SoundMemory
from mllm.speech import ProbabilityRecorder, TextStream, answer_of

BATCH_SIZE = 16
"""Conversations that are answered at once, unless told otherwise."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Ready:
    """A conversation that can be answered."""

    prompt: Prompt
    sounds: tuple[Sound, ...]
    items: tuple[Tensor, ...]


class Listener:
    """A loaded model that answers questions about recordings.

    Args:
        model: in evaluation mode.
        processor: that belongs to it.
        catalogue: where the items of conversations are looked up; None where there are none.
        seed: of answers with a temperature.
        kept_bytes: soft tokens kept of recordings that were heard, at most.
    """

    def __init__(
        self,
        model: MusicLLMForConditionalGeneration,
        processor: MusicLLMProcessor,
        *,
        catalogue: Catalogue | None = None,
        seed: int = 0,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self.model = model
        self.processor = processor
        self.catalogue = catalogue
        self.seed = seed
        self._memory = SoundMemory(self._hear, kept_bytes=kept_bytes)

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        *,
        catalogue: str | Path | None = None,
        seed: int = 0,
        threads: int | None = None,
    ) -> Self:
        """Open a checkpoint.

        Args:
            model: directory or name of a checkpoint; None is the reference checkpoint of the package.
            catalogue: directory of a catalogue whose items conversations may hold; None for no items.
            seed: of answers with a temperature.
            threads: that torch computes with, at least 1; None leaves them as they are.

        Raises:
            CheckpointError: it is absent, incomplete or altered.
            CatalogueError: the catalogue is absent, damaged, or not for this model.
            ConfigError: `threads` is below 1.
        """
        if threads is not None:
            if threads < 1:
                raise ConfigError(f"threads is {threads}; expected 1 or more")
            torch.set_num_threads(threads)
        loaded, processor = checkpoint.load(find_model(model))
        opened = None if catalogue is None else open_for(processor.space_of_items, catalogue)
        return cls(loaded, processor, catalogue=opened, seed=seed)

    def respond(
        self,
        messages: object,
        *,
        max_new_tokens: int = MAX_NEW_TOKENS,
        temperature: float = 0.0,
        seed: int | None = None,
        stream: Callable[[str], object] | None = None,
        require_sound: bool = True,
        base_directory: Path | None = None,
    ) -> Answer:
        """Answer one conversation.

        Args:
            messages: in the message format, as JSON or as `Message` objects; the user speaks last.
            max_new_tokens: longest answer, in tokens, at least 1.
            temperature: 0 takes the most probable token each time; above 0 tokens are drawn.
            seed: of the draw; None is the listener's own.
            stream: called with each piece of the text as soon as it is there.
            require_sound: whether a silent recording is an error.
            base_directory: where relative paths begin; paths must then stay inside it.

        Raises:
            MessageError: the conversation is not in the format, or holds items that cannot be looked up anywhere.
            AudioError: a recording cannot be heard.
            ItemError: an item is not in the catalogue.
            PromptError: the conversation is longer than the context.
            ConfigError: a setting is out of range.
        """
        self._check_settings(max_new_tokens, temperature)
        ready = self._prepare(messages, max_new_tokens, require_sound, base_directory)
        (answer,) = self._speak([ready], max_new_tokens, temperature, self.seed if seed is None else seed, stream)
        return answer

    def respond_each(
        self,
        conversations: Iterable[object],
        *,
        max_new_tokens: int = MAX_NEW_TOKENS,
        temperature: float = 0.0,
        seed: int | None = None,
        require_sound: bool = True,
        batch_size: int = BATCH_SIZE,
    ) -> Iterator[Answer | MllmError]:
        """Answer many conversations, several at a time; for one that cannot be answered, its error.

        With a temperature they are answered one by one, each from the same seed, so that an answer never depends on
        its neighbours.

        Args:
            conversations: as `messages` of `respond`; they are taken as they are needed.
            max_new_tokens: as for `respond`.
            temperature: as for `respond`.
            seed: as for `respond`.
            require_sound: as for `respond`.
            batch_size: conversations answered at once, at least 1.

        Yields:
            One answer or error a conversation, in their order.

        Raises:
            ConfigError: a setting is out of range.
        """
        self._check_settings(max_new_tokens, temperature)
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}; expected 1 or more")
        chosen_seed = self.seed if seed is None else seed
        at_once = 1 if temperature > 0 else batch_size
        waiting: list[_Ready | MllmError] = []
        for conversation in conversations:
            try:
                waiting.append(self._prepare(conversation, max_new_tokens, require_sound, None))
            except MllmError as error:
                waiting.append(error)
            if len(waiting) == at_once:
                yield from self._speak_where_ready(waiting, max_new_tokens, temperature, chosen_seed)
                waiting = []
        yield from self._speak_where_ready(waiting, max_new_tokens, temperature, chosen_seed)

    def respond_many(self, conversations: Iterable[object], **settings: Any) -> list[Answer]:
        """Answer many conversations at once, equal to answering each alone; `settings` as for `respond_each`.

        Raises:
            MllmError: for the first conversation that cannot be answered.
        """
        answers = []
        for answer in self.respond_each(conversations, **settings):
            if isinstance(answer, MllmError):
                raise answer
            answers.append(answer)
        return answers

    def likelihoods(self, messages: object, answers: Sequence[str], *, require_sound: bool = True) -> list[float]:
        """How likely each of several answers is: the natural logarithm of its probability, its end included.

        The conversation is read once, the answers several at a time; each is as likely as it would be alone.

        Args:
            messages: as for `respond`.
            answers: what the assistant could say, each at least one token.
            require_sound: as for `respond`.

        Raises:
            MessageError, AudioError, ItemError, PromptError: as for `respond`.
        """
        conversation = _parsed(messages, None)
        ready = self._prepare(conversation, 1, require_sound, None)
        endings = [self._ids_of(conversation, ready, answer) for answer in answers]
        return log_probabilities(
            self.model,
            ready.prompt.input_ids,
            endings,
            audio_embeds=[tokens for sound in ready.sounds for tokens in sound.soft_tokens],
            item_features=ready.items,
        )

    def caption(self, recording: str | Path | Audio, **settings: Any) -> Answer:
        """Describe a recording in words; `settings` and errors as for `respond`."""
        return self.respond(about([recording], describe.CAPTION_QUESTION), **settings)

    def ask(self, recordings: Sequence[str | Path | Audio], question: str, **settings: Any) -> Answer:
        """Answer a question about one or several recordings; `settings` and errors as for `respond`."""
        return self.respond(about(recordings, question), **settings)

    def describe(
        self, recording: str | Path | Audio, *, minimum_confidence: float = 0.0, **settings: Any
    ) -> describe.Description:
        """The facts that the model states of a recording; `settings` and errors as for `respond`."""
        settings = {"max_new_tokens": describe.MAX_NEW_TOKENS, **settings}
        answer = self.respond(about([recording], describe.QUESTION), **settings)
        return describe.read(answer, minimum_confidence=minimum_confidence)

    def hear(self, audio: Audio, *, require_sound: bool = True) -> Sound:
        """Soft tokens of a recording, from memory where it was heard before.

        Raises:
            AudioError: it cannot be heard.
        """
        return self._memory.recall(audio, require_sound=require_sound)

    def _hear(self, audio: Audio, require_sound: bool) -> Sound:
        try:
            recording = self.processor.listen(audio, require_sound=require_sound)
        except OSError as error:
            raise AudioError(f"{audio.source!s} cannot be read ({error.strerror}); give the path of a file") from error
        with torch.no_grad():
            tokens = self.model.soft_tokens(self.model.encode_audio(recording.waveforms))
        return Sound(soft_tokens=tuple(tokens), heard=recording.heard)

    def _check_settings(self, max_new_tokens: int, temperature: float) -> None:
        if max_new_tokens < 1:
            raise ConfigError(f"max_new_tokens is {max_new_tokens}; expected 1 or more")
        if not 0.0 <= temperature < float("inf"):
            raise ConfigError(f"temperature is {temperature:g}; expected 0 (the most probable) or more")
        context = self.processor.max_length
        if context is not None and max_new_tokens >= context:
            raise ConfigError(
                f"max_new_tokens is {max_new_tokens}, but the context of this model holds {context} tokens, "
                "the question included; ask for a shorter answer"
            )

    def _prepare(
        self, messages: object, max_new_tokens: int, require_sound: bool, base_directory: Path | None
    ) -> _Ready:
        conversation = _parsed(messages, base_directory)
        parts = [part for message in conversation for part in message.parts]
        items = self.processor.look_up(conversation, self.catalogue)
        sounds = tuple(self.hear(part, require_sound=require_sound) for part in parts if isinstance(part, Audio))
        prompt = self._prompt(conversation, sounds, max_new_tokens)
        return _Ready(prompt=prompt, sounds=sounds, items=tuple(items))

    def _prompt(
        self, conversation: Sequence[Message], sounds: Sequence[Sound], max_new_tokens: int, *, answered: bool = False
    ) -> Prompt:
        """The prompt of a conversation that leaves room for so many tokens."""
        context = self.processor.max_length
        return build_prompt(
            conversation,
            self.processor.tokenizer,
            audio_tokens=[sound.num_tokens for sound in sounds],
            item_tokens=self.processor.item_places(conversation),
            markers=self.processor.markers,
            add_generation_prompt=not answered,
            max_length=None if context is None else context - max_new_tokens,
        )

    def _ids_of(self, conversation: Sequence[Message], ready: _Ready, answer: str) -> list[int]:
        """Ids of an answer to a conversation, from where the assistant speaks to the end of what it says."""
        said = Message(role="assistant", parts=(Text(text=answer),))
        whole = self._prompt((*conversation, said), ready.sounds, 0, answered=True)
        # What a template writes behind the end of an answer is not said by the assistant.
        end = max(place for place, label in enumerate(whole.labels) if label != IGNORE_INDEX) + 1
        return list(whole.input_ids[len(ready.prompt.input_ids) : end])

    def _speak_where_ready(
        self, waiting: Sequence[_Ready | MllmError], max_new_tokens: int, temperature: float, seed: int
    ) -> Iterator[Answer | MllmError]:
        ready = [one for one in waiting if isinstance(one, _Ready)]
        answers = iter(self._speak(ready, max_new_tokens, temperature, seed, None)) if ready else iter(())
        for one in waiting:
            yield next(answers) if isinstance(one, _Ready) else one

    @torch.no_grad()
    def _speak(
        self,
        ready: Sequence[_Ready],
        max_new_tokens: int,
        temperature: float,
        seed: int,
        stream: Callable[[str], object] | None,
    ) -> list[Answer]:
        tokenizer, device = self.processor.tokenizer, self.model.language_model.device
        pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        ids = [torch.tensor(one.prompt.input_ids, device=device) for one in ready]
        ends = self._end_token_ids()
        recorder = ProbabilityRecorder()
        drawn = {"temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature > 0 else {}
        with torch.random.fork_rng(enabled=temperature > 0):
            if temperature > 0:
                torch.manual_seed(seed)
            sequences = self.model.generate(
                _pad_left(ids, pad),
                attention_mask=_pad_left([torch.ones_like(row) for row in ids], 0),
                audio_embeds=[tokens for one in ready for sound in one.sounds for tokens in sound.soft_tokens] or None,
                item_features=[features for one in ready for features in one.items] or None,
                max_new_tokens=max_new_tokens,
                do_sample=temperature > 0,
                eos_token_id=sorted(ends),
                pad_token_id=pad,
                logits_processor=[recorder],
                streamer=None if stream is None else TextStream(tokenizer, stream),
                **drawn,
            )
        probabilities = recorder.finish(sequences)
        generated = sequences[:, -probabilities.shape[1] :]
        return [
            self._answer(one, row.tolist(), chances.tolist(), ends)
            for one, row, chances in zip(ready, generated, probabilities, strict=True)
        ]

    def _answer(self, ready: _Ready, ids: list[int], probabilities: list[float], ends: set[int]) -> Answer:
        length = next((i + 1 for i, token in enumerate(ids) if token in ends), len(ids))
        ids = ids[:length]
        return answer_of(
            self.processor.tokenizer,
            ids,
            probabilities[:length],
            complete=ids[-1] in ends,
            seconds_heard=sum(sound.heard.seconds_heard for sound in ready.sounds),
            total_seconds=sum(sound.heard.total_seconds for sound in ready.sounds),
        )

    def _end_token_ids(self) -> set[int]:
        """What ends an answer: the tokenizer's own, and what the backbone's settings name."""
        stated = self.model.generation_config.eos_token_id
        listed = stated if isinstance(stated, list) else [] if stated is None else [stated]
        return {int(self.processor.tokenizer.eos_token_id), *listed}


def find_model(model: str | Path | None) -> str | Path:
    """The checkpoint to open: the one given, or the reference checkpoint of the package.

    Raises:
        CheckpointError: none was given, and the package holds none.
    """
    if model is not None:
        return model
    directory = checkpoint.reference_directory()
    if not (directory / "config.json").is_file():
        raise CheckpointError(
            f"this installation has no reference checkpoint in {directory}; install the package again, or give the "
            "directory of a checkpoint"
        )
    return directory


def about(recordings: Sequence[str | Path | Audio], text: str) -> tuple[Message, ...]:
    """A conversation that says `text` about recordings: files, or audio parts of messages."""
    parts = [one if isinstance(one, Audio) else Audio(source=Path(one)) for one in recordings]
    return (Message(role="user", parts=(*parts, Text(text=text))),)


def as_audio(samples: npt.NDArray[np.float32], sample_rate_hz: int) -> Audio:
    """An audio part from mono samples (W,), as evaluation holds them; nothing is lost on the way."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sample_rate_hz, format="WAV", subtype="FLOAT")
    return Audio(source=buffer.getvalue())


def _parsed(messages: object, base_directory: Path | None) -> tuple[Message, ...]:
    if isinstance(messages, Sequence) and messages and all(isinstance(message, Message) for message in messages):
        return tuple(messages)
    return parse(messages, base_directory=base_directory)


def _pad_left(rows: Sequence[Tensor], value: int) -> Tensor:
    """Rows of ids, (S,) each, as one tensor (B, longest)."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value, padding_side="left")
