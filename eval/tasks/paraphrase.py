"""The same question in ten wordings: does the answer depend on how it is asked?

In: rendered pieces. Out: about each piece one fact, asked for in ten ways (after RobustCLAP). Whoever always says the
same is perfectly consistent without hearing anything, so consistency is read beside accuracy, and beside the blind
lines.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mllm import facts
from mllm.eval import statistic
from mllm.eval.metrics import key as key_metrics
from mllm.eval.metrics import tempo as tempo_metrics
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said, asked
from mllm.eval.reading import key as key_reading
from mllm.eval.reading import meter as meter_reading
from mllm.eval.reading import tempo as tempo_reading
from mllm.eval.reading import yes_no
from mllm.eval.statistic import Ratio, Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _matched
from mllm.eval.tasks._ten_wordings import WORDINGS
from mllm.instruct_data import track_facts
from mllm.instruct_data.augment import _known
from mllm.instruct_data.tracks import Track
from mllm.messages import Audio

ABOUT = About(
    title="Paraphrase consistency",
    version="1",
    summary="One fact of each piece (tempo, key, meter or an instrument) in ten wordings: how many of the ten answers "
    "say the same, and how many are right.",
    figures={
        "consistency": Figure(title="of ten wordings, answers that agree", headline=True),
        "accuracy": Figure(title="right, all wordings", headline=True),
        "all_right": Figure(title="all ten right"),
    },
)

_PIECES: Mapping[str, int] = {"tempo": 5, "key": 5, "meter": 4, "presence": 6}
"""How many pieces are asked about what."""
_CLEAR_METERS = ("3/4", "4/4", "6/8")


def load(music: Music) -> Sequence[Question]:
    """Ten questions a piece."""
    tracks = music.short()
    found: list[Question] = []
    for fact, usual in _PIECES.items():
        rng = random.Random(f"{music.seed}/paraphrase/{fact}")
        count = music.count(usual)
        if fact == "presence":
            for one in _matched.in_twos(tracks, rng, _matched.instruments, count):
                found += _ten(one.about, fact, one.true, one.thing)
        else:
            for track in _evenly(tracks, fact, rng, count):
                found += _ten(track, fact, _truth(track, fact))
    return found


def _truth(track: Track, fact: str) -> str | float | None:
    """What is surely true of a piece as a whole; None where that is not one thing."""
    if fact == "tempo":
        return track_facts.steady_tempo(track)
    if fact == "key":
        key = track_facts.steady_key(track)
        return key if key in facts.KEYS else None
    return track.meter if track.meter in _CLEAR_METERS else None


def _evenly(tracks: Sequence[Track], fact: str, rng: random.Random, count: int) -> list[Track]:
    """Pieces of which the fact is known, of each value as many as of any other, as far as there are; meters are few."""
    of_value: dict[str | float, list[Track]] = {}
    for track in rng.sample(tracks, len(tracks)):
        value = _truth(track, fact)
        if value is not None:
            of_value.setdefault(value, []).append(track)
    found: list[Track] = []
    while len(found) < count and any(of_value.values()):
        found += [waiting.pop() for waiting in of_value.values() if waiting]
    return found[:count]


def _ten(track: Track, fact: str, truth: str | float | bool | None, name: str = "") -> list[Question]:
    fields = _known.words(name) if name else {}
    label = ("yes" if truth else "no") if fact == "presence" else None if fact == "tempo" else str(truth)
    return [
        Question(
            id=f"{fact}/{track.id}/{number}",
            messages=asked(_known.sentence(wording.format(**fields)), [Audio(source=Path(track.path))]),
            truth=truth,
            references=(_answer(fact, truth, name),),
            unit=track.id,
            template=f"paraphrase/{fact}",
            label=label,
            field={"tempo": "tempo_bpm", "key": "key", "meter": "meter"}.get(fact),
            groups={"fact": fact},
        )
        for number, wording in enumerate(WORDINGS[fact])
    ]


def _answer(fact: str, truth: str | float | bool | None, name: str) -> str:
    if fact == "presence":
        return f"Yes, {_known.heard([name], [])}." if truth else f"No, {_known.heard([], [name])}."
    if fact == "tempo":
        return f"The tempo is about {truth:.0f} BPM."
    return f"The key is {truth}." if fact == "key" else f"The time signature is {truth}."


def _reading(question: Question, said: Said) -> str | float | bool | None:
    """What an answer says of the fact."""
    fact = question.groups["fact"]
    if fact == "tempo":
        return tempo_reading.read(said.text)
    if fact == "key":
        return key_reading.read(said.text)
    return meter_reading.read(said.text) if fact == "meter" else yes_no.read(said.text)


def credit(question: Question, said: Said) -> float | None:
    """1 for the right fact."""
    reading = _reading(question, said)
    fact = question.groups["fact"]
    if fact == "tempo":
        return float(tempo_metrics.acc1(question.truth, _number(reading)))
    if fact == "key":
        return float(key_metrics.exact(question.truth, None if reading is None else str(reading)))
    return float(reading is not None and reading == question.truth)


def _number(reading: str | float | bool | None) -> float | None:
    return reading if isinstance(reading, float) else None


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Consistency, accuracy, and pieces of which all answers are right."""
    readings = [_reading(question, one) for question, one in zip(questions, said, strict=True)]
    earned = [credit(question, one) or 0.0 for question, one in zip(questions, said, strict=True)]
    places: dict[str, list[int]] = {}
    for place, question in enumerate(questions):
        places.setdefault(question.id.rpartition("/")[0], []).append(place)
    agreeing, right, pieces = (np.zeros(len(questions)) for _ in range(3))
    for of_piece in places.values():
        first = of_piece[0]
        pieces[first] = 1.0
        agreeing[first] = _agreement([readings[place] for place in of_piece])
        right[first] = float(all(earned[place] for place in of_piece))
    return {
        "consistency": Ratio(numerators=agreeing, denominators=pieces),
        "accuracy": statistic.share(earned),
        "all_right": Ratio(numerators=right, denominators=pieces),
    }


def _agreement(readings: Sequence[str | float | bool | None]) -> float:
    """The share of answers that say what most of them say; what cannot be read agrees with nothing."""
    said = [round(one) if isinstance(one, float) else one for one in readings if one is not None]
    return max(Counter(said).values(), default=0) / len(readings)
