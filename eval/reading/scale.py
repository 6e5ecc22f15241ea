"""The place on a scale that an answer names: one number, in digits or in words.

In: an answer: "About 6.5 out of 9.", "seven", {"valence": 7}; and the ends of the scale. Out: a number within them, or
None. The end of the scale behind "of" is not the answer, and one that names several places says nothing.
"""

from __future__ import annotations

import re

from mllm.eval.reading import _answer
from mllm.eval.reading._numbers import numbers

_PART = re.compile(r"(?<=\d)\s?/\s?\d+\b")
_OF_A_SCALE = re.compile(r"(?:\bof|\bto|\bscale\s+from)\s*$", re.IGNORECASE)
_BEGINS_A_SCALE = re.compile(r"\s*(?:to|-)\s*\d", re.IGNORECASE)


def read(answer: str, low: float, high: float) -> float | None:
    """The number from `low` to `high` that is named; None where none is, or several are."""
    given = _answer.members(answer)
    if given is not None:
        found = {float(one) for one in given.values() if isinstance(one, int | float) and not isinstance(one, bool)}
    else:
        text = _PART.sub(" ", _answer.plain(answer))
        found = {
            one.value
            for one in numbers(text)
            if not _OF_A_SCALE.search(text[: one.start])
            and not _BEGINS_A_SCALE.match(text[one.end :])
            and not _answer.is_denied(text, one.start)
        }
    value = found.pop() if len(found) == 1 else None
    return value if value is not None and low <= value <= high else None
