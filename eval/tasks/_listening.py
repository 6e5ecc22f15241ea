"""Shared by the recommendation tasks: who played what, of real listeners from files or of simulated ones.

In: the music of a run. Out: what may be learnt from, what is held back, and what items are called. Asks nothing.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from mllm.eval import interaction_files, interactions, listeners
from mllm.eval.interactions import Plays
from mllm.eval.listeners import Listener
from mllm.eval.music import Music
from mllm.instruct_data.tracks import Track

KEY = "rec"
WHERE = (
    "They are the files of an agreed split of HetRec-2011 Last.fm-2k (grouplens.org/datasets/hetrec-2011, for research "
    "that is not commercial), cut to users and artists with at least five plays of each other"
)
SIMULATED = (
    "without files of real people it is about simulated listeners of rendered music, which prove the harness, not taste"
)
_LISTENERS, _TRACKS = 200, 160
_HELD_SHARE = 0.2


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """What was played, in two parts."""

    plays: Plays
    """What may be learnt from."""
    histories: Mapping[str, Mapping[str, float]]
    """The same by user: how often each item was played, the earliest first where the order is known."""
    held: Mapping[str, Sequence[str]]
    """What is held back, by user."""
    names: Mapping[str, str]
    """What items are called."""


def folder_of(music: Music) -> Path | None:
    """The folder of files of real listeners, if it was given."""
    return music.place(KEY, WHERE) if music.has(KEY) else None


def from_tables(folder: Path, *, train: str, held: str, tags: str) -> World:
    """Plays in two tables beside `items.tsv`.

    Raises:
        AbsentError: a file is not there.
        ConfigError: a file cannot be read, or names an item that is not in `items.tsv`.
    """
    played, back = interaction_files.plays(folder, train), interaction_files.plays(folder, held)
    names = interaction_files.names(folder, "items.tsv")
    return World(
        plays=interactions.gather(played, tuple(names), interaction_files.tags(folder, tags)),
        histories=played,
        held={user: tuple(counts) for user, counts in back.items() if user in played},
        names=names,
    )


def simulated(music: Music) -> tuple[list[Track], list[Listener]]:
    """Rendered pieces, and listeners who chose among them."""
    tracks = music.short()[: music.count(_TRACKS)]
    return tracks, listeners.simulate(tracks, count=music.count(_LISTENERS), seed=music.seed)


def world(tracks: Sequence[Track], everyone: Sequence[Listener], held: Mapping[str, Sequence[str]]) -> World:
    """What simulated listeners played, without what is held back of it; the tags are true facts of the pieces."""
    kept = {
        one.id: {item: one.plays[item] for item in one.order if item not in set(held.get(one.id, ()))}
        for one in everyone
    }
    return World(
        plays=interactions.gather(kept, tuple(track.id for track in tracks), tags_by_track(tracks)),
        histories=kept,
        held=held,
        names={track.id: _name(track) for track in tracks},
    )


def at_random(music: Music, everyone: Sequence[Listener]) -> dict[str, Sequence[str]]:
    """A fifth of what each listener played, at least one piece, to be held back."""
    held: dict[str, Sequence[str]] = {}
    for one in everyone:
        rng = random.Random(f"{music.seed}/held/{one.id}")
        held[one.id] = sorted(rng.sample(sorted(one.plays), max(1, round(_HELD_SHARE * len(one.plays)))))
    return held


def tags_by_track(tracks: Sequence[Track]) -> dict[str, dict[str, float]]:
    """The true tags of rendered pieces, as one person would give them."""
    return {track.id: dict.fromkeys(listeners.tags_of(track), 1.0) for track in tracks}


def _name(track: Track) -> str:
    """What a rendered piece is called: its title, or its style and key, with the id."""
    return track.title or f"{track.style or 'piece'} in {track.key} ({track.id})"
