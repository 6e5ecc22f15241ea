"""In which key is it? One question a recording, in one of the held-out wordings.

In: rendered pieces whose key does not change; GiantSteps key and GTZAN where they are given. Out: questions with the
true key; figures by mode too, for tools and many models know major and minor only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mllm.eval import statistic
from mllm.eval.metrics import key as metrics
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.reading import key as reading
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _about
from mllm.instruct_data import track_facts
from mllm.instruct_data.asked import ask
from mllm.instruct_data.augment import single_fact
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="Key",
    version="1",
    summary="Tonic and mode (major, minor, dorian, mixolydian), exactly and as MIREX weighs near ones; for MIREX "
    "dorian counts as minor and mixolydian as major.",
    figures={
        "exact": Figure(title="key, exact", headline=True),
        "mirex": Figure(title="key, MIREX weighted", headline=True),
        "tonic": Figure(title="tonic right"),
        "read": Figure(title="answers that state one key", better="neither"),
    },
    also=("giantsteps_key", "gtzan"),
)
QUESTIONS = 120


def load(music: Music) -> Sequence[Question]:
    """One question a recording."""
    tracks = [*_about.rendered(music, QUESTIONS, _is_known), *_about.given(music, ABOUT.also, _is_known)]
    return [_question(music, track) for track in tracks]


def credit(question: Question, said: Said) -> float | None:
    """1 for the right tonic and mode."""
    return float(metrics.exact(question.truth, reading.read(said.text)))


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Exact, MIREX and tonic."""
    heard = [reading.read(one.text) for one in said]
    pairs = [(question.truth, key) for question, key in zip(questions, heard, strict=True)]
    return {
        "exact": statistic.share([float(metrics.exact(*pair)) for pair in pairs]),
        "mirex": statistic.share([metrics.mirex(*pair) for pair in pairs]),
        "tonic": statistic.share([float(metrics.tonic(*pair)) for pair in pairs]),
        "read": statistic.share([float(key is not None) for key in heard]),
    }


def _is_known(track: Track) -> bool:
    return track_facts.steady_key(track) is not None


def _question(music: Music, track: Track) -> Question:
    draw = _about.chance(music, "key", track.id)
    key = str(track.key)
    return _about.question(
        track,
        "key",
        ask(draw, single_fact.wordings("key")),
        truth=key,
        references=(single_fact.key(track) or "",),
        template="single_fact/key",
        label=key,
        told=_about.told(track, draw),
        field="key",
        groups={"mode": key.split()[-1]},
    )
