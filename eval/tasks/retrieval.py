"""Which of sixteen captions belongs to the recording.

In: rendered pieces. Out: of each recording a ranking of its own caption and those of fifteen other pieces, drawn. A
model ranks the captions by how likely each is as its answer to a request for one (`Question.given["texts"]`), so that a
caption which is likely whatever is heard comes first everywhere and earns nothing: 1 of 16 by chance, and no more for
silence. Runs of less than a tenth of the usual size have fewer pieces, and so fewer captions. The other way round,
recordings for a caption, is not asked: a model under evaluation ranks texts, and how likely one text is about different
recordings it does not say.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from mllm.eval.metrics import ranking
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said, asked
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import captioning
from mllm.instruct_data.tracks import Track
from mllm.instruct_data.wordings import QUESTIONS
from mllm.messages import Audio

CANDIDATES = 16
ABOUT = About(
    title="Retrieval of captions",
    version="1",
    summary="Sixteen captions of different pieces ranked for a recording, its own among them.",
    figures={
        "recall_at_1": Figure(title="own caption first", headline=True, chance=1 / CANDIDATES),
        "recall_at_5": Figure(title="own caption among the first five", chance=5 / CANDIDATES),
        "mrr": Figure(
            title="mean reciprocal rank", chance=sum(1 / rank for rank in range(1, CANDIDATES + 1)) / CANDIDATES
        ),
        "median_rank": Figure(title="median rank", better="lower", chance=(CANDIDATES + 1) / 2),
    },
)
_QUESTIONS = 60


def load(music: Music) -> Sequence[Question]:
    """One ranking a recording; no two captions of it are equal."""
    tracks = music.short()
    captions = {track.id: captioning.references(track)[0] for track in tracks}
    return [_question(track, captions, music.seed) for track in tracks[: music.count(_QUESTIONS)]]


def credit(question: Question, said: Said) -> float:
    """1 over the rank of the right caption; 0 where it was not ranked."""
    order = list(said.ranking or ())
    return 1 / (order.index(question.truth) + 1) if question.truth in order else 0.0


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """How early the right caption stands."""
    right = [[question.truth] for question in questions]
    rankings = [one.ranking or () for one in said]
    return {
        "recall_at_1": ranking.recall(right, rankings, k=1),
        "recall_at_5": ranking.recall(right, rankings, k=5),
        "mrr": ranking.reciprocal_rank(right, rankings),
        "median_rank": ranking.median_rank(right, rankings, worst=CANDIDATES),
    }


def _question(track: Track, captions: Mapping[str, str], seed: int) -> Question:
    rng = random.Random(f"{seed}/retrieval/{track.id}")
    chosen = {captions[track.id]: track.id}
    for other in rng.sample(sorted(captions), len(captions)):
        if len(chosen) < CANDIDATES:
            chosen.setdefault(captions[other], other)
    candidates = rng.sample(sorted(chosen.values()), len(chosen))
    return Question(
        id=track.id,
        messages=asked(
            QUESTIONS["caption"].choose(rng, held_out=True),
            [Audio(source=Path(track.path), start=track.start, end=track.end)],
        ),
        kind="rank",
        truth=track.id,
        unit=track.id,
        template="retrieval",
        given={"candidates": candidates, "texts": [captions[one] for one in candidates]},
    )
