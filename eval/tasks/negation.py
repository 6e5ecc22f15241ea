"""Negation report card: the same question plainly and with a negation, about the same recording.

In: rendered pieces. Out: pairs of questions of yes or no that differ in nothing but the negation, so that the answers
must be opposite. What is asked about is true of one of two recordings that are asked the same. An answerer that hears
nothing and always denies what it affirmed gets half of the pairs right, one that says yes to everything none.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mllm.eval import statistic
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said, asked
from mllm.eval.reading import yes_no
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _matched
from mllm.eval.tasks._matched import Asked
from mllm.instruct_data.augment import _known
from mllm.instruct_data.augment._negation_wordings import WORDINGS
from mllm.instruct_data.tracks import Track
from mllm.messages import Audio

ABOUT = About(
    title="Negation report card",
    version="1",
    summary="Pairs of questions that differ in a negation only (a flute, no flute); a pair is right where both answers "
    "are. Always denying what was affirmed, without hearing, gets half of the pairs.",
    figures={
        "pair": Figure(title="both of a pair right", headline=True, chance=0.25),
        "affirmative": Figure(title="asked plainly", chance=0.5),
        "negated": Figure(title="asked with a negation", chance=0.5),
        "yes": Figure(title="answered with yes", better="neither"),
    },
)

_PAIRS: Mapping[str, int] = {"instrument": 120, "vocals": 20, "mode": 20, "meter": 20, "tempo": 20}
"""How many pairs about what."""

STATED = (
    "Suppose I announce that this is {not}{fact}: am I telling the truth?",
    "A critic calls it {not}{fact}. Does the critic have it right?",
    "I have bet a friend that the music is {not}{fact}. Do I win?",
    "For the programme notes: it is {not}{fact}. May I print that?",
    "A pupil wrote '{not}{fact}' about it in an exam. Does the pupil get the point?",
    "'This is {not}{fact}.' Can that line stay in the archive as it is?",
    "Somebody filed the recording under '{not}{fact}'. Is it filed correctly?",
    "The blurb promises something {not}{fact}. Does the blurb keep its promise?",
)
"""Wordings that no training uses. Fields: `{fact}`, what follows on "it is", and `{not}`, empty or "not "."""


def load(music: Music) -> Sequence[Question]:
    """Two questions a pair, the plain one first."""
    tracks = music.short()
    found = []
    for kind, usual in _PAIRS.items():
        rng = random.Random(f"{music.seed}/negation/{kind}")
        for one in _matched.in_twos(tracks, rng, _KNOWN[kind], music.count(usual)):
            found += _pair(kind, one, rng)
    return found


_KNOWN: Mapping[str, Callable[[Track], Mapping[str, bool]]] = {
    "instrument": _matched.instruments,
    "vocals": _matched.vocals,
    "mode": _matched.modes,
    "meter": _matched.meters,
    "tempo": _matched.faster_than,
}


def _pair(kind: str, one: Asked[Track, str], rng: random.Random) -> list[Question]:
    """The two questions about one thing."""
    of_sound = kind in ("instrument", "vocals")
    said = _known.said(rng, one.thing) if kind == "instrument" else one.thing
    pattern = WORDINGS["pair"].choose(rng, held_out=True) if of_sound else rng.choice(STATED)
    found = []
    for polarity in ("affirmative", "negated"):
        negated = polarity == "negated"
        if of_sound:
            some = f"no {said}" if negated else "vocals" if kind == "vocals" else _known.with_article(said)
            question = pattern.format(**_known.words(said), some=some)
        else:
            question = pattern.format(**{"not": "not " if negated else "", "fact": _fact(kind, one.thing)})
        label = "yes" if one.true != negated else "no"
        found.append(
            Question(
                id=f"{kind}/{one.about.id}/{one.thing}/{polarity}",
                messages=asked(_known.sentence(question), [Audio(source=Path(one.about.path))]),
                truth={"asked": one.thing, "true": one.true},
                references=(f"{label.capitalize()}, {_why(kind, one, said)}.",),
                unit=one.about.id,
                template=f"negation/{kind}/{polarity}",
                label=label,
                groups={"about": kind},
            )
        )
    return found


def _fact(kind: str, thing: str) -> str:
    return {"mode": f"in a {thing} key", "meter": f"in {thing} time", "tempo": f"faster than {thing} BPM"}[kind]


def _why(kind: str, one: Asked[Track, str], said: str) -> str:
    """The clause behind the verdict."""
    if kind == "instrument":
        return _known.heard([said], []) if one.true else _known.heard([], [said])
    if kind == "vocals":
        return "I hear singing" if one.true else "I hear no singing"
    return f"it is {'' if one.true else 'not '}{_fact(kind, one.thing)}"


def credit(question: Question, said: Said) -> float | None:
    """1 for the right verdict."""
    return _matched.credit(question, said)


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Pairs, each polarity, and how often yes is said."""
    earned = [_matched.credit(question, one) for question, one in zip(questions, said, strict=True)]
    polarities = [question.id.rpartition("/")[2] for question in questions]
    found: dict[str, Statistic] = {"pair": _matched.both_right(questions, earned)}
    for name in ("affirmative", "negated"):
        found[name] = statistic.share(
            [one if polarity == name else None for one, polarity in zip(earned, polarities, strict=True)]
        )
    found["yes"] = statistic.share([float(yes_no.read(one.text) is True) for one in said])
    return found
