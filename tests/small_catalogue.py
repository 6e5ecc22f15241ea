"""A catalogue with tags and listeners, drawn from a seed, for tests of recommendation records."""

from __future__ import annotations

import random

from mllm.instruct_data.interactions import CatalogueItem, Interactions

_TAGS = (
    *("rock", "indie rock", "pop", "electronic", "jazz", "folk", "metal", "hip hop", "80s", "90s", "british", "german"),
    *("female vocalists", "piano", "mellow", "sad", "dreamy", "dance", "eurovision", "singer songwriter"),
)
_OPINIONS = ("seen live", "awesome", "favorites", "<3", "love at first listen", "2008")


def small_catalogue(*, in_order_of_time: bool, listeners: int = 200, seed: int = 0) -> Interactions:
    """150 items with up to seven tags, opinions among them, and listeners who keep to a few tags."""
    rng = random.Random(seed)
    items = {}
    for number in range(150):
        tags = [*rng.sample(_TAGS, rng.randint(1, 6)), rng.choice(_OPINIONS), f"the group {number}"]
        rng.shuffle(tags)
        items[f"i{number}"] = CatalogueItem(id=f"i{number}", name=f"The Group {number}", tags=tuple(tags))
    histories = {}
    for number in range(listeners):
        taste = set(rng.sample(_TAGS, 4))
        liked = [item for item, one in items.items() if taste & set(one.tags)]
        histories[f"u{number}"] = tuple(rng.sample(liked, min(len(liked), rng.randint(1, 15))))
    return Interactions(
        source="hetrec",
        licence="CC-BY-4.0",
        items=items,
        histories=histories,
        in_order_of_time=in_order_of_time,
    )
