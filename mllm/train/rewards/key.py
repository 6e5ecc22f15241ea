"""The reward for a key: an answer and `key` in, the weight that MIREX gives in [0, 1] out.

1 for the key, 0.5 for the key a fifth above in the same mode, 0.3 for the relative and 0.2 for the parallel one. Of
several keys that an answer states the worst counts, so that a list earns nothing. Knows no audio.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mllm import facts as vocabulary
from mllm.train.rewards import _reading

FIFTH, RELATIVE, PARALLEL = 0.5, 0.3, 0.2

_KEY = re.compile(r"(?<![\w#])([A-G])(?:([#b♯♭])|[ -](sharp|flat))?[ -]((?i:major|minor))\b")
_ACCIDENTALS = {"#": "#", "♯": "#", "sharp": "#", "b": "b", "♭": "b", "flat": "b"}


def reward(answer: str, facts: Mapping[str, Any]) -> float | None:
    """In [0, 1]; None where no key is asked for."""
    if not _reading.is_asked(facts, "key"):
        return None
    true = vocabulary.key_index(str(facts["key"]))
    return min((_weight(key, true) for key in _stated(_reading.readable(answer))), default=0.0)


def _stated(answer: str) -> set[int]:
    """Every key that an answer states, as indices into `facts.KEYS`."""
    if _reading.is_json(answer):
        key = _reading.described(answer).key
        return set() if key is None else {vocabulary.key_index(key)}
    return {
        vocabulary.key_index(f"{tonic}{_ACCIDENTALS.get(sign or word, '')} {mode.lower()}")
        for tonic, sign, word, mode in _KEY.findall(answer)
    }


def _weight(said: int, true: int) -> float:
    if said == true:
        return 1.0
    (said_minor, said_tonic), (true_minor, true_tonic) = divmod(said, 12), divmod(true, 12)
    above = (said_tonic - true_tonic) % 12
    if said_minor == true_minor:
        return FIFTH if above == 7 else 0.0
    if above == 0:
        return PARALLEL
    return RELATIVE if above == (3 if true_minor else 9) else 0.0
