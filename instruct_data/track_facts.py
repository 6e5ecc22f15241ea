"""What follows from what is known of a recording: changes, entries, what plays at a time, which part is loudest.

In: a `Track`. Out: plain values; None where it does not follow, because a field is not known or because the truth lies
so near a border that a listener could say either. Knows no words but those of the labels.
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Iterable

from mllm.facts import INSTRUMENTS
from mllm.instruct_data.tracks import Track

AT_ONCE_SECONDS = 0.6
"""What begins within this time begins together."""
APART_SECONDS = 3.0
"""What begins at least this long apart is heard as one after the other."""
BORDER_SECONDS = 1.0
"""Nothing is asked about a moment that is nearer to a change than this; what begins this near to the beginning of a
recording begins with it, what stops this near to its end plays until its end."""
TEMPO_CHANGED = 1.05
"""Ratio of two tempi from which a listener hears a change."""
TEMPO_SAME = 1.02
"""Ratio up to which he hears none."""
LOUDER_DB = 2.0
"""Difference from which one part is louder than another."""
_BEAT_BY_BEAT_SECONDS = 2.0
"""Tempi that follow each other within this time belong to one gradual change."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TempoChange:
    """A change of the tempo that can be heard."""

    begin: float
    end: float
    """Equal to `begin` where the change is sudden. Seconds."""
    before_bpm: float
    after_bpm: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeyChange:
    """A change of the key."""

    time: float
    before: str
    after: str


def tempo_changes(track: Track) -> tuple[TempoChange, ...] | None:
    """The changes of the tempo in order; None where they are not known or one of them is hard to hear."""
    if not track.tempo_curve:
        return None
    changes: list[TempoChange] = []
    for run in _runs(track.tempo_curve):
        (begin, _), (end, after) = run[1], run[-1]
        before = run[0][1]
        ratio = max(before / after, after / before)
        if TEMPO_SAME < ratio < TEMPO_CHANGED:
            return None
        if ratio >= TEMPO_CHANGED:
            changes.append(TempoChange(begin=begin, end=end, before_bpm=before, after_bpm=after))
    return tuple(changes)


def _runs(curve: tuple[tuple[float, float], ...]) -> Iterable[list[tuple[float, float]]]:
    """Stretches of a tempo curve that move one way without rest; each begins with the point before it."""
    run: list[tuple[float, float]] = []
    for before, after in itertools.pairwise(curve):
        if after[1] == before[1]:
            continue
        rising = after[1] > before[1]
        goes_on = (
            len(run) > 1
            and run[-1] == before
            and (run[-1][1] > run[-2][1]) == rising
            and after[0] - before[0] <= _BEAT_BY_BEAT_SECONDS
        )
        if goes_on:
            run.append(after)
            continue
        if run:
            yield run
        run = [before, after]
    if run:
        yield run


def key_changes(track: Track) -> tuple[KeyChange, ...] | None:
    """The changes of the key in order."""
    if not track.keys:
        return None
    pairs = itertools.pairwise(track.keys)
    return tuple(KeyChange(time=at, before=old, after=new) for (_, old), (at, new) in pairs if old != new)


def line_up(track: Track) -> tuple[str, ...] | None:
    """The instruments that play, where it is known of every one whether it does."""
    if track.playing is None or track.absent is None:
        return None
    return track.playing if set(track.playing) | set(track.absent) == set(INSTRUMENTS) else None


def steady_key(track: Track) -> str | None:
    """The key, where it does not change."""
    return None if key_changes(track) else track.key


def steady_mode(track: Track) -> str | None:
    """The mode, where it does not change."""
    modes = {key.split()[-1] for key in (track.key, *(key for _, key in track.keys or ())) if key is not None}
    return modes.pop() if len(modes) == 1 else None


_LIKE = {"dorian": "minor", "mixolydian": "major"}


def pass_for_each_other(mode: str, other: str) -> bool:
    """Whether two different modes are so alike that one is easily heard as the other."""
    return _LIKE.get(mode) == other or _LIKE.get(other) == mode


def steady_tempo(track: Track) -> float | None:
    """The tempo, where it does not change."""
    return None if tempo_changes(track) else track.tempo_bpm


def enters(track: Track, instrument: str) -> float | None:
    """When an instrument is first heard; 0 where that is at the beginning of the recording."""
    spans = (track.activity or {}).get(instrument)
    if not spans:
        return None
    return spans[0][0] if spans[0][0] > BORDER_SECONDS else 0.0


def stops(track: Track, instrument: str) -> float | None:
    """When an instrument is last heard; the length of the recording where that is at its end."""
    spans = (track.activity or {}).get(instrument)
    if not spans or track.seconds is None:
        return None
    return spans[-1][1] if spans[-1][1] < track.seconds - BORDER_SECONDS else track.seconds


def entries(track: Track) -> tuple[tuple[float, tuple[str, ...]], ...]:
    """Moments after the beginning in which instruments enter or come back, those at once together.

    A moment is left out where another instrument enters so soon before or after it that both could be meant.
    """
    begins = sorted((span[0], name) for name, spans in (track.activity or {}).items() for span in spans)
    groups: list[list[tuple[float, str]]] = []
    for at, name in begins:
        if groups and at - groups[-1][0][0] <= AT_ONCE_SECONDS:
            groups[-1].append((at, name))
        else:
            groups.append([(at, name)])
    moments = [group[0][0] for group in groups]
    return tuple(
        (group[0][0], tuple(name for name in INSTRUMENTS if name in {one for _, one in group}))
        for number, group in enumerate(groups)
        if group[0][0] > BORDER_SECONDS
        and all(abs(group[0][0] - other) >= APART_SECONDS for i, other in enumerate(moments) if i != number)
    )


def playing_between(track: Track, begin: float, end: float) -> tuple[str, ...] | None:
    """The instruments that play in a stretch; None where one of them plays so little of it that it could be missed."""
    if track.activity is None:
        return None
    heard = []
    for name, spans in track.activity.items():
        inside = sum(max(0.0, min(end, to) - max(begin, at)) for at, to in spans)
        near = any(at < end + BORDER_SECONDS and to > begin - BORDER_SECONDS for at, to in spans)
        if inside >= min(BORDER_SECONDS, (end - begin) / 2):
            heard.append(name)
        elif near:
            return None
    return tuple(name for name in INSTRUMENTS if name in heard)


def section_at(track: Track, time: float) -> str | None:
    """Name of the section at a moment; None near its borders."""
    for begin, end, name in track.sections or ():
        if begin + BORDER_SECONDS <= time <= end - BORDER_SECONDS:
            return name
    return None


def chord_at(track: Track, time: float, *, margin: float = 0.3) -> str | None:
    """Name of the chord at a moment; None near its borders."""
    for begin, end, name in track.chords or ():
        if begin + margin <= time <= end - margin:
            return name
    return None


def chords_in_order(track: Track) -> tuple[str, ...] | None:
    """The chords one after the other, without those that only go on."""
    if not track.chords:
        return None
    names = [name for _, _, name in track.chords]
    return tuple(name for number, name in enumerate(names) if number == 0 or name != names[number - 1])


def section_levels(track: Track) -> tuple[float, ...] | None:
    """Mean loudness of each section in dB; None where one has no measured moment."""
    if not track.dynamics or not track.sections:
        return None
    levels = []
    for begin, end, _ in track.sections:
        inside = [level for at, level in track.dynamics if begin <= at < end]
        if not inside:
            return None
        levels.append(statistics.fmean(inside))
    return tuple(levels)


def extreme_section(track: Track, *, loudest: bool) -> int | None:
    """Which section is the loudest, or the softest; None where it is not clearly one."""
    levels = section_levels(track)
    if levels is None or len(levels) < 2:
        return None
    order = sorted(range(len(levels)), key=lambda number: levels[number], reverse=loudest)
    return order[0] if abs(levels[order[0]] - levels[order[1]]) >= LOUDER_DB else None


def loudness_trend(track: Track) -> float | None:
    """By how many dB the last third is louder than the first."""
    if not track.dynamics or track.seconds is None:
        return None
    first = [level for at, level in track.dynamics if at < track.seconds / 3]
    last = [level for at, level in track.dynamics if at >= track.seconds * 2 / 3]
    return statistics.fmean(last) - statistics.fmean(first) if first and last else None


def register(track: Track, instrument: str) -> str | None:
    """One of low, middle and high; None where it lies between."""
    bounds = (track.registers or {}).get(instrument)
    if bounds is None:
        return None
    centre = sum(bounds) / 2
    if centre < 50:
        return "low"
    if 55 <= centre <= 67:
        return "middle"
    return "high" if centre >= 72 else None
