"""Which conversations are kept for validation: those that are given, or those about a share of the recordings.

In: what a run learns from. Out: conversations to learn from, and others to measure on. A recording is on one side only,
whatever its conversations are, and the same data is divided the same way each time.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from mllm.errors import MllmError
from mllm.train import conversations
from mllm.train.conversations import Conversation
from mllm.train.run_config import DataSection

FEWEST = 10
"""With fewer conversations, nothing is held out."""


def divide(
    data: DataSection,
) -> tuple[list[Conversation | MllmError], list[Conversation | MllmError] | None]:
    """Read everything that a run learns from and measures on.

    Raises:
        ConfigError: a path is not there, or a folder says nothing of its recordings.
    """
    train = [Path(path) for path in data.train]
    validation = [Path(path) for path in data.validation] or [
        file for path in train for file in conversations.validation_of(path)
    ]
    found: list[Conversation | MllmError] = list(conversations.read(train))
    if validation:
        return found, list(conversations.read(validation))
    kept: list[Conversation | MllmError] = [
        one for one in found if isinstance(one, Conversation) and _share(one) < data.validation_share
    ]
    if len(found) < FEWEST or not kept or len(kept) == len(found):
        return found, None
    chosen = {id(one) for one in kept}
    return [one for one in found if id(one) not in chosen], kept


def _share(conversation: Conversation) -> float:
    """A number in [0, 1) that its first recording decides, or without one its text."""
    recordings = conversation.recordings
    if recordings:
        source = recordings[0].source
        name = source if isinstance(source, bytes) else str(source).encode()
    else:
        name = repr(conversation.messages).encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8]) / 2**64
