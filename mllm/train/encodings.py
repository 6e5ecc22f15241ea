"""What a training reads instead of hearing: the encoder's output for the recordings of a conversation, from a store.

In: conversations in the message format. Out: features for `audio_features` of the model and soft tokens for the prompt,
in prompt order. Needs neither the encoder's weights nor, once they were encoded, the recordings themselves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from mllm.configuration import MusicLLMConfig
from mllm.decode import name_of
from mllm.errors import EncodingError
from mllm.messages import Audio, Message
from mllm.processing import Heard, MusicLLMProcessor
from mllm.train.encoding_store import Encoding, EncodingStore, Outline, Rule, Stretch, key_of


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Encoded:
    """The recordings of one conversation as the adapter reads them."""

    features: tuple[Float[Tensor, "layers frames width"], ...]
    """float16, one entry a window, in prompt order."""
    num_tokens: tuple[int, ...]
    """Soft tokens of each recording."""
    heard: tuple[Heard, ...]
    """How much of each recording was heard."""


class Encodings:
    """The store of a checkpoint's encoder.

    Args:
        directory: of the store.
        config: of the checkpoint.
        processor: of the checkpoint.

    Raises:
        ConfigError: there is no store in `directory`.
        CheckpointError: the configuration does not describe the frozen encoder.
    """

    def __init__(self, directory: str | Path, config: MusicLLMConfig, processor: MusicLLMProcessor) -> None:
        self._store = EncodingStore(directory)
        self._rule = Rule.of(config, processor)
        self._processor = processor

    def of(self, messages: Sequence[Message]) -> Encoded:
        """Everything about the recordings of a conversation.

        Raises:
            EncodingError: a recording was not encoded, or its shard is damaged.
        """
        found = [self._read(part) for message in messages for part in message.parts if isinstance(part, Audio)]
        return Encoded(
            features=tuple(window for encoding in found for window in encoding.windows),
            num_tokens=tuple(self._tokens(encoding.outline) for encoding in found),
            heard=tuple(
                Heard(seconds_heard=encoding.outline.seconds_heard, total_seconds=encoding.outline.total_seconds)
                for encoding in found
            ),
        )

    def keys(self, messages: Sequence[Message]) -> tuple[str, ...]:
        """Names of the shards of a conversation's recordings, in order; whether they are there is not looked at.

        Raises:
            EncodingError: the content of a recording is not known.
        """
        parts = [part for message in messages for part in message.parts if isinstance(part, Audio)]
        return tuple(self._key(part) for part in parts)

    def windows(self, key: str, *, place: str = "") -> tuple[Float[Tensor, "layers frames width"], ...]:
        """What the encoder made of a recording, by the name of its shard.

        Args:
            key: from `keys`.
            place: who mentions the recording, for the message.

        Raises:
            EncodingError: it is not in the store any more, or its shard is damaged.
        """
        encoding = self._store.read(key)
        if encoding is None:
            raise EncodingError(
                f"{place or 'a recording'} needs the shard {key}, which is not in the store {self._store.directory} "
                "any more; start the training again, which encodes it"
            )
        return encoding.windows

    def seconds(self, messages: Sequence[Message]) -> float:
        """Seconds of the recordings of a conversation that are heard; reads no features.

        Raises:
            EncodingError: as `of`.
        """
        parts = [part for message in messages for part in message.parts if isinstance(part, Audio)]
        return sum(self._outline(part).seconds_heard for part in parts)

    def num_tokens(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Soft tokens of each recording of a conversation; reads no features.

        Raises:
            EncodingError: as `of`.
        """
        parts = [part for message in messages for part in message.parts if isinstance(part, Audio)]
        return tuple(self._tokens(self._outline(part)) for part in parts)

    def _read(self, audio: Audio) -> Encoding:
        encoding = self._store.read(self._key(audio))
        if encoding is None:
            raise self._not_there(audio)
        return encoding

    def _outline(self, audio: Audio) -> Outline:
        outline = self._store.outline(self._key(audio))
        if outline is None:
            raise self._not_there(audio)
        return outline

    def _key(self, audio: Audio) -> str:
        content = self._store.contents.of(audio.source)
        if content is None:
            raise self._not_there(audio)
        return key_of(Stretch(content=content, start=audio.start, end=audio.end), self._rule)

    def _tokens(self, outline: Outline) -> int:
        return sum(map(self._processor.num_tokens, outline.num_samples))

    def _not_there(self, audio: Audio) -> EncodingError:
        stretch = "" if audio.start is None and audio.end is None else f" from {audio.start or 0:g} s"
        stretch += "" if audio.end is None else f" to {audio.end:g} s"
        return EncodingError(
            f"{name_of(audio.source)}{stretch} is not in the store {self._store.directory} for this encoder; add it: "
            "mllm data encode DATA.jsonl --store DIR --model MODEL"
        )
