"""The reward for time stamps: an answer and `times` (seconds) in, the F1 of the stamps in [0, 1] out.

Read are stamps such as 1:05 or 1:05.5, and numbers before "s", "sec" or "seconds", lists of them included. A stamp is
right within 0.5 s of a true time that no other stamp has taken. Knows no audio.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mllm.train.rewards import _reading

TOLERANCE_SECONDS = 0.5

_PIECE = re.compile(
    r"(?P<minutes>[0-9]{1,3}):(?P<seconds>[0-5][0-9](?:\.[0-9]{1,3})?)(?![\w:])"
    r"|(?P<number>(?<![\w:.])[0-9]{1,5}(?:\.[0-9]{1,3})?)"
    r"|(?P<word>[^\W\d_]+)"
)
_UNITS = frozenset({"s", "sec", "secs", "second", "seconds"})
_JOINING = frozenset({"to", "and", "or", "until"})


def reward(answer: str, facts: Mapping[str, Any]) -> float | None:
    """In [0, 1]; None where no times are asked for."""
    if not _reading.is_asked(facts, "times"):
        return None
    true = sorted(map(float, facts["times"]))
    said = sorted(_stated(_reading.readable(answer)))
    if not said or not true:
        return 0.0
    return 2 * _hits(true, said) / (len(true) + len(said))


def _stated(answer: str) -> set[float]:
    """Every time that an answer states, in seconds."""
    times: set[float] = set()
    waiting: list[float] = []  # numbers whose unit may still come
    for piece in _PIECE.finditer(answer):
        if piece["minutes"]:
            times.add(60 * int(piece["minutes"]) + float(piece["seconds"]))
        elif piece["number"]:
            waiting.append(float(piece["number"]))
        elif piece["word"].lower() in _UNITS:
            times.update(waiting)
            waiting = []
        elif piece["word"].lower() not in _JOINING:
            waiting = []
    return times


def _hits(true: Sequence[float], said: Sequence[float]) -> int:
    """Most pairs of a true and a said time within the tolerance, each used once; both sorted."""
    hits = at = 0
    for time in said:
        while at < len(true) and true[at] < time - TOLERANCE_SECONDS:
            at += 1
        if at < len(true) and true[at] <= time + TOLERANCE_SECONDS:
            hits += 1
            at += 1
    return hits
