"""What listeners' histories and the tags of items support: splits of listeners, shared tags, held-out items.

In: `Interactions`. Out: which listeners belong to a split, what items have in common, and whole messages in which items
stand as parts. Knows no wordings.
"""

from __future__ import annotations

import functools
import hashlib
import random
from collections.abc import Sequence

from mllm.instruct_data.augment import _tags
from mllm.instruct_data.interactions import CatalogueItem, Interactions

_SHARE_OF_VALIDATION = 0.05
_SHARE_OF_TEST = 0.1
ITEM = "\x00"
"""Stands for an item part in a text that becomes content parts."""


def listeners(interactions: Interactions, split: str) -> list[str]:
    """The listeners of a split, always the same whatever the seed, so that none is on two sides."""
    return [name for name in sorted(interactions.histories) if split_of(interactions.source, name) == split]


def split_of(source: str, name: str) -> str:
    """The split to which a listener or an item of a data set belongs."""
    place = int(hashlib.sha256(f"{source}/{name}".encode()).hexdigest()[:8], 16) / 16**8
    if place < _SHARE_OF_TEST:
        return "test"
    return "validation" if place < _SHARE_OF_TEST + _SHARE_OF_VALIDATION else "train"


def tags(item: CatalogueItem) -> tuple[str, ...]:
    """The tags of an item that describe it, most used first."""
    return _described(item.name, item.tags)


@functools.lru_cache(maxsize=1 << 16)
def _described(name: str, given: tuple[str, ...]) -> tuple[str, ...]:
    return _tags.descriptive(given, name=name)


def shared(*items: CatalogueItem) -> list[str]:
    """Tags that all the items have, in the order of the first."""
    others = [set(tags(item)) for item in items[1:]]
    return [tag for tag in tags(items[0]) if all(tag in one for one in others)]


def spoken(rng: random.Random, items: Sequence[CatalogueItem]) -> tuple[str, list[str]]:
    """Items as a user gives them, by name, as parts, or both: a text with `ITEM` for each part, and the parts' ids."""
    form = rng.choice(("{name}", ITEM, "{name} (" + ITEM + ")"))
    names = [form.format(name=item.name) for item in items]
    text = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return text, [item.id for item in items] if ITEM in form else []


def content(text: str, ids: Sequence[str]) -> list[dict[str, str]] | str:
    """A message's content: the text with an item part in the place of each `ITEM`."""
    if not ids:
        return text
    pieces = text.split(ITEM)
    assert len(pieces) == len(ids) + 1
    parts: list[dict[str, str]] = []
    for piece, identity in zip(pieces, [*ids, None], strict=True):
        if piece.strip():
            parts.append({"type": "text", "text": piece})
        if identity is not None:
            parts.append({"type": "item", "item": identity})
    return parts
