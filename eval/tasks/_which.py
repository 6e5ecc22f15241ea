"""Which of two recordings an answer names.

In: an answer. Out: "first", "second", or None where it names neither or both.
"""

from __future__ import annotations

import re

_COMPARED = re.compile(
    r"\b(?:than|against|versus|vs\.?|unlike|over|compared (?:to|with)|rather than|not) (?:in |that of |those of )?"
    r"(?:the )?(?:first|second|former|latter|other)\b",
    re.IGNORECASE,
)
"""What stands behind such a word is what the named one is compared with."""
_NUMBERED = r"(?:recording|clip|number|track|piece|audio|song|no\.?) #?"
_NAMES = {
    "first": re.compile(rf"\b(?:first|1st|former)\b|\b{_NUMBERED}(?:one|1|a)\b|^\W*(?:1|one|a)\W*$", re.IGNORECASE),
    "second": re.compile(rf"\b(?:second|2nd|latter)\b|\b{_NUMBERED}(?:two|2|b)\b|^\W*(?:2|two|b)\W*$", re.IGNORECASE),
}
_A_SECOND = re.compile(r"\b(?:a|per|each|every) second\b", re.IGNORECASE)
"""The second of time."""


def read(answer: str) -> str | None:
    """The recording that an answer names, leaving out the one that it is compared with."""
    told = _COMPARED.sub(" ", _A_SECOND.sub(" ", answer))
    named = [name for name, pattern in _NAMES.items() if pattern.search(told)]
    return named[0] if len(named) == 1 else None
