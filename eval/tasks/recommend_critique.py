"""Somebody refuses what was recommended and says what he wants instead: a conversation of two turns.

In: plays and critiques of real listeners where their files were given (`A_train.tsv`, `D_val.jsonl`, `items.tsv`,
`D_index_tags.tsv`), of simulated ones otherwise. Out: a question a critique, with a tag that is wanted and one that is
refused, to which an item that the listener plays is the answer; and the plays that recommenders learn from.
"""

from __future__ import annotations

import functools
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from mllm import facts, registry
from mllm.eval import interaction_files
from mllm.eval.interactions import Plays
from mllm.eval.metrics import ranking
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _listening, _recommendation
from mllm.eval.tasks._listening import World
from mllm.eval.tasks._recommendation import Case
from mllm.instruct_data import in_words

ABOUT = About(
    title="Recommendation: after a critique",
    version="1",
    summary="Which item a listener plays who refused another one and said which tags he wants and which he does not, "
    f"by full rankings; {_listening.SIMULATED}.",
    figures={
        "hit_1": Figure(title="Hit@1"),
        "hit_5": Figure(title="Hit@5"),
        "hit_10": Figure(title="Hit@10", headline=True),
        "hit_20": Figure(title="Hit@20"),
        "mrr": Figure(title="MRR", headline=True),
        "refused_10": Figure(title="share of the first ten that has the refused tag", better="lower"),
    },
    also=(_listening.KEY,),
    where=_listening.WHERE,
)
_WORDINGS = (
    "Not quite. I would rather have something {wanted}, and please nothing {refused}.",
    "Hm, not that one. Something {wanted} would be better; nothing {refused}, please.",
    "Nothing {refused} today. Is there anything {wanted}?",
    "I was hoping for something {wanted}. Leave out everything {refused}.",
    "Could it be something {wanted} instead? I have had enough of everything {refused}.",
    "Good idea, but I want nothing {refused}; something {wanted} is what I am after.",
    "Anything but what is {refused}. I am in the mood for something {wanted}.",
    "That one is not for me. Do you have something {wanted}? Nothing {refused}, though.",
)


def load(music: Music) -> Sequence[Question]:
    """One question a critique."""
    world, cases = _critiques(music)
    return [
        _recommendation.question(case, world.names, catalogue=len(world.plays.items), seed=music.seed) for case in cases
    ]


def material(music: Music) -> Plays:
    """The plays that may be learnt from, and the tags of the items."""
    return _critiques(music)[0].plays


def blind(questions: Sequence[Question]) -> Mapping[str, list[Said]]:
    """Who looks at no listener."""
    return _recommendation.blind(questions)


def credit(question: Question, said: Said) -> float | None:
    """Whether the item is among the first ten."""
    return _recommendation.hit_of(question, said, k=10)


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Scores of the rankings, and how far they keep to what was refused."""
    right, ranked = _recommendation.right_of(questions), _recommendation.rankings_of(questions, said)
    refused = [question.truth["refused"] for question in questions]
    found: dict[str, Statistic] = {f"hit_{k}": ranking.hit_rate(right, ranked, k=k) for k in (1, 5, 10, 20)}
    found["mrr"] = ranking.reciprocal_rank(right, ranked)
    found["refused_10"] = ranking.share_of_first(refused, ranked, k=10)
    return found


def _critiques(music: Music) -> tuple[World, list[Case]]:
    folder = _listening.folder_of(music)
    return _of_files(folder) if folder is not None else _simulated(music)


def _of_files(folder: Path) -> tuple[World, list[Case]]:
    rows = interaction_files.critiques(folder, "D_val.jsonl")
    world = _listening.from_tables(folder, train="A_train.tsv", held="A_val.tsv", tags="D_index_tags.tsv")
    tagged = _tagged(world.plays)
    cases = [
        Case(
            id=f"critique/{number}",
            user=row["user"],
            history=world.histories[row["user"]],
            right=(row["target"],),
            first=row["first"],
            reply=row["text"],
            refused=sorted(
                {item for tag in row["refused"] for item in tagged[tag]}, key=world.plays.places.__getitem__
            ),
        )
        for number, row in enumerate(rows)
        if row["user"] in world.histories
    ]
    return world, cases


def _simulated(music: Music) -> tuple[World, list[Case]]:
    tracks, everyone = _listening.simulated(music)
    world = _listening.world(tracks, everyone, _listening.at_random(music, everyone))
    tagged = _tagged(world.plays)
    made = [_case(user, world, tagged, random.Random(f"{music.seed}/critique/{user}")) for user in world.held]
    return world, [case for case in made if case is not None]


def _case(user: str, world: World, tagged: Mapping[str, Sequence[str]], rng: random.Random) -> Case | None:
    """A listener refuses a piece that is like his history, for a tag that the held-back piece does not have."""
    target = rng.choice(world.held[user])
    tags = {item: set(given) for item, given in world.plays.tags.items()}
    mine = {tag for item in world.histories[user] for tag in tags[item]}
    barred = {*world.histories[user], *world.held[user]}
    others = [item for item in world.plays.items if item not in barred and tags[item] - tags[target]]
    rng.shuffle(others)
    for first in sorted(others, key=lambda item: -len(mine & tags[item])):
        wanted, refused = sorted(tags[target] - tags[first]), sorted(tags[first] - tags[target])
        if wanted:
            refuse = rng.choice(refused)
            reply = rng.choice(_WORDINGS).format(wanted=in_a_phrase(rng.choice(wanted)), refused=in_a_phrase(refuse))
            return Case(
                id=f"critique/{user}",
                user=user,
                history=world.histories[user],
                right=(target,),
                first=first,
                reply=reply,
                refused=tagged[refuse],
            )
    return None


def in_a_phrase(tag: str) -> str:
    """A tag of a rendered piece as it stands after "something": "with piano", "in a minor key", "slow"."""
    if tag in facts.INSTRUMENTS:
        return f"with {tag}"
    if tag.endswith(" key"):
        return f"in {in_words.a(tag)}"
    if tag.endswith(" tempo"):
        return f"at {in_words.a(tag)}"
    return f"filed under {tag}" if tag in _styles() else tag


@functools.cache
def _styles() -> frozenset[str]:
    return frozenset(name.replace("_", " ") for name in registry.names("style"))


def _tagged(plays: Plays) -> Mapping[str, Sequence[str]]:
    """The items that have a tag, in their order."""
    found: dict[str, list[str]] = defaultdict(list)
    for item in plays.items:
        for tag in plays.tags.get(item, ()):
            found[tag].append(item)
    return found
