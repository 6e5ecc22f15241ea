"""Conversations of two to five turns about one recording: follow-ups that say "it", doubts, and assumptions put right.

In: one track, and others for what a user wrongly assumes. Out: conversations along one of the plans below. What a user
assumes is right in half of the cases where it is drawn, and every answer is true of the recording. Asking again changes
no answer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

from mllm.instruct_data import in_words, track_facts
from mllm.instruct_data.asked import ask, phrasings, pick, weighted_order
from mllm.instruct_data.augment import caption, single_fact, when
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.tracks import Track
from mllm.instruct_data.wordings import QUESTIONS

SUMMARY = "Conversations of two to five turns with follow-ups, doubts and wrong assumptions."
TRACKS = 1

_Turn = tuple[str, str]
_MOST_FOLLOWING = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Claimable:
    """A fact that a user may assume."""

    value: Callable[[Track], str | None]
    clause: str
    """What the user says, with a field `{x}`."""
    stated: Callable[[Track], str | None]
    """The sentence that states it."""


def _tempo(track: Track) -> str | None:
    tempo = track_facts.steady_tempo(track)
    return None if tempo is None else str(round(tempo))


_CLAIMABLE: Mapping[str, _Claimable] = {
    "key": _Claimable(value=track_facts.steady_key, clause="it is in {x}", stated=single_fact.key),
    "meter": _Claimable(value=lambda track: track.meter, clause="it is in {x} time", stated=single_fact.meter),
    "tempo": _Claimable(value=_tempo, clause="it runs at {x} BPM", stated=single_fact.tempo),
}
_STATED: Mapping[str, Callable[[Track], str | None]] = {
    "tempo": single_fact.tempo,
    "key": single_fact.key,
    "meter": single_fact.meter,
    "instruments": single_fact.instruments,
    "style": single_fact.style,
}
_CLEARLY_OTHER_TEMPO = 1.12


def exchanges(tracks: Sequence[Track], draw: Draw) -> Iterator[Exchange]:
    """A conversation along each plan for which enough is known, in random order."""
    (track,) = tracks
    for name in weighted_order(draw.rng, dict.fromkeys(_PLANS, 1.0)):
        turns = _PLANS[name](track, draw)
        if turns is not None and len(turns) > 1:
            yield Exchange(turns=tuple(turns), template=f"multi_turn/{name}")


def _say(draw: Draw, intent: str, /, **fields: object) -> str:
    return ask(draw, phrasings("multi_turn")[intent], **fields)


def _opening(track: Track, draw: Draw, names: Sequence[str]) -> tuple[str, _Turn] | None:
    """A first question about one of some facts, with the fact's name."""
    name = pick(draw.rng, [name for name in names if _STATED[name](track) is not None])
    if name is None:
        return None
    return name, (ask(draw, single_fact.wordings(name)), in_words.sentence(str(_STATED[name](track))))


def _facts(track: Track, draw: Draw) -> list[_Turn] | None:
    """One fact after the other, and perhaps a sentence that sums them up."""
    opening = _opening(track, draw, tuple(_STATED))
    if opening is None:
        return None
    name, first = opening
    rest = [other for other in _STATED if other != name and _STATED[other](track) is not None]
    turns = [first, *_following(track, draw, rest, draw.rng.randint(1, _MOST_FOLLOWING))]
    summary = caption.short(track, draw)
    if summary is not None and draw.rng.random() < 0.4:
        turns.append((_say(draw, "sum_up"), summary))
    return turns


def _following(track: Track, draw: Draw, names: Sequence[str], most: int) -> list[_Turn]:
    """Follow-ups about some of these facts."""
    asked = draw.rng.sample(names, min(len(names), most))
    return [(_say(draw, f"and_{name}"), in_words.sentence(str(_STATED[name](track)))) for name in asked]


def _instrument(track: Track, draw: Draw) -> list[_Turn] | None:
    """Is there a flute? When does it come in, and when does it stop?"""
    name = pick(draw.rng, list(track.activity or ()))
    if name is None:
        return None
    said = in_words.with_article(name)
    question = ask(draw, QUESTIONS["has"], name=name, a_name=said)
    many = in_words.is_many([name])
    spoken = {
        "it": "they" if many else "it",
        "obj": "them" if many else "it",
        "does": "do" if many else "does",
        "is": "are" if many else "is",
    }
    turns = [(question, f"Yes, I hear {said}.")]
    for intent, answer in (
        ("it_enters", when.entrance(track, name, draw)),
        ("it_stops", when.exit_of(track, name, draw)),
    ):
        if answer is not None:
            turns.append((_say(draw, intent, **spoken), answer))
    return turns if draw.rng.random() < 0.6 else turns[:2]


def _missing(track: Track, draw: Draw) -> list[_Turn] | None:
    """Is there a flute? No. What plays instead?"""
    name = pick(draw.rng, track.absent or ())
    answer = single_fact.instruments(track)
    if name is None or answer is None:
        return None
    question = ask(draw, QUESTIONS["has"], name=name, a_name=in_words.with_article(name))
    return [(question, f"No, I hear no {name}."), (_say(draw, "instead"), answer)]


def _doubt(track: Track, draw: Draw) -> list[_Turn] | None:
    """A fact, a doubt, and perhaps a claim that is right or wrong."""
    opening = _opening(track, draw, tuple(_CLAIMABLE))
    if opening is None:
        return None
    name, first = opening
    turns = [first]
    if draw.rng.random() < 0.7:
        turns.append((_say(draw, "sure"), f"I am sure. {first[1]}"))
    claimed = _claim(track, draw, name)
    if claimed is not None and (len(turns) == 1 or draw.rng.random() < 0.6):
        clause, right = claimed
        turns.append((_say(draw, "claim", clause=clause), f"That is {'' if right else 'not '}right. {first[1]}"))
    return turns


def _claim(track: Track, draw: Draw, name: str) -> tuple[str, bool] | None:
    """What a user may say of a fact, true or taken from another recording, and whether it is right."""
    claimable = _CLAIMABLE[name]
    truth = claimable.value(track)
    if truth is None:
        return None
    if draw.rng.random() < 0.5:
        return claimable.clause.format(x=truth), True
    other = pick(draw.rng, [value for one in draw.others if (value := claimable.value(one)) is not None])
    if other is None or other == truth or (name == "tempo" and not _tempi_differ(truth, other)):
        return None
    return claimable.clause.format(x=other), False


def _tempi_differ(truth: str, other: str) -> bool:
    low, high = sorted((int(truth), int(other)))
    return high > low * _CLEARLY_OTHER_TEMPO


def _premise(track: Track, draw: Draw) -> list[_Turn] | None:
    """A question that assumes a fact of another kind; what is wrong is put right before it is answered."""
    asked = draw.rng.choice(("tempo", "key"))
    assumed = draw.rng.choice([name for name in _CLAIMABLE if name != asked])
    claimed = _claim(track, draw, assumed)
    answer = _STATED[asked](track)
    if claimed is None or answer is None:
        return None
    clause, right = claimed
    truth = str(_CLAIMABLE[assumed].stated(track))
    said = answer if right else f"{_not_so(clause)} {truth} {answer}"
    turns = [(_say(draw, f"premise_{asked}", clause=clause), said)]
    rest = [name for name in _STATED if name not in (asked, assumed) and _STATED[name](track) is not None]
    return turns + _following(track, draw, rest, draw.rng.choice((1, 2)))


def _not_so(clause: str) -> str:
    """The denial of a clause: "It is not in 3/4 time.", "It does not run at 90 BPM."."""
    if clause.startswith("it is "):
        return f"It is not {clause.removeprefix('it is ')}."
    return f"It does not run {clause.removeprefix('it runs ')}."


def _form(track: Track, draw: Draw) -> list[_Turn] | None:
    """Which section is at a time, what plays in it, and when it begins."""
    named = when.section_names(track)
    number = pick(draw.rng, [number for number, name in enumerate(named) if name is not None])
    if number is None or track.sections is None or len(named) == 1:
        return None
    begin, end, name = track.sections[number]
    time = int((begin + end) / 2 + 0.5)
    if track_facts.section_at(track, time) != name:
        return None
    said = in_words.whole_stamp(time)
    turns = [(ask(draw, phrasings("when")["section_at"], time=said), f"At {said} it is {in_words.section(name)}.")]
    playing = track_facts.playing_between(track, begin, end)
    if playing:
        turns.append((_say(draw, "there_plays"), f"In {named[number]} I hear {in_words.named(playing)}."))
    question = ask(draw, phrasings("when")["section_begins"], section=named[number])
    answer = in_words.sentence(f"{named[number]} begins {in_words.at(draw.rng, begin)}.")
    turns.append((question, answer))
    return turns


_PLANS: Mapping[str, Callable[[Track, Draw], list[_Turn] | None]] = {
    "facts": _facts,
    "instrument": _instrument,
    "missing": _missing,
    "doubt": _doubt,
    "premise": _premise,
    "form": _form,
}
