"""Conversations about clips, as a frozen encoder hears them.

In: encoder features of clips, and what the encoder itself names in each. Out: messages, soft-token targets and
features, drawn without end from a seed. An adapter is taught to pass on what the encoder names, not the labels: what
the encoder cannot hear would only be learnt by heart. Knows nothing of training loops, tokenizers or prompts.
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
"""A key or meter that the encoder gives no more than this is said to be unknown."""
SURE_OF_TEMPO = 0.4
"""The same for all tempi within `TEMPO_TOLERANCE` of the best one together, as neighbours share what is heard."""
TEMPO_TOLERANCE = 0.04
"""Relative difference up to which two tempi count as the same."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class HeardClip:
    """A clip as the frozen encoder hears it, and what it names."""

    id: str
    features: Tensor
    """(L, T, D) hidden states of the encoder."""
    facts: Facts
    """What the answers say."""


def named_facts(readout: Mapping[str, Sequence[float]]) -> Facts:
    """What an encoder names, as far as it is sure: what an adapter behind it has to pass on.

    Args:
        readout: probabilities by field: `tempo`, `key` and `meter`, each over its vocabulary, and `instruments`, of
            which those from 0.5 on play.
    """
    tempi = vocabulary.TEMPO_CLASSES_BPM
    tempo = tempi[_best(readout["tempo"])]
    near = sum(p for bpm, p in zip(tempi, readout["tempo"], strict=True) if abs(bpm / tempo - 1.0) <= TEMPO_TOLERANCE)
    key, meter = _best(readout["key"]), _best(readout["meter"])
    return Facts(
        tempo_bpm=tempo if near > SURE_OF_TEMPO else None,
        key=vocabulary.KEYS[key] if readout["key"][key] > SURE else None,
        meter=vocabulary.METERS[meter] if readout["meter"][meter] > SURE else None,
        instruments=tuple(
            name for name, p in zip(vocabulary.INSTRUMENTS, readout["instruments"], strict=True) if p >= 0.5
        ),
    )


def _best(probabilities: Sequence[float]) -> int:
    return max(range(len(probabilities)), key=lambda i: probabilities[i])


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
