"""Tasks about catalogue items: what comes next, what suits a listener, and what an item, a pair or a choice is like.

In: interactions, whose items have tags. Out: records. Users give items by name, as parts, or both; answers are names of
the catalogue and tags that the items have. A next item is asked for only where histories are in the order of time. The
wrong options of a choice are what other listeners have held out in the same way, so that they are as popular as the
right one. Knows no wordings.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence

from mllm import messages
from mllm.instruct_data.augment import _known, _listening, _tags
from mllm.instruct_data.augment._item_wordings import WORDINGS
from mllm.instruct_data.interactions import CatalogueItem, Interactions
from mllm.instruct_data.records import Record

SUMMARY = "Recommendation prompts, item descriptions and comparisons, and why a recommendation fits."

_FEWEST_SHOWN = 2
_MOST_SHOWN = 10
_OPTIONS = 4
_LETTERS = "ABCD"
_FEWEST_TAGS = 2
_MOST_TAGS = 5
_COMMONEST = 12
"""How many of an item's tags, the most used first, are compared."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Case:
    """A part of a listener's history and the item held out."""

    listener: str
    number: int
    shown: tuple[CatalogueItem, ...]
    target: CatalogueItem
    heard: frozenset[str]
    """Ids of all that the listener has played."""


def records(interactions: Interactions, *, seed: int, per_listener: int = 2, split: str = "train") -> Iterator[Record]:
    """Records about the listeners and the items of a split.

    Args:
        interactions: of all listeners; which listeners and items belong to the split is decided by their names alone.
        seed: of items and wordings.
        per_listener: how many items of each history are held out, each for up to three records.
        split: "test" has the wordings that training never uses.
    """
    writer = _Writer(interactions, split)
    cases = [
        case
        for name in _listening.listeners(interactions, split)
        for case in _cases(interactions, name, seed, per_listener)
    ]
    for place, case in enumerate(cases):
        rng = random.Random(f"{seed}/{split}/{case.listener}/{case.number}")
        yield writer.recommendation(rng, case)
        if (choice := writer.choice(rng, case, cases, place)) is not None:
            yield choice
        if (explanation := writer.explanation(rng, case)) is not None:
            yield explanation
    described = [
        item
        for identity, item in sorted(interactions.items.items())
        if _listening.split_of(interactions.source, f"item/{identity}") == split
        and len(_listening.tags(item)) >= _FEWEST_TAGS
    ]
    for item in described:
        rng = random.Random(f"{seed}/{split}/item/{item.id}")
        yield writer.description(rng, item)
        other = rng.choice(described)
        if other.id != item.id:
            yield writer.comparison(rng, item, other)


def _cases(interactions: Interactions, listener: str, seed: int, count: int) -> Iterator[_Case]:
    """The last items of a history in order of time, or any of one that is not, each with some of what is before."""
    rng = random.Random(f"{seed}/cases/{listener}")
    history = [interactions.items[item] for item in dict.fromkeys(interactions.histories[listener])]
    ordered = interactions.in_order_of_time
    places = range(_FEWEST_SHOWN, len(history))
    chosen = list(places)[-count:] if ordered else rng.sample(places, min(count, len(places)))
    for number, place in enumerate(chosen):
        before = history[:place] if ordered else [*history[:place], *history[place + 1 :]]
        shown = rng.randint(_FEWEST_SHOWN, min(_MOST_SHOWN, len(before)))
        yield _Case(
            listener=listener,
            number=number,
            shown=tuple(before[-shown:] if ordered else rng.sample(before, shown)),
            target=history[place],
            heard=frozenset(item.id for item in history),
        )


class _Writer:
    """Makes records of one split of one data set."""

    def __init__(self, interactions: Interactions, split: str) -> None:
        self._interactions = interactions
        self._split = split

    def recommendation(self, rng: random.Random, case: _Case) -> Record:
        """The held-out item: the next one, or any."""
        ordered = self._interactions.in_order_of_time
        task = "sequential" if ordered and rng.random() < 0.5 else "straightforward"
        shown = case.shown if task == "sequential" else rng.sample(case.shown, len(case.shown))
        history, ids = _listening.spoken(rng, shown)
        return self._of_listener(case, task, self._question(rng, task, history=history), ids, case.target.name)

    def choice(self, rng: random.Random, case: _Case, cases: Sequence[_Case], place: int) -> Record | None:
        """The held-out item among those of other listeners."""
        wrong: dict[str, CatalogueItem] = {}
        for other in rng.sample([*cases[:place], *cases[place + 1 :]], min(4 * _OPTIONS, len(cases) - 1)):
            if other.target.id not in case.heard and other.listener != case.listener:
                wrong[other.target.name] = other.target
        names = [name for name in wrong if name != case.target.name][: _OPTIONS - 1]
        if len(names) < _OPTIONS - 1:
            return None
        correct = rng.randrange(_OPTIONS)
        names.insert(correct, case.target.name)
        options = [f"({letter}) {name}" for letter, name in zip(_LETTERS, names, strict=True)]
        history, ids = _listening.spoken(rng, case.shown)
        question = self._question(rng, "choose", history=history, options=" ".join(options))
        return self._of_listener(case, "choose", question, ids, options[correct], choices=tuple(names), correct=correct)

    def explanation(self, rng: random.Random, case: _Case) -> Record | None:
        """Why the held-out item fits: tags that it shares with what was shown."""
        reasons = []
        for item in case.shown:
            if tags := _listening.shared(case.target, item)[:2]:
                reasons.append(f"{_tags.quoted(tags)} with {item.name}")
        if not reasons:
            return None
        history, ids = _listening.spoken(rng, case.shown)
        question = self._question(rng, "explanation", history=history, name=case.target.name)
        picked = rng.sample(reasons, min(2, len(reasons)))
        pattern = rng.choice(("{name} shares {x}.", "It shares {x}.", "Because it shares {x}."))
        answer = pattern.format(name=case.target.name, x=" and ".join(picked))
        return self._of_listener(case, "explanation", question, ids, _known.sentence(answer))

    def description(self, rng: random.Random, item: CatalogueItem) -> Record:
        """What listeners call an item."""
        name, ids = _listening.spoken(rng, [item])
        tags = [_tags.shown(tag) for tag in _listening.tags(item)[: rng.randint(_FEWEST_TAGS, _MOST_TAGS)]]
        patterns = ("Listeners tag it as {x}.", "It is tagged as {x}.", "Its tags are {x}.", "{x}.")
        answer = _known.sentence(rng.choice(patterns).format(x=_known.bare(tags)))
        return self._of_items("description", self._question(rng, "description", name=name), ids, answer, item)

    def comparison(self, rng: random.Random, first: CatalogueItem, second: CatalogueItem) -> Record:
        """What two items share and what only one of them has."""
        first_name, first_ids = _listening.spoken(rng, [first])
        second_name, second_ids = _listening.spoken(rng, [second])
        question = self._question(rng, "comparison", first=first_name, second=second_name)
        both = _listening.shared(first, second)[:_MOST_TAGS]
        sentences = [f"Both are tagged {_tags.quoted(both)}." if both else "They share no tag."]
        for which, item, other in (("first", first, second), ("second", second, first)):
            others = set(_listening.tags(other))
            if own := [tag for tag in _listening.tags(item)[:_COMMONEST] if tag not in others][:2]:
                sentences.append(f"Only the {which} is tagged {_tags.quoted(own)}.")
        return self._of_items("comparison", question, [*first_ids, *second_ids], " ".join(sentences), first, second)

    def _question(self, rng: random.Random, task: str, **fields: str) -> str:
        pattern = WORDINGS[task].choose(rng, held_out=self._split == "test")
        return _known.sentence(pattern.format(**fields))

    def _of_listener(
        self,
        case: _Case,
        task: str,
        question: str,
        ids: Sequence[str],
        answer: str,
        *,
        choices: tuple[str, ...] = (),
        correct: int | None = None,
    ) -> Record:
        source = self._interactions.source
        identity = f"{source}/{case.listener}/{case.number}"
        family = f"{source}/listener/{case.listener}"
        return self._record(task, identity, [family], question, ids, answer, choices=choices, correct=correct)

    def _of_items(self, task: str, question: str, ids: Sequence[str], answer: str, *items: CatalogueItem) -> Record:
        source = self._interactions.source
        families = [f"{source}/item/{item.id}" for item in items]
        return self._record(task, f"{source}/item/{items[0].id}", families, question, ids, answer)

    def _record(
        self,
        task: str,
        identity: str,
        families: Sequence[str],
        question: str,
        ids: Sequence[str],
        answer: str,
        *,
        choices: tuple[str, ...] = (),
        correct: int | None = None,
    ) -> Record:
        content = _listening.content(question, ids)
        return Record(
            id=f"item_tasks/{task}/{identity}",
            messages=messages.parse([{"role": "user", "content": content}, {"role": "assistant", "content": answer}]),
            task="item_tasks",
            template=f"item_tasks/{task}",
            source=self._interactions.source,
            licence=self._interactions.licence,
            split=self._split,
            families=tuple(families),
            choices=choices,
            correct=correct,
        )
