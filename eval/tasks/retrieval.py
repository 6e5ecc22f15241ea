"""Which of sixteen captions belongs to a recording, and which of sixteen recordings to a caption.

In: rendered pieces. Out: rankings: of captions for a recording, its own and those of fifteen other pieces, drawn; and
of recordings for a caption, the pieces of one block of sixteen, so that blocks share none. 1 of 16 by chance. Small
runs have smaller blocks.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from mllm.eval.metrics import ranking
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said, asked
from mllm.eval.statistic import OfSome, Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import captioning
from mllm.instruct_data.tracks import Track
from mllm.instruct_data.wordings import QUESTIONS
from mllm.messages import Audio

CANDIDATES = 16
ABOUT = About(
    title="Retrieval",
    version="1",
    summary="Sixteen captions ranked for a recording, and sixteen recordings for a caption.",
    figures={
        "recall_at_1": Figure(title="own caption first", headline=True, chance=1 / CANDIDATES),
        "recall_at_5": Figure(title="own caption among the first five", chance=5 / CANDIDATES),
        "mrr": Figure(
            title="mean reciprocal rank", chance=sum(1 / rank for rank in range(1, CANDIDATES + 1)) / CANDIDATES
        ),
        "median_rank": Figure(title="median rank", better="lower", chance=(CANDIDATES + 1) / 2),
        "recording_at_1": Figure(title="own recording first", headline=True, chance=1 / CANDIDATES),
        "recording_at_5": Figure(title="own recording among the first five", chance=5 / CANDIDATES),
    },
)
_QUESTIONS = 60
_OF_CAPTIONS, _OF_RECORDINGS = "retrieval/captions", "retrieval/recordings"
_FEWEST = 4
"""Pieces from which on recordings are ranked: two blocks of two."""


def load(music: Music) -> Sequence[Question]:
    """One ranking of captions a recording, and one of recordings a caption; no two captions of a ranking are equal."""
    tracks = music.short()
    captions = {track.id: captioning.references(track)[0] for track in tracks}
    found = [_of_captions(track, captions, music.seed) for track in tracks[: music.count(_QUESTIONS)]]
    if len(tracks) >= _FEWEST:
        size = min(CANDIDATES, len(tracks) // 2)
        blocks = [tracks[at : at + size] for at in range(0, len(tracks) - size + 1, size)]
        pairs = [(block[place], block) for place in range(size) for block in blocks]
        found += [_of_recordings(*pair, captions, music.seed) for pair in pairs[: music.count(_QUESTIONS)]]
    return found


def credit(question: Question, said: Said) -> float:
    """1 over the rank of the right caption; 0 where it was not ranked."""
    order = list(said.ranking or ())
    return 1 / (order.index(question.truth) + 1) if question.truth in order else 0.0


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """How early the right caption stands, and the right recording."""
    places = {
        template: [place for place, question in enumerate(questions) if question.template == template]
        for template in (_OF_CAPTIONS, _OF_RECORDINGS)
    }
    found: dict[str, Statistic] = {}
    for template, names in (
        (_OF_CAPTIONS, ("recall_at_1", "recall_at_5", "mrr", "median_rank")),
        (_OF_RECORDINGS, ("recording_at_1", "recording_at_5")),
    ):
        right = [[questions[place].truth] for place in places[template]]
        rankings = [said[place].ranking or () for place in places[template]]
        if not right:
            continue
        of_name: list[Statistic] = [
            ranking.recall(right, rankings, k=1),
            ranking.recall(right, rankings, k=5),
            ranking.reciprocal_rank(right, rankings),
            ranking.median_rank(right, rankings, worst=CANDIDATES),
        ]
        found |= {
            name: OfSome(statistic=one, places=places[template]) for name, one in zip(names, of_name, strict=False)
        }
    return found


def _of_captions(track: Track, captions: Mapping[str, str], seed: int) -> Question:
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
            [_recording(track)],
        ),
        kind="rank",
        truth=track.id,
        unit=track.id,
        template=_OF_CAPTIONS,
        given={"candidates": candidates, "texts": [captions[one] for one in candidates]},
    )


def _of_recordings(track: Track, block: Sequence[Track], captions: Mapping[str, str], seed: int) -> Question:
    rng = random.Random(f"{seed}/retrieval/recordings/{track.id}")
    candidates = rng.sample(block, len(block))
    return Question(
        id=f"{track.id}/recordings",
        messages=asked(QUESTIONS["caption"].choose(rng, held_out=True), [_recording(one) for one in candidates]),
        kind="rank",
        truth=track.id,
        unit=f"block of {block[0].id}",
        template=_OF_RECORDINGS,
        given={"candidates": [one.id for one in candidates], "texts": [captions[track.id]]},
    )


def _recording(track: Track) -> Audio:
    return Audio(source=Path(track.path), start=track.start, end=track.end)
