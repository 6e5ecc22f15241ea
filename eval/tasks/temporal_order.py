"""What comes first: instruments that enter one after the other, and parts of which the second is of another kind.

In: rendered pieces, and recordings of two of them end to end. Out: questions of order. The order of two instruments is
asked of two pieces in which it is opposite; of two parts it is asked in either order of the parts.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mllm.eval import statistic
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said, asked
from mllm.eval.reading import instruments
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _made, _matched, _which
from mllm.eval.tasks._matched import Asked
from mllm.instruct_data import in_words, track_facts
from mllm.instruct_data.tracks import Track
from mllm.messages import Audio

ABOUT = About(
    title="Temporal order",
    version="1",
    summary="Which of two instruments comes in first, whether one does before the other, and which of two parts is "
    "faster, in a minor key or in triple time.",
    figures={
        "accuracy": Figure(title="order right", headline=True, chance=0.5),
        "before": Figure(title="does one come in before the other?", chance=0.5),
        "which_first": Figure(title="which of two comes in first?", chance=0.5),
        "part": Figure(title="which of two parts?", chance=0.5),
    },
)

_QUESTIONS: Mapping[str, int] = {"before": 36, "which_first": 36, "part": 28}
_PARTS = ("faster", "minor", "triple")

BEFORE = (
    "Does the {first} come in earlier than the {second}?",
    "Has the {first} already been heard when the {second} joins in?",
    "Do I get to hear the {first} first and the {second} only later?",
    "Does the {second} enter after the {first} has?",
    "Would the {first} be ahead of the {second} in a list of entrances?",
    "is the {first} there sooner than the {second}",
    "Has the {first} begun by the time that the {second} begins?",
)
WHICH_FIRST = (
    "Which of the two makes the earlier entrance, the {first} or the {second}?",
    "The {first} and the {second}: who starts first?",
    "Of {first} and {second}, which is heard sooner?",
    "what comes in first here, {first} or {second}",
    "One of them has to wait for the other, the {first} or the {second}. Which is the one that begins?",
    "Name the instrument that opens the order of entrances: {first} or {second}?",
)
PART = {
    "faster": (
        "The recording consists of two parts. Is the quicker one the first or the second?",
        "Halfway through, another piece follows. Which of the two has more beats a minute, the first or the second?",
        "Two pieces in a row: in which place is the one with the higher tempo, first or second?",
    ),
    "minor": (
        "The recording consists of two parts, one of them in a minor key. Is that the first or the second?",
        "Halfway through, another piece follows. Which of the two is in minor, the first or the second?",
        "Two pieces in a row, one in major, one in minor: in which place is the minor one, first or second?",
    ),
    "triple": (
        "The recording consists of two parts, one of them in 3/4 time. Is that the first or the second?",
        "Halfway through, another piece follows. Which of the two is counted in three, the first or the second?",
        "Two pieces in a row, one of them in 3/4 time: in which place is it, first or second?",
    ),
}
"""Wordings that no training uses."""


def load(music: Music) -> Sequence[Question]:
    """Questions of every kind, in the order of `_QUESTIONS`."""
    tracks = music.short()
    found: list[Question] = []
    for kind in ("before", "which_first"):
        rng = random.Random(f"{music.seed}/temporal_order/{kind}")
        twos = _matched.in_twos(tracks, rng, _orders, music.count(_QUESTIONS[kind]))
        found += [_of_instruments(kind, one, rng) for one in twos]
    return found + _of_parts(music, tracks)


def _orders(track: Track) -> dict[tuple[str, str], bool]:
    """Of two instruments that come in one clearly after the other: whether the first named is the earlier."""
    enters = {name: track_facts.enters(track, name) or 0.0 for name in track.activity or ()}
    return {
        (first, second): enters[first] < enters[second]
        for first, second in itertools.permutations(enters, 2)
        if abs(enters[first] - enters[second]) >= track_facts.APART_SECONDS
    }


def _of_instruments(kind: str, one: Asked[Track, tuple[str, str]], rng: random.Random) -> Question:
    first, second = one.thing
    earlier, later = one.thing if one.true else one.thing[::-1]
    wordings = BEFORE if kind == "before" else WHICH_FIRST
    verb = "enter" if earlier in in_words.MANY else "enters"
    told = f"the {earlier} {verb} before the {later}"
    label = ("yes" if one.true else "no") if kind == "before" else ("former" if one.true else "latter")
    return Question(
        id=f"{kind}/{one.about.id}/{first}/{second}",
        messages=asked(
            in_words.sentence(rng.choice(wordings).format(first=first, second=second)),
            [Audio(source=Path(one.about.path))],
        ),
        truth={"asked": [first, second], "earlier": earlier},
        references=(f"{label.capitalize()}, {told}." if kind == "before" else f"The {label}: {told}.",),
        unit=one.about.id,
        template=f"temporal_order/{kind}",
        label=label,
        groups={"kind": kind},
    )


def _of_parts(music: Music, tracks: Sequence[Track]) -> list[Question]:
    """Two pieces end to end in either order, asked the same."""
    folder = music.made(f"temporal_order-{ABOUT.version}")
    count = max(2, music.count(_QUESTIONS["part"]) // 2)
    found: list[Question] = []
    used: set[str] = set()
    for number in range(count):
        kind = _PARTS[number % len(_PARTS)]
        rng = random.Random(f"{music.seed}/temporal_order/{kind}/{number}")
        pair = _pair(tracks, rng, _IS[kind], used)
        if pair is None:
            continue
        used |= {track.id for track in pair}
        text = rng.choice(PART[kind])
        unit = " + ".join(sorted(track.id for track in pair))
        for place, (first, second) in enumerate((pair, pair[::-1])):
            path = folder / f"{first.id}+{second.id}.flac"
            joined, _ = _made.join((first, second), path, identity=f"{first.id}+{second.id}")
            label = ("first", "second")[place]
            found.append(
                Question(
                    id=f"part/{kind}/{unit}/{place}",
                    messages=asked(text, [Audio(source=Path(joined.path))]),
                    truth={"part": label},
                    references=(f"The {label} part.",),
                    unit=unit,
                    template=f"temporal_order/part/{kind}",
                    label=label,
                    groups={"kind": "part"},
                )
            )
    return found


def _pair(
    tracks: Sequence[Track], rng: random.Random, fits: Callable[[Track, Track], bool], used: set[str]
) -> tuple[Track, Track] | None:
    """Two pieces of which the first is what is asked about and the second clearly is not; new ones where there are."""
    fresh = [track for track in tracks if track.id not in used]
    for among in (fresh, tracks):
        fitting = [(one, other) for one, other in itertools.permutations(among, 2) if fits(one, other)]
        if fitting:
            return rng.choice(fitting)
    return None


def _is_faster(one: Track, other: Track) -> bool:
    tempi = track_facts.steady_tempo(one), track_facts.steady_tempo(other)
    return tempi[0] is not None and tempi[1] is not None and tempi[0] >= 1.25 * tempi[1]


_IS: Mapping[str, Callable[[Track, Track], bool]] = {
    "faster": _is_faster,
    "minor": lambda one, other: (track_facts.steady_mode(one), track_facts.steady_mode(other)) == ("minor", "major"),
    "triple": lambda one, other: (one.meter, other.meter) == ("3/4", "4/4"),
}


def credit(question: Question, said: Said) -> float | None:
    """1 for the right order."""
    kind = question.groups["kind"]
    if kind == "before":
        return _matched.credit(question, said)
    if kind == "which_first":
        return float(_first_named(said.text, question.truth["asked"]) == question.truth["earlier"])
    return float(_which.read(said.text) == question.label)


def _first_named(answer: str, asked_about: Sequence[str]) -> str | None:
    """The one of two instruments that an answer gives as the earlier: the only one it affirms, or the first of both.

    "After" between the two names turns the order round; "the former" and "the latter" are meant as in the question.
    """
    place = re.match(r"\W*(?:the )?(former|latter)\b", answer, re.IGNORECASE)
    if place is not None:
        return asked_about[0 if place[1].lower() == "former" else 1]
    affirmed = [name for name in asked_about if name in instruments.read(answer)]
    if len(affirmed) < 2:
        return affirmed[0] if affirmed else None
    places = [_place(answer, name) for name in affirmed]
    if None in places:
        return None
    (begin, earlier), (end, later) = sorted(zip(places, affirmed, strict=True))
    turned = re.search(r"\b(?:after|follows?|waits? for|later than)\b", answer[begin:end], re.IGNORECASE)
    return later if turned else earlier


def _place(answer: str, name: str) -> int | None:
    """Where an answer first names an instrument."""
    names = "|".join(map(re.escape, {name, *in_words.SAID.get(name, ())}))
    match = re.search(rf"\b(?:{names})\b", answer, re.IGNORECASE)
    return None if match is None else match.start()


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Accuracy of all, and of each kind."""
    earned = [credit(question, one) for question, one in zip(questions, said, strict=True)]
    kinds = [question.groups["kind"] for question in questions]
    found: dict[str, Statistic] = {"accuracy": statistic.share(earned)}
    for kind in _QUESTIONS:
        found[kind] = statistic.share([one if of == kind else None for one, of in zip(earned, kinds, strict=True)])
    return found
