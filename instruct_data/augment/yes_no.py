"""Yes/no questions, asked affirmatively: does it have drums, is it in A minor, faster than 100 BPM?

In: one track, and others that it could be mistaken for. Out: questions with label "yes" or "no". What is asked about is
true of exactly one of two recordings, this one and another: over all recordings it is then as often true as not,
whatever is common, and knowing the question tells nothing of its answer. The asked value stands in the template's name.
Knows no negations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from mllm.instruct_data import in_words, track_facts
from mllm.instruct_data.asked import ask, phrasings, pick, weighted_order
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.phrases import Phrasings
from mllm.instruct_data.tracks import Track
from mllm.instruct_data.wordings import QUESTIONS

SUMMARY = "Yes/no questions about what plays, key, meter, tempo and changes; as often yes as no."
TRACKS = 1

_THRESHOLDS_BPM = tuple(range(50, 200, 10))
_CLEAR_TEMPO = 1.06
"""A tempo this much above or below is clearly faster or slower."""


def exchanges(tracks: Sequence[Track], draw: Draw) -> Iterator[Exchange]:
    """Questions about what is known of this recording and of another, in random order."""
    (track,) = tracks
    if not draw.others:
        return
    for name in weighted_order(draw.rng, _WEIGHTS):
        other = draw.rng.choice(draw.others)
        found = _KINDS[name](track, other, draw)
        if found is not None:
            yield found


def verdict(*, yes: bool, answer: str) -> str:
    """An answer that begins with its verdict."""
    return f"{'Yes' if yes else 'No'}, {answer}"


def _exchange(
    draw: Draw, template: str, wordings: Phrasings, /, *, yes: bool, answer: str, **fields: object
) -> Exchange:
    turn = ask(draw, wordings, **fields), in_words.agreeing(verdict(yes=yes, answer=answer))
    return Exchange(turns=(turn,), template=f"yes_no/{template}", label="yes" if yes else "no")


def _has(track: Track, other: Track, draw: Draw) -> Exchange | None:
    """Half of the questions ask for what only this recording has, half for what only the other one has."""
    yes = draw.rng.random() < 0.5
    plays, lacks = (track, other) if yes else (other, track)
    name = pick(draw.rng, [one for one in plays.playing or () if one in (lacks.absent or ())])
    if name is None:
        return None
    said = draw.rng.choice(in_words.SAID.get(name, (name,)))
    fields = {"name": said, "a_name": in_words.with_article(said)}
    answer = f"I hear {in_words.with_article(name)}." if yes else f"I hear no {name}."
    return _exchange(draw, f"has/{name}", QUESTIONS["has"], yes=yes, answer=answer, **fields)


def _one_of(draw: Draw, truth: str | None, others: str | None) -> str | None:
    """Which of two different values is asked about."""
    if truth is None or others is None or truth == others:
        return None
    return draw.rng.choice((truth, others))


def _is_key(track: Track, other: Track, draw: Draw) -> Exchange | None:
    asked = _one_of(draw, track_facts.steady_key(track), track_facts.steady_key(other))
    if asked is None:
        return None
    return _exchange(
        draw,
        f"is_key/{asked}",
        QUESTIONS["is_key"],
        yes=asked == track.key,
        answer=f"the key is {track.key}.",
        key=asked,
    )


def _is_mode(track: Track, other: Track, draw: Draw) -> Exchange | None:
    modes = track_facts.steady_mode(track), track_facts.steady_mode(other)
    asked = _one_of(draw, *modes)
    if asked is None or track_facts.pass_for_each_other(str(modes[0]), str(modes[1])):
        return None
    return _exchange(
        draw,
        f"is_mode/{asked}",
        QUESTIONS["is_mode"],
        yes=asked == modes[0],
        answer=f"it is in {in_words.a(str(modes[0]))} key.",
        mode=asked,
    )


def _is_meter(track: Track, other: Track, draw: Draw) -> Exchange | None:
    asked = _one_of(draw, track.meter, other.meter)
    if asked is None:
        return None
    return _exchange(
        draw,
        f"is_meter/{asked}",
        QUESTIONS["is_meter"],
        yes=asked == track.meter,
        answer=f"the time signature is {track.meter}.",
        meter=asked,
    )


def _than(track: Track, other: Track, draw: Draw, *, faster: bool) -> Exchange | None:
    """Asked about a tempo that lies clearly between those of the two recordings."""
    tempi = track_facts.steady_tempo(track), track_facts.steady_tempo(other)
    if tempi[0] is None or tempi[1] is None:
        return None
    low, high = sorted((tempi[0], tempi[1]))
    asked = pick(draw.rng, [bpm for bpm in _THRESHOLDS_BPM if low * _CLEAR_TEMPO <= bpm <= high / _CLEAR_TEMPO])
    if asked is None:
        return None
    name = "faster_than" if faster else "slower_than"
    return _exchange(
        draw,
        f"{name}/{asked}",
        phrasings("yes_no")[name],
        yes=(tempi[0] > asked) == faster,
        answer=f"the tempo is about {round(tempi[0])} BPM.",
        bpm=asked,
    )


def _tempo_changes(track: Track, other: Track, draw: Draw) -> Exchange | None:
    changes = track_facts.tempo_changes(track)
    others = track_facts.tempo_changes(other)
    if changes is None or others is None or bool(changes) == bool(others):
        return None
    answer = "the tempo stays the same."
    if changes:
        first = changes[0]
        answer = (
            f"the tempo changes from about {round(first.before_bpm)} to about {round(first.after_bpm)} BPM, "
            f"from {in_words.stamp(first.begin)} on."
        )
    return _exchange(draw, "tempo_changes", phrasings("yes_no")["tempo_changes"], yes=bool(changes), answer=answer)


def _key_changes(track: Track, other: Track, draw: Draw) -> Exchange | None:
    changes = track_facts.key_changes(track)
    others = track_facts.key_changes(other)
    if changes is None or others is None or bool(changes) == bool(others):
        return None
    answer = f"the key is {track.key} throughout." if track.key is not None else "the key stays the same."
    if changes:
        first = changes[0]
        answer = f"the key changes from {first.before} to {first.after} at {in_words.stamp(first.time)}."
    return _exchange(draw, "key_changes", phrasings("yes_no")["key_changes"], yes=bool(changes), answer=answer)


def _vocals(track: Track, other: Track, draw: Draw) -> Exchange | None:
    if track.vocals is None or other.vocals is None or track.vocals == other.vocals:
        return None
    answer = "I hear singing." if track.vocals else "I hear no singing."
    return _exchange(draw, "vocals", phrasings("yes_no")["vocals"], yes=track.vocals, answer=answer)


def _plays_at(track: Track, other: Track, draw: Draw) -> Exchange | None:
    """Asked about an instrument that both recordings have, at a time when only one of them has it."""
    if track.activity is None or other.activity is None or track.seconds is None or other.seconds is None:
        return None
    name = pick(draw.rng, sorted(set(track.activity) & set(other.activity)))
    if name is None:
        return None
    time = round(draw.rng.uniform(0.0, min(track.seconds, other.seconds)), 1)
    margin = track_facts.BORDER_SECONDS
    heard = [track_facts.playing_between(one, time - margin, time + margin) for one in (track, other)]
    if heard[0] is None or heard[1] is None or (name in heard[0]) == (name in heard[1]):
        return None
    yes = name in heard[0]
    said = in_words.stamp(time)
    answer = f"the {name} is playing at {said}." if yes else f"the {name} is silent at {said}."
    return _exchange(
        draw, f"plays_at/{name}", phrasings("yes_no")["plays_at"], yes=yes, answer=answer, name=name, time=said
    )


_KINDS: Mapping[str, Callable[[Track, Track, Draw], Exchange | None]] = {
    "has": _has,
    "is_key": _is_key,
    "is_mode": _is_mode,
    "is_meter": _is_meter,
    "faster_than": lambda track, other, draw: _than(track, other, draw, faster=True),
    "slower_than": lambda track, other, draw: _than(track, other, draw, faster=False),
    "tempo_changes": _tempo_changes,
    "key_changes": _key_changes,
    "vocals": _vocals,
    "plays_at": _plays_at,
}
_WEIGHTS = {name: 4.0 if name == "has" else 2.0 if name == "is_mode" else 1.0 for name in _KINDS}
