"""What else does somebody play? Full rankings of all items for listeners and items that are known from training.

In: plays of real listeners where their files were given (`A_train.tsv`, `A_val.tsv`, `items.tsv`, `item_tags.tsv`), of
simulated ones otherwise. Out: a question a listener: his history, and a fifth of what he played held back (of real ones
a tenth); and the plays that recommenders learn from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    title="Recommendation: known items",
    version="1",
    summary="Which further items a listener plays, by full rankings of all that he has not played in training; "
    f"{_listening.SIMULATED}.",
    figures={
        "recall_10": Figure(title="Recall@10"),
        "recall_20": Figure(title="Recall@20", headline=True),
        "ndcg_10": Figure(title="NDCG@10", headline=True),
        "ndcg_20": Figure(title="NDCG@20"),
        "hit_10": Figure(title="HR@10"),
        "mrr_20": Figure(title="MRR@20"),
        "coverage_10": Figure(title="share of the catalogue in any first ten"),
        "tail_recall_20": Figure(title="Recall@20 outside the fifth with most listeners"),
    },
    also=(_listening.KEY,),
    where=_listening.WHERE,
)


def load(music: Music) -> Sequence[Question]:
    """One question a listener."""
    world = _world(music)
    head = {world.plays.items[place] for place in ranking.head_of(world.plays.listeners)}
    return [
        _recommendation.question(
            Case(id=f"warm/{user}", user=user, history=world.histories[user], right=right, head=head),
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
    """Recall@20."""
    return _recommendation.recall_of(question, said, k=20)


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Scores of the rankings."""
    right, ranked = _recommendation.right_of(questions), _recommendation.rankings_of(questions, said)
    tails = [question.truth["tail"] for question in questions]
    return {
        "recall_10": ranking.recall(right, ranked, k=10),
        "recall_20": ranking.recall(right, ranked, k=20),
        "ndcg_10": ranking.ndcg(right, ranked, k=10),
        "ndcg_20": ranking.ndcg(right, ranked, k=20),
        "hit_10": ranking.hit_rate(right, ranked, k=10),
        "mrr_20": ranking.reciprocal_rank(right, ranked, k=20),
        "coverage_10": ranking.coverage(ranked, k=10, catalogue=questions[0].truth["catalogue"]),
        "tail_recall_20": ranking.recall(tails, ranked, k=20),
    }


def _world(music: Music) -> World:
    folder = _listening.folder_of(music)
    if folder is not None:
        return _listening.from_tables(folder, train="A_train.tsv", held="A_val.tsv", tags="item_tags.tsv")
    tracks, everyone = _listening.simulated(music)
    return _listening.world(tracks, everyone, _listening.at_random(music, everyone))
