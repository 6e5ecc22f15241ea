"""The same asked of two recordings, of one of which it is true: what is common helps nobody to guess.

In: recordings, or places in recordings, and what is known of each. Out: what to ask about which, every single thing as
often where it is true as where it is not; and the figure of questions that come in pairs. Knows no wordings.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

import numpy as np

from mllm.eval.questions import Question, Said
from mllm.eval.reading import yes_no
from mllm.eval.statistic import Ratio
from mllm.instruct_data import track_facts
from mllm.instruct_data.augment import _known
from mllm.instruct_data.tracks import Track

Subject = TypeVar("Subject")
Thing = TypeVar("Thing", bound=Hashable)

CLEARLY = 1.15
"""Ratio of a tempo to the one that it is compared with, from which nobody doubts which is the faster."""
_LIMITS_BPM = tuple(range(60, 200, 10))
_METERS: Mapping[str, Mapping[str, bool]] = {
    "4/4": {"4/4": True, "3/4": False, "6/8": False},
    "2/4": {"3/4": False},
    "3/4": {"3/4": True, "4/4": False},
    "6/8": {"6/8": True, "4/4": False},
}
"""Of each meter those that are surely it, or surely not; nobody is asked whether a 2/4 might be a 4/4."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked(Generic[Subject, Thing]):
    """One thing that is asked about one subject."""

    about: Subject
    thing: Thing
    true: bool


def in_twos(
    subjects: Sequence[Subject], rng: random.Random, known: Callable[[Subject], Mapping[Thing, bool]], count: int
) -> list[Asked[Subject, Thing]]:
    """Things to ask, each two in a row about the same thing, of which one is true.

    Args:
        subjects: recordings; each is asked about once before any is asked about again.
        rng: makes two of them, and chooses among the things that are true of exactly one.
        known: of a subject, what is surely true of it and what surely is not.
        count: how many; fewer where no more can be had, and an even number.
    """
    facts = [known(subject) for subject in subjects]
    used: set[tuple[int, Thing]] = set()
    found: list[Asked[Subject, Thing]] = []
    while len(found) + 2 <= count:
        before = len(found)
        waiting = rng.sample(range(len(subjects)), len(subjects))
        while len(waiting) > 1 and len(found) + 2 <= count:
            first = waiting.pop()
            for second in waiting:
                if differing := _differing(facts, first, second, used):
                    thing = rng.choice(differing)
                    for place in (first, second):
                        found.append(Asked(about=subjects[place], thing=thing, true=facts[place][thing]))
                        used.add((place, thing))
                    waiting.remove(second)
                    break
        if len(found) == before:
            break
    return found


def _differing(
    facts: Sequence[Mapping[Thing, bool]], first: int, second: int, used: Collection[tuple[int, Thing]]
) -> list[Thing]:
    """What is true of one of two subjects and not of the other, and has not been asked of either."""
    here, there = facts[first], facts[second]
    return [
        thing
        for thing, true in here.items()
        if there.get(thing, true) != true and (first, thing) not in used and (second, thing) not in used
    ]


def instruments(track: Track) -> dict[str, bool]:
    """Of each instrument, whether it plays."""
    return _known.verdicts(track)


def modes(track: Track) -> dict[str, bool]:
    """Whether it is in major, and whether in minor; nothing of other modes, which pass for one of these."""
    mode = track_facts.steady_mode(track)
    return {name: name == mode for name in ("major", "minor")} if mode in ("major", "minor") else {}


def meters(track: Track) -> Mapping[str, bool]:
    """Of meters, whether it is in them, as far as nobody can hear it otherwise."""
    return _METERS.get(track.meter or "", {})


def faster_than(track: Track) -> dict[str, bool]:
    """Of numbers of beats a minute, in digits, whether it is faster; those near its tempo are left out."""
    bpm = track_facts.steady_tempo(track)
    if bpm is None:
        return {}
    return {str(limit): bpm > limit for limit in _LIMITS_BPM if max(bpm / limit, limit / bpm) >= CLEARLY}


def vocals(track: Track) -> dict[str, bool]:
    """Whether somebody sings."""
    return {} if track.vocals is None else {"vocals": track.vocals}


def both_right(questions: Sequence[Question], earned: Sequence[float]) -> Ratio:
    """The share of whole pairs of which both are right; each counts where its second question stands.

    Args:
        questions: those of a pair have ids that differ behind the last "/" only.
        earned: the credit of each.
    """
    first: dict[str, float] = {}
    right, counted = np.zeros(len(questions)), np.zeros(len(questions))
    for place, (question, one) in enumerate(zip(questions, earned, strict=True)):
        pair = question.id.rpartition("/")[0]
        if pair in first:
            counted[place], right[place] = 1.0, first[pair] * one
        first[pair] = one
    return Ratio(numerators=right, denominators=counted)


def credit(question: Question, said: Said) -> float:
    """Of a question of yes or no: 1 for the verdict of its label; 0 for the other one, and for none."""
    return float(yes_no.read(said.text) == (question.label == "yes"))
