"""Keys, chords and meters as others spell them, in our spelling.

In: "Bb major", "F#m7/B", "6/8". Out: the same in the words of `facts` and, for chords, in Harte's notation; None for
what has no such word. Knows no data set.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mllm import facts
from mllm.errors import ConfigError

_CHORD = re.compile(r"([A-G][#b]?)([^/]*)(?:/([A-G][#b]?))?")
_QUALITIES = {
    "": "maj",
    "maj": "maj",
    "m": "min",
    "min": "min",
    "6": "maj6",
    "m6": "min6",
    "7": "7",
    "maj7": "maj7",
    "m7": "min7",
    "m7b5": "hdim7",
    "dim": "dim",
    "dim7": "dim7",
    "aug": "aug",
    "sus2": "sus2",
    "sus4": "sus4",
}
"""What Chordino and others write behind the root -> Harte's shorthand."""
_DEGREES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")
"""Degree of a bass note by its semitones above the root."""


def key(name: str) -> str | None:
    """A key such as "A# minor" in the spelling of `facts.KEYS`; None for other modes and what is no key."""
    try:
        return facts.KEYS[facts.key_index(" ".join(name.split()))]
    except ConfigError:
        return None


def meter(name: str) -> str | None:
    """A time signature that is one of `facts.METERS`, or None."""
    return name if name in facts.METERS else None


def chord(name: str) -> str | None:
    """A chord such as "F#m7/B" in Harte's notation; "N" for no chord; None for what cannot be read."""
    if name in ("N", "N.C."):
        return "N"
    parts = _CHORD.fullmatch(name)
    if parts is None or parts[2] not in _QUALITIES:
        return None
    root, quality, bass = parts[1], _QUALITIES[parts[2]], parts[3]
    above = (facts.pitch_class(bass) - facts.pitch_class(root)) % 12 if bass else 0
    return f"{root}:{quality}" + (f"/{_DEGREES[above]}" if above else "")


def chords(
    names: Sequence[str], begins: Sequence[float], end: float | None
) -> tuple[tuple[float, float, str], ...] | None:
    """Chords with their times, from where each begins.

    Args:
        names: as they are published.
        begins: in seconds, rising; as many.
        end: where the last one ends; None or too early: it is left out, as its end is not known.

    Returns:
        (begin, end, name in Harte's notation); None where a name cannot be read or the times do not rise.
    """
    spelt = [chord(name) for name in names]
    ends = [*begins[1:], *([end] if end is not None and begins and end > begins[-1] else [])]
    spans = [(begin, stop, name) for begin, stop, name in zip(begins, ends, spelt, strict=False) if name is not None]
    if not spans or None in spelt or len(names) != len(begins) or any(begin >= stop for begin, stop, _ in spans):
        return None
    return tuple(spans)
