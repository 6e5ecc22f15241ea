"""The tempo that an answer states, in beats a minute.

In: an answer: "about 120 BPM", "one hundred twenty beats per minute", {"tempo_bpm": 120}. Out: one number, or None. An
answer that states several tempi says nothing, unless all lie within 4 % of each other ("118 to 122 BPM" is 120).
"Faster than 100 BPM" and "allegro" name no tempo.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from mllm.eval.reading import _answer
from mllm.eval.reading._numbers import Number, numbers

LOWEST_BPM, HIGHEST_BPM = 10.0, 1000.0
"""Bounds of what is read where it is said that it is a tempo."""
_ALONE = (20.0, 400.0)
"""Bounds of a number that stands there without a unit."""
AGREE = 1.04
"""Ratio up to which two stated tempi are one."""

_NAMES = ("tempo_bpm", "bpm", "tempo")
_UNIT = re.compile(
    r"\s?-?\s?(?:b\.?p\.?m\b|beats?[ -](?:per|a|each|/)[ -]minute|beats/min|quarter notes? (?:per|a) minute)",
    re.IGNORECASE,
)
_UNIT_BEFORE = re.compile(
    r"(?:\b(?:tempo|bpm|pace|speed|m\.?m\.?)|tempo_bpm|♩|quarter(?: note)?s?)"
    r"(?:\s|[\"':=(),~]|\b(?:is|was|be|of|at|about|around|approximately|approx|roughly|nearly|close|to|estimated|likely|"
    r"probably|would|set|a|the|this|it|track|song|piece|music|clip|recording|sits|lies|steady|constant|bpm|in)\b|\.(?=\s))*$",
    re.IGNORECASE,
)
_OTHER_UNIT = re.compile(
    r"\s?-?(?:%|(?:s|sec|secs|seconds?|ms|mins?|minutes?|hours?|k?hz|db|bars?|measures?|beats?|instruments?|notes?|years?|"
    r"semitones?|cents?|bits?|kbps|kbit|times|sections?|chords?|of|out)\b|-?(?:bar|bit|string)\b)",
    re.IGNORECASE,
)
_JOINED = re.compile(
    r"\s*(?:bpm)?\s*(?:(?:[,/~(-]|\b(?:or|and|to|through|but|rather|perhaps|maybe|possibly|probably|about|around|even|also|"
    r"at|double|half|time|feel|could|be|as|well|approximately|roughly|either|alternatively)\b)\s*)+",
    re.IGNORECASE,
)
_LOOK_BACK = 80


def read(answer: str) -> float | None:
    """The tempo in beats a minute, None where none is stated, or several are."""
    given = _answer.members(answer)
    if given is not None:
        value = _answer.first_of(given, _NAMES)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _one([float(value)])
        return read(value) if isinstance(value, str) else None
    text = _answer.plain(answer)
    found = [number for number in numbers(text) if not _is_other(text, number)]
    marked = _marked(text, found)
    if not marked:
        marked = [number for number in found if _ALONE[0] <= number.value <= _ALONE[1]]
    return _one([number.value for number in marked if not _answer.is_denied(text, number.start)])


def _is_other(text: str, number: Number) -> bool:
    """Whether a number counts something else, or is no count at all, such as the 90 of "90s"."""
    if _UNIT.match(text, number.end):
        return False
    if _OTHER_UNIT.match(text, number.end):
        return True
    after = text[number.end : number.end + 1]
    return after.isalpha() or after in ("_", "#")


def _marked(text: str, found: Sequence[Number]) -> list[Number]:
    """The numbers of which it is said that they are tempi, and those joined with them: both in "120 or 90 BPM"."""
    is_tempo = [
        _UNIT.match(text, one.end) is not None
        or _UNIT_BEFORE.search(text, max(0, one.start - _LOOK_BACK), one.start) is not None
        for one in found
    ]
    joined = [
        _JOINED.fullmatch(text, before.end, after.start) is not None for before, after in itertools.pairwise(found)
    ]
    for place in range(1, len(found)):
        if joined[place - 1] and is_tempo[place - 1]:
            is_tempo[place] = True
    for place in reversed(range(len(found) - 1)):
        if joined[place] and is_tempo[place + 1]:
            is_tempo[place] = True
    return [one for one, tempo in zip(found, is_tempo, strict=True) if tempo]


def _one(tempi: Sequence[float]) -> float | None:
    """The tempo that all of these are, or None."""
    if not tempi or min(tempi) < LOWEST_BPM or max(tempi) > HIGHEST_BPM or max(tempi) > AGREE * min(tempi):
        return None
    return (min(tempi) + max(tempi)) / 2
