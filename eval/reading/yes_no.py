"""Yes or no, by the first word of an answer.

In: an answer. Out: True, False, or None where the first word is neither.
"""

from __future__ import annotations

import re

_FIRST_WORD = re.compile(r"\W*([^\W\d_]+)")
_YES = frozenset({"yes", "yeah", "yep", "true", "correct"})
_NO = frozenset({"no", "nope", "false", "incorrect"})


def read(answer: str) -> bool | None:
    """True for an answer that begins with "yes", False for one that begins with "no", None for anything else."""
    match = _FIRST_WORD.match(answer)
    if match is None:
        return None
    word = match[1].lower()
    return True if word in _YES else False if word in _NO else None
