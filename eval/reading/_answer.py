"""An answer made ready for reading, and what stands in it as JSON.

In: an answer in any words. Out: the same with plain marks, nothing of one that is absurdly long; the members of a JSON
object in it. Knows no fact. An answer is data: nothing of it is ever run as code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

LONGEST = 20_000
"""Characters; what is longer says nothing, so that no answer takes long to read."""
_MARKS = str.maketrans(
    {
        "♯": "#",
        "♭": "b",
        "\u2019": "'",  # the right quotation mark that stands for an apostrophe
        "\u2010": "-",
        "\u2011": "-",
        "\u2012": "-",
        "\u2013": "-",
        "\u2014": "-",
        "\u00a0": " ",
        "\u202f": " ",
        "*": " ",
        "`": " ",
    }
)
_FENCE = re.compile(r"```[a-z]{0,8}\s*(\{.*\})\s*```", re.DOTALL | re.IGNORECASE)
_DENIED = re.compile(
    r"(?:\b(?:not|never|than|instead\sof)|n't)\s+(?:(?:in|at|of|a|an|the|be|really|exactly|quite|about|around|key|tempo)"
    r"\s+)*$",
    re.IGNORECASE,
)
_LOOK_BACK = 60


def plain(answer: str) -> str:
    """The answer with plain marks for sharps, flats, hyphens and apostrophes, and without asterisks of Markdown."""
    return answer.translate(_MARKS).strip() if len(answer) <= LONGEST else ""


def members(answer: str) -> Mapping[str, Any] | None:
    """The members of the JSON object that an answer is, alone or between fences, names in small letters.

    None for anything else, also where a name stands twice.
    """
    text = answer.strip() if len(answer) <= LONGEST else ""
    fenced = _FENCE.search(text)
    text = fenced[1] if fenced else text
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text, object_pairs_hook=_distinct, parse_constant=_refuse)
    except (ValueError, RecursionError):  # the latter: a thousand brackets within one another
        return None
    return {name.lower(): value for name, value in found.items()}


def first_of(given: Mapping[str, Any], names: Collection[str]) -> Any:
    """The value of the first of these names that is there and not null."""
    return next((given[name] for name in names if given.get(name) is not None), None)


def is_denied(text: str, start: int) -> bool:
    """Whether what begins at `start` is named only to be denied: "not 90", "rather than C major"."""
    return _DENIED.search(text, max(0, start - _LOOK_BACK), start) is not None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        _refuse("a name stands twice")
    return dict(pairs)


def _refuse(what: str) -> NoReturn:
    raise ValueError(what)
