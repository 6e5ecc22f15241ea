"""Questions about recordings become records: for each recording, kinds of question are drawn until it has enough.

In: tracks. Out: `Record`s. A kind of question is a file of `augment/` that has `exchanges`; others are skipped. What is
asked of a recording depends on the seed, on the recording and on those that it is confused or compared with, which are
recordings of the same source and split, of another family. Writes no files.
"""

from __future__ import annotations

import difflib
import random
import types
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from mllm import registry
from mllm.errors import ConfigError
from mllm.instruct_data import records
from mllm.instruct_data.asked import weighted_order
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.records import Record
from mllm.instruct_data.tracks import Track

OTHERS = 16
"""How many other recordings a question may draw on, at most."""
_TRIES = 4
"""Exchanges of a kind that are looked at for one that was not asked yet."""


def kinds() -> dict[str, types.ModuleType]:
    """The files of `augment/` that ask about recordings, by name."""
    found = {name: registry.find("augmentation", name) for name in registry.names("augmentation")}
    return {name: module for name, module in found.items() if hasattr(module, "exchanges")}


def records_about(
    tracks: Sequence[Track], *, seed: int, per_track: int, weights: Mapping[str, float] | None = None
) -> Iterator[Record]:
    """Records about each of the tracks, in their order.

    Args:
        tracks: recordings; those of split "test" are asked about in wordings that training never uses.
        seed: of every choice.
        per_track: records about each track; fewer where little is known of it, for no question is asked twice.
        weights: how often each kind of question is asked; a kind that is not named weighs 1, 0 leaves it out.

    Raises:
        ConfigError: a kind is unknown, a weight is negative or all are 0.
    """
    chosen = _weights(weights or {})
    asking = kinds()
    peers: dict[tuple[str, str], list[Track]] = defaultdict(list)
    for track in tracks:
        peers[track.split, track.source].append(track)
    for track in tracks:
        asked: set[tuple[str, ...]] = set()
        for number in range(per_track):
            rng = random.Random(f"{seed}/{track.id}/{number}")
            others = _others(
                random.Random(f"{seed}/{track.id}/{number}/others"), track, peers[track.split, track.source]
            )
            for name in weighted_order(rng, chosen):
                found = _new(asking[name], track, others, rng, asked)
                if found is not None:
                    about, exchange = found
                    asked.add(_questions(exchange))
                    yield _record(f"{track.id}-{number}", name, about, exchange)
                    break


def _weights(given: Mapping[str, float]) -> dict[str, float]:
    known = tuple(kinds())
    for name, weight in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
            raise ConfigError(f"there is no kind of question named {name!r}; {hint}expected some of {', '.join(known)}")
        if weight < 0:
            raise ConfigError(f"the weight of {name!r} is {weight}; expected 0 or more")
    chosen = {name: float(given.get(name, 1.0)) for name in known}
    if not any(chosen.values()):
        raise ConfigError("the weights of all kinds of question are 0; give at least one of them more")
    return chosen


def _others(rng: random.Random, track: Track, peers: Sequence[Track]) -> tuple[Track, ...]:
    """Some other recordings in random order, each as likely as any other."""
    drawn = rng.sample(range(len(peers)), min(len(peers), OTHERS + 1))
    found = [peers[number] for number in drawn]
    return tuple(one for one in found if one.id != track.id and one.family != track.family)[:OTHERS]


def _new(
    module: types.ModuleType, track: Track, others: Sequence[Track], rng: random.Random, asked: set[tuple[str, ...]]
) -> tuple[tuple[Track, ...], Exchange] | None:
    """The first exchange of a kind that was not asked yet, with the tracks it is about."""
    about: tuple[Track, ...] = (track,)
    if module.TRACKS == 2:
        if not others:
            return None
        about = (track, others[0]) if rng.random() < 0.5 else (others[0], track)
        others = others[1:]
    draw = Draw(rng=rng, held_out=track.split == "test", others=others)
    for _, exchange in zip(range(_TRIES), module.exchanges(about, draw), strict=False):
        if _questions(exchange) not in asked:
            return about, exchange
    return None


def _questions(exchange: Exchange) -> tuple[str, ...]:
    return tuple(question for question, _ in exchange.turns)


def _record(identity: str, task: str, about: Sequence[Track], exchange: Exchange) -> Record:
    return Record(
        id=identity,
        messages=records.conversation(about, exchange.turns),
        task=task,
        template=exchange.template,
        source=about[0].source,
        licence=" and ".join(sorted({track.licence for track in about})),
        split=about[0].split,
        tracks=tuple(track.id for track in about),
        families=tuple(dict.fromkeys(track.family for track in about)),
        choices=exchange.choices,
        correct=exchange.correct,
        label=exchange.label,
    )
