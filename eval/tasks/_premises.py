"""Whether an answer takes for granted what was asked about, says that it is not there, or says that it cannot tell.

In: an answer in free words. Out: one of `THERE`, `ABSENT` and `CANNOT_TELL`, or None where it says none of them. Knows
no truth.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from mllm.eval.reading import refusal

Stance: TypeAlias = Literal["there", "absent", "cannot tell"]
THERE: Stance = "there"
ABSENT: Stance = "absent"
CANNOT_TELL: Stance = "cannot tell"

_NOT = r"(?:not|never|cannot|can't|couldn't|isn't|aren't|wasn't|weren't|doesn't|don't|didn't)"
_DENIED = re.compile(
    rf"^\W*(?:no|none|never|nowhere|nothing|nobody)\b|"
    rf"\b(?:there (?:is|are|was|were)|there's|(?:hear|heard|has|have|had|with|contains?|features?|includes?)) "
    rf"(?:really |actually |simply )?no\b|"
    rf"\bno \w+(?: \w+)? (?:is|are|was|were|can be|plays?|enters?|sings?) *(?:heard|present|there|played|in|here)?|"
    rf"\b{_NOT} (?:\w+ )?(?:any|play|plays|played|playing|enter|appear|occur|sound|exist|come in|feature|contain|"
    rf"include|have|hear|heard|present|there|change|modulate|used)\b|"
    rf"\b(?:absent|missing)\b",
    re.IGNORECASE,
)
_UNCHANGED = re.compile(
    r"\b(?:no change|stays?|remains?|constant|unchanged|steady|the same (?:key|tempo))\b", re.IGNORECASE
)
_PLACED = re.compile(
    r"\d|\b(?:beginning|start|end|opening|throughout|entire|whole|once|twice|seconds?|minutes?|one|two|three|four|five|six|"
    r"seven|eight|nine|ten)\b",
    re.IGNORECASE,
)
"""What an answer says that gives a time, a number or a length."""


def read(answer: str, *, of_change: bool = False) -> Stance | None:
    """What an answer to "when?", "how often?" or "how long?" says; a denial counts wherever in it it stands.

    Args:
        answer: in free words.
        of_change: whether it was asked about a change: what stays the same denies that.
    """
    if _DENIED.search(answer) or (of_change and _UNCHANGED.search(answer)):
        return ABSENT
    if refusal.read(answer):
        return CANNOT_TELL
    return THERE if _PLACED.search(answer) else None


def read_unknowable(answer: str) -> Stance | None:
    """What an answer says to a question that nobody can answer: anything else than a denial or a refusal is made up."""
    if _DENIED.search(answer):
        return ABSENT
    if refusal.read(answer):
        return CANNOT_TELL
    return THERE if re.search(r"\w", answer) else None
