"""Which names an answer affirms: "no piano, but drums" names the drums, "piano and drums are absent" nothing.

In: an answer with plain marks, and a pattern of names. Out: what is affirmed and nowhere denied, in order. Knows no
names.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

_DENIAL = re.compile(
    r"(?:\b(?:no|not|without|neither|nor|never|lacks?|lacking|absence\sof|absent|missing|devoid\sof|free\sof|instead\sof|"
    r"rather\sthan|excludes?|excluding|except)\b|n't\b|\bcannot\b)"
    r"(?!\s(?:only|just|merely|simply|doubt|longer)\b)(?P<between>(?:[\s:]+[\w'-]+){0,4}?[\s:]*)$",
    re.IGNORECASE,
)
_AFFIRMS = re.compile(
    r"\b(?:has|is|are|and|but|with|features|plays|only|just|includes|uses|contains|yes|i)\b", re.IGNORECASE
)
_DENIED_BEHIND = re.compile(
    r"\s*(?:[:=(-]\s*)?(?:(?:no|none|false|absent|missing)\b(?!\s(?:longer|doubt|less))"
    r"|(?:(?:is|are|was|were|do|does|did|can|could|has|have)\s?)(?:n't\b|not\b|\s*(?:absent|missing|silent)\b)"
    r"(?!\s(?:the\s)?only\b)|cannot\b|(?:is|are|seems?|seem)\s+(?:to\s+be\s+)?(?:absent|missing|silent)\b)",
    re.IGNORECASE,
)
_ARTICLE = r"(?:(?:an?|any|the|other|kind\sof|some)\s+){0,2}"
_OR = re.compile(rf"\s*,?\s*(?:\b(?:or|nor)\b|/)\s+{_ARTICLE}", re.IGNORECASE)
_COMMA = re.compile(rf"\s*,\s*{_ARTICLE}", re.IGNORECASE)
_AND = re.compile(rf"\s+(?:and|&)\s+{_ARTICLE}", re.IGNORECASE)
_LOOK_BACK = 80
_LONGEST_JOINT = 30


def affirmed(text: str, names: re.Pattern[str], name_of: Callable[[re.Match[str]], str | None]) -> tuple[str, ...]:
    """Every name that is affirmed and nowhere denied, once, in the order of the text.

    Args:
        text: the answer.
        names: matches each name.
        name_of: what a match stands for; None: nothing that counts, though its words belong to no other name.
    """
    found = list(names.finditer(text))
    denied = _denied(text, found)
    said = [(name_of(match), no) for match, no in zip(found, denied, strict=True)]
    refused = {name for name, no in said if no}
    return tuple(dict.fromkeys(name for name, _ in said if name is not None and name not in refused))


def _denied(text: str, found: list[re.Match[str]]) -> list[bool]:
    before = [_is_denied_before(text, match.start()) for match in found]
    behind = [_DENIED_BEHIND.match(text, match.end()) is not None for match in found]
    gaps = [(one.end(), other.start()) for one, other in itertools.pairwise(found)]
    joints = [_joint(text, begin, end) for begin, end in gaps]
    ends_with_or = False
    goes_on = [False] * len(joints)
    for place in reversed(range(len(joints))):  # a list with commas is one of "or" where it ends with "or"
        ends_with_or = joints[place] == "or" or (joints[place] == "," and ends_with_or)
        goes_on[place] = ends_with_or or joints[place] == "and"
    denied = list(before)
    for place in range(len(joints)):
        if denied[place] and goes_on[place]:
            denied[place + 1] = True
    for place in reversed(range(len(found))):
        denied[place] = denied[place] or behind[place]
        if place and behind[place] and joints[place - 1]:
            behind[place - 1] = True
    return denied


def _is_denied_before(text: str, start: int) -> bool:
    match = _DENIAL.search(text, max(0, start - _LOOK_BACK), start)
    return match is not None and _AFFIRMS.search(match["between"]) is None


def _joint(text: str, begin: int, end: int) -> str:
    """How two names are joined by what stands between them: "or", "and", "," or not at all."""
    if end - begin > _LONGEST_JOINT:
        return ""
    kinds = {"or": _OR, "and": _AND, ",": _COMMA}
    return next((kind for kind, pattern in kinds.items() if pattern.fullmatch(text, begin, end)), "")
