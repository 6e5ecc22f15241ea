"""Simulated listeners of rendered music: somebody to recommend to where there are no files of real people.

In: tracks with exact labels, a seed. Out: listeners who played what their tastes and chance made them play. A taste is
drawn over true facts: two styles, a tempo, a mode, two instruments that are liked and one that is not. They show
whether the harness and a recommender work; what people like they do not show.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Mapping, Sequence

from mllm.instruct_data.tracks import Track

_LOWEST_BPM, _HIGHEST_BPM = 60.0, 170.0
_SLOW_BPM, _FAST_BPM = 90.0, 130.0
_OF_STYLE, _OF_TEMPO, _OF_MODE, _OF_INSTRUMENT, _OF_DISLIKE = 2.0, 2.0, 1.0, 0.8, 1.2
_NOISE = 0.7
_FEWEST, _MOST = 0.08, 0.2
_WALK_NOISE = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listener:
    """Somebody simulated."""

    id: str
    plays: Mapping[str, float]
    """How often he played each piece, by id of the track; at least two pieces."""
    order: tuple[str, ...]
    """The same pieces, in the order in which he found them: each is rather like the one before."""


def simulate(tracks: Sequence[Track], *, count: int, seed: int) -> list[Listener]:
    """So many listeners of these tracks (at least three), each with a taste of his own; the same for the same seed."""
    tags = {track.id: tags_of(track) for track in tracks}
    return [_listener(number, tracks, tags, random.Random(f"{seed}/listener/{number}")) for number in range(count)]


def tags_of(track: Track) -> tuple[str, ...]:
    """What is true of a track, as tags: style, moods, instruments, mode and how fast it is."""
    found = [*([track.style] if track.style else []), *(track.moods or ()), *(track.playing or ())]
    if track.key is not None:
        found.append(f"{track.key.partition(' ')[2]} key")
    if track.tempo_bpm is not None:
        slow, fast = track.tempo_bpm < _SLOW_BPM, track.tempo_bpm > _FAST_BPM
        found.append("slow" if slow else "fast" if fast else "medium tempo")
    return tuple(dict.fromkeys(found))


def _listener(
    number: int, tracks: Sequence[Track], tags: Mapping[str, tuple[str, ...]], rng: random.Random
) -> Listener:
    likes = _tastes(tracks, rng)
    liked = {track.id: likes[track.id] + _NOISE * _gumbel(rng) for track in tracks}
    fewest = max(2, round(_FEWEST * len(tracks)))
    heard = sorted(liked, key=lambda one: -liked[one])[: rng.randint(fewest, max(3, round(_MOST * len(tracks))))]
    plays = {one: float(1 + round(rng.expovariate(1.0) * math.exp(max(-2.0, min(4.0, liked[one]))))) for one in heard}
    return Listener(id=f"listener {number}", plays=plays, order=_walk(heard, tags, rng))


def _tastes(tracks: Sequence[Track], rng: random.Random) -> dict[str, float]:
    """How much each track is liked, without chance."""
    styles = _some({track.style for track in tracks if track.style}, 2, rng)
    modes = _some({_mode(track) for track in tracks}, 1, rng)
    instruments = _some({name for track in tracks for name in track.playing or ()}, 3, rng)
    tempo = _LOWEST_BPM * (_HIGHEST_BPM / _LOWEST_BPM) ** rng.random()
    found = {}
    for track in tracks:
        playing = track.playing or ()
        liked = _OF_STYLE * (track.style in styles) + _OF_MODE * (_mode(track) in modes)
        liked += _OF_INSTRUMENT * sum(name in playing for name in instruments[:2])
        liked -= _OF_DISLIKE * any(name in playing for name in instruments[2:])
        if track.tempo_bpm is not None:
            liked -= _OF_TEMPO * math.log2(track.tempo_bpm / tempo) ** 2
        found[track.id] = liked
    return found


def _walk(heard: Sequence[str], tags: Mapping[str, tuple[str, ...]], rng: random.Random) -> tuple[str, ...]:
    """From piece to piece, each time to one that shares many tags with the last one."""
    left = sorted(heard)
    order = [left.pop(rng.randrange(len(left)))]
    while left:
        here = set(tags[order[-1]])
        near = {one: len(here & set(tags[one])) + _WALK_NOISE * _gumbel(rng) for one in left}
        order.append(max(left, key=near.__getitem__))
        left.remove(order[-1])
    return tuple(order)


def _some(names: set[str], count: int, rng: random.Random) -> list[str]:
    return rng.sample(sorted(names), min(count, len(names)))


def _mode(track: Track) -> str:
    return (track.key or "").partition(" ")[2]


def _gumbel(rng: random.Random) -> float:
    return -math.log(rng.expovariate(1.0))
