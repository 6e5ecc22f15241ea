"""The chords that an answer names, in order.

In: an answer: "At 0:12 the chord is C minor seventh.", "Dm7 - G7 - Cmaj7", "C:min7, F:maj", {"chords": ["Am", "F"]}.
Out: names in Harte's notation such as "C:min7"; inversions and added notes are left out. A letter alone ("C, F and G")
is a major chord where it stands as a name does: before a mark, the word "chord" or another chord.
"""

from __future__ import annotations

import re

from mllm.eval.reading import _answer
from mllm.facts import MAJOR_TONICS, MINOR_TONICS, pitch_class

NO_CHORD = "N"
_NAMES = ("chords", "chord", "progression", "chord_progression", "harmony")

_SPOKEN = {
    "minor with a major seventh": "minmaj7",
    "minor major seventh": "minmaj7",
    "half diminished seventh": "hdim7",
    "half-diminished seventh": "hdim7",
    "half diminished": "hdim7",
    "half-diminished": "hdim7",
    "diminished seventh": "dim7",
    "diminished 7th": "dim7",
    "diminished": "dim",
    "augmented": "aug",
    "dominant seventh": "7",
    "dominant 7th": "7",
    "dominant": "7",
    "major seventh": "maj7",
    "major 7th": "maj7",
    "major 7": "maj7",
    "major ninth": "maj9",
    "major 9th": "maj9",
    "major sixth": "maj6",
    "major 6th": "maj6",
    "minor seventh": "min7",
    "minor 7th": "min7",
    "minor 7": "min7",
    "minor ninth": "min9",
    "minor 9th": "min9",
    "minor sixth": "min6",
    "minor 6th": "min6",
    "suspended fourth": "sus4",
    "suspended second": "sus2",
    "sus4": "sus4",
    "sus2": "sus2",
    "power chord": "5",
    "seventh": "7",
    "ninth": "9",
    "sixth": "maj6",
    "major": "maj",
    "minor": "min",
    "alone": "1",
}
_WRITTEN = {
    "": "maj",
    "maj": "maj",
    "M": "maj",
    "min": "min",
    "m": "min",
    "mi": "min",
    "-": "min",
    "maj7": "maj7",
    "M7": "maj7",
    "ma7": "maj7",
    "Δ": "maj7",
    "Δ7": "maj7",
    "△7": "maj7",
    "min7": "min7",
    "m7": "min7",
    "mi7": "min7",
    "-7": "min7",
    "7": "7",
    "dom7": "7",
    "dim": "dim",
    "°": "dim",
    "o": "dim",
    "dim7": "dim7",
    "°7": "dim7",
    "o7": "dim7",
    "hdim7": "hdim7",
    "hdim": "hdim7",
    "m7b5": "hdim7",
    "min7b5": "hdim7",
    "ø": "hdim7",
    "ø7": "hdim7",
    "aug": "aug",
    "+": "aug",
    "sus4": "sus4",
    "sus": "sus4",
    "sus2": "sus2",
    "7sus4": "sus4",
    "9sus4": "sus4",
    "6": "maj6",
    "maj6": "maj6",
    "m6": "min6",
    "min6": "min6",
    "9": "9",
    "maj9": "maj9",
    "M9": "maj9",
    "m9": "min9",
    "min9": "min9",
    "11": "9",
    "13": "9",
    "m11": "min9",
    "min11": "min9",
    "7b9": "7",
    "7#9": "7",
    "7b5": "7",
    "7#5": "7",
    "minmaj7": "minmaj7",
    "mM7": "minmaj7",
    "mmaj7": "minmaj7",
    "add9": "maj",
    "madd9": "min",
    "5": "5",
    "1": "1",
}
_ROOT = r"(?P<letter>[A-G])(?P<sign>[#b]|[ -](?:sharp|flat))?"
_CHORD = re.compile(
    rf"(?<![\w#:.'/])(?:{_ROOT}"
    rf"(?:(?:[ -](?P<spoken>{'|'.join(sorted(map(re.escape, _SPOKEN), key=len, reverse=True))}))"
    rf"|:?(?P<written>{'|'.join(sorted(map(re.escape, _WRITTEN), key=len, reverse=True))})"
    r"(?:\([^)\s]{0,12}\))?(?:/(?:[A-G][#b]?|[b#]?\d{1,2}))?)"
    r"|(?P<none>no chord|N(?:\.C\.)?(?=[\s,;|\]-]|$)))(?![\w#:'])",
)
_BARE_FOLLOWED = re.compile(
    r"\s*(?:$|[.,;:!?|)\]\"'>→/-]|(?:chord|and|then|to|or|followed|again|in)\b|(?=[A-G][#b]?(?:m|maj|min|dim|aug|sus|\d|\b)))"
)
_ARTICLE = re.compile(r"\s+[A-G](?:[#b]|[ -](?:sharp|flat))?\S*(?:\s\S+){0,2}?\schord")
_MINOR_QUALITIES = ("min", "min7", "min6", "min9", "minmaj7", "dim", "dim7", "hdim7")


def read(answer: str) -> tuple[str, ...]:
    """Every chord that is named, in order; one that only goes on stands once."""
    given = _answer.members(answer)
    if given is not None:
        value = _answer.first_of(given, _NAMES)
        said = [str(one) for one in value] if isinstance(value, list) else [value] if isinstance(value, str) else []
        return _without_repeats([chord for text in said for chord in _in(f"{_answer.plain(text)},")])
    return _without_repeats(_in(_answer.plain(answer)))


def one(answer: str) -> str | None:
    """The one chord that is named; None where none is, or several are."""
    found = set(read(answer))
    return found.pop() if len(found) == 1 else None


def _in(text: str) -> list[str]:
    found = []
    for match in _CHORD.finditer(text):
        if match["none"]:
            found.append(NO_CHORD)
        elif not _is_word(text, match) and not _answer.is_denied(text, match.start()):
            sign = (match["sign"] or "").lower().strip(" -")
            tonic = match["letter"] + {"sharp": "#", "flat": "b"}.get(sign, sign)
            quality = _SPOKEN[match["spoken"]] if match["spoken"] else _WRITTEN[match["written"] or ""]
            tonics = MINOR_TONICS if quality in _MINOR_QUALITIES else MAJOR_TONICS
            found.append(f"{tonics[pitch_class(tonic)]}:{quality}")
    return found


def _is_word(text: str, match: re.Match[str]) -> bool:
    """Whether a letter alone is a word such as the article."""
    if match["spoken"] or match["written"] or match["sign"] or match[0] != match["letter"]:
        return match["written"] == "-" and text[match.end() : match.end() + 1].isalpha()
    if match["letter"] == "A" and _ARTICLE.match(text, match.end()):
        return True
    return _BARE_FOLLOWED.match(text, match.end()) is None


def _without_repeats(names: list[str]) -> tuple[str, ...]:
    return tuple(name for place, name in enumerate(names) if not place or name != names[place - 1])
