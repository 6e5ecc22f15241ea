"""What a text says of instruments, voices, numbers and keys, so that two texts can be compared.

In: texts. Out: what one of them says and the other does not. Words are looked up, and a negation holds to the end of
its clause: a text that is written in an unusual way may be misread, then it is taken to differ. Knows nothing of
recordings.
"""

from __future__ import annotations

import dataclasses
import re

from mllm.instruct_data.phrases import SYNONYMS

_FURTHER = {
    "guitar": ("guitar", "bass guitar", "slide guitar", "ukulele", "banjo", "mandolin", "lute", "sitar"),
    "voice": ("voice", "vocal", "singer", "singing", "vocalist", "vocals", "sings", "rap", "rapper", "choir", "chant"),
    "strings": ("violinist", "cellist", "contrabass", "orchestra"),
    "drums": (
        *("drummer", "snare", "cymbal", "hi-hat", "kick drum", "bass drum", "tambourine", "conga", "bongo", "tabla"),
        "drum machine",
    ),
    "piano": ("pianist", "keyboards"),
    "woodwind": ("woodwinds", "english horn", "cor anglais", "bagpipe", "didgeridoo"),
    "brass": ("flugelhorn", "cornet", "brass section"),
    "saxophone": ("saxophonist", "alto sax", "tenor sax"),
    "flute": ("panpipe", "ocarina"),
    "harp": ("harpist", "zither", "lyre"),
    "accordion": ("concertina", "bandoneon", "melodica"),
    "mallets": ("bell", "mallet percussion", "vibes", "steel drum", "kalimba"),
    "synthesizer": ("synthesiser", "synth pad", "theremin"),
    "bass": ("bassline", "bass line", "basses"),
    "turntables": ("turntable", "scratching"),
}
_GUITARS = ("acoustic guitar", "electric guitar")
_FAMILIES: dict[str, str] = {
    word.lower(): "guitar" if family in _GUITARS else family
    for table in (SYNONYMS, _FURTHER)
    for family, words in table.items()
    for word in (family, *words)
    if word not in ("violins", "bells")
}
_GENERAL = frozenset(_FURTHER) | frozenset(SYNONYMS)
"""Words that stand for all of their family: "strings" may be said of a violin, a violin not of "strings"."""
_PLAIN_WORD = re.compile(
    rf"(?<![\w-])({'|'.join(re.escape(word) for word in sorted(_FAMILIES, key=len, reverse=True))})(?:e?s)?(?![\w-])"
)
_CLAUSE_END = re.compile(
    r"[.;:!?()\"]|,? \b(?:but|yet|while|though|although|however|whereas|only|instead)\b|, (?=(?:a|an|the) )"
)
_DENIAL = re.compile(
    r"\b(?:no|not|without|never|neither|nor|none|lacks?|lacking|nobody|cannot|free of|devoid of|omits?|\w+n't)\b"
)
_DENIAL_AFTER = re.compile(r"\b(?:absent|missing|left out|silent|nowhere)\b")
_NUMBER = re.compile(r"\d+(?:[./]\d+)?")
_KEY = re.compile(r"\b([A-G](?:#|b|♯|♭| sharp| flat)?) ?(major|minor|dorian|mixolydian)\b", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Said:
    """What a text says."""

    affirmed: frozenset[str]
    """Words for instruments and voices, in lower case."""
    denied: frozenset[str]
    """Those that are said to be missing."""
    numbers: frozenset[str]
    keys: frozenset[str]


def said(text: str) -> Said:
    """What a text says of instruments, numbers and keys."""
    affirmed: set[str] = set()
    denied: set[str] = set()
    for clause in _CLAUSE_END.split(text.lower()):
        denial = _DENIAL.search(clause)
        begins = 0 if _DENIAL_AFTER.search(clause) else denial.start() if denial else len(clause)
        for word in _PLAIN_WORD.finditer(clause):
            (denied if word.start() >= begins else affirmed).add(word[1])
    return Said(
        affirmed=frozenset(affirmed),
        denied=frozenset(denied),
        numbers=frozenset(_NUMBER.findall(text)),
        keys=frozenset(f"{tonic.lower()} {mode.lower()}" for tonic, mode in _KEY.findall(text)),
    )


def added(source: str, text: str) -> list[str]:
    """What a text says of instruments, numbers and keys that its source does not: sentences, none where all is well."""
    before, after = said(source), said(text)
    problems = [f"it names {word}" for word in sorted(_new(before.affirmed, after.affirmed))]
    problems += [f"it denies {word}" for word in sorted(_new(before.denied, after.denied))]
    problems += [f"it says {one}" for one in sorted((after.numbers - before.numbers) | (after.keys - before.keys))]
    return problems


def lost(source: str, text: str) -> list[str]:
    """What the source says of instruments, numbers and keys and the text does not."""
    before, after = said(source), said(text)
    families = ({_FAMILIES[w] for w in one} for one in (before.affirmed, after.affirmed, before.denied, after.denied))
    affirmed, affirmed_after, denied, denied_after = families
    problems = [f"it does not name {family}" for family in sorted(affirmed - affirmed_after)]
    problems += [f"it does not deny {family}" for family in sorted(denied - denied_after)]
    unsaid = (before.numbers - after.numbers) | (before.keys - after.keys)
    problems += [f"it does not say {one}" for one in sorted(unsaid)]
    return problems


def _new(before: frozenset[str], after: frozenset[str]) -> set[str]:
    """Words that were not there and are no general word for one that was."""
    families = {_FAMILIES[word] for word in before}
    return {word for word in after - before if not (word in _GENERAL and word in families)}
