"""How fast is it? One question a recording, in one of the held-out wordings.

In: rendered pieces whose tempo does not change; GiantSteps tempo and GTZAN where they are given. Out: questions with
the true tempo in beats a minute.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from mllm.eval import blind as blind_answers
from mllm.eval import statistic
from mllm.eval.metrics import tempo as metrics
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.reading import tempo as reading
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _about
from mllm.instruct_data import track_facts
from mllm.instruct_data.asked import ask
from mllm.instruct_data.augment import single_fact
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="Tempo",
    version="1",
    summary="Beats a minute, within 4 % of the true tempo (acc1), or of its third, half, double or triple too (acc2).",
    figures={
        "acc1": Figure(title="tempo within 4 %", headline=True),
        "acc2": Figure(title="tempo within 4 %, octave errors allowed", headline=True),
        "read": Figure(title="answers that state one tempo", better="neither"),
    },
    also=("giantsteps_tempo", "gtzan"),
)
QUESTIONS = 120


def load(music: Music) -> Sequence[Question]:
    """One question a recording."""
    tracks = [*_about.rendered(music, QUESTIONS, _is_known), *_about.given(music, ABOUT.also, _is_known)]
    return [_question(music, track) for track in tracks]


def credit(question: Question, said: Said) -> float | None:
    """1 within 4 %."""
    return float(metrics.acc1(question.truth, _read(said.text)))


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Acc1 and Acc2."""
    heard = [_read(one.text) for one in said]
    pairs = [(question.truth, tempo) for question, tempo in zip(questions, heard, strict=True)]
    return {
        "acc1": statistic.share([float(metrics.acc1(*pair)) for pair in pairs]),
        "acc2": statistic.share([float(metrics.acc2(*pair)) for pair in pairs]),
        "read": statistic.share([float(tempo is not None) for tempo in heard]),
    }


def blind(questions: Sequence[Question]) -> Mapping[str, list[Said]]:
    """The one tempo that is right most often."""
    tempi = _about.constants([f"{bpm} BPM" for bpm in range(60, 181, 2)])
    return {"best single tempo": blind_answers.best_way(questions, lambda _: tempi, credit)}


_read = functools.lru_cache(maxsize=8)(reading.read)
"""Blind answerers say one thing to many questions in a row."""


def _is_known(track: Track) -> bool:
    return track_facts.steady_tempo(track) is not None


def _question(music: Music, track: Track) -> Question:
    draw = _about.chance(music, "tempo", track.id)
    return _about.question(
        track,
        "tempo",
        ask(draw, single_fact.wordings("tempo")),
        truth=track.tempo_bpm,
        references=(single_fact.tempo(track) or "",),
        template="single_fact/tempo",
        told=_about.told(track, draw),
        field="tempo_bpm",
    )
