"""The number that an answer states, where something is counted.

In: an answer: "There are three instruments.", "4", "It comes twice.", "none". Out: a whole number, or None. An answer
that states several says nothing; "one" as in "the second one" is no number.
"""

from __future__ import annotations

import re

from mllm.eval.reading import _answer
from mllm.eval.reading._numbers import numbers

_OFTEN = re.compile(r"\b(?P<word>once|twice|thrice|none|nothing)\b", re.IGNORECASE)
_VALUES = {"once": 1, "twice": 2, "thrice": 3, "none": 0, "nothing": 0}
_PRONOUN_BEFORE = re.compile(
    r"\b(?:first|second|third|last|this|that|other|which|each|every|another|same|no|any|only|next|no)\s+$",
    re.IGNORECASE,
)
_PRONOUN_AFTER = re.compile(r"\s+of\b", re.IGNORECASE)
_NO = re.compile(r"\bno\s+[a-z]", re.IGNORECASE)
_UNCHANGED = re.compile(r"\b(?:does|do|did)\s?(?:not|n't)\s+(?:change|come|appear|occur)\b", re.IGNORECASE)


def read(answer: str) -> int | None:
    """The number, None where none is stated, or several are."""
    given = _answer.members(answer)
    if given is not None:
        values = [value for value in given.values() if isinstance(value, int) and not isinstance(value, bool)]
        return values[0] if len(values) == 1 else None
    text = _answer.plain(answer)
    found = {
        number.value
        for number in numbers(text)
        if not (number.value == 1 and text[number.start].isalpha() and _is_pronoun(text, number.start, number.end))
        and not _answer.is_denied(text, number.start)
    }
    found |= {float(_VALUES[match["word"].lower()]) for match in _OFTEN.finditer(text)}
    if not found and (_NO.search(text) or _UNCHANGED.search(text)):
        return 0
    value = found.pop() if len(found) == 1 else None
    return int(value) if value is not None and value.is_integer() else None


def _is_pronoun(text: str, start: int, end: int) -> bool:
    return _PRONOUN_BEFORE.search(text, 0, start) is not None or _PRONOUN_AFTER.match(text, end) is not None
