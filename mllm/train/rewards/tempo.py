"""The reward for a tempo: an answer and `tempo_bpm` in, its nearness in [0, 1] out.

Full within 4 % of the truth, falling evenly to nothing at 20 %; half of that near a half, a third, the double or the
triple of it. Of several tempi that an answer states the worst counts, so that a list earns nothing. Knows no audio.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mllm import facts as vocabulary
from mllm.train.rewards import _reading

FULL_WITHIN = 0.04
"""Share of the true tempo up to which the reward is full."""
NOTHING_FROM = 0.20
"""Share of the true tempo from which on there is no reward."""
OCTAVE_FACTORS = (1 / 3, 1 / 2, 2.0, 3.0)
OCTAVE_REWARD = 0.5
"""Reward of a tempo right but for one of `OCTAVE_FACTORS`."""

_NUMBER = re.compile(r"(?<![\w.:/])([0-9]{2,3}(?:\.[0-9]{1,3})?)(?:\s?bpm\b|(?![\w:/]|\.[0-9]))", re.IGNORECASE)
"""A number that stands alone: no part of a meter, of a time stamp or of a longer number."""


def reward(answer: str, facts: Mapping[str, Any]) -> float | None:
    """In [0, 1]; None where no tempo is asked for."""
    if not _reading.is_asked(facts, "tempo_bpm"):
        return None
    true = float(facts["tempo_bpm"])
    return min((_nearness(tempo, true) for tempo in _stated(_reading.readable(answer))), default=0.0)


def _stated(answer: str) -> list[float]:
    """Every tempo that an answer states, in beats per minute."""
    if _reading.is_json(answer):
        tempo = _reading.described(answer).tempo_bpm
        return [] if tempo is None else [float(tempo)]
    numbers = [float(match[1]) for match in _NUMBER.finditer(answer)]
    return [n for n in numbers if vocabulary.LOWEST_TEMPO_BPM <= n <= vocabulary.HIGHEST_TEMPO_BPM]


def _nearness(said: float, true: float) -> float:
    octaves = max(_within(said, factor * true) for factor in OCTAVE_FACTORS)
    return max(_within(said, true), OCTAVE_REWARD * octaves)


def _within(said: float, target: float) -> float:
    off = abs(said - target) / target
    return min(1.0, max(0.0, (NOTHING_FROM - off) / (NOTHING_FROM - FULL_WITHIN)))
