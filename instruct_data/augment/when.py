"""Questions about times: when does the flute come in, what enters at 0:42, which section is at 1:05?

In: one track whose instruments, sections, keys or tempi have times. Out: questions with answers that hold time stamps:
to a tenth of a second ("at 0:42.3"), or to the second where they say "about". Moments near a change are not asked
about. Keys and tempi that do not change are asked about too, sometimes, and the answer says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from mllm.instruct_data import in_words, track_facts
from mllm.instruct_data.asked import ask, phrasings, pick, weighted_order
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.statements import join
from mllm.instruct_data.tracks import Track

SUMMARY = "When instruments, sections, keys and tempi begin, end or change, and what happens at a time."
TRACKS = 1

_MOST_SPANS = 3
_STRETCH_SECONDS = (4, 15)
_FALSE_PREMISE = 0.3
"""How often it is asked when something changes that does not."""

_Turn = tuple[str, str]


def exchanges(tracks: Sequence[Track], draw: Draw) -> Iterator[Exchange]:
    """Questions about times that are known, in random order."""
    (track,) = tracks
    for name in weighted_order(draw.rng, _WEIGHTS):
        turn = _QUESTIONS[name](track, draw)
        if turn is not None:
            yield Exchange(turns=(turn,), template=f"when/{name}")


def _turn(draw: Draw, intent: str, answer: str, /, **fields: object) -> _Turn:
    return ask(draw, phrasings("when")[intent], **fields), in_words.sentence(answer)


def entrance(track: Track, name: str, draw: Draw) -> str | None:
    """The sentence that says when an instrument enters."""
    time = track_facts.enters(track, name)
    if time is None:
        return None
    return in_words.sentence(
        f"the {name} enters {in_words.at(draw.rng, time)}." if time else f"the {name} plays from the very beginning."
    )


def exit_of(track: Track, name: str, draw: Draw) -> str | None:
    """The sentence that says when an instrument stops."""
    time = track_facts.stops(track, name)
    if time is None:
        return None
    goes_on = time == track.seconds
    return in_words.sentence(
        f"the {name} plays until the end." if goes_on else f"the {name} stops {in_words.at(draw.rng, time)}."
    )


def _enters(track: Track, draw: Draw) -> _Turn | None:
    name = pick(draw.rng, list(track.activity or ()))
    answer = None if name is None else entrance(track, name, draw)
    return None if answer is None else _turn(draw, "enters", answer, name=name)


def _stops(track: Track, draw: Draw) -> _Turn | None:
    name = pick(draw.rng, list(track.activity or ()))
    answer = None if name is None else exit_of(track, name, draw)
    return None if answer is None else _turn(draw, "stops", answer, name=name)


def _plays(track: Track, draw: Draw) -> _Turn | None:
    name = pick(draw.rng, list(track.activity or ()))
    if name is None or track.activity is None or track.seconds is None:
        return None
    spans = track.activity[name]
    if not 1 <= len(spans) <= _MOST_SPANS:
        return None
    said = join([_span(begin, end, track.seconds) for begin, end in spans])
    return _turn(draw, "plays", f"the {name} plays {said}.", name=name)


def _span(begin: float, end: float, seconds: float) -> str:
    first = begin <= track_facts.BORDER_SECONDS
    last = end >= seconds - track_facts.BORDER_SECONDS
    if first and last:
        return "from the beginning to the end"
    return f"from {'the beginning' if first else in_words.stamp(begin)} to {'the end' if last else in_words.stamp(end)}"


def _what_enters(track: Track, draw: Draw) -> _Turn | None:
    moment = pick(draw.rng, track_facts.entries(track))
    if moment is None:
        return None
    time, names = moment
    s = "" if in_words.is_many(names) else "s"
    back = all(time - (track_facts.enters(track, name) or 0.0) > track_facts.AT_ONCE_SECONDS for name in names)
    verb = f"come{s} back in" if back else f"enter{s}"
    said = in_words.whole_stamp(time)
    return _turn(draw, "what_enters", f"{in_words.with_the(names)} {verb} at {in_words.stamp(time)}.", time=said)


def _section_at(track: Track, draw: Draw) -> _Turn | None:
    if not track.sections:
        return None
    time = draw.rng.randrange(int(track.sections[-1][1]) + 1)
    name = track_facts.section_at(track, time)
    if name is None:
        return None
    said = in_words.whole_stamp(time)
    return _turn(draw, "section_at", f"At {said} it is {in_words.section(name)}.", time=said)


_ORDINALS = ("first", "second", "third", "fourth", "fifth")


def section_names(track: Track) -> list[str | None]:
    """How each section is called so that it is meant alone: "the second chorus"; None where there is no such name."""
    names = [name for _, _, name in track.sections or ()]
    counts = Counter(names)
    said: list[str | None] = []
    for number, name in enumerate(names):
        which = names[:number].count(name)
        if counts[name] == 1:
            said.append(in_words.section(name))
        elif in_words.section(name) == f"the {name}" and which < len(_ORDINALS):
            said.append(f"the {_ORDINALS[which]} {name}")
        else:
            said.append(None)
    return said


def _section_begins(track: Track, draw: Draw) -> _Turn | None:
    named = section_names(track)
    number = pick(draw.rng, [number for number, name in enumerate(named) if name is not None])
    if number is None or track.sections is None or len(named) == 1:
        return None
    begin, section = track.sections[number][0], named[number]
    answer = f"{section} begins {in_words.at(draw.rng, begin)}."
    return _turn(draw, "section_begins", answer, section=section)


def _key_change(track: Track, draw: Draw) -> _Turn | None:
    changes = track_facts.key_changes(track)
    if changes is None or len(changes) > _MOST_SPANS:
        return None
    if not changes:
        if track.key is None or draw.rng.random() > _FALSE_PREMISE:
            return None
        return _turn(draw, "key_change", f"The key does not change: it is {track.key} throughout.")
    said = [f"from {one.before} to {one.after} at {in_words.stamp(one.time)}" for one in changes]
    return _turn(draw, "key_change", f"The key changes {join(said)}.")


def _tempo_change(track: Track, draw: Draw) -> _Turn | None:
    changes = track_facts.tempo_changes(track)
    if changes is None or len(changes) > _MOST_SPANS:
        return None
    if not changes:
        if track.tempo_bpm is None or draw.rng.random() > _FALSE_PREMISE:
            return None
        answer = f"The tempo does not change: it stays at about {round(track.tempo_bpm)} BPM."
    else:
        answer = f"The tempo changes {join([_tempo_said(one) for one in changes])}."
    return _turn(draw, "tempo_change", answer)


def _tempo_said(change: track_facts.TempoChange) -> str:
    values = f"from about {round(change.before_bpm)} to about {round(change.after_bpm)} BPM"
    if change.begin == change.end:
        return f"{values} at {in_words.stamp(change.begin)}"
    return f"gradually {values} between {in_words.stamp(change.begin)} and {in_words.stamp(change.end)}"


def _between(track: Track, draw: Draw) -> _Turn | None:
    if track.seconds is None or track.seconds < _STRETCH_SECONDS[0]:
        return None
    length = draw.rng.randint(*_STRETCH_SECONDS)
    begin = draw.rng.randint(0, max(0, int(track.seconds) - length))
    end = begin + length
    names = track_facts.playing_between(track, begin, end) if end <= track.seconds else None
    if names is None:
        return None
    said = {"begin": in_words.whole_stamp(begin), "end": in_words.whole_stamp(end)}
    heard = f"I hear {in_words.named(names)}" if names else "nothing plays"
    return _turn(draw, "between", f"Between {said['begin']} and {said['end']} {heard}.", **said)


_QUESTIONS: Mapping[str, Callable[[Track, Draw], _Turn | None]] = {
    "enters": _enters,
    "stops": _stops,
    "plays": _plays,
    "what_enters": _what_enters,
    "section_at": _section_at,
    "section_begins": _section_begins,
    "key_change": _key_change,
    "tempo_change": _tempo_change,
    "between": _between,
}
_WEIGHTS = {name: 2.0 if name in ("enters", "between") else 1.0 for name in _QUESTIONS}
