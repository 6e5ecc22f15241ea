"""Questions that take for granted that something is there: its absence is said, its presence answered.

In: one track of which it is known what it lacks. Out: exchanges: when an instrument comes in that does not play, where
the chorus is, how the key changes, who plays the piano, and the same of what is there. Whether it is there is true of
the track and not of another one, or the other way round, so that a question alone does not tell. Sounds that are no
music are asked about in the same words where nothing but notes was rendered. Knows no wordings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from mllm.instruct_data.augment import _known
from mllm.instruct_data.augment._not_heard_wordings import LEADS, UNKNOWABLE, WORDINGS
from mllm.instruct_data.dialogue import cannot_tell
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.tracks import Span, Track
from mllm.instruct_data.wordings import CANNOT_TELL

SUMMARY = (
    "Questions that take for granted what may not be there: the answer says so, or answers; and what nobody can tell."
)
TRACKS = 1

SOUNDS = (
    "applause",
    "rain",
    "thunder",
    "spoken voice",
    "barking dog",
    "birdsong",
    "siren",
    "laughter",
    "telephone",
    "traffic",
    "crying baby",
    "ticking clock",
)
"""What surely does not sound where nothing but notes was rendered."""
RENDERED = "rendered"
_OF_SOUNDS = ("enters", "stops", "entries")
_OF_INSTRUMENTS = (*_OF_SOUNDS, "lasting")
_SHORTEST_NAME = 3
"""Letters of the name of a section that says what it is for; "A" and "B" are names that others may give otherwise."""
_STEADY = 1.02
"""Ratio of the fastest to the slowest tempo up to which nobody says that the tempo changes."""
_CHANGED = 1.08
"""The ratio from which on anybody would."""


def exchanges(tracks: Sequence[Track], draw: Draw) -> Iterator[Exchange]:
    """True exchanges that take something for granted, at most one of each kind, in any order.

    Args:
        tracks: the one track.
        draw: chances, wordings and other tracks.
    """
    (track,) = tracks
    kinds = list(_KINDS)
    draw.rng.shuffle(kinds)
    for kind in kinds:
        yield from kind(track, draw)


def _instrument(draw: Draw, track: Track, *, timed: bool) -> tuple[str, bool] | None:
    """An instrument that plays here and not in another track, or the other way round, and whether it plays here."""

    def candidates(here: Track, other: Track | None) -> Iterator[tuple[str, bool]]:
        both = (here, other or here)
        if timed and any(one.activity is None for one in both):
            return
        known, known_there = (_known.verdicts(one) for one in both)
        for name, plays in known.items():
            if name in known_there and (other is None or known_there[name] != plays):
                yield name, plays

    return _known.one_that_differs(draw, track, candidates)


def _played(track: Track, draw: Draw) -> Iterator[Exchange]:
    """When, how often and how long an instrument is heard."""
    for kind in draw.rng.sample(_OF_INSTRUMENTS, 2):
        found = _instrument(draw, track, timed=True)
        if found is None:
            return
        name, plays = found
        said = _known.said(draw.rng, name)
        question = _known.worded(WORDINGS[kind], draw, _known.words(said))
        answer = _TOLD[kind](said, _spans(track, name)) if plays else _absent(draw, said)
        yield _exchange(f"{kind}/{name}", question, answer, heard=plays)


def _spans(track: Track, name: str) -> list[Span]:
    """When any of the instruments that a name covers sounds, earliest first, overlapping spans joined."""
    activity = track.activity or {}
    joined: list[Span] = []
    for begin, end in sorted(span for member in _known.MEMBERS[name] for span in activity.get(member, ())):
        if joined and begin <= joined[-1][1] + 1.0:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def _seconds(time: float) -> str:
    """A time in seconds, to a tenth."""
    shown = f"{time:.1f}".removesuffix(".0")
    return f"{shown} second{'' if shown == '1' else 's'}"


def _told_entry(name: str, spans: Sequence[Span]) -> str:
    begin = spans[0][0]
    when = f"at {_seconds(begin)}" if begin > 0 else "at the very beginning, at 0 seconds"
    return f"The {name} first {_known.words(name)['enters']} {when}."


def _told_stop(name: str, spans: Sequence[Span]) -> str:
    return f"The {name} {_known.words(name)['is']} last heard at {_seconds(spans[-1][1])}."


def _told_entries(name: str, spans: Sequence[Span]) -> str:
    times = {1: "once", 2: "twice"}.get(len(spans), f"{len(spans)} times")
    return f"The {name} {_known.words(name)['enters']} {times}."


def _told_duration(name: str, spans: Sequence[Span]) -> str:
    return f"The {name} {_known.words(name)['plays']} for {_seconds(sum(end - begin for begin, end in spans))} in all."


_TOLD: Mapping[str, Callable[[str, Sequence[Span]], str]] = {
    "enters": _told_entry,
    "stops": _told_stop,
    "entries": _told_entries,
    "lasting": _told_duration,
}


def _absent(draw: Draw, name: str) -> str:
    """There is no such thing."""
    words = _known.words(name)
    patterns = (
        "There {is} no {name} in this recording.",
        "There {is} no {name} here.",
        "I hear no {name} in this recording.",
        "No {name} {is} heard in this recording.",
    )
    return draw.rng.choice(patterns).format(**words)


def _sound(track: Track, draw: Draw) -> Iterator[Exchange]:
    """A sound that is no music, in the words of questions about instruments."""
    if track.source != RENDERED:
        return
    name, kind = draw.rng.choice(SOUNDS), draw.rng.choice(_OF_SOUNDS)
    question = _known.worded(WORDINGS[kind], draw, _known.words(name))
    yield Exchange(turns=((question, _absent(draw, name)),), template=f"not_heard/sound/{kind}")


def _unknowable(track: Track, draw: Draw) -> Iterator[Exchange]:
    """What nobody can tell of an instrument that is there, and of one that is not."""
    found = _instrument(draw, track, timed=False)
    if found is not None:
        name, plays = found
        said = _known.said(draw.rng, name)
        what = draw.rng.choice(tuple(UNKNOWABLE))
        question = _known.worded(UNKNOWABLE[what], draw, _known.words(said))
        answer = cannot_tell(what) if plays else _absent(draw, said)
        yield _exchange(f"unknowable/{name}", question, answer, heard=plays)


def _lead(track: Track, draw: Draw) -> Iterator[Exchange]:
    """A sentence that takes an instrument for granted, and a question that nobody can answer."""
    found = _instrument(draw, track, timed=False)
    if found is not None:
        name, plays = found
        said = _known.said(draw.rng, name)
        lead = _known.worded(LEADS, draw, _known.words(said))
        what = draw.rng.choice([what for what in CANNOT_TELL if what not in _NOT_AFTER_A_LEAD])
        question = f"{lead} {_known.sentence(CANNOT_TELL[what].choose(draw.rng, held_out=draw.held_out))}"
        answer = cannot_tell(what) if plays else f"{_absent(draw, said)} {cannot_tell(what)}"
        yield _exchange(f"lead/{name}", question, answer, heard=plays)


_NOT_AFTER_A_LEAD = frozenset({"that", "the genre", "the mood", "the lyrics", "the language", "who sings"})
"""What some tracks do tell: their genre, or that nobody sings; and questions that would not follow on such a lead."""


def _section(track: Track, draw: Draw) -> Iterator[Exchange]:
    """When a part of the form begins, or how long it is."""

    def candidates(here: Track, other: Track | None) -> Iterator[tuple[str, bool]]:
        names, names_there = _sections(here), _sections(other or here)
        if names and names_there:
            for name in sorted(set(names) | set(names_there)):
                if other is None or (name in names) != (name in names_there):
                    yield name, name in names

    found = _known.one_that_differs(draw, track, candidates)
    if found is None:
        return
    name, is_there = found
    kind = draw.rng.choice(("section_begin", "section_length"))
    question = _known.worded(WORDINGS[kind], draw, {"section": name})
    answer = f"There is no {name} in this recording."
    if is_there:
        begin, end = next((begin, end) for begin, end, named in track.sections or () if named == name)
        begins = f"The {name} begins at {_seconds(begin)}."
        answer = begins if kind == "section_begin" else f"The {name} lasts {_seconds(end - begin)}."
    yield _exchange(f"{kind}/{name}", question, answer, heard=is_there)


def _sections(track: Track) -> list[str]:
    """Names of the sections, where they say what each is for."""
    names = [name for _, _, name in track.sections or ()]
    return names if all(len(name) >= _SHORTEST_NAME for name in names) else []


def _key_change(track: Track, draw: Draw) -> Iterator[Exchange]:
    """When the key changes, and to which."""
    changes = _changes_of_key(track)
    if changes is None or not _differs(draw, bool(changes), lambda other: _as_bool(_changes_of_key(other))):
        return
    question = _known.worded(WORDINGS["key_change"], draw, {})
    answer = "The key does not change"
    if changes:
        time, key = changes[0]
        answer = f"The key changes at {_seconds(time)}, to {key}"
    elif track.keys:
        answer += f"; it stays {track.keys[0][1]}"
    yield _exchange("key_change", question, f"{answer}.", heard=bool(changes))


def _changes_of_key(track: Track) -> list[tuple[float, str]] | None:
    if not track.keys:
        return None
    return [now for before, now in zip(track.keys, track.keys[1:], strict=False) if now[1] != before[1]]


def _tempo_change(track: Track, draw: Draw) -> Iterator[Exchange]:
    """When the first tempo is left."""
    changes = _changes_tempo(track)
    if changes is None or not _differs(draw, changes, _changes_tempo):
        return
    assert track.tempo_curve
    question = _known.worded(WORDINGS["tempo_change"], draw, {})
    first = track.tempo_curve[0][1]
    answer = f"The tempo does not change; it stays at about {round(first)} BPM."
    if changes:
        time = next(time for time, bpm in track.tempo_curve if _ratio(bpm, first) > _STEADY)
        answer = f"The tempo begins to change at about {_seconds(time)}; before, it is about {round(first)} BPM."
    yield _exchange("tempo_change", question, answer, heard=changes)


def _changes_tempo(track: Track) -> bool | None:
    """Whether the tempo changes; None where that is not known, or a matter of taste."""
    if not track.tempo_curve:
        return None
    first = track.tempo_curve[0][1]
    most = max(_ratio(bpm, first) for _, bpm in track.tempo_curve)
    return False if most <= _STEADY else True if most >= _CHANGED else None


def _ratio(one: float, other: float) -> float:
    return max(one / other, other / one)


def _as_bool(changes: Sequence[object] | None) -> bool | None:
    return None if changes is None else bool(changes)


def _differs(draw: Draw, here: bool, of: Callable[[Track], bool | None]) -> bool:
    """Whether another track is known to differ, so that it could be asked the same and answered otherwise."""
    return bool(draw.others) and of(draw.rng.choice(draw.others)) == (not here)


def _exchange(kind: str, question: str, answer: str, *, heard: bool) -> Exchange:
    return Exchange(turns=((question, answer),), template=f"not_heard/{kind}", label="heard" if heard else "not heard")


_KINDS = (_played, _sound, _unknowable, _lead, _section, _key_change, _tempo_change)
