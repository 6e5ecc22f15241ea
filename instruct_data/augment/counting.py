"""Questions that ask for a number: instruments, sections, choruses, key changes, bars, different chords, entries.

In: one track. Out: questions with small numbers as answers, written in letters up to twelve. What cannot be counted
without doubt, or only up to a number that nobody counts by ear, is not asked.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

from mllm.instruct_data import in_words, track_facts
from mllm.instruct_data.asked import ask, phrasings, pick, weighted_order
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.tracks import Track

SUMMARY = "How many instruments, sections, choruses, changes, bars, chords and entries there are."
TRACKS = 1

MOST = 24
"""Largest number of bars that is asked for; of all else, half of it."""

_Turn = tuple[str, str]


def exchanges(tracks: Sequence[Track], draw: Draw) -> Iterator[Exchange]:
    """Questions about what can be counted, in random order."""
    (track,) = tracks
    for name in weighted_order(draw.rng, dict.fromkeys(_QUESTIONS, 1.0)):
        turn = _QUESTIONS[name](track, draw)
        if turn is not None:
            yield Exchange(turns=(turn,), template=f"counting/{name}")


def _turn(draw: Draw, intent: str, answer: str, /, **fields: object) -> _Turn:
    return ask(draw, phrasings("counting")[intent], **fields), in_words.sentence(answer)


def _there(count: int, what: str) -> str:
    """A number with its noun as an answer."""
    return f"There {'is' if count == 1 else 'are'} {in_words.several(count, what)}."


def instruments(track: Track) -> int | None:
    """How many instruments play, where it is known of every one."""
    names = track_facts.line_up(track)
    return len(names) if names else None


def bars(track: Track) -> int | None:
    """How many bars there are, where they are few."""
    return len(track.downbeats) if track.downbeats and len(track.downbeats) <= MOST else None


def chords(track: Track) -> int | None:
    """How many different chords there are, where they are few."""
    names = {name for _, _, name in track.chords or () if name != "N"}
    return len(names) if names and len(names) <= MOST // 2 else None


def _counted(intent: str, count_of: Callable[[Track], int | None], what: str) -> Callable[[Track, Draw], _Turn | None]:
    """A question whose answer is a number with its noun."""

    def turn(track: Track, draw: Draw) -> _Turn | None:
        count = count_of(track)
        return None if count is None else _turn(draw, intent, _there(count, what))

    return turn


def _sections(track: Track) -> int | None:
    return len(track.sections) if track.sections and len(track.sections) <= MOST // 2 else None


def _section_times(track: Track, draw: Draw) -> _Turn | None:
    names = [name for _, _, name in track.sections or ()]
    name = pick(draw.rng, list(dict.fromkeys(names)))
    if name is None or len(names) > MOST // 2:
        return None
    section = in_words.section(name)
    return _turn(draw, "section_times", f"{section} comes {in_words.times(names.count(name))}.", section=section)


def _changes(track: Track, draw: Draw, *, of: str) -> _Turn | None:
    changes = track_facts.key_changes(track) if of == "key" else track_facts.tempo_changes(track)
    if changes is None or len(changes) > MOST // 2:
        return None
    answer = f"The {of} changes {in_words.times(len(changes))}." if changes else f"The {of} does not change."
    return _turn(draw, f"{of}_changes", answer)


def _entries(track: Track, draw: Draw) -> _Turn | None:
    name = pick(draw.rng, list(track.activity or ()))
    if name is None or track.activity is None:
        return None
    spans = track.activity[name]
    rests = [after[0] - before[1] for before, after in itertools.pairwise(spans)]
    if not 1 <= len(spans) <= MOST // 4 or any(rest < track_facts.APART_SECONDS for rest in rests):
        return None
    return _turn(draw, "entries", f"The {name} comes in {in_words.times(len(spans))}.", name=name)


_QUESTIONS: Mapping[str, Callable[[Track, Draw], _Turn | None]] = {
    "instruments": _counted("instruments", instruments, "instrument"),
    "sections": _counted("sections", _sections, "section"),
    "section_times": _section_times,
    "key_changes": lambda track, draw: _changes(track, draw, of="key"),
    "tempo_changes": lambda track, draw: _changes(track, draw, of="tempo"),
    "bars": _counted("bars", bars, "bar"),
    "chords": _counted("chords", chords, "different chord"),
    "entries": _entries,
}
