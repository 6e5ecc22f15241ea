"""Whether an answer says that it cannot be told.

In: an answer. Out: True for "I cannot tell the composer", "This is impossible to determine from the audio", and for a
JSON object whose values are all null; False for anything else, also for a guess behind these words ("I cannot tell, but
maybe Bach").
"""

from __future__ import annotations

import re

from mllm.eval.reading import _answer

_REFUSAL = re.compile(
    r"\b(?:(?:i|we|one|you)\s+(?:really\s+|simply\s+)?(?:cannot|can\snot|can't|could\snot|couldn't|do\snot|don't|am\snot|"
    r"'m\snot|are\snot)|i'm\s+not)\s+(?:really\s+|reliably\s+|possibly\s+|able\s+to\s+|to\s+)*"
    r"(?:tell|say|know|determine|identify|hear\s+(?:that|who|what|when|where)|judge|answer|provide|name|see|infer|sure|"
    r"certain|have\s+(?:enough|that|the|any|access))\b"
    r"|\b(?:unable|impossible|not\s+possible|no\s+way|not\s+able)\s+(?:for\s+me\s+)?to\s+(?:tell|say|know|determine|identify|judge|"
    r"answer|name|infer|provide)\b"
    r"|\b(?:cannot|can\snot|can't|could\snot|couldn't)\s+be\s+(?:reliably\s+|exactly\s+)?(?:told|determined|known|identified|"
    r"heard|inferred|judged|answered)\b"
    r"|\b(?:does|do|is)(?:\s+not|n't)\s+(?:tell|say|reveal|contain|provide|clear|known|stated|specified|audible\s+(?:who|what))\b"
    r"|^\W*(?:unknown|not\s+known|no\s+idea|unclear|undetermined|n/a|null)\W*$",
    re.IGNORECASE,
)
_TURN = re.compile(
    r"\b(?:but|however|though|although|maybe|perhaps|probably|possibly|(?:my|best|i)\s+guess|it\s+(?:sounds|seems|might|could))\b",
    re.IGNORECASE,
)


def read(answer: str) -> bool:
    """Whether it is said that it cannot be told, and nothing is guessed behind that."""
    given = _answer.members(answer)
    if given is not None:
        return bool(given) and all(value is None for value in given.values())
    text = _answer.plain(answer)
    match = _REFUSAL.search(text)
    return match is not None and _TURN.search(text, match.end()) is None
