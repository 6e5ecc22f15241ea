"""What does somebody play next? The last item of each sequence is held back; full rankings of all others.

In: sequences of real listeners where their files were given (`C_lastfm_seq.txt`, `C_items.tsv`,
`C_lastfm_item2attributes.json`), of simulated ones otherwise. Out: a question a listener, and the plays that
recommenders learn from: all but the last item of each sequence, which the histories tell in their order.

The order of the public sequences is one of months, within which items stand by their numbers: compare with published
figures on them, and claim nothing about what comes next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mllm.eval import interaction_files, interactions
from mllm.eval.interactions import Plays
from mllm.eval.metrics import ranking
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _listening, _recommendation
from mllm.eval.tasks._listening import World
from mllm.eval.tasks._recommendation import Case

ABOUT = About(
    title="Recommendation: the next item",
    version="1",
    summary="Which item a listener plays last, by full rankings of all that he has not played before; "
    f"{_listening.SIMULATED}.",
    figures={
        "hit_5": Figure(title="HR@5"),
        "hit_10": Figure(title="HR@10", headline=True),
        "hit_20": Figure(title="HR@20"),
        "ndcg_5": Figure(title="NDCG@5"),
        "ndcg_10": Figure(title="NDCG@10", headline=True),
        "ndcg_20": Figure(title="NDCG@20"),
    },
    also=(_listening.KEY,),
    where=_listening.WHERE,
)


def load(music: Music) -> Sequence[Question]:
    """One question a listener."""
    world = _world(music)
    return [
        _recommendation.question(
            Case(id=f"next/{user}", user=user, history=world.histories[user], right=right),
            world.names,
            catalogue=len(world.plays.items),
            seed=music.seed,
        )
        for user, right in world.held.items()
    ]


def material(music: Music) -> Plays:
    """The plays that may be learnt from, and the tags of the items."""
    return _world(music).plays


def blind(questions: Sequence[Question]) -> Mapping[str, list[Said]]:
    """Who looks at no listener."""
    return _recommendation.blind(questions)


def credit(question: Question, said: Said) -> float | None:
    """Whether the item is among the first ten."""
    return _recommendation.hit_of(question, said, k=10)


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Scores of the rankings."""
    right, ranked = _recommendation.right_of(questions), _recommendation.rankings_of(questions, said)
    found: dict[str, Statistic] = {}
    for k in (5, 10, 20):
        found[f"hit_{k}"] = ranking.hit_rate(right, ranked, k=k)
        found[f"ndcg_{k}"] = ranking.ndcg(right, ranked, k=k)
    return found


def _world(music: Music) -> World:
    folder = _listening.folder_of(music)
    if folder is not None:
        return _of_files(folder)
    tracks, everyone = _listening.simulated(music)
    return _listening.world(tracks, everyone, {one.id: one.order[-1:] for one in everyone})


def _of_files(folder: Path) -> World:
    sequences = interaction_files.sequences(folder, "C_lastfm_seq.txt")
    names = interaction_files.names(folder, "C_items.tsv")
    tags = interaction_files.attributes(folder, "C_lastfm_item2attributes.json")
    played = {user: dict.fromkeys(items[:-1], 1.0) for user, items in sequences.items()}
    return World(
        plays=interactions.gather(played, tuple(names), tags),
        histories=played,
        held={user: items[-1:] for user, items in sequences.items()},
        names=names,
    )
