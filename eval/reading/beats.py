"""The times of beats that an answer lists, in seconds.

In: an answer: "0.52, 1.04, 1.56 seconds", "0:05.2, 0:05.7", {"beats": [0.5, 1.0]}. Out: the times in rising order, each
once. Numbers of something else (120 BPM, 4/4, 8 beats, "beat 3:") are no times.
"""

from __future__ import annotations

import re

from mllm.eval.reading import _answer
from mllm.eval.reading._numbers import numbers

_NAMES = ("beats", "beat_times", "times", "beat times", "timestamps")
_STAMP = re.compile(r"(?<![\w:.])(?P<m>\d{1,3}):(?P<s>[0-5]\d(?:\.\d{1,3})?)(?![\w:])")
_COUNT_BEHIND = re.compile(r"\s?-?(?:b\.?p\.?m|beats?|bars?|measures?|times|per\b|%|hz|minutes?|mins?)", re.IGNORECASE)
_COUNT_BEFORE = re.compile(r"(?:\bbeats?|\bno\.?|#|\bbar|(?:^|\n)\s*(?=\d{1,3}[.)]\s))\s*$", re.IGNORECASE)
_PLACE_IN_LIST = re.compile(r"(?:^|\n)[ \t]*\d{1,3}[.)][ \t]+(?=\S)")


def read(answer: str) -> list[float]:
    """The times of all beats, rising; none where nothing is listed."""
    given = _answer.members(answer)
    if given is not None:
        value = _answer.first_of(given, _NAMES)
        return _rising(_plain_list(value)) if isinstance(value, list) else read(value) if isinstance(value, str) else []
    text = _PLACE_IN_LIST.sub("\n", _answer.plain(answer))
    found = [60 * int(match["m"]) + float(match["s"]) for match in _STAMP.finditer(text)]
    rest = _STAMP.sub(" ", text)
    found += [
        number.value
        for number in numbers(rest)
        if rest[number.start].isdigit()
        and not _COUNT_BEHIND.match(rest, number.end)
        and not _COUNT_BEFORE.search(rest, max(0, number.start - 12), number.start)
    ]
    return _rising(found)


def _plain_list(values: list[object]) -> list[float]:
    found: list[float] = []
    for value in values:
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append(float(value))
        elif isinstance(value, str):
            found += read(value)
    return found


def _rising(times: list[float]) -> list[float]:
    return sorted(set(times))
