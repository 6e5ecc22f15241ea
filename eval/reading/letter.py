"""Which option of a multiple choice an answer names: by its letter, by its text alone, or by both.

In: an answer in any model's words, and the options in the order in which they were offered. Out: the place of the one
option that is named, or None: for an answer that names none, two different ones, one that was not offered, one letter
with the text of another option, or that denies an option ("not B"). Whatever stands before "</think>" is passed over.

A letter counts where it can be nothing else: alone, in brackets, at the beginning of a line before ". ) : ," or a dash,
or behind words such as "answer", "option", "choose". So neither the article of "A jazz piece" nor the note of "B flat"
is an option. An option's text counts where it is a whole line or sentence, perhaps behind words such as "The answer
is", "The key is" or "I hear"; upper and lower case, punctuation and a leading article make no difference. An option
that is mentioned in any other way within a sentence is not named.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

LETTERS = "ABCDEFGHIJ"
LONGEST_CHARACTERS = 20_000
"""Nobody names an option in more."""

_NOT_OFFERED = -1
_THOUGHT = "</think>"
_MARKUP = re.compile(r"\\(?:boxed|text(?:bf)?)\b|[*_`$]")
_END = r"""(?=\s*$|\s*[,;:!?)\]}"”<(]|\.(?!\w)|['’](?!\w)|\s+[-–—]+\s|\s+(?:is|was|because|since|as|due|seems)\b)"""
_OPENING = r"""[(\[{<"'“‘]"""
_CUE = r"answer|option|choice|letter|choose|chose|select|selected|pick|picked|guess|答案|选项|选择"
_FILLING = (
    r"is|was|are|be|would|should|must|to|go|with|as|option|letter|choice|answer|most|likely|probably|definitely|clearly"
    r"|the|correct|right|best|final|here"
)

_ALONE = re.compile(rf"{_OPENING}*\s*([A-Za-z])\s*[)\]}}>\"'”’.:,;!]*")
_BRACKETED_FIRST = re.compile(r"[(\[{<]+\s*([A-Za-z])\s*[)\]}>]+")
_DELIMITED = re.compile(r"""([A-Za-z])\s?(?:[).:\]](?!\w)|,(?=\s)|\s?[-–—]+\s)""")
_CUED = re.compile(
    rf"(?<![A-Za-z])(?:{_CUE})(?![A-Za-z])(?:[\s:=>是选-]|{_OPENING}|[\"'”’]|(?<![A-Za-z])(?:{_FILLING})(?![A-Za-z])){{0,30}}"
    rf"(?<![A-Za-z])([A-Za-z]){_END}",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"(?:\(|\[+)\s*([A-Z])\s*(?:\)|\]+)")
_SAID_TO_BE_RIGHT = re.compile(r"([A-Z])\)?\s+(?:is|would be|must be|seems)\b[^.!?]*\b(?:correct|right|answer|best)\b")
_DENIED = re.compile(
    rf"(?:\bnot|n['’]t|\bneither|\bexcept|\brather than|\binstead of)\s+(?:(?:the|option|choice|answer|letter)\s+)*"
    rf"{_OPENING}?[A-Z]{_END}"
    r"|\b(?:option|choice|answer)\s+[(\[]?[A-Z][)\]]?\s+(?:is|was|can|could|would|does)?\s*"
    r"(?:not\b|n['’]t\b|cannot\b|incorrect|wrong|false|unlikely|ruled out)"
    r"|(?<![A-Za-z])[A-Z]\)?\s+(?:is|was)\s*(?:not\b|n['’]t\b|incorrect|wrong|false)",
)
_LEAD = re.compile(
    r"(?:the|its|this|my)\s+(?:(?!(?:wrong|incorrect|opposite|other|not|no|only)\b)\w+\s+){1,4}?(?:is|are)(?:\s|$)"
    r"|(?:so|well|ok|okay|hmm|or|and|maybe|perhaps|possibly|probably|likely|most|i|think|believe|would|say|guess|hear|my"
    r"|the|final|correct|right|best|answer|option|choice|it|that|this|here|must|is|s|be|to|seems|sounds|like)(?:\s|$)"
)
"""What may stand before the text of an option: "the lead instrument is", "I think it is", of a folded text."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_ARTICLE = re.compile(
    r"(?:the|an?)\s+(?!(?:major|minor|flat|sharp|dorian|mixolydian|phrygian|lydian|aeolian|ionian|locrian)\b)"
)
"""Not the note A of "A minor"."""
_KEPT = frozenset("#♭♯/%&+")
_QUOTED = re.compile(r"^[\s>#•\"'“”‘’-]+")


def read(text: str, choices: Sequence[str]) -> int | None:
    """The place of the option that an answer names.

    Args:
        text: the answer.
        choices: the options without letters, in the order in which they were offered, at most ten.

    Returns:
        A place in `choices`, or None.
    """
    said = text.rpartition(_THOUGHT)[2]
    if len(said) > LONGEST_CHARACTERS:
        return None
    plain = _MARKUP.sub("", unicodedata.normalize("NFKC", said)).strip()
    folded = [fold(choice) for choice in choices]
    whole = _of_text(fold(plain), folded)
    alone = _ALONE.fullmatch(plain)
    if whole is not None and alone is None:
        return whole
    if _DENIED.search(plain):
        return None
    named = set(_letters(plain, choices, folded)) | set(_texts(plain, folded))
    return named.pop() if len(named) == 1 and _NOT_OFFERED not in named else None


def fold(text: str) -> str:
    """A text without the differences that say nothing: case, punctuation, white space.

    What tells numbers, times, notes and keys apart stays: "4.80", "0:42", "-3", "F#", "6/8".
    """
    lowered = unicodedata.normalize("NFKC", text).casefold()
    signs = []
    for place, sign in enumerate(lowered):
        before = lowered[place - 1] if place else " "
        after = lowered[place + 1] if place + 1 < len(lowered) else " "
        in_a_number = after.isdigit() and (before.isdigit() if sign in ".:" else sign == "-" and not before.isalnum())
        signs.append(sign if sign.isalnum() or sign in _KEPT or in_a_number else " ")
    return " ".join("".join(signs).split())


def _place(letter: str, choices: Sequence[str]) -> int:
    place = ord(letter.upper()) - ord("A")
    return place if place < len(choices) else _NOT_OFFERED


def _letters(plain: str, choices: Sequence[str], folded: Sequence[str]) -> Iterator[int]:
    """Every option that a letter names, and one whose text stands behind the letter of another."""
    for line in plain.splitlines():
        start = _QUOTED.sub("", line).rstrip()
        if alone := _ALONE.fullmatch(start) or _ALONE.fullmatch(line.strip()):
            yield _place(alone[1], choices)
            continue
        found = [
            match
            for pattern in (_BRACKETED_FIRST, _DELIMITED, _SAID_TO_BE_RIGHT)
            if (match := pattern.match(start)) is not None
        ]
        found += [*_CUED.finditer(start), *_BRACKETED.finditer(start)]
        for match in found:
            place = _place(match[1], choices)
            yield place
            yield from _behind(start[match.end(1) :], place, choices, folded)
        yield from _with_own_letter(start, choices)
        if not found:
            yield from _spaced(start, folded)


def _behind(rest: str, place: int, choices: Sequence[str], folded: Sequence[str]) -> Iterator[int]:
    """What stands behind a letter: another letter, or the text of an option."""
    if another := re.fullmatch(r"\W*(?:(?:or|and)\W+)?([A-Z])\W*", rest):
        if _of_text(fold(rest), folded) != place:
            yield _place(another[1], choices)
        return
    said = fold(rest)
    for form in (said, _ARTICLE.sub("", said, count=1)):
        starting = [other for other, option in enumerate(folded) if option and f"{form} ".startswith(f"{option} ")]
        if starting:
            longest = max(len(folded[other]) for other in starting)
            fitting = [other for other in starting if len(folded[other]) == longest]
            yield place if place in fitting else fitting[0]
            return


def _with_own_letter(line: str, choices: Sequence[str]) -> Iterator[int]:
    """Options that stand anywhere in a line with their letters before them, as in a list of all of them."""
    for place, choice in enumerate(choices):
        letter = LETTERS[place : place + 1]
        if letter and re.search(rf"(?<!\w){letter}\s*[).:\]]+\s*{re.escape(choice)}(?!\w)", line, re.IGNORECASE):
            yield place


def _spaced(line: str, folded: Sequence[str]) -> Iterator[int]:
    """A letter and, without anything between them, the text of its option: "B flute"."""
    match = re.fullmatch(r"([A-Z])\s+(.+)", line)
    if match is not None and match[1] in LETTERS:
        place = LETTERS.index(match[1])
        if _of_text(fold(match[2]), folded) == place:
            yield place


def _texts(plain: str, folded: Sequence[str]) -> Iterator[int]:
    """Every option whose text is a whole line or sentence."""
    for line in plain.splitlines():
        bare = _BRACKETED.sub(" ", line)
        for part in {line, bare, *_SENTENCE_END.split(line)}:
            place = _of_text(fold(part), folded)
            if place is not None:
                yield place


def _of_text(said: str, folded: Sequence[str]) -> int | None:
    """The option that a folded text is, perhaps behind words such as "the answer is"."""
    while said:
        for form in (said, _ARTICLE.sub("", said, count=1)):
            places = [place for place, option in enumerate(folded) if option and option == form]
            if not places:
                places = [
                    place for place, option in enumerate(folded) if option and _ARTICLE.sub("", option, count=1) == form
                ]
            if places:
                return places[0] if len(places) == 1 else None
        lead = _LEAD.match(said)
        if lead is None:
            return None
        said = said[lead.end() :]
    return None
