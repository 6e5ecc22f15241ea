"""Which instruments play, and when does one of them enter or stop?

In: rendered pieces with the exact line-up and activity; NSynth and OpenMIC where they are given. Out: one question a
recording for the line-up, and questions about moments. An instrument of which it is not known whether it plays is
neither right nor wrong; "guitar" alone is right where either guitar plays. Entries are at least two seconds behind the
beginning of the music, exits at least two seconds before its end, so that neither needs to be guessed.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mllm.eval import blind as blind_answers
from mllm.eval import statistic
from mllm.eval.metrics import classification
from mllm.eval.metrics import times as times_metrics
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.reading import instruments as reading
from mllm.eval.reading import times
from mllm.eval.statistic import Ratio, Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _about
from mllm.facts import INSTRUMENTS
from mllm.instruct_data import in_words
from mllm.instruct_data.asked import ask, phrasings
from mllm.instruct_data.augment import single_fact, when
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="Instruments",
    version="1",
    summary="The instruments that play (micro and macro F1 over seventeen names), and when one of them enters or "
    "stops, within half a second.",
    figures={
        "micro_f1": Figure(title="instruments, micro-F1", headline=True),
        "macro_f1": Figure(title="instruments, macro-F1", headline=True),
        "precision": Figure(title="instruments, precision"),
        "recall": Figure(title="instruments, recall"),
        "when": Figure(title="entries and exits within 0.5 s", headline=True),
        "when_error": Figure(title="entries and exits, mean error in seconds", better="lower"),
    },
    also=("nsynth", "openmic"),
)
LINE_UPS, MOMENTS = 120, 80

_LINE_UP = "single_fact/instruments"
_CLEAR_SECONDS = 2.0


def load(music: Music) -> Sequence[Question]:
    """Questions about line-ups, and about moments: half of entries, half of exits."""
    line_ups = [
        *_about.rendered(music, LINE_UPS, _is_known),
        *_about.given(music, ABOUT.also, _is_known),
    ]
    half = music.count(MOMENTS) // 2
    return [
        *(_line_up(music, track) for track in line_ups),
        *itertools.islice(_moments(music, "enters"), half),
        *itertools.islice(_moments(music, "stops"), half),
    ]


def credit(question: Question, said: Said) -> float | None:
    """Of a line-up its F1; of a moment 1 within 0.5 s."""
    if question.template != _LINE_UP:
        return float(times_metrics.within(question.truth["seconds"], times.one(said.text)))
    true, named = frozenset(question.truth["playing"]), _named(question, said)
    return 2 * len(true & named) / (len(true) + len(named))


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """F1, precision and recall of line-ups; accuracy and error of moments."""
    pairs = list(zip(questions, said, strict=True))
    is_moment = [question.template != _LINE_UP for question in questions]
    true = [() if moment else question.truth["playing"] for question, moment in zip(questions, is_moment, strict=True)]
    named = [frozenset() if moment else _named(*pair) for pair, moment in zip(pairs, is_moment, strict=True)]
    return {
        "micro_f1": classification.micro_f1(true, named),
        "macro_f1": classification.macro_f1(true, named),
        "precision": classification.precision(true, named),
        "recall": classification.recall(true, named),
        "when": statistic.share(
            [credit(*pair) if moment else None for pair, moment in zip(pairs, is_moment, strict=True)]
        ),
        "when_error": Ratio(
            numerators=np.array(
                [_error(*pair) if moment else 0.0 for pair, moment in zip(pairs, is_moment, strict=True)]
            ),
            denominators=np.array(is_moment, dtype=np.float64),
        ),
    }


def blind(questions: Sequence[Question]) -> Mapping[str, list[Said]]:
    """The commonest instruments, as many as pay; of moments the one second that is right most often."""

    def ways(known: Sequence[Question]) -> list[blind_answers.Way]:
        if known[0].template == _LINE_UP:
            return _about.constants(_about.commonest([question.truth["playing"] for question in known]))
        return _about.constants([f"{second} seconds" for second in range(1, 30)])

    return {"commonest instruments, one time": blind_answers.best_way(questions, ways, credit)}


def _is_known(track: Track) -> bool:
    return bool(track.playing)


_read = functools.lru_cache(maxsize=8)(reading.named)
"""Blind answerers say one thing to many questions in a row."""


def _named(question: Question, said: Said) -> frozenset[str]:
    """The instruments that are named, without those of which nothing is known."""
    playing, unknown = question.truth["playing"], question.truth["unknown"]
    return reading.resolved(_read(said.text), [*playing, *unknown]) - set(unknown)


def _error(question: Question, said: Said) -> float:
    return times_metrics.error(question.truth["seconds"], times.one(said.text), length=question.truth["length"])


def _line_up(music: Music, track: Track) -> Question:
    draw = _about.chance(music, "instruments", track.id)
    playing, absent = track.playing or (), track.absent or ()
    return _about.question(
        track,
        "instruments",
        ask(draw, single_fact.wordings("instruments")),
        truth={
            "playing": list(playing),
            "unknown": [name for name in INSTRUMENTS if name not in playing and name not in absent],
        },
        references=(single_fact.instruments(track) or "",),
        template=_LINE_UP,
        field="instruments",
        groups={"asked": "line-up"},
        max_new_tokens=96,
    )


def _moments(music: Music, kind: str) -> Iterator[Question]:
    """One question a piece in which an instrument clearly enters, or stops."""
    for track in music.short():
        draw = _about.chance(music, "instruments", kind, track.id)
        moments = _entries(track) if kind == "enters" else _exits(track)
        if not moments or track.seconds is None:
            continue
        name = draw.rng.choice(sorted(moments))
        stated = when.entrance(track, name, draw) if kind == "enters" else when.exit_of(track, name, draw)
        yield _about.question(
            track,
            kind,
            ask(draw, phrasings("when")[kind], name=name),
            truth={"seconds": round(moments[name], 3), "length": track.seconds},
            references=(stated or f"At {in_words.stamp(moments[name])}.",),
            template=f"when/{kind}",
            groups={"asked": kind},
        )


def _entries(track: Track) -> dict[str, float]:
    """When instruments enter that do not play from the beginning of the music on."""
    first = {name: spans[0][0] for name, spans in (track.activity or {}).items()}
    begin = min(first.values(), default=0.0)
    return {name: time for name, time in first.items() if time - begin >= _CLEAR_SECONDS}


def _exits(track: Track) -> dict[str, float]:
    """When instruments stop that do not play until the end of the music."""
    last = {name: spans[-1][1] for name, spans in (track.activity or {}).items()}
    end = max(last.values(), default=0.0)
    return {name: time for name, time in last.items() if end - time >= _CLEAR_SECONDS}
