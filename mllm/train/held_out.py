"""Which conversations are kept for validation: those that are given, or those about a share of the recordings.

In: what a run learns from. Out: conversations to learn from, and others to measure on. A recording is on one side only,
whatever its conversations are, and so is whatever stands in one conversation with it; the same data is divided the same
way each time. A file is known by its place, however its path is written and whatever links lead there, and a recording
inside a message by its bytes. Opens no file, so copies of a recording under other names count as other recordings.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from mllm.errors import MllmError
from mllm.train import conversations
from mllm.train.conversations import Conversation
from mllm.train.run_config import DataSection

FEWEST = 10
"""With fewer conversations, nothing is held out."""
_DIGEST_BYTES = hashlib.sha256().digest_size


def divide(
    data: DataSection,
) -> tuple[list[Conversation | MllmError], list[Conversation | MllmError] | None]:
    """Read everything that a run learns from and measures on.

    Raises:
        ConfigError: a path is not there, or a folder says nothing of its recordings.
    """
    found: list[Conversation | MllmError] = list(conversations.read([Path(path) for path in data.train]))
    validation = given(data)
    if validation:
        return found, list(conversations.read(validation))
    usable = [one for one in found if isinstance(one, Conversation)]
    numbers = _numbers(usable)
    kept: list[Conversation | MllmError] = [
        one for one, number in zip(usable, numbers, strict=True) if number < data.validation_share
    ]
    if len(found) < FEWEST or not kept or len(kept) == len(usable):
        return found, None
    chosen = {id(one) for one in kept}
    return [one for one in found if id(one) not in chosen], kept


def given(data: DataSection) -> list[Path]:
    """The files that were named for validation, or stand in the folders for it; none where a share is held out."""
    return [Path(path) for path in data.validation] or [
        file for path in data.train for file in conversations.validation_of(Path(path))
    ]


def _numbers(conversations: Sequence[Conversation]) -> list[float]:
    """A number in [0, 1) of each conversation, the same for all that share a recording, directly or through others."""
    leader: dict[bytes, bytes] = {}
    least: dict[bytes, bytes] = {}
    subjects = [_subjects(one) for one in conversations]
    for identities in subjects:
        first, *others = (_lead(leader, identity) for identity in identities)
        leader.update(dict.fromkeys(others, first))
    for identities in subjects:
        group = _lead(leader, next(iter(identities)))
        least[group] = min(least.get(group, b"\xff" * _DIGEST_BYTES), *identities.values())
    return [_number(least[_lead(leader, next(iter(identities)))]) for identities in subjects]


def _subjects(conversation: Conversation) -> dict[bytes, bytes]:
    """What a conversation is about: who each recording is, and a hash of its name; without any, the conversation.

    The name is as it is written, so that a folder that is moved together with what names it is divided as before.
    """
    found = {}
    for recording in conversation.recordings:
        if isinstance(recording.source, bytes):
            found[_digest(recording.source)] = _digest(recording.source)
        else:
            place = os.path.realpath(recording.source)
            found[_digest(os.fsencode(place))] = _digest(os.fsencode(recording.source))
    text = _digest(repr(conversation.messages).encode())
    return found or {text: text}


def _lead(leader: dict[bytes, bytes], identity: bytes) -> bytes:
    """Who stands for all that an identity was joined with (disjoint sets, with paths that are shortened on the way)."""
    leader.setdefault(identity, identity)
    while leader[identity] != identity:
        leader[identity] = leader[leader[identity]]
        identity = leader[identity]
    return identity


def _number(digest: bytes) -> float:
    return int.from_bytes(digest[:8]) / 2**64


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
