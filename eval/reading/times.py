"""Times that an answer states, in seconds.

In: an answer: "at 0:42.3", "after 42 seconds", "from 1 min 5 s to 1:20", "3, 5 and 7.5 seconds", "12.4". Out: seconds
in the order of the answer, each once. A number without a unit is a time only where an answer is nothing but numbers.
"""

from __future__ import annotations

import re

from mllm.eval.reading import _answer
from mllm.eval.reading._numbers import in_digits, numbers

SAME_SECONDS = 0.05
"""Times that are no farther apart than this are one that was said twice."""
_SECONDS = r"(?:s|secs?|seconds?)\b"
_MINUTES = r"(?:m|mins?|minutes?)\b"
_STAMP = re.compile(r"(?<![\w:.])(?:(?P<h>\d{1,2}):)?(?P<m>\d{1,3}):(?P<s>[0-5]\d(?:\.\d{1,3})?)(?![\w:])")
_MINUTES_AND_SECONDS = re.compile(
    rf"(?<![\w:.])(?P<m>\d{{1,3}})\s?-?(?:m(?=\s?\d)|{_MINUTES})(?:,?\s*(?:and\s+)?(?P<s>\d{{1,2}}(?:\.\d{{1,3}})?)\s?"
    rf"{_SECONDS})?",
    re.IGNORECASE,
)
_UNIT = re.compile(rf"\s?-?{_SECONDS}", re.IGNORECASE)
_JOINED = re.compile(r"\s*(?:s\b|,|;|-|\b(?:to|and|or|until|then|about|around|at)\b|\s)+", re.IGNORECASE)
_ONLY_NUMBERS = re.compile(r"[\d\s.,;:\[\]()-]+")


def read(answer: str) -> list[float]:
    """Every time in seconds from the beginning of the recording, in the order of the answer."""
    given = _answer.members(answer)
    if given is not None:
        return _of_json(list(given.values()))
    text = in_digits(_answer.plain(answer))
    found = [
        (match.start(), 3600 * int(match["h"] or 0) + 60 * int(match["m"]) + float(match["s"]))
        for match in _STAMP.finditer(text)
    ]
    rest = _STAMP.sub(_blank, text)
    found += [
        (match.start(), 60 * int(match["m"]) + float(match["s"] or 0)) for match in _MINUTES_AND_SECONDS.finditer(rest)
    ]
    rest = _MINUTES_AND_SECONDS.sub(_blank, rest)
    found += _with_unit(rest)
    if not found and _ONLY_NUMBERS.fullmatch(text):
        found = [(number.start, number.value) for number in numbers(text)]
    return _distinct([time for _, time in sorted(found)])


def one(answer: str, *, within: float = 0.5) -> float | None:
    """The one time that is stated; None where none is, or several that lie farther apart than `within` seconds."""
    found = read(answer)
    return found[0] if found and max(found) - min(found) <= within else None


def _with_unit(text: str) -> list[tuple[int, float]]:
    """Numbers before "seconds", and those joined with them: all three in "3, 5 and 7 seconds"."""
    found: list[tuple[int, float]] = []
    is_time, begin = False, 0
    for number in reversed(numbers(text)):
        joined = is_time and _JOINED.fullmatch(text, number.end, begin) is not None
        is_time = joined or _UNIT.match(text, number.end) is not None
        begin = number.start
        if is_time:
            found.append((number.start, number.value))
    return found


def _of_json(values: list[object]) -> list[float]:
    """Numbers and stated times among the values of an object."""
    found: list[float] = []
    for value in values:
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append(float(value))
        elif isinstance(value, str):
            found += read(value)
        elif isinstance(value, list):
            found += [float(one) for one in value if isinstance(one, int | float) and not isinstance(one, bool)]
    return _distinct(found)


def _distinct(times: list[float]) -> list[float]:
    kept: list[float] = []
    for time in times:
        if all(abs(time - other) > SAME_SECONDS for other in kept):
            kept.append(time)
    return kept


def _blank(match: re.Match[str]) -> str:
    return "#" * len(match[0])
