"""What is not heard: instruments that are absent, and questions that take for granted what is not there.

In: rendered pieces. Out: questions of which half are about something that is there, and half are asked in the same
words of a recording in which it is not: the right answer says so (LISTEN, arXiv:2505.14518). Times are not scored here,
only whether an answer takes for real what nobody plays.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mllm.eval import statistic
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said, asked
from mllm.eval.reading import yes_no
from mllm.eval.statistic import OfSums, Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _matched, _premises
from mllm.eval.tasks._matched import Asked
from mllm.eval.tasks._premises import ABSENT, CANNOT_TELL, THERE, AskedFor, Stance
from mllm.facts import INSTRUMENTS
from mllm.instruct_data import in_words, track_facts
from mllm.instruct_data.asked import ask
from mllm.instruct_data.augment import _known
from mllm.instruct_data.augment._not_heard_wordings import UNKNOWABLE, WORDINGS
from mllm.instruct_data.dialogue import cannot_tell
from mllm.instruct_data.exchanges import Draw
from mllm.instruct_data.tracks import Track
from mllm.instruct_data.wordings import QUESTIONS
from mllm.messages import Audio

ABOUT = About(
    title="What is not heard",
    version="1",
    summary="Whether something plays, and questions that take it for granted: half of what is asked about is not "
    "there, and the right answer says so.",
    figures={
        "accuracy": Figure(title="there or not, right", headline=True, chance=0.5),
        "f1_absent": Figure(title="F1 of what is not there", headline=True),
        "hallucinated": Figure(title="absent, and taken for real", better="lower", chance=0.5),
        "premise": Figure(title="questions that take it for granted, right"),
    },
)

_QUESTIONS: Mapping[str, int] = {"presence": 48, "time": 32, "unknowable": 16, "section": 12, "change": 12}
"""How many of each kind."""
_INTENTS: Mapping[str, tuple[str, ...]] = {
    "presence": ("has",),
    "time": ("enters", "stops", "entries", "lasting"),
    "unknowable": tuple(UNKNOWABLE),
    "section": ("section_begin", "section_length"),
    "change": ("change",),
}
_FOR: Mapping[str, AskedFor] = {"entries": "number", "change": "change"}
"""What is asked for where it is neither a time nor a length."""
_SHORTEST_NAME = 3
"""Letters of the name of a section that says what it is for."""


def load(music: Music) -> Sequence[Question]:
    """Questions of every kind, each thing as often where it is as where it is not."""
    tracks = music.short()
    found: list[Question] = []
    for kind, usual in _QUESTIONS.items():
        rng = random.Random(f"{music.seed}/not_heard/{kind}")
        found += [_question(kind, one, rng) for one in _matched.in_twos(tracks, rng, _KNOWN[kind], music.count(usual))]
    return found


def _instruments(track: Track) -> dict[str, bool]:
    return {name: plays for name, plays in _matched.instruments(track).items() if name in INSTRUMENTS}


def _sections(track: Track) -> dict[str, bool]:
    """Names of sections, where they say what each is for, and whether there is one."""
    names = {name for _, _, name in track.sections or ()}
    if not names or min(map(len, names)) < _SHORTEST_NAME:
        return {}
    return {name: name in names for name in ("intro", "verse", "chorus")}


def _changes(track: Track) -> dict[str, bool]:
    """Whether key and tempo change, where that is clear."""
    found = {"key": track_facts.key_changes(track), "tempo": track_facts.tempo_changes(track)}
    return {name: bool(changes) for name, changes in found.items() if changes is not None}


_KNOWN: Mapping[str, Callable[[Track], Mapping[str, bool]]] = {
    "presence": _instruments,
    "time": _instruments,
    "unknowable": _instruments,
    "section": _sections,
    "change": _changes,
}


def _question(kind: str, one: Asked[Track, str], rng: random.Random) -> Question:
    intent = rng.choice(_INTENTS[kind])
    question, answer = _WORDED[kind](one, intent, rng)
    expected: Stance = ABSENT if not one.true else CANNOT_TELL if kind == "unknowable" else THERE
    labels = ("yes", "no") if kind == "presence" else ("heard", "not heard")
    return Question(
        id=f"{kind}/{one.about.id}/{one.thing}",
        messages=asked(question, [Audio(source=Path(one.about.path))]),
        truth={"asked": one.thing, "heard": one.true, "expected": expected, "for": _FOR.get(intent, "time")},
        references=(answer,),
        unit=one.about.id,
        template=f"not_heard/{kind}",
        label=labels[0] if one.true else labels[1],
        groups={"kind": kind},
    )


def _presence(one: Asked[Track, str], intent: str, rng: random.Random) -> tuple[str, str]:
    said = _known.said(rng, one.thing)
    question = ask(Draw(rng=rng, held_out=True), QUESTIONS[intent], name=said, a_name=_known.with_article(said))
    heard = _known.heard([said], []) if one.true else _known.heard([], [said])
    return question, f"{'Yes' if one.true else 'No'}, {heard}."


def _time(one: Asked[Track, str], intent: str, rng: random.Random) -> tuple[str, str]:
    said = _known.said(rng, one.thing)
    question = _known.worded(WORDINGS[intent], Draw(rng=rng, held_out=True), _known.words(said))
    return question, _told(one, intent, said) if one.true else _missing(said)


def _told(one: Asked[Track, str], intent: str, said: str) -> str:
    """The sentence that answers when, how often or how long an instrument is heard."""
    spans = (one.about.activity or {})[one.thing]
    times = {
        "enters": f"the {said} enters at {spans[0][0]:.1f} seconds.",
        "stops": f"the {said} stops at {spans[-1][1]:.1f} seconds.",
        "entries": f"the {said} enters {in_words.times(len(spans))}.",
        "lasting": f"the {said} plays for {sum(end - begin for begin, end in spans):.1f} seconds in all.",
    }
    return in_words.sentence(times[intent])


def _missing(said: str) -> str:
    return f"There {_known.words(said)['is']} no {said} in this recording."


def _unknowable(one: Asked[Track, str], intent: str, rng: random.Random) -> tuple[str, str]:
    said = _known.said(rng, one.thing)
    question = _known.worded(UNKNOWABLE[intent], Draw(rng=rng, held_out=True), _known.words(said))
    return question, cannot_tell(intent) if one.true else _missing(said)


def _section(one: Asked[Track, str], intent: str, rng: random.Random) -> tuple[str, str]:
    question = _known.worded(WORDINGS[intent], Draw(rng=rng, held_out=True), {"section": one.thing})
    if not one.true:
        return question, _missing(one.thing)
    begin, end = next((begin, end) for begin, end, name in one.about.sections or () if name == one.thing)
    told = f"begins at {begin:.1f}" if intent == "section_begin" else f"lasts {end - begin:.1f}"
    return question, f"The {one.thing} {told} seconds."


def _change(one: Asked[Track, str], intent: str, rng: random.Random) -> tuple[str, str]:
    question = _known.worded(WORDINGS[f"{one.thing}_{intent}"], Draw(rng=rng, held_out=True), {})
    if not one.true:
        return question, f"The {one.thing} does not change."
    if one.thing == "key":
        first = (track_facts.key_changes(one.about) or ())[0]
        return question, f"The key changes at {first.time:.1f} seconds, to {first.after}."
    began = (track_facts.tempo_changes(one.about) or ())[0]
    return question, f"The tempo begins to change at about {began.begin:.1f} seconds."


_WORDED: Mapping[str, Callable[[Asked[Track, str], str, random.Random], tuple[str, str]]] = {
    "presence": _presence,
    "time": _time,
    "unknowable": _unknowable,
    "section": _section,
    "change": _change,
}


def _stance(question: Question, said: Said) -> Stance | None:
    """What an answer says of that about which it was asked."""
    kind = question.groups["kind"]
    if kind == "presence":
        verdict = yes_no.read(said.text)
        return None if verdict is None else THERE if verdict else ABSENT
    if kind == "unknowable":
        return _premises.read_unknowable(said.text)
    return _premises.read(said.text, question.truth["for"])


def credit(question: Question, said: Said) -> float | None:
    """1 where the answer denies what is absent, and does not deny what is there."""
    return float(_stance(question, said) == question.truth["expected"])


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Accuracy, F1 of absence, how much is made up, and what takes something for granted."""
    earned = [credit(question, one) for question, one in zip(questions, said, strict=True)]
    stances = [_stance(question, one) for question, one in zip(questions, said, strict=True)]
    absent = [not question.truth["heard"] for question in questions]
    return {
        "accuracy": statistic.share(earned),
        "f1_absent": _f1(absent, [stance == ABSENT for stance in stances]),
        "hallucinated": statistic.share(
            [float(stance == THERE) if gone else None for stance, gone in zip(stances, absent, strict=True)]
        ),
        "premise": statistic.share(
            [
                None if question.groups["kind"] == "presence" else one
                for question, one in zip(questions, earned, strict=True)
            ]
        ),
    }


def _f1(true: Sequence[bool], said: Sequence[bool]) -> OfSums:
    """Harmonic mean of precision and recall of "it is not there"; 0 where neither is nor is said."""
    hits = np.logical_and(true, said).astype(np.float64)
    columns = np.column_stack([2 * hits, np.array(true, dtype=np.float64) + np.array(said, dtype=np.float64)])
    return OfSums(
        columns=columns,
        formula=lambda sums: np.divide(sums[:, 0], sums[:, 1], out=np.zeros(len(sums)), where=sums[:, 1] > 0),
    )
