"""The reward for honesty: an answer and `answerable` (true or false) in, 0 or 1 out.

A question that the recording does not answer earns 1 for "I cannot tell" and nothing else, 0 for a guess, also for a
guess behind these words. One that it does answer earns 0 for "I cannot tell" and 1 for any other answer, whose truth is
for other rewards. Knows no audio.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mllm.train.rewards import _reading

LONGEST_REFUSAL = 80
"""Characters in which it is said that something cannot be told."""

_REFUSAL = re.compile(
    r"\b(?:i|we|one)\s(?:cannot|can\snot|can['’]t|could\snot|couldn['’]t|do\snot|don['’]t)\s(?:tell|say|know)\b",
    re.IGNORECASE,
)
_REST = re.compile(r"[^.!?;:,0-9]*[.!]?")
"""One sentence without a number and without a second clause."""
_TURN = re.compile(r"\b(?:but|however|though|maybe|perhaps|probably|i\sguess|guess)\b", re.IGNORECASE)


def reward(answer: str, facts: Mapping[str, Any]) -> float | None:
    """0 or 1; None where it is not said whether the question can be answered."""
    answerable = facts.get("answerable")
    if answerable is None:
        return None
    said = _reading.readable(answer)
    if answerable:
        return float(bool(said) and _REFUSAL.search(said) is None)
    return float(_is_only_a_refusal(said))


def _is_only_a_refusal(said: str) -> bool:
    match = _REFUSAL.match(said)
    if match is None or len(said) > LONGEST_REFUSAL or _TURN.search(said):
        return False
    return _REST.fullmatch(said, match.end()) is not None
