"""The reward for a list of instruments: an answer and `instruments` in, their F1 in [0, 1] out.

Counted are the words of `mllm.facts.INSTRUMENTS` that an answer affirms ("no piano" and "piano no" deny it). Naming
more than twice as many as play, and more than four, earns nothing, so that a list of all does not. Knows no audio.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mllm import facts as vocabulary
from mllm.train.rewards import _reading

LONGEST_FREE_LIST = 4
"""So many names are never too many."""

_NAMES = "|".join(sorted(map(re.escape, vocabulary.INSTRUMENTS), key=len, reverse=True))
_NAMED = re.compile(
    rf"\b(?P<before>(?:no|not|without|neither|nor)\s(?:(?:an?|any|the)\s)?)?(?P<name>{_NAMES})s?\b(?P<after>\sno\b)?",
    re.IGNORECASE,
)
_JOINED = re.compile(r"\s(?:or|nor)(?:\s(?:an?|any|the))?\s")
"""Between two instruments: what holds for the first holds for the second."""


def reward(answer: str, facts: Mapping[str, Any]) -> float | None:
    """In [0, 1]; None where no instruments are asked for."""
    if not _reading.is_asked(facts, "instruments"):
        return None
    true = frozenset(facts["instruments"])
    said = _stated(_reading.readable(answer))
    if not said or len(said) > max(LONGEST_FREE_LIST, 2 * len(true)):
        return 0.0
    return 2 * len(true & said) / (len(true) + len(said))


def _stated(answer: str) -> frozenset[str]:
    """Every instrument that an answer affirms and nowhere denies."""
    if _reading.is_json(answer):
        return frozenset(_reading.described(answer).instruments or ())
    affirmed: set[str] = set()
    denied: set[str] = set()
    end, was_denied = 0, False
    for match in _NAMED.finditer(answer):
        carried = was_denied and _JOINED.fullmatch(answer, end, match.start("name")) is not None
        was_denied = carried or bool(match["before"] or match["after"])
        (denied if was_denied else affirmed).add(match["name"].lower())
        end = match.end()
    return frozenset(affirmed - denied)
