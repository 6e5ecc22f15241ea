"""From conversations to what the model takes: token ids, masks, labels and waveforms; and from its ids back to text.

In: messages with audio files. Out: a batch for `MusicLLMForConditionalGeneration`. Joins `mllm.audio`, `mllm.prompt`
and the geometry of the encoder and adapter files (how many soft tokens a window takes); needs no weights.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import AutoProcessor, BatchFeature, PreTrainedTokenizerBase, ProcessorMixin

from mllm import audio, registry, templates
from mllm.configuration import MusicLLMConfig
from mllm.errors import ConfigError, MessageError, MllmError, PromptError
from mllm.items import ROWS_PER_SECOND, Catalogue, ItemSpace
from mllm.messages import Audio, Item, Message, parse
from mllm.prompt import IGNORE_INDEX, Markers, Prompt, build_prompt
from mllm.settings import config_from_dict

PROCESSOR_FILE = "processor_config.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heard:
    """How much of one recording the model hears."""

    seconds_heard: float
    """Length of what is heard, overlaps counted once, in seconds."""
    total_seconds: float
    """Length of the whole file, in seconds."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """One recording as the model takes it."""

    waveforms: tuple[Float[Tensor, " samples"], ...]
    """Its windows in order: float32, mono, at the processor's sample rate."""
    heard: Heard


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeardElsewhere(Audio):
    """A recording that is, or was, decoded by somebody else."""

    listen: Callable[[], Recording] = dataclasses.field(compare=False, repr=False)
    """Gives its windows; called only where they are not known yet."""


class MusicLLMBatch(BatchFeature):
    """What the model takes (`model.generate(**batch)`), and beside it what was heard."""

    heard: tuple[tuple[Heard, ...], ...] = ()
    """For each conversation, each of its recordings in order; no input of the model."""

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "heard": self.heard}  # type: ignore[no-untyped-call]

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.heard = state["heard"]


class MusicLLMProcessor(ProcessorMixin):
    """Tokenizer, markers and audio geometry; `from_config` takes them from a model's configuration.

    Args:
        tokenizer: The backbone's, with its chat template.
        audio_encoder: `{"name": file name in mllm/encoders, …fields of its Config}`.
        audio_adapter: `{"name": file name in adapters, …fields of its Config}`.
        sample_rate_hz: What the encoder hears.
        window_seconds: Longest stretch given to the encoder at once.
        audio_token: See `Markers`, as for the next five.
        audio_token_id: Id of a soft token of audio.
        audio_start: Text before a recording.
        audio_end: Text behind a recording.
        item_token: Text of a catalogue item, if the model knows items.
        item_token_id: Id of a catalogue item.
        item_adapter: As `audio_adapter`, over the features of an item; None where the model takes no items.
        item_space: The fields of `mllm.items.ItemSpace`, if it takes items.
        max_windows: Most windows heard of one recording, at least 1; of a longer one they are spread evenly.
        max_length: Longest prompt in tokens, the backbone's context; None is no limit.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        audio_encoder: Mapping[str, Any],
        audio_adapter: Mapping[str, Any],
        sample_rate_hz: int,
        window_seconds: float,
        audio_token: str,
        audio_token_id: int,
        audio_start: str = "",
        audio_end: str = "",
        item_token: str | None = None,
        item_token_id: int | None = None,
        item_adapter: Mapping[str, Any] | None = None,
        item_space: Mapping[str, Any] | None = None,
        max_windows: int = 8,
        max_length: int | None = None,
    ) -> None:
        super().__init__(tokenizer)  # type: ignore[no-untyped-call]
        if max_windows < 1:
            raise ConfigError(f"max_windows: got {max_windows}, expected at least 1 window.")
        self.audio_encoder = dict(audio_encoder)
        self.audio_adapter = dict(audio_adapter)
        self.sample_rate_hz = sample_rate_hz
        self.window_seconds = window_seconds
        self.audio_token = audio_token
        self.audio_token_id = audio_token_id
        self.audio_start = audio_start
        self.audio_end = audio_end
        self.item_token = item_token
        self.item_token_id = item_token_id
        self.item_adapter = None if item_adapter is None else dict(item_adapter)
        self.item_space = None if item_space is None else dict(item_space)
        self.max_windows = max_windows
        self.max_length = max_length
        self.num_tokens(round(window_seconds * sample_rate_hz))  # an unknown plug-in or setting is told here
        self.markers  # noqa: B018  # and so are markers that cannot work

    @classmethod
    def from_config(cls, config: MusicLLMConfig, tokenizer: PreTrainedTokenizerBase) -> MusicLLMProcessor:
        """The processor of a model, from its configuration and the tokenizer of its backbone.

        Raises:
            ConfigError: if there is no chat template, or the one there is does not fit the tokenizer.
        """
        encoder = config.encoder_config
        return cls(
            templates.equip(tokenizer, config.chat_template),
            audio_encoder=config.audio_encoder,
            audio_adapter=config.audio_adapter,
            sample_rate_hz=getattr(encoder, "sample_rate_hz", None) or config.encoder_module.Encoder.sample_rate_hz,
            window_seconds=encoder.window_seconds,
            audio_token=config.audio_token,
            audio_token_id=config.audio_token_id,
            audio_start=config.audio_start,
            audio_end=config.audio_end,
            item_token=config.item_token,
            item_token_id=config.item_token_id,
            item_adapter=config.item_adapter,
            item_space=config.item_space,
            max_windows=config.max_windows,
            max_length=getattr(config.text_config, "max_position_embeddings", None),
        )

    @classmethod
    def from_args_and_dict(cls, args: Any, processor_dict: dict[str, Any], **kwargs: Any) -> Any:
        """As in transformers, but a misspelt or missing setting is an error instead of being passed over."""
        parameters = inspect.signature(cls).parameters
        known = {*parameters, "processor_class", "auto_map", "chat_template"}  # the last three are transformers'
        for key in processor_dict:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=2)
                hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "; take it out."
                raise ConfigError(f"{PROCESSOR_FILE}: {key!r} is not a setting of the processor{hint}")
        for name, parameter in parameters.items():
            if parameter.default is parameter.empty and name != "tokenizer" and name not in {*processor_dict, *kwargs}:
                raise ConfigError(f"{PROCESSOR_FILE}: the setting {name!r} is missing; save the processor again.")
        return super().from_args_and_dict(args, processor_dict, **kwargs)

    @property
    def markers(self) -> Markers:
        """How soft tokens are written into prompts."""
        return Markers(
            audio_token=self.audio_token,
            audio_token_id=self.audio_token_id,
            audio_start=self.audio_start,
            audio_end=self.audio_end,
            item_token=self.item_token,
            item_token_id=self.item_token_id,
        )

    def num_tokens(self, num_samples: int) -> int:
        """Soft tokens of one window of `num_samples` samples, at least 1."""
        encoder, encoder_config = _plug_in("encoder", self.audio_encoder)
        adapter, adapter_config = _plug_in("adapter", self.audio_adapter)
        frames = encoder.num_frames(encoder_config, num_samples)
        return int(adapter.num_tokens(adapter_config, frames, encoder.frames_per_second(encoder_config)))

    @property
    def space_of_items(self) -> ItemSpace | None:
        """What the features of an item are; None where the model takes no items."""
        return None if self.item_space is None else config_from_dict(ItemSpace, self.item_space)

    def num_item_tokens(self) -> int:
        """Soft tokens of one item, at least 1; the model must take items."""
        assert self.item_adapter is not None
        assert self.item_space is not None
        adapter, config = _plug_in("adapter", self.item_adapter)
        return int(adapter.num_tokens(config, self.item_space["rows"], ROWS_PER_SECOND))

    def look_up(
        self, messages: Sequence[Message], catalogue: Catalogue | None
    ) -> list[Float[Tensor, "rows item_width"]]:
        """Features of the items of a conversation, in order.

        Raises:
            MessageError: There are items, but the model takes none, or there is no catalogue.
            ItemError: An item is not in the catalogue.
        """
        items = [part for message in messages for part in message.parts if isinstance(part, Item)]
        if not items:
            return []
        if self.item_adapter is None:
            raise MessageError("the conversation holds catalogue items, which this model cannot take; leave them out")
        if catalogue is None:
            raise MessageError(
                "the conversation holds catalogue items, but no catalogue was opened; give one (--catalog)"
            )
        return [catalogue.features(item.id) for item in items]

    def listen(self, recording: Audio, *, require_sound: bool = True) -> Recording:
        """Decodes a recording and cuts it into windows.

        Args:
            recording: The audio part of a message.
            require_sound: Whether silence is an error.

        Raises:
            AudioError: It cannot be heard.
        """
        hearing = audio.hear(
            recording.source,
            sample_rate_hz=self.sample_rate_hz,
            window_seconds=self.window_seconds,
            start=recording.start,
            end=recording.end,
            max_windows=self.max_windows,
            require_sound=require_sound,
        )
        heard = Heard(seconds_heard=hearing.seconds_heard, total_seconds=hearing.total_seconds)
        return Recording(waveforms=tuple(torch.from_numpy(window.samples) for window in hearing.windows), heard=heard)

    def prompt(
        self, messages: Sequence[Message], recordings: Sequence[Recording], *, add_generation_prompt: bool
    ) -> Prompt:
        """The prompt of a conversation whose recordings, in order, were listened to.

        Raises:
            PromptError: It cannot become a prompt, or is too long.
        """
        tokens = [sum(self.num_tokens(len(waveform)) for waveform in one.waveforms) for one in recordings]
        return self.prompt_of(messages, tokens, add_generation_prompt=add_generation_prompt)

    def prompt_of(
        self, messages: Sequence[Message], audio_tokens: Sequence[int], *, add_generation_prompt: bool
    ) -> Prompt:
        """The prompt of a conversation whose recordings, in order, take so many soft tokens each.

        Raises:
            PromptError: It cannot become a prompt, or is too long.
        """
        return build_prompt(
            messages,
            self.tokenizer,
            audio_tokens=audio_tokens,
            item_tokens=self.item_places(messages),
            markers=self.markers,
            add_generation_prompt=add_generation_prompt,
            max_length=self.max_length,
        )

    def item_places(self, messages: Sequence[Message]) -> list[int]:
        """Soft tokens of each item of a conversation, in order."""
        items = sum(isinstance(part, Item) for message in messages for part in message.parts)
        return [1 if self.item_adapter is None else self.num_item_tokens()] * items

    def __call__(
        self,
        messages: Sequence[Any],
        *,
        add_generation_prompt: bool = True,
        base_directory: Path | None = None,
        catalogue: Catalogue | None = None,
        require_sound: bool = True,
        return_labels: bool = False,
    ) -> MusicLLMBatch:
        """Turns one conversation, or a list of conversations, into a batch.

        Args:
            messages: A conversation in the message format (JSON or `Message` objects), or a list of conversations.
            add_generation_prompt: True: the assistant answers next, rows are padded on the left; False: the answers are
                there, rows are padded on the right.
            base_directory: As for `mllm.messages.parse`.
            catalogue: Where items are looked up; one of the model's own space.
            require_sound: Whether a silent recording is an error.
            return_labels: Whether to give labels, which mark what is learnt.

        Returns:
            `input_ids` and `attention_mask` (batch, text tokens), `labels` likewise (IGNORE_INDEX where nothing is
            learnt), `audio_waveforms` (a list with each window's samples, in prompt order over the batch; absent
            without audio), `item_features` (likewise with each item's (rows, width)), and the attribute `heard`.

        Raises:
            MessageError: A conversation is not in the message format.
            AudioError: A recording cannot be heard.
            ItemError: An item is not in the catalogue.
            PromptError: A conversation cannot become a prompt, is too long, or has nothing to learn.
        """
        is_batch = bool(messages) and isinstance(messages[0], list | tuple)
        prompts: list[Prompt] = []
        recordings: list[list[Recording]] = []
        items: list[Tensor] = []
        for i, conversation in enumerate(messages if is_batch else [messages]):
            try:
                parsed = _parsed(conversation, base_directory)
                audios = [part for message in parsed for part in message.parts if isinstance(part, Audio)]
                items += self.look_up(parsed, catalogue)
                recordings.append([self.listen(part, require_sound=require_sound) for part in audios])
                prompts.append(self.prompt(parsed, recordings[-1], add_generation_prompt=add_generation_prompt))
                _check_learnable(prompts[-1], return_labels)
            except MllmError as error:
                if not is_batch:
                    raise
                raise type(error)(f"conversation {i}: {error}") from error
        batch = MusicLLMBatch(self._tensors(prompts, pad_left=add_generation_prompt, with_labels=return_labels))
        waveforms = [waveform for row in recordings for recording in row for waveform in recording.waveforms]
        if waveforms:
            batch["audio_waveforms"] = waveforms
        if items:
            batch["item_features"] = items
        batch.heard = tuple(tuple(recording.heard for recording in row) for row in recordings)
        return batch

    def decode(self, token_ids: Sequence[int] | Int[Tensor, " tokens"], **kwargs: Any) -> str:
        """Text of one row of ids, without placeholders and special tokens; `kwargs` go to the tokenizer."""
        ids = token_ids.tolist() if isinstance(token_ids, Tensor) else token_ids
        known = [i for i in ids if i < len(self.tokenizer) and i not in (self.audio_token_id, self.item_token_id)]
        options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False, **kwargs}
        return str(self.tokenizer.decode(known, **options)).strip()

    def batch_decode(self, token_ids: Sequence[Any] | Int[Tensor, "batch tokens"], **kwargs: Any) -> list[str]:
        """Text of each row of ids, as `decode`."""
        return [self.decode(row, **kwargs) for row in token_ids]

    @property
    def model_input_names(self) -> list[str]:
        """What a batch may hold."""
        return ["input_ids", "attention_mask", "labels", "audio_waveforms", "item_features"]

    def _tensors(self, prompts: Sequence[Prompt], *, pad_left: bool, with_labels: bool) -> dict[str, Tensor]:
        tokenizer = self.tokenizer
        pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        rows = {
            "input_ids": ([prompt.input_ids for prompt in prompts], pad),
            "attention_mask": ([(1,) * len(prompt.input_ids) for prompt in prompts], 0),
        }
        if with_labels:
            rows["labels"] = ([prompt.labels for prompt in prompts], IGNORE_INDEX)
        side = "left" if pad_left else "right"
        return {
            name: torch.nn.utils.rnn.pad_sequence(
                [torch.tensor(row) for row in values], batch_first=True, padding_value=fill, padding_side=side
            )
            for name, (values, fill) in rows.items()
        }


def _parsed(conversation: Any, base_directory: Path | None) -> tuple[Message, ...]:
    if conversation and all(isinstance(message, Message) for message in conversation):
        return tuple(conversation)
    return parse(conversation, base_directory=base_directory)


def _check_learnable(prompt: Prompt, return_labels: bool) -> None:
    if return_labels and all(label == IGNORE_INDEX for label in prompt.labels):
        raise PromptError("The conversation has nothing to learn: end it with an assistant message.")


def _plug_in(kind: str, settings: Mapping[str, Any]) -> tuple[Any, Any]:
    """The file of an encoder or adapter and its configuration, from `{"name": …, …fields}`."""
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    module = registry.find(kind, str(fields.pop("name", "")))
    try:
        return module, module.Config(**fields)
    except TypeError as error:
        known = ", ".join(field.name for field in dataclasses.fields(module.Config))
        raise ConfigError(
            f"The settings of the {kind} {settings['name']!r} do not fit ({error}); it has: {known}."
        ) from error


AutoProcessor.register(MusicLLMConfig, MusicLLMProcessor, exist_ok=True)
