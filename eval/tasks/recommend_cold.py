"""Which items that nobody has played yet will somebody play? Full rankings among all items, and among the new ones.

In: plays of real listeners where their files were given (`B_train.tsv`, `B_val.tsv`, `items.tsv`, `item_tags_all.tsv`),
of simulated ones otherwise. Out: two questions a listener, one with all items as candidates, one with the new ones; and
the plays that recommenders learn from, in which new items have tags and no listeners.
"""

from __future__ import annotations

import random
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

ALL, NEW = "all items", "new items"
ABOUT = About(
    title="Recommendation: new items",
    version="1",
    summary="Which items without any listener in training somebody plays, by full rankings of these and of all items; "
    f"{_listening.SIMULATED}.",
    figures={
        "recall_20_new": Figure(title="Recall@20 among the new items", headline=True),
        "ndcg_10_new": Figure(title="NDCG@10 among the new items"),
        "recall_20_all": Figure(title="Recall@20 among all items", headline=True),
        "ndcg_10_all": Figure(title="NDCG@10 among all items"),
        "coverage_10_new": Figure(title="share of the new items in any first ten of them"),
    },
    also=(_listening.KEY,),
    where=_listening.WHERE,
)
_NEW_SHARE = 1 / 6
"""Of the rendered pieces, so many are new to everybody."""


def load(music: Music) -> Sequence[Question]:
    """Two questions a listener who plays anything new."""
    world = _world(music)
    new = tuple(sorted({item for right in world.held.values() for item in right}, key=world.plays.places.__getitem__))
    cases = [
        Case(
            id=f"cold/{user}/{pool}",
            user=user,
            history=world.histories[user],
            right=right,
            candidates=candidates,
            pool=pool,
        )
        for user, right in world.held.items()
        for pool, candidates in ((ALL, None), (NEW, new))
    ]
    return [
        _recommendation.question(
            case, world.names, catalogue=len(new if case.pool == NEW else world.plays.items), seed=music.seed
        )
        for case in cases
    ]


def material(music: Music) -> Plays:
    """The plays that may be learnt from, and the tags of the items, of the new ones too."""
    return _world(music).plays


def blind(questions: Sequence[Question]) -> Mapping[str, list[Said]]:
    """Who looks at no listener."""
    return _recommendation.blind(questions)


def credit(question: Question, said: Said) -> float | None:
    """Recall@20."""
    return _recommendation.recall_of(question, said, k=20)


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Scores of the rankings, of each pool of candidates."""
    right, ranked = _recommendation.right_of(questions), _recommendation.rankings_of(questions, said)
    recall, ndcg = ranking.recall(right, ranked, k=20), ranking.ndcg(right, ranked, k=10)
    of_new = [one if question.groups["pool"] == NEW else () for question, one in zip(questions, ranked, strict=True)]
    new = [question.truth["catalogue"] for question in questions if question.groups["pool"] == NEW]
    found: dict[str, Statistic] = {
        "recall_20_new": _recommendation.among(questions, NEW, recall),
        "ndcg_10_new": _recommendation.among(questions, NEW, ndcg),
        "recall_20_all": _recommendation.among(questions, ALL, recall),
        "ndcg_10_all": _recommendation.among(questions, ALL, ndcg),
    }
    if new:
        found["coverage_10_new"] = ranking.coverage(of_new, k=10, catalogue=new[0])
    return found


def _world(music: Music) -> World:
    folder = _listening.folder_of(music)
    if folder is not None:
        return _listening.from_tables(folder, train="B_train.tsv", held="B_val.tsv", tags="item_tags_all.tsv")
    tracks, everyone = _listening.simulated(music)
    identities = sorted(track.id for track in tracks)
    new = set(random.Random(f"{music.seed}/new").sample(identities, max(1, round(_NEW_SHARE * len(identities)))))
    known = [one for one in everyone if not new.issuperset(one.plays)]
    held = {one.id: sorted(new & set(one.plays)) for one in known}
    return _listening.world(tracks, known, {user: items for user, items in held.items() if items})
