"""Whether an answer takes for granted what was asked about, says that it is not there, or says that it cannot tell.

In: an answer in free words. Out: one of `THERE`, `ABSENT` and `CANNOT_TELL`, or None where it says none of them. Knows
no truth.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from mllm.eval.reading import number, refusal, times

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
_AT_AN_END = re.compile(
    r"\b(?:beginning|start|outset|end|opening|throughout|entire|whole|immediately|all the time)\b", re.IGNORECASE
)
"""What tells a time without a number."""
_OFTEN = re.compile(r"\b(?:once|twice|times|stretch(?:es)?|passages?|entries|entrances|appearances?)\b", re.IGNORECASE)
_CHANGED = re.compile(r"\b(?:chang|modulat|shift|switch|mov|accelerat|speeds? up|slows? down)", re.IGNORECASE)

AskedFor: TypeAlias = Literal["time", "number", "change"]


def read(answer: str, asked_for: AskedFor) -> Stance | None:
    """What an answer to a question says of that which the question takes for granted.

    A denial counts wherever in the answer it stands. Otherwise only what answers the question takes it for real: a
    time or a length, a number of times, or a change; other facts say nothing of it.
    """
    if _DENIED.search(answer) or (asked_for == "change" and _UNCHANGED.search(answer)):
        return ABSENT
    if refusal.read(answer):
        return CANNOT_TELL
    timed = bool(times.read(answer)) or _AT_AN_END.search(answer) is not None
    if asked_for == "change":
        return THERE if timed or _CHANGED.search(answer) else None
    if asked_for == "number":
        return THERE if timed or _OFTEN.search(answer) or number.read(answer) is not None else None
    return THERE if timed else None


def read_unknowable(answer: str) -> Stance | None:
    """What an answer says to a question that nobody can answer: anything else than a denial or a refusal is made up."""
    if _DENIED.search(answer):
        return ABSENT
    if refusal.read(answer):
        return CANNOT_TELL
    return THERE if re.search(r"\w", answer) else None
