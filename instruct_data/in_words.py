"""How single facts are written in questions and answers: times, names with the right verbs, chords, notes, numbers.

In: values as `Track` holds them. Out: English. Knows no recording.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from mllm.instruct_data import phrases
from mllm.instruct_data.statements import join

MANY = frozenset(
    {"strings", "drums", "mallets", "bowed strings", "brass instruments", "woodwinds", "mallet instruments"}
)
"""Names of instruments that take the verb in the plural."""
SAID: dict[str, tuple[str, ...]] = {
    "saxophone": ("saxophone", "saxophone", "sax"),
    "synthesizer": ("synthesizer", "synthesizer", "synth"),
    "drums": ("drums", "drums", "drum kit"),
    "strings": ("strings", "strings", "bowed strings"),
    "brass": ("brass", "brass", "brass instruments"),
    "woodwind": ("woodwind", "woodwinds"),
    "mallets": ("mallets", "mallet instruments"),
}
"""Other names that mean all of an instrument word, so that yes and no stay true; a violin is less than strings."""

_SINGULAR_TO_PLURAL = {
    "is": "are",
    "was": "were",
    "does": "do",
    "has": "have",
    "isn't": "aren't",
    "wasn't": "weren't",
    "doesn't": "don't",
    "plays": "play",
    "appears": "appear",
    "shows": "show",
    "takes": "take",
    "sounds": "sound",
    "joins": "join",
    "enters": "enter",
    "comes": "come",
    "stops": "stop",
    "starts": "start",
    "begins": "begin",
    "drops": "drop",
    "falls": "fall",
    "goes": "go",
    "ends": "end",
    "sits": "sit",
    "lies": "lie",
    "rests": "rest",
    "leaves": "leave",
    "sets": "set",
    "follows": "follow",
    "opens": "open",
}
_NAMES = "|".join(sorted(MANY, key=len, reverse=True))
_VERBS = "|".join(map(re.escape, sorted(_SINGULAR_TO_PLURAL, key=len, reverse=True)))
_VERB_AFTER = re.compile(
    rf"\b(?P<name>{_NAMES}) (?P<adverb>(?:first|also|really|actually|never) )?(?P<verb>{_VERBS})\b"
)
_VERB_BEFORE = re.compile(
    r"(?:\b(?=is|was|does)|^(?=has))(?P<verb>is|was|does|has)"
    rf"(?P<between>(?: the| any| also| there)*) (?P<name>{_NAMES})\b",
    re.IGNORECASE,
)
_SECTIONS = re.compile(r"[A-H]\d?'?")


def agreeing(sentence: str) -> str:
    """A sentence with its verbs in the plural where an instrument's name asks for it: "Do the drums play?"."""

    def before(match: re.Match[str]) -> str:
        verb = _SINGULAR_TO_PLURAL[match["verb"].lower()]
        verb = verb.capitalize() if match["verb"][0].isupper() else verb
        return f"{verb}{match['between']} {match['name']}"

    def after(match: re.Match[str]) -> str:
        return f"{match['name']} {match['adverb'] or ''}{_SINGULAR_TO_PLURAL[match['verb']]}"

    return _VERB_AFTER.sub(after, _VERB_BEFORE.sub(before, sentence))


def sentence(text: str) -> str:
    """A sentence with its first letter large and its verbs agreeing."""
    text = agreeing(text)
    return text[0].upper() + text[1:]


def with_the(names: Sequence[str]) -> str:
    """Instruments as English: "the piano and the drums"."""
    return join([f"the {name}" for name in names])


def with_article(name: str) -> str:
    """An instrument with its indefinite article, where it takes one."""
    return name if name in MANY else phrases.with_article(name)


def named(names: Sequence[str]) -> str:
    """Instruments as English: "a piano and drums"."""
    return join([with_article(name) for name in names])


def is_many(names: Sequence[str]) -> bool:
    """Whether these instruments take the verb in the plural."""
    return len(names) != 1 or names[0] in MANY


def a(words: str) -> str:
    """Words with their indefinite article."""
    vowel = words[0].lower() in "aeiou" and not words.lower().startswith(("one", "uni", "eu"))
    return f"{'an' if vowel else 'a'} {words}"


def stamp(seconds: float) -> str:
    """A time to a tenth of a second: "1:05.4"."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}"


def whole_stamp(seconds: float) -> str:
    """A time to the second: "1:05"."""
    rounded = int(seconds + 0.5)
    return f"{rounded // 60}:{rounded % 60:02d}"


def at(rng: random.Random, seconds: float) -> str:
    """A time with the preposition that says how exact it is: "at 1:05.4", "at about 1:05" or "at 65.4 seconds"."""
    if seconds < 0.05:
        return "at the very beginning"
    return rng.choice(
        (
            f"at {stamp(seconds)}",
            f"at {stamp(seconds)}",
            f"at about {whole_stamp(seconds)}",
            f"at {seconds:.1f} seconds",
        )
    )


_QUALITIES = {
    "maj": " major",
    "min": " minor",
    "7": "7",
    "maj7": " major seventh",
    "min7": " minor seventh",
    "dim": " diminished",
    "dim7": " diminished seventh",
    "hdim7": " half-diminished seventh",
    "aug": " augmented",
    "sus4": "sus4",
    "sus2": "sus2",
    "maj6": "6",
    "min6": " minor sixth",
    "9": "9",
    "maj9": " major ninth",
    "min9": " minor ninth",
    "minmaj7": " minor with a major seventh",
    "5": " power chord",
    "1": " alone",
}


def chord(harte: str) -> str:
    """A chord in Harte's notation as it is said: "C:min7" is "C minor seventh"; what has no name stays as it is."""
    if harte == "N":
        return "no chord"
    root, _, rest = harte.partition(":")
    root, _, inversion = root.partition("/") if not rest else (root, "", "")
    quality, _, bass = rest.partition("/")
    said = _QUALITIES.get(quality or "maj")
    if said is None:
        return harte
    return f"{root}{said}{' in inversion' if bass or inversion else ''}"


_NOTES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def note(pitch: int) -> str:
    """Name of a MIDI pitch; 60 is C4."""
    return f"{_NOTES[pitch % 12]}{pitch // 12 - 1}"


def section(name: str) -> str:
    """A section as it is said: "the chorus", "section A"."""
    return f"section {name}" if _SECTIONS.fullmatch(name) else f"the {name}"


_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def number(count: int) -> str:
    """A small number in letters, a large one in digits."""
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)


def times(count: int) -> str:
    """How often: "once", "twice", "three times"."""
    return {1: "once", 2: "twice"}.get(count, f"{number(count)} times")


def several(count: int, what: str) -> str:
    """A number with its noun: "one section", "four choruses"."""
    if count == 1:
        return f"one {what}"
    return f"{number(count)} {what}{'es' if what.endswith(('s', 'sh', 'ch')) else 's'}"


_SPEEDS = {"slow": ("slow", "slow"), "moderate": ("moderately paced", "mid-tempo"), "fast": ("fast", "quick")}


def speed_adjective(rng: random.Random, word: str) -> str:
    """An adjective for one of the three words for speed."""
    return rng.choice(_SPEEDS[word])


def pattern(name: str) -> str:
    """What drums play, with an article: "a bossa pattern", "four on the floor", "a backbeat"."""
    if name in ("four on the floor",):
        return name
    return a(name) if name.endswith(("beat", "shuffle", "pattern", "groove", "march")) else f"{a(name)} pattern"
