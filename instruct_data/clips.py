"""Conversations about rendered clips whose facts are exactly known.

In: encoder features of clips, their labels, and what the frozen encoder itself makes of each. Out: messages, soft-token
targets and features, drawn without end from a seed. Knows nothing of training loops, tokenizers or prompts.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mllm import facts as vocabulary
from mllm.facts import Facts
from mllm.instruct_data import blocks, dialogue
from mllm.instruct_data.statements import Known, known_from_facts

SURE = 0.3
"""An encoder that is wrong, and gives its best guess no more than this, is taught to be quoted as unknown."""
_TEMPO_TOLERANCE = 0.04


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class HeardClip:
    """A clip as the frozen encoder hears it, and what can truly be said of it."""

    id: str
    features: Tensor
    """(L, T, D) hidden states of the encoder."""
    facts: Facts
    """What the answers say."""


def exact_facts(tempo_bpm: float, key: int, meter: int, instruments: Sequence[int]) -> Facts:
    """Facts from label indices (-1, or a tempo of 0, where not known); the tempo in its nearest class."""
    return Facts(
        tempo_bpm=vocabulary.TEMPO_CLASSES_BPM[vocabulary.nearest_tempo_class(tempo_bpm)] if tempo_bpm > 0 else None,
        key=vocabulary.KEYS[key] if key >= 0 else None,
        meter=vocabulary.METERS[meter] if meter >= 0 else None,
        instruments=tuple(vocabulary.INSTRUMENTS[i] for i in sorted(instruments)),
    )


def facts_to_say(truth: Facts, readout: Mapping[str, Sequence[float]]) -> Facts:
    """The truth, as far as the encoder's own readout allows it to be told from the sound.

    Where the encoder names a tempo within 4 % of the true one, its class is said, so that the digits belong together.
    Where it is wrong and unsure (its best guess at most `SURE`), the field is said to be unknown.

    Args:
        truth: the exact facts.
        readout: probabilities by field: `tempo`, `key` and `meter`, each over its vocabulary.
    """
    tempo, key, meter = truth.tempo_bpm, truth.key, truth.meter
    if tempo is not None:
        guess = _best(readout["tempo"])
        named = vocabulary.TEMPO_CLASSES_BPM[guess]
        if abs(named / tempo - 1.0) <= _TEMPO_TOLERANCE:
            tempo = named
        elif readout["tempo"][guess] <= SURE:
            tempo = None
    if key is not None and _wrong_and_unsure(readout["key"], vocabulary.KEYS.index(key)):
        key = None
    if meter is not None and _wrong_and_unsure(readout["meter"], vocabulary.METERS.index(meter)):
        meter = None
    return dataclasses.replace(truth, tempo_bpm=tempo, key=key, meter=meter)


def _best(probabilities: Sequence[float]) -> int:
    return max(range(len(probabilities)), key=lambda i: probabilities[i])


def _wrong_and_unsure(probabilities: Sequence[float], right: int) -> bool:
    guess = _best(probabilities)
    return guess != right and probabilities[guess] <= SURE


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Lesson:
    """One conversation about one or two clips."""

    messages: list[dict[str, Any]]
    """In the message format, with an `{"type": "audio", "path": clip id}` part for each clip."""
    clips: tuple[HeardClip, ...]


def lesson(rng: random.Random, clips: Sequence[HeardClip], *, turns: int) -> Lesson:
    """A conversation of `turns` questions; a tenth of them is about two clips."""
    chosen = tuple(rng.sample(clips, 2 if len(clips) > 1 and rng.random() < 0.1 else 1))
    known = tuple(known_from_facts(clip.facts) for clip in chosen)
    messages: list[dict[str, Any]] = []
    for number in range(turns):
        turn = _turn(rng, known)
        parts: list[dict[str, Any]] = [{"type": "text", "text": turn.question}]
        if number == 0:
            audio = [{"type": "audio", "path": clip.id} for clip in chosen]
            parts = parts + audio if rng.random() < 0.1 else audio + parts
        messages += [{"role": "user", "content": parts}, {"role": "assistant", "content": turn.answer}]
    return Lesson(messages=messages, clips=chosen)


def _turn(rng: random.Random, known: tuple[Known, ...]) -> dialogue.Turn:
    if len(known) == 2:
        return dialogue.two_recordings_turn(rng, (known[0], known[1]))
    return dialogue.random_turn(rng, known[0])


def targets(facts: Facts) -> list[int]:
    """What each soft token of a window should say: indices into `blocks.lexicon()`, `blocks.SLOTS` of them."""
    lexicon = blocks.lexicon()
    return [lexicon.index(word) for word in blocks.words(facts)]
