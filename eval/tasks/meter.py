"""In which meter is it? One question a recording, in one of the held-out wordings.

In: rendered pieces; GTZAN where it is given. Out: questions with the true meter. Most music is in 4/4: the figure
beside the share right is its mean over meters, in which who always says 4/4 gains nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mllm.eval import statistic
from mllm.eval.metrics import meter as metrics
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.reading import meter as reading
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _about
from mllm.instruct_data.asked import ask
from mllm.instruct_data.augment import single_fact
from mllm.instruct_data.phrases import Phrasings
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="Meter",
    version="1",
    summary="The time signature: share right, and the mean over meters of the share right of each.",
    figures={
        "accuracy": Figure(title="meter", headline=True),
        "balanced": Figure(title="meter, mean over meters", headline=True),
        "read": Figure(title="answers that state one meter", better="neither"),
    },
    also=("gtzan",),
)
QUESTIONS = 120

_WORDINGS = Phrasings(
    train=(),
    held_out=tuple(
        wording
        for wording in single_fact.wordings("meter").held_out
        if re.search(r"time|signature|met(?:er|re)", wording, re.IGNORECASE)
    ),
)
"""Those that ask for a signature; to the others, which ask how beats are grouped, "four" is a right answer too."""


def load(music: Music) -> Sequence[Question]:
    """One question a recording."""
    tracks = [*_about.rendered(music, QUESTIONS, _is_known), *_about.given(music, ABOUT.also, _is_known)]
    return [_question(music, track) for track in tracks]


def credit(question: Question, said: Said) -> float | None:
    """1 for the right meter."""
    return float(metrics.right(question.truth, reading.read(said.text)))


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """The share right, and its mean over meters."""
    truths = [question.truth for question in questions]
    heard = [reading.read(one.text) for one in said]
    return {
        "accuracy": metrics.accuracy(truths, heard),
        "balanced": metrics.balanced(truths, heard),
        "read": statistic.share([float(meter is not None) for meter in heard]),
    }


def _is_known(track: Track) -> bool:
    return track.meter is not None


def _question(music: Music, track: Track) -> Question:
    draw = _about.chance(music, "meter", track.id)
    return _about.question(
        track,
        "meter",
        ask(draw, _WORDINGS),
        truth=track.meter,
        references=(single_fact.meter(track) or "",),
        template="single_fact/meter",
        label=track.meter,
        told=_about.told(track, draw),
        field="meter",
    )
