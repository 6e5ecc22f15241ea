"""The meter that an answer states.

In: an answer: "3/4 (a waltz)", "six-eight time", "in common time", {"time_signature": "4/4"}. Out: a meter such as
"6/8", which need not be one of `facts.METERS`; or None. An answer that states several says nothing; "triple meter"
names none.
"""

from __future__ import annotations

import re

from mllm.eval.reading import _answer

_NAMES = ("meter", "time_signature", "metre", "time signature", "timesignature")
_NUMBER_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_SPOKEN = {word: number for number, word in enumerate(_NUMBER_WORDS, start=2)}
_UNITS = {"two": 2, "four": 4, "quarter": 4, "quarters": 4, "eight": 8, "eights": 8, "eighth": 8, "sixteen": 16}
_TIME = r"(?=[\s-](?:time|met(?:er|re)|signature|rhythm|beat))"
_PATTERNS = (
    re.compile(r"(?<![\d/.:])(?P<beats>\d{1,2})\s?/\s?(?P<unit>2|4|8|16)(?![\d/]|\.\d|\s?(?:th|-?notes?|of)\b)"),
    re.compile(rf"(?<![\d/.:])(?P<beats>\d{{1,2}})(?:-|\s(?:over\s)?)(?P<unit>2|4|8|16)\b{_TIME}"),
    re.compile(rf"\b(?P<beats>{'|'.join(_SPOKEN)})-(?P<unit>{'|'.join(_UNITS)})\b(?!-)", re.IGNORECASE),
    re.compile(rf"\b(?P<beats>{'|'.join(_SPOKEN)})\s(?:over\s)?(?P<unit>{'|'.join(_UNITS)})\b{_TIME}", re.IGNORECASE),
)
_WORDS = (
    (re.compile(r"\bcommon[\s-](?:time|met(?:er|re))\b", re.IGNORECASE), "4/4"),
    (re.compile(r"\b(?:cut[\s-](?:time|common)|alla breve)\b", re.IGNORECASE), "2/2"),
    (re.compile(r"\bwaltz[\s-](?:time|met(?:er|re)|rhythm)\b", re.IGNORECASE), "3/4"),
)


def read(answer: str) -> str | None:
    """The meter, None where none is stated, or several are."""
    given = _answer.members(answer)
    if given is not None:
        value = _answer.first_of(given, _NAMES)
        return read(value) if isinstance(value, str) else None
    text = _answer.plain(answer)
    found = {
        f"{_number(match['beats'], _SPOKEN)}/{_number(match['unit'], _UNITS)}"
        for pattern in _PATTERNS
        for match in pattern.finditer(text)
        if not _answer.is_denied(text, match.start())
    }
    found |= {
        meter
        for pattern, meter in _WORDS
        for match in pattern.finditer(text)
        if not _answer.is_denied(text, match.start())
    }
    found = {meter for meter in found if not meter.startswith(("0/", "1/"))}
    return found.pop() if len(found) == 1 else None


def _number(said: str, words: dict[str, int]) -> int:
    return int(said) if said.isdigit() else words[said.lower()]
