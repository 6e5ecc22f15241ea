"""What is known for certain of the instruments of a track, and how they are spoken of.

In: a `Track`. Out: whether an instrument plays, as far as that is known, names that say neither more nor less than the
vocabulary does, and fields for patterns that agree with them in number. Knows no questions.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from mllm.facts import INSTRUMENTS
from mllm.instruct_data.dialogue import speed_word
from mllm.instruct_data.exchanges import Draw
from mllm.instruct_data.phrases import Phrasings
from mllm.instruct_data.tracks import Track

Candidate = TypeVar("Candidate")

MEMBERS: Mapping[str, tuple[str, ...]] = {name: (name,) for name in INSTRUMENTS} | {
    "guitar": ("acoustic guitar", "electric guitar")
}
"""What can be asked about: each name with the instruments of the vocabulary that it covers."""
_KIN: Mapping[str, tuple[str, ...]] = {"woodwind": ("flute", "saxophone")}
"""Instruments that have a word of their own in the vocabulary though people may mean them too: where one of them plays,
nobody can say that there is no such instrument."""
_SAID: Mapping[str, tuple[str, ...]] = {
    "mallets": ("mallets", "mallet percussion", "mallet instruments"),
    "saxophone": ("saxophone", "saxophone", "sax"),
    "strings": ("strings", "strings", "bowed strings"),
    "synthesizer": ("synthesizer", "synthesizer", "synth"),
    "woodwind": ("woodwind", "woodwinds"),
}
"""Names that cover exactly what the word of the vocabulary covers ("violin" would be less than "strings")."""
_MANY = frozenset({"drums", "mallets", "strings", "bowed strings", "woodwinds", "mallet instruments"})
_MASS = frozenset({"brass", "woodwind", "mallet percussion"})
_UNCLEAR = 0.06
"""A tempo that is no farther than this share from a border between slow, moderate and fast is called neither."""


def verdicts(track: Track) -> dict[str, bool]:
    """Of each name of `MEMBERS` of which it is known: whether it plays."""
    playing = set(track.playing or ())
    absent = set(INSTRUMENTS) if track.activity is not None else set(track.absent or ())
    absent -= playing
    found = {}
    for name, members in MEMBERS.items():
        if playing.intersection(members):
            found[name] = True
        elif absent.issuperset(members) and absent.issuperset(_KIN.get(name, ())):
            found[name] = False
    return found


def is_complete(track: Track) -> bool:
    """Whether it is known of every instrument of the vocabulary whether it plays."""
    return track.activity is not None or (
        track.playing is not None and set(track.playing) | set(track.absent or ()) >= set(INSTRUMENTS)
    )


def speed(track: Track) -> str | None:
    """Slow, moderate or fast; None where the tempo is unknown, near a border, or changes from one to another."""
    if track.tempo_bpm is None:
        return None
    tempi = [track.tempo_bpm, *(bpm for _, bpm in track.tempo_curve or ())]
    words = {speed_word(round(bpm * factor)) for bpm in tempi for factor in (1 - _UNCLEAR, 1 + _UNCLEAR)}
    return words.pop() if len(words) == 1 else None


def mode(track: Track) -> str | None:
    """Major or minor; None where the key is unknown, of another mode, or does not stay in one mode."""
    keys = [track.key, *(key for _, key in track.keys or ())]
    modes = {key.split()[-1] if key is not None else None for key in keys}
    found = modes.pop() if len(modes) == 1 else None
    return found if found in ("major", "minor") else None


def overlap(names: Sequence[str]) -> bool:
    """Whether one of the names covers another, as "guitar" does "electric guitar"."""
    covered = [member for name in names for member in MEMBERS[name]]
    return len(set(covered)) < len(covered)


def one_that_differs(
    draw: Draw, track: Track, candidates: Callable[[Track, Track | None], Iterable[tuple[Candidate, bool]]]
) -> tuple[Candidate, bool] | None:
    """Something to ask about, and whether it is true of the track.

    It is drawn among what is true of the track and not of another one, or the other way round. As the other one could
    as well have been asked about, with the opposite answer, the question alone tells nothing. Where there are no other
    tracks, true and false are drawn equally often among all that is known.

    Args:
        draw: chances, and the other tracks.
        track: that is asked about.
        candidates: given the track and another one: what is known of both and differs, with its truth for the track;
            given None: all that is known of the track.
    """
    other = another(draw, track)
    found = list(candidates(track, other))
    if not found:
        return None
    if other is not None:
        return draw.rng.choice(found)
    wanted = draw.rng.random() < 0.5
    return draw.rng.choice([one for one in found if one[1] == wanted] or found)


def another(draw: Draw, track: Track) -> Track | None:
    """Any other track, or None where there is none."""
    others = [one for one in draw.others if one.id != track.id]
    return draw.rng.choice(others) if others else None


def said(rng: random.Random, name: str) -> str:
    """A name for an instrument that says neither more nor less."""
    return rng.choice(_SAID.get(name, (name,)))


def with_article(name: str) -> str:
    """The name with its indefinite article: "a piano", "an organ", "drums"."""
    if name in _MANY or name in _MASS:
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def words(name: str) -> dict[str, str]:
    """Fields of a pattern about one instrument: the name, and verbs that agree with it."""
    many = name in _MANY
    return {
        "name": name,
        "a_name": with_article(name),
        "is": "are" if many else "is",
        "isnt": "aren't" if many else "isn't",
        "does": "do" if many else "does",
        "plays": "play" if many else "plays",
        "enters": "enter" if many else "enters",
    }


def listed(names: Sequence[str], last: str = "and") -> str:
    """Names as English: "a piano", "a piano and drums", "a piano, a bass and drums"."""
    return bare([with_article(name) for name in names], last)


def bare(names: Sequence[str], last: str = "and") -> str:
    """Names as English without articles: "piano, bass and drums"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def heard(playing: Sequence[str], silent: Sequence[str]) -> str:
    """A clause that says what is heard and what is not: "I hear a piano and drums, but no organ or harp"."""
    parts = []
    if playing:
        parts.append(f"I hear {listed(playing)}")
    if silent:
        parts.append(f"{'' if playing else 'I hear '}no {bare(silent, 'or')}")
    return ", but ".join(parts)


def worded(phrasings: Phrasings, draw: Draw, fields: Mapping[str, str]) -> str:
    """A sentence with its fields filled, beginning with a capital."""
    return sentence(phrasings.choose(draw.rng, held_out=draw.held_out).format(**fields))


def sentence(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[0].upper() + text[1:]


def answered(rng: random.Random, *, yes: bool, clause: str) -> str:
    """The verdict, "Yes" or "No", and a clause that says why."""
    verdict = "Yes" if yes else "No"
    pattern = rng.choice(("{verdict}, {clause}.", "{verdict}, {clause}.", "{verdict}: {clause}."))
    return pattern.format(verdict=verdict, clause=clause)
