"""The key that an answer states.

In: an answer: "F# minor", "in the key of B-flat major", "Ebm", {"key": "C", "mode": "major"}. Out: the key as
`facts.KEYS` spells it ("Gb major" is "F# major"), with a mode of `tracks.MODES`; or None. A tonic without a mode is no
key, and an answer that states several keys says nothing. Aeolian is minor and Ionian major; keys of other modes are not
read.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from typing import Literal

from mllm.eval.reading import _answer
from mllm.facts import MAJOR_TONICS, MINOR_TONICS, pitch_class

_NAMES = ("key", "key_signature", "tonality", "musical_key")
_MODES = {
    "major": "major",
    "maj": "major",
    "ionian": "major",
    "minor": "minor",
    "min": "minor",
    "aeolian": "minor",
    "dorian": "dorian",
    "mixolydian": "mixolydian",
}
_MINOR_TONICS_OF = ("minor", "dorian")
_TONIC = r"(?<![\w#'])(?P<letter>[A-Ga-g])(?:(?P<sign>[#b])|[ -]?(?P<word>sharp|flat))?"
_WHOLE = re.compile(
    rf"{_TONIC}[\s:_-]{{0,3}}(?:(?:natural|harmonic|melodic)[\s-])?(?P<mode>{'|'.join(_MODES)})(?![\w#])", re.IGNORECASE
)
_SHORT = re.compile(r"(?<![\w#'])(?P<letter>[A-G])(?P<sign>[#b])?(?P<word>)(?P<mode>m)(?![\w#'])(?! I\b)")
_SIGNS = {"#": "#", "b": "b", "sharp": "#", "flat": "b", None: "", "": ""}
_ARTICLE_BEFORE = re.compile(r"(?:^|[.!?:;]\s*)$")
_NOUN_AFTER = re.compile(
    r"[\s-](?:key|keys|mode|modes|tonality|scale|chords?|third|sixth|seventh|feel|feeling|mood|sound|quality|piece|song|"
    r"track|tune|melody|progression|harmony|tone|ballad|blues|pentatonic|influence|role|sounding|inflection)\b",
    re.IGNORECASE,
)
_NOTHING_AFTER = re.compile(r"\s*(?:$|[.,;:!?)\]\"'/]|(?:or|and|at|with|but|for|in|is|key\.?$)\b)", re.IGNORECASE)
_SAID_BEFORE = re.compile(
    r"(?:\bin\s$|\b(?:key|tonality|tonal\scent(?:er|re)))(?:\s|[\"':=(),]|\b(?:signature|of|is|was|be|to|in|seems|appears|sounds|"
    r"like|most|likely|probably|the|this|it|piece|song|track|clip|recording|music|would|here|as|set)\b)*$",
    re.IGNORECASE,
)
_RELATIVE_BEFORE = re.compile(
    r"(?<!\bor )(?<!\bor its )(?<!\bor the )\b(?:relative|parallel)\s+(?:major|minor|key)?"
    r"(?:\s|[:=,(]|\b(?:of|is|being|key)\b)*$",
    re.IGNORECASE,
)
_JOINED = re.compile(
    r"(?:\s|[,/;()-]|\b(?:or|and|but|maybe|perhaps|possibly|probably|could|also|be|even|it|might|its|relative|parallel|"
    r"either|alternatively|rather|in|the|key|of)\b)+",
    re.IGNORECASE,
)
_LOOK_BACK = 80


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Stated:
    key: str
    start: int
    end: int
    rank: Literal[0, 1, 2]
    """0: it is said that this is the key; 1: a key in full; 2: letters that may be a chord."""


def read(answer: str) -> str | None:
    """The key, None where none is stated, or several are."""
    given = _answer.members(answer)
    if given is not None:
        key, mode = _answer.first_of(given, _NAMES), given.get("mode") or given.get("scale")
        if not isinstance(key, str):
            return None
        return read(key) or (read(f"{key.strip()} {mode}") if isinstance(mode, str) else None)
    text = _answer.plain(answer)
    found = [*_found(text, _WHOLE), *_found(text, _SHORT)]
    surest = min((one.rank for one in found), default=0)
    counted = [one for one in found if one.rank == surest]
    if counted and counted[0].rank == 0:
        counted = _with_joined(text, counted, found)
    keys = {one.key for one in counted}
    return keys.pop() if len(keys) == 1 else None


def spelled(tonic: int, mode: str) -> str:
    """A key by the pitch class of its tonic, spelt as in `facts.KEYS`."""
    return f"{(MINOR_TONICS if mode in _MINOR_TONICS_OF else MAJOR_TONICS)[tonic % 12]} {mode}"


def _found(text: str, pattern: re.Pattern[str]) -> list[_Stated]:
    found = []
    for match in pattern.finditer(text):
        before = max(0, match.start() - _LOOK_BACK)
        if (
            _is_article(text, match)
            or _answer.is_denied(text, match.start())
            or _RELATIVE_BEFORE.search(text, before, match.start())
        ):
            continue
        sign = _SIGNS[(match["sign"] or match["word"] or "").lower()]
        mode = _MODES.get(match["mode"].lower(), "minor")
        said = _SAID_BEFORE.search(text, before, match.start()) is not None
        rank: Literal[0, 1, 2] = 0 if said else 1 if pattern is _WHOLE else 2
        key = spelled(pitch_class(match["letter"].upper() + sign), mode)
        found.append(_Stated(key=key, start=match.start(), end=match.end(), rank=rank))
    return sorted(found, key=lambda one: one.start)


def _is_article(text: str, match: re.Match[str]) -> bool:
    """Whether the A of "a minor key" is no note."""
    if match["letter"] not in "Aa" or match["sign"] or match["word"] or match["mode"] == "m":
        return False
    if match["letter"] == "a":
        return _NOTHING_AFTER.match(text, match.end()) is None or _NOUN_AFTER.match(text, match.end()) is not None
    return _ARTICLE_BEFORE.search(text[: match.start()]) is not None and (
        _NOUN_AFTER.match(text, match.end()) is not None
    )


def _with_joined(text: str, said: list[_Stated], found: list[_Stated]) -> list[_Stated]:
    """Those of which it is said that they are the key, and those joined with them: "the key is C major or A minor"."""
    counted, starts = list(said), {one.start for one in said}
    in_order = sorted(found, key=lambda one: one.start)
    for before, after in itertools.pairwise(in_order):
        if before.start in starts and after.rank < 2 and _JOINED.fullmatch(text, before.end, after.start):
            counted.append(after)
            starts.add(after.start)
    return counted
