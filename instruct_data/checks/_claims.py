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
_INTERESTING = re.compile(
    r"pian|harp|organ|accord|guitar|bass|violi|cell|string|choir|chorus|trump|tromb|tuba|horn|brass|sax|clarin|obo|flu"
    r"|picc|recorder|phone|marimba|glock|mallet|synth|drum|voc|sing|bpm|beat|major|minor|dorian|mixolydian|/[48]|slow|fast",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"[.;!?\n()]+(?!\d)|,?(?<!everything)(?<!anything)(?<!nothing)(?<!\ball)\s+(?:but|while|whereas|although|though|yet)\s+",
    re.IGNORECASE,
)
DENIAL = re.compile(
    r"\b(?:no|not|never|without|lacks?|lacking|absent|absence|missing|neither|nor|none|nothing|nobody|cannot|except"
    r"|excepting|exclud\w+|minus|free of|devoid|instead|rather|replac\w+|silent|silence|gone|omit\w*|left out"
    r"|leaves? out|drops? out|wrong|false|untrue|incorrect|hardly|barely|un\w+ed|odd one|unlike|fails?|nowhere"
    r"|doubt\w*|den(?:y|ies)|miss|avoid\w*|apart from|other than|everything but|all but)\b|n[’']t\b|less\b",
    re.IGNORECASE,
)
"""Words that turn a clause, or what is asked, round."""
_DOUBT = re.compile(
    r"\b(?:like|as if|imitat\w*|reminiscent|similar\w*|resembl\w*|style of|might|may|maybe|perhaps|possibly|could"
    r"|would|should|either|or|if|whether|seems?|almost|tell|effects?|emulat\w*|another|others?|second|unclear"
    r"|question\w*|mention\w*|asks?|asked|claim\w*|assum\w*|premise|suppos\w*|statement|sa(?:id|ys)|you|try"
    r"|recommend\w*|suggest\w*|prefer\w*|want\w*|love\w*|add\w*|next|than|compar\w*|transcri\w*|arrang\w*|originally"
    r"|usually|typical\w*|version|both|each|learn\w*|practi\w*|perfect for|background for|suit\w*|fits?|synthetic"
    r"|virtual|fake|inspir\w*|evok\w*)\b|\w-like|\?",
    re.IGNORECASE,
)
"""Words with which a clause claims nothing of this recording, or nothing for sure."""
MOMENT = re.compile(
    r"\d:\d\d|\d ?s\b|\b(?:sec|minute|begin|start|end|intro|outro|verse|bridge|section|measure|enter|quarter|middle"
    r"|opening|solo)|\b(?:chorus|yet|still|until|till|before|after|first|last|then|part|bars?|half|later|only|more"
    r"|longer|when|now)\b",
    re.IGNORECASE,
)
"""Words that speak of a part of the recording."""
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


def claims(text: str) -> Claims | None:
    """What a text claims; None where it speaks of nothing that is looked for."""
    if not _INTERESTING.search(text):
        return None
    found = Claims()
    for clause in _CLAUSE.split(text):
        stripped = clause.strip(" ,")
        if not stripped:
            continue
        if DENIAL.search(stripped):
            _denied(stripped, found)
        elif not _DOUBT.search(stripped):
            _said(stripped, found)
    return found


def _denied(clause: str, found: Claims) -> None:
    if _DOUBT.sub("", clause.replace(" or ", " , ")) != clause.replace(" or ", " , ") or MOMENT.search(clause):
        return
    if len(DENIAL.findall(clause)) != 1:
        return
    if listed := _NONE_OF.search(clause):
        found.silent += [(word, denied(word)) for word in instruments_in(listed[1] or listed[2])]


def _said(clause: str, found: Claims) -> None:
    found.playing += [(word, meaning(word)) for word in instruments_in(clause)]
    found.tempi += [float(number) for number in _TEMPO.findall(clause)]
    for letter, sign, word, flat, mode in _KEY.findall(clause):
        accidental = "#" if sign in ("#", "♯") or word == "sharp" else "b" if sign or word or flat else ""
        tonic = letter + accidental
        found.keys.append((f"{tonic} {mode}", facts.pitch_class(tonic), mode))
    found.modes += [(first or second).lower() for first, second in _MODE.findall(clause)]
    found.meters += _METER.findall(clause)
    found.paces += [pace.lower() for pace in _PACE.findall(clause)]
