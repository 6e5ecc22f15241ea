"""Numbers in a text, in digits and in words, with where they stand.

In: a text. Out: `Number`s in order. Parts of other things are none: time stamps, meters, ordinals, "808s". Knows no
units.
"""

from __future__ import annotations

import dataclasses
import re

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = {word: value for value, word in enumerate(_SMALL)} | {
    word: 10 * value for value, word in enumerate(_TENS, start=2)
}
_WORD = "|".join(sorted(_VALUES, key=len, reverse=True))
_DIGITS = re.compile(
    r"(?<![\w.:/#])(?<![A-Za-z]-)(?P<number>\d{1,3}(?:,\d{3})+|\d{1,6})(?P<rest>\.\d{1,6})?(?![\d:/]|\.\d)"
)
_IN_WORDS = re.compile(
    rf"\b(?:an?[ -](?=hundred))?(?:{_WORD}|hundred)(?:[ -](?:and[ -])?(?:{_WORD}|hundred))*"
    rf"(?:[ ]point(?:[ ](?:{_WORD}))+)?"
    r"\b(?![-]?(?:th|st|nd|rd)\b)",
    re.IGNORECASE,
)
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b|s\b(?=\w)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Number:
    """A number and where it stands in the text."""

    value: float
    start: int
    end: int


def numbers(text: str) -> list[Number]:
    """Every number of a text, in order."""
    found = [
        Number(
            value=float(match["number"].replace(",", "") + (match["rest"] or "")), start=match.start(), end=match.end()
        )
        for match in _DIGITS.finditer(text)
        if not _ORDINAL.match(text, match.end())
    ]
    for match in _IN_WORDS.finditer(text):
        value = in_words(match[0])
        if value is not None:
            found.append(Number(value=value, start=match.start(), end=match.end()))
    return sorted(found, key=lambda number: number.start)


def in_digits(text: str) -> str:
    """The text with every number that stands in words written in digits."""
    for number in reversed(numbers(text)):
        if not text[number.start].isdigit():
            text = f"{text[: number.start]}{number.value:g}{text[number.end :]}"
    return text


def in_words(words: str) -> float | None:
    """The number that words say: "one hundred and twenty", "one-twenty", "ninety six point five"; None for none."""
    whole, _, fraction = words.lower().partition(" point ")
    spoken = [word for word in re.split(r"[ -]+", whole) if word not in ("a", "an", "and", "")]
    total = 0
    before = ""
    for word in spoken:
        if word == "hundred":
            if total >= 100:
                return None
            total = (total or 1) * 100
        else:
            value = _VALUES[word]
            if before and before != "hundred":
                if before in _TENS and value < 10 and value > 0:
                    total += value
                    before = word
                    continue
                # "one twenty" is how musicians say 120.
                if total >= 10 or value < 10:
                    return None
                total *= 100
            total += value
        before = word
    digits = "".join(str(_VALUES[word]) for word in fraction.split())
    return float(f"{total}.{digits}") if digits else float(total)
