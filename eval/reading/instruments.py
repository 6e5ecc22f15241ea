"""The instruments that an answer names as playing.

In: an answer: "I hear a piano and a drum kit, but no bass", "violin: yes, flute: no", {"instruments": ["piano"]}. Out:
names of `facts.INSTRUMENTS`; a violin is strings, a trumpet brass. What is denied anywhere is not named. "guitar" and
"keyboard" alone leave open which of several instruments they are: `read` leaves them out, `named` has them as they are,
and `resolved` takes them for one that plays. Instruments without a name of ours, such as a banjo, are not read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from mllm.eval.reading import _answer, _named
from mllm.facts import INSTRUMENTS

WIDE: Mapping[str, frozenset[str]] = {
    "guitar": frozenset({"acoustic guitar", "electric guitar"}),
    "keyboard": frozenset({"piano", "harpsichord", "organ", "synthesizer"}),
}
"""Words that may be any of several instruments."""

_WORDS: Mapping[str, str] = {
    "piano": "(?:grand |upright |electric |acoustic |e-)?pianos?|rhodes|pianoforte",
    "harpsichord": "harpsichords?|clavinets?|cembalos?",
    "organ": "(?:church |pipe |hammond |electric )?organs?|hammond",
    "accordion": "accord(?:ion|eon)s?|harmonicas?|mouth organs?|concertinas?|bandone[oó]ns?",
    "acoustic guitar": "(?:acoustic|nylon|classical|spanish|steel)(?: steel| nylon)?(?:[- ]string(?:ed)?)?"
    "(?: acoustic)? guitars?|(?:nylon|steel|twelve|12|six|6)[- ]string(?:ed)?(?: acoustic)? guitars?|"
    "acoustic(?= (?:and|or|&) electric guitars?)|ukuleles?",
    "electric guitar": "(?:electric|distorted|overdriven|distortion|clean electric|wah|lead electric|rhythm electric) "
    "guitars?|electric(?= (?:and|or|&) acoustic guitars?)",
    "bass": "(?:electric |acoustic |synth |slap |fretless |upright |double |string |walking )?bass(?:[- ]?guitars?)?|"
    "basses|double[- ]basses|contrabass(?:es)?|bass ?lines?|sub[- ]bass",
    "strings": "(?:bowed |orchestral |pizzicato )?strings|(?:bowed )?string (?:section|quartet|ensemble|orchestra|"
    "instruments?)s?|violins?|violas?|(?:violon)?cell(?:o|os|i)|fiddles?",
    "harp": "harps?",
    "choir": "choirs?|choral (?:voices|singing|vocals)|chorus of voices|choral",
    "brass": "brass(?: (?:section|instruments?|ensemble|band))?|trumpets?|trombones?|tubas?|(?:french |saxhorn )?horns?"
    "(?: section)?|cornets?|flugelhorns?",
    "saxophone": "(?:(?:alto|tenor|soprano|baritone) )?sax(?:ophone)?(?:s|es)?",
    "woodwind": "woodwinds?(?: (?:section|instruments?|ensemble))?|(?:bass )?clarinets?|oboes?|(?:contra)?bassoons?|"
    "english horns?|cor anglais",
    "flute": "(?:pan |alto |bass )?flutes?|panflutes?|piccolos?|recorders?|(?:tin |penny )?whistles?",
    "mallets": "mallets?(?: (?:percussion|instruments?))?|xylophones?|glockenspiels?|vibraphones?|marimbas?|"
    "celest[ae]s?|tubular bells?|(?:church )?bells|chimes|music box(?:es)?",
    "synthesizer": "(?:analog(?:ue)? |digital )?synth(?:esi[sz]er)?s?(?:[- ](?:pads?|leads?|keys|strings|brass))?",
    "drums": "(?:bass |kick |snare |hand |electronic |acoustic |synth |frame )?drums?"
    "(?:[- ]?(?:kits?|sets?|machines?))?|(?:electronic |hand |light )?percussion(?: instruments?)?|snares?|"
    "hi-?hats?|cymbals?|timpani|tympani|congas?|bongos?|tambourines?|shakers?|drumkits?|drumsets?",
    "guitar": "(?:lead |rhythm |slide )?guitars?",
    "keyboard": "keyboards?(?: instruments?)?",
    "": "steel (?:drums?|pans?)|guitar strings|(?:nylon|steel) strings|bass(?=[- ]heavy| clef| register| notes?| "
    "voice)|jew'?s harps?|no doubt",
}
"""What people call each instrument; the last names nothing of ours, though it looks so."""

_KEYS = tuple(_WORDS)
_NAMES = ("instruments", "instrument", "instrumentation")


def _pattern() -> re.Pattern[str]:
    """All words, the longest first where several begin at one place."""
    words = sorted(((word, key) for key in _KEYS for word in _alternatives(_WORDS[key])), key=_rank)
    return re.compile(
        r"(?<![\w-])(?=[a-z126])(?:"
        + "|".join(f"(?P<k{_KEYS.index(key)}_{n}>{w})" for n, (w, key) in enumerate(words))
        + r")(?!\w)",
        re.IGNORECASE,
    )


def _alternatives(words: str) -> list[str]:
    """The alternatives of a pattern at its outermost level."""
    parts, depth, begin = [], 0, 0
    for place, letter in enumerate(words):
        depth += (letter == "(") - (letter == ")")
        if letter == "|" and not depth:
            parts.append(words[begin:place])
            begin = place + 1
    return [*parts, words[begin:]]


def _rank(entry: tuple[str, str]) -> tuple[bool, bool, int]:
    """What names nothing of ours first, then the narrow names, then those that may be several; long before short."""
    word, key = entry
    return key != "", key in WIDE or key == "bass", -len(word)


_PATTERN = _pattern()


def read(answer: str) -> frozenset[str]:
    """Names of `facts.INSTRUMENTS` that are affirmed and nowhere denied."""
    return frozenset(name for name in named(answer) if name not in WIDE)


def named(answer: str) -> frozenset[str]:
    """As `read`, with the words of `WIDE` too, where no narrower name stands for what they may be."""
    given = _answer.members(answer)
    if given is not None:
        return named(_listed(_answer.first_of(given, _NAMES)))
    found = set(_named.affirmed(_answer.plain(answer), _PATTERN, _name_of))
    return frozenset(name for name in found if not (name in WIDE and WIDE[name] & found))


def resolved(names: Collection[str], playing: Collection[str]) -> frozenset[str]:
    """The names with each word of `WIDE` as one of its instruments that plays, or as it is where none does."""
    return frozenset(
        next((one for one in INSTRUMENTS if one in WIDE.get(name, ()) and one in playing), name) for name in names
    )


def _listed(value: Any) -> str:
    """A value of JSON as text that can be read."""
    if isinstance(value, list):
        return ", ".join(str(one) for one in value if isinstance(one, str))
    return value if isinstance(value, str) else ""


def _name_of(match: re.Match[str]) -> str | None:
    group = str(match.lastgroup)
    return _KEYS[int(group[1:].partition("_")[0])] or None
