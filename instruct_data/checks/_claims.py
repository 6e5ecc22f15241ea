"""What a text claims of a recording, where it claims it beyond doubt.

In: English text. Out: instruments that are said to play and not to play, tempi, keys, meters. A clause that compares,
doubts, asks, or denies in a way that is not understood claims nothing: what is told as a contradiction shall be one.
Knows no recording.
"""

from __future__ import annotations

import dataclasses
import functools
import re

from mllm import facts

VOICE = "voice"
"""Stands for singing, which is not an instrument of `facts.INSTRUMENTS` but a field of a track."""

_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"(?:grand |upright |electric )?pianos?|pianists?", ("piano",)),
    (r"harpsichords?", ("harpsichord",)),
    (r"(?:pipe |church |hammond |electric )?organs?|organists?", ("organ",)),
    (r"accordions?|accordionists?", ("accordion",)),
    (r"(?:acoustic|nylon(?:-string)?|steel-string|classical|spanish) guitars?", ("acoustic guitar",)),
    (r"(?:electric|distorted|overdriven) guitars?", ("electric guitar",)),
    (r"bass guitars?|electric bass(?:es)?|bassists?|fretless bass", ("bass",)),
    (r"double bass(?:es)?|upright bass(?:es)?", ("bass", "strings")),
    (r"guitars?|guitarists?", ("acoustic guitar", "electric guitar")),
    (r"violins?|violinists?|violas?|cellos?|cellists?|string (?:quartet|section|orchestra|ensemble)s?", ("strings",)),
    (r"harps?|harpists?", ("harp",)),
    (r"choirs?|chorus of voices", ("choir", VOICE)),
    (r"trumpets?|trombones?|tubas?|french horns?|brass(?: section)?", ("brass",)),
    (r"saxophones?|saxophonists?|sax(?:es)?", ("saxophone",)),
    (r"clarinets?|oboes?|bassoons?", ("woodwind",)),
    (r"flutes?|flautists?|flutists?|piccolos?|recorders", ("flute", "woodwind")),
    (r"vibraphones?|marimbas?|xylophones?|glockenspiels?|mallets", ("mallets",)),
    (r"synthesi[sz]ers?|synths?", ("synthesizer",)),
    (r"drums|drum (?:kit|set)s?|drummers?", ("drums",)),
    (r"vocals?|vocalists?|singers?|singing|sings", (VOICE, "choir")),
)
"""Words, and the instruments of which one must play where they are used rightly."""
_DENIED: tuple[tuple[str, tuple[str, ...]], ...] = (
    *((rf"{name}s?", (name,)) for name in ("piano", "harpsichord", "organ", "accordion", "harp", "choir", "flute")),
    *((rf"{name}s?", (name,)) for name in ("acoustic guitar", "electric guitar", "saxophone", "brass")),
    (r"sax", ("saxophone",)),
    (r"guitars?", ("acoustic guitar", "electric guitar")),
    (r"synthesi[sz]ers?|synths?", ("synthesizer",)),
    (r"drums|drum (?:kit|set)s?", ("drums",)),
    (r"vocals?|singers?|singing|sings", (VOICE,)),
)
"""Words, and all that is denied with them; who denies a violin has not denied a cello, so that it is not here."""
_NOT_BEFORE = r"(?<![\w#-])"
_NOT_BEHIND = r"(?![\w-]|\s+(?:bass|drum|string(?!ed)|stop|point|roll forte|samples?|rhythm machine))"
_INSTRUMENT = re.compile(
    _NOT_BEFORE + "(?:" + "|".join(f"({words})" for words, _ in _WORDS) + ")" + _NOT_BEHIND, re.IGNORECASE
)
_CLAUSE = re.compile(
    r"[.;!?\n()]+(?!\d)|,?(?<!everything)(?<!anything)(?<!nothing)(?<!\ball)\s+(?:but|while|whereas|although|though|yet)\s+",
    re.IGNORECASE,
)
_WORD = re.compile(r"[\w'’/]+(?:-\w+)*|[:?]")
_NAMING = re.compile(
    r"pian.*|.*harp.*|.*organ.*|accord.*|.*guitar.*|.*bass.*|viol.*|cell.*|string.*|choirs?|chorus|trump.*|tromb.*|tubas?"
    r"|horns?|brass|sax.*|clarin.*|obo.*|flu.*|picc.*|recorders?|.*phones?|marimba.*|glock.*|mallets|synth.*|drum.*"
    r"|voc.*|sing.*|.*bpm|beats|major|minor|dorian|mixolydian|\d+/[48]|slow.*|fast.*"
)
_DENYING = re.compile(
    r"no|not|never|without|lacks?|lacking|absent|absence|missing|neither|nor|none|nothing|nobody|cannot|except|excepting"
    r"|exclud\w+|minus|devoid|instead|rather|replac\w+|silent|silence|gone|omit\w*|wrong|false|untrue|incorrect|hardly"
    r"|barely|un\w+ed|odd|unlike|fails?|nowhere|doubt\w*|den(?:y|ies)|miss|avoid\w*|other|\w+n[’']t|\w*less"
)
_DENYING_PHRASES = ("free of", "left out", "leave out", "leaves out", "drop out", "drops out", "apart from", "but ")
_DOUBTING = re.compile(
    r"like|imitat\w*|reminiscent|similar\w*|resembl\w*|might|may|maybe|perhaps|possibly|could|would|should|either|or|if"
    r"|whether|seems?|almost|tell|effects?|emulat\w*|another|others?|second|unclear|question\w*|mention\w*|asks?|asked"
    r"|claim\w*|assum\w*|premise|suppos\w*|statement|said|says|you|try|recommend\w*|suggest\w*|prefer\w*|want\w*|love\w*"
    r"|add\w*|next|than|compar\w*|transcri\w*|arrang\w*|originally|usually|typical\w*|version|both|each|learn\w*"
    r"|practi\w*|perfect|background|suit\w*|fits?|synthetic|virtual|fake|inspir\w*|evok\w*|\w+-like|\?"
)
_OF_A_MOMENT = re.compile(
    r":|\d+s|(?:sec|minute|begin|start|end|intro|outro|verse|bridge|section|measure|enter|quarter|middle|opening|solo)\w*"
    r"|chorus|yet|still|until|till|before|after|first|last|then|part|bars?|half|later|only|more|longer|when|now|s"
)
NAMES, DENIES, DOUBTS, MOMENT = 1, 2, 4, 8
"""What a word does in a sentence: it may name what is looked for; turns round what is said; says that it is said of
something else or not for sure; speaks of a part of the recording."""
_NAME = r"(?:" + "|".join(words for words, _ in _WORDS) + r")"
_LIST = rf"{_NAME}(?:\s*(?:,|,? or|,? nor|,? and|/)\s*(?:(?:any|an?|the)\s+)?{_NAME})*"
_NONE_OF = re.compile(
    r"\b(?:(?:there (?:is|are)|contains?|has|have|features?|uses?|with|hears?) no|without(?: any| an?)?"
    rf"|lacks(?: any| an?)?)\s+({_LIST})(?![\w-])|^no ({_LIST})(?![\w-])",
    re.IGNORECASE,
)
_TEMPO = re.compile(r"(?<![\d.,-])(\d{2,3}(?:\.\d+)?)\s?(?:bpm|beats (?:per|a|each) minute)\b", re.IGNORECASE)
_KEY = re.compile(
    r"(?<![\w#])([A-G])(?:\s?(#|♯|♭)|[- ]?(sharp|flat)|(b))?[- ](major|minor|dorian|mixolydian)\b"
    r"(?!\s+(?:chords?|triads?|scales?|sevenths?|arpeggios?|7))"
)
_MODE = re.compile(r"\bin an? (major|minor) key\b|\b(?:is|key is) (major|minor)$", re.IGNORECASE)
_CHORDS = re.compile(r"\b(?:chord|triad|harmon|progress|sets? out|arpegg)", re.IGNORECASE)
_METER = re.compile(r"(?<![\d/])(2/4|3/4|4/4|6/8|9/8|12/8)(?![\d/])")
_PACE = re.compile(r"\b(slow|fast)(?:-paced| paced| tempo|-tempo)\b", re.IGNORECASE)


@dataclasses.dataclass(kw_only=True)
class Claims:
    """What is claimed: the word that was used, and what it means."""

    playing: list[tuple[str, frozenset[str]]] = dataclasses.field(default_factory=list)
    """One of these plays."""
    silent: list[tuple[str, frozenset[str]]] = dataclasses.field(default_factory=list)
    """None of these plays."""
    tempi: list[float] = dataclasses.field(default_factory=list)
    keys: list[tuple[str, int, str]] = dataclasses.field(default_factory=list)
    """Word, pitch class of the tonic, mode."""
    modes: list[str] = dataclasses.field(default_factory=list)
    meters: list[str] = dataclasses.field(default_factory=list)
    paces: list[str] = dataclasses.field(default_factory=list)
    """"slow" and "fast"."""


@functools.lru_cache(maxsize=65_536)
def _does(word: str) -> int:
    """What a word in small letters does."""
    kinds = ((NAMES, _NAMING), (DENIES, _DENYING), (DOUBTS, _DOUBTING), (MOMENT, _OF_A_MOMENT))
    return sum(kind for kind, pattern in kinds if pattern.fullmatch(word))


def does(text: str) -> int:
    """What the words of a text do, together."""
    small = text.lower()
    done = 0
    for word in _WORD.findall(small):
        done |= _does(word)
    if any(phrase in small for phrase in _DENYING_PHRASES):
        done |= DENIES
    return done


@functools.lru_cache(maxsize=4096)
def meaning(word: str) -> frozenset[str]:
    """The instruments of which a word may mean any."""
    return frozenset(next(names for words, names in _WORDS if re.fullmatch(words, word, re.IGNORECASE)))


@functools.lru_cache(maxsize=4096)
def denied(word: str) -> frozenset[str]:
    """Everything of which there is nothing where there is none of this; empty where that is not sure."""
    return frozenset(next((names for words, names in _DENIED if re.fullmatch(words, word, re.IGNORECASE)), ()))


def instruments_in(text: str) -> list[str]:
    """The words for instruments in a text."""
    return [match[0] for match in _INSTRUMENT.finditer(text)]


@functools.lru_cache(maxsize=16_384)
def claims(text: str) -> Claims | None:
    """What a text claims; None where it speaks of nothing that is looked for."""
    if not does(text) & NAMES:
        return None
    found = Claims()
    for clause in _CLAUSE.split(text):
        done = does(clause)
        if not done & NAMES:
            continue
        if done & DENIES:
            if not done & MOMENT:
                _denied(clause.strip(" ,"), found)
        elif not done & DOUBTS:
            _said(clause.strip(" ,"), found)
    return found


def _denied(clause: str, found: Claims) -> None:
    """What a clause denies that has one word of denial, and no word of doubt but between what it lists."""
    words = [_does(word) for word in _WORD.findall(clause.lower()) if word not in ("or", "nor")]
    if sum(1 for done in words if done & DENIES) != 1 or any(done & DOUBTS for done in words):
        return
    if listed := _NONE_OF.search(clause):
        found.silent += [(word, denied(word)) for word in instruments_in(listed[1] or listed[2])]


def _said(clause: str, found: Claims) -> None:
    found.playing += [(word, meaning(word)) for word in instruments_in(clause)]
    found.tempi += [float(number) for number in _TEMPO.findall(clause)]
    keys = _KEY.findall(clause)
    # Several in one clause may be chords, and so may one that is called so.
    for letter, sign, word, flat, mode in keys if len(keys) == 1 and not _CHORDS.search(clause) else ():
        accidental = "#" if sign in ("#", "♯") or word == "sharp" else "b" if sign or word or flat else ""
        tonic = letter + accidental
        found.keys.append((f"{tonic} {mode}", facts.pitch_class(tonic), mode))
    found.modes += [(first or second).lower() for first, second in _MODE.findall(clause)]
    found.meters += _METER.findall(clause)
    found.paces += [pace.lower() for pace in _PACE.findall(clause)]
