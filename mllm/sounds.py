"""What was heard already: soft tokens of recordings, kept so that a second question costs no decoding and no encoder.

In: the audio parts of messages and a way to hear them. Out: `Sound` objects. A recording is known again by its content
(by path, size and time of change where it is large), so that nothing is decoded to find it. Knows nothing of prompts.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from mllm.messages import Audio
from mllm.processing import Heard

HASHED_BYTES = 64 * 1024 * 1024
"""A file from this size on is known by path, size and time of change instead of its content."""
KEPT_BYTES = 256 * 1024 * 1024
"""Soft tokens kept at most, in bytes."""
_READ_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Sound:
    """One recording as the language model takes it."""

    soft_tokens: tuple[Float[Tensor, "tokens width"], ...]
    """One entry a window, in order."""
    heard: Heard

    @property
    def num_tokens(self) -> int:
        """Places that it takes in a prompt."""
        return sum(len(tokens) for tokens in self.soft_tokens)

    @property
    def num_bytes(self) -> int:
        """Memory of the soft tokens."""
        return sum(tokens.nbytes for tokens in self.soft_tokens)


class SoundMemory:
    """Keeps the sounds that were asked for last.

    Args:
        hear: hears a recording; what it raises is passed on and nothing is kept.
        kept_bytes: soft tokens kept at most; the sound asked for last stays in any case.
    """

    def __init__(self, hear: Callable[[Audio, bool], Sound], *, kept_bytes: int = KEPT_BYTES) -> None:
        self._hear = hear
        self._kept_bytes = kept_bytes
        self._sounds: OrderedDict[tuple[object, ...], Sound] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sounds)

    def recall(self, audio: Audio, *, require_sound: bool) -> Sound:
        """The sound of a recording, heard only if it is not known yet.

        Args:
            audio: the audio part of a message.
            require_sound: whether silence is an error.

        Raises:
            AudioError: it cannot be heard.
        """
        identity = identity_of(audio)
        if identity is None:
            return self._hear(audio, require_sound)
        key = (*identity, audio.start, audio.end, require_sound)
        if key not in self._sounds:
            self._sounds[key] = self._hear(audio, require_sound)
        self._sounds.move_to_end(key)
        while len(self._sounds) > 1 and sum(sound.num_bytes for sound in self._sounds.values()) > self._kept_bytes:
            self._sounds.popitem(last=False)
        return self._sounds[key]


def identity_of(audio: Audio) -> tuple[object, ...] | None:
    """By what a recording is known again, found without decoding it; None for what cannot be read as a file."""
    if isinstance(audio.source, bytes):
        return ("content", hashlib.sha256(audio.source).hexdigest())
    path = Path(audio.source)
    try:
        status = path.stat()
        if status.st_size >= HASHED_BYTES:
            return ("file", str(path.resolve()), status.st_size, status.st_mtime_ns)
        content = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                content.update(block)
    except OSError:
        return None  # hearing it says what is wrong
    return ("content", content.hexdigest())
