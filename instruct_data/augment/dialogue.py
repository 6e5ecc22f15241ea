"""Conversations of two turns in which music is recommended: request, suggestion, critique, refined suggestion.

In: interactions, whose items have tags. Out: records. A listener asks, showing a part of his history as names, as items
or both; a first suggestion shares tags with it but is none of his; he asks for a tag of the item that was held out and
that the suggestion lacks, or for less of one that the suggestion has and that item has not; the refined suggestion is
that item. Every reason is a tag that the items have. Knows no wordings.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from mllm import messages
from mllm.instruct_data.augment import _known, _listening, _tags
from mllm.instruct_data.augment._dialogue_wordings import WORDINGS
from mllm.instruct_data.interactions import CatalogueItem, Interactions
from mllm.instruct_data.records import Record

SUMMARY = "Two-turn recommendation: request, suggestion with its reason, critique from real tags, refined suggestion."

_FEWEST_SHOWN = 2
_MOST_SHOWN = 6
_CANDIDATES = 60
"""Items that are looked at for a first suggestion."""
_REASONS = 3
"""Most tags that a reason names."""
_MOST_USED = 8
"""How many of an item's tags, the most used first, may be asked for."""


def records(interactions: Interactions, *, seed: int, per_listener: int = 2, split: str = "train") -> Iterator[Record]:
    """Conversations of the listeners of a split; fewer where items lack the tags for them.

    Args:
        interactions: of all listeners; which of them belong to the split is decided by their names alone.
        seed: of items and wordings.
        per_listener: conversations for each, at most.
        split: "test" has the wordings that training never uses.
    """
    everything = sorted(interactions.items)
    for listener in _listening.listeners(interactions, split):
        rng = random.Random(f"{seed}/{split}/{listener}")
        history = [interactions.items[item] for item in dict.fromkeys(interactions.histories[listener])]
        for number, (shown, target) in enumerate(_held_out(rng, interactions, history, per_listener)):
            chosen = _first_suggestion(rng, interactions, everything, history, shown, target)
            if chosen is not None:
                yield _conversation(rng, interactions, listener, number, shown, chosen, target, split)


def _held_out(
    rng: random.Random, interactions: Interactions, history: Sequence[CatalogueItem], count: int
) -> Iterator[tuple[list[CatalogueItem], CatalogueItem]]:
    """What is shown of a history and the item held out: the next one where the order is that of time."""
    places = range(_FEWEST_SHOWN, len(history))
    for place in rng.sample(places, min(count, len(places))):
        before = history[:place] if interactions.in_order_of_time else [*history[:place], *history[place + 1 :]]
        most = min(_MOST_SHOWN, len(before))
        shown = rng.randint(_FEWEST_SHOWN, most)
        latest = before[-shown:] if interactions.in_order_of_time else rng.sample(before, shown)
        yield latest, history[place]


def _first_suggestion(
    rng: random.Random,
    interactions: Interactions,
    everything: Sequence[str],
    history: Sequence[CatalogueItem],
    shown: Sequence[CatalogueItem],
    target: CatalogueItem,
) -> tuple[CatalogueItem, CatalogueItem] | None:
    """An item that the listener has not heard and that shares a tag with one that is shown; and that one."""
    heard = {item.id for item in history}
    for identity in rng.sample(everything, min(_CANDIDATES, len(everything))):
        item = interactions.items[identity]
        if identity in heard or not _wishes(item, target):
            continue
        alike = [one for one in shown if _listening.shared(item, one)]
        if alike:
            return item, max(alike, key=lambda one: len(_listening.shared(item, one)))
    return None


def _wishes(first: CatalogueItem, target: CatalogueItem) -> list[tuple[bool, str]]:
    """What can be asked for: (True, a tag that only the target has) or (False, a tag that only the first one has)."""
    of_first, of_target = _listening.tags(first), _listening.tags(target)
    more = [(True, tag) for tag in of_target[:_MOST_USED] if tag not in of_first]
    less = [(False, tag) for tag in of_first[:_MOST_USED] if tag not in of_target]
    return [*more, *less] if of_target else []


def _conversation(
    rng: random.Random,
    interactions: Interactions,
    listener: str,
    number: int,
    shown: Sequence[CatalogueItem],
    chosen: tuple[CatalogueItem, CatalogueItem],
    target: CatalogueItem,
    split: str,
) -> Record:
    first, alike = chosen
    held_out = split == "test"
    history, ids = _listening.spoken(rng, shown)
    request = WORDINGS["request"].choose(rng, held_out=held_out).format(history=history)
    suggestion = WORDINGS["suggestion"].choose(rng, held_out=held_out)
    reasons = _tags.quoted(_listening.shared(first, alike)[:_REASONS])
    wanted, wish = _wish(rng, first, target)
    critique = (
        WORDINGS["critique"].choose(rng, held_out=held_out).format(wish=wish, wish_sentence=_known.sentence(wish))
    )
    plain = [
        {"role": "user", "content": _listening.content(_known.sentence(request), ids)},
        {
            "role": "assistant",
            "content": _known.sentence(suggestion.format(name=first.name, like=alike.name, tags=reasons)),
        },
        {"role": "user", "content": _known.sentence(critique)},
        {"role": "assistant", "content": _refined(rng, shown, target, wanted, held_out=held_out)},
    ]
    return Record(
        id=f"dialogue/{interactions.source}/{listener}/{number}",
        messages=messages.parse(plain),
        source=interactions.source,
        licence=interactions.licence,
        split=split,
        families=(f"{interactions.source}/listener/{listener}",),
        task="dialogue",
        template=f"dialogue/{'more' if wanted[0][0] else 'less'}",
    )


def _wish(rng: random.Random, first: CatalogueItem, target: CatalogueItem) -> tuple[list[tuple[bool, str]], str]:
    """One or two tags of which more or less is wanted, and how that is said."""
    wishes = _wishes(first, target)
    wanted = [rng.choice(wishes)]
    others = [one for one in wishes if one[0] != wanted[0][0]]
    if others and rng.random() < 0.3:
        wanted.append(rng.choice(others))
    wanted.sort(reverse=True)
    said = [(_tags.more if more else _tags.less)(rng, tag) for more, tag in wanted]
    return wanted, " and ".join(said)


def _refined(
    rng: random.Random,
    shown: Sequence[CatalogueItem],
    target: CatalogueItem,
    wanted: Sequence[tuple[bool, str]],
    *,
    held_out: bool,
) -> str:
    """The held-out item, with what the listener asked for and what it shares with what he showed."""
    parts = [f'it is {"" if more else "not "}tagged "{tag}"' for more, tag in wanted]
    alike = [(one, tag) for one in shown for tag in _listening.shared(target, one) if (True, tag) not in wanted]
    if alike:
        one, tag = rng.choice(alike[:_MOST_USED])
        parts.append(f'it shares "{tag}" with {one.name}')
    reason = _known.bare(parts)
    fields = {"name": target.name, "reason": reason, "reason_sentence": _known.sentence(reason)}
    return _known.sentence(WORDINGS["refined"].choose(rng, held_out=held_out).format(**fields))
