"""Multiple choice with two to four lettered options, one of them right.

In: one track, and others of the same kind. Out: questions with options. The wrong ones are what is true of the others,
drawn from among them by chance; where two options agree or could be confused, the question is given up, not drawn
again. So every option of a question could as well have been the right one: knowing what is common helps nobody. All
options have one form, and their order is drawn.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

from mllm.instruct_data import in_words, question_patterns, track_facts
from mllm.instruct_data.asked import ask, phrasings, pick, weighted_order
from mllm.instruct_data.augment import counting
from mllm.instruct_data.dialogue import speed_word
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.phrases import Phrasings
from mllm.instruct_data.tracks import Track
from mllm.instruct_data.wordings import QUESTIONS

SUMMARY = "Multiple choice whose wrong options are as common among right ones as the right option."
TRACKS = 1

LETTERS = "ABCD"
_CLEAR_TEMPO = 1.12
_OCTAVE = 0.06
"""A tempo this near to the double of another, as a share, could be heard as that one."""
_LETTER_ONLY = 0.25
"""Share of the questions that are to be answered with the letter alone."""
_LEAD = 0.5
"""Share of the others that say that one of the options is to be chosen."""

_NO_NAMES = {"the", "section"}

_Options = tuple[str, ...]


def exchanges(tracks: Sequence[Track], draw: Draw) -> Iterator[Exchange]:
    """Questions about the facts that are known of this and other recordings, in random order."""
    (track,) = tracks
    for name in weighted_order(draw.rng, _WEIGHTS):
        asked = _ASKED[name](track, draw)
        if asked is not None:
            yield _exchange(draw, f"multiple_choice/{name}", asked)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Asked:
    """A question with its options, the right one first."""

    wordings: Phrasings
    options: _Options
    fields: Mapping[str, object] = dataclasses.field(default_factory=dict)


def _exchange(draw: Draw, template: str, asked: _Asked) -> Exchange:
    order = draw.rng.sample(range(len(asked.options)), len(asked.options))
    options = tuple(asked.options[number] for number in order)
    correct = order.index(0)
    question = ask(draw, asked.wordings, **asked.fields)
    question += "" if question.endswith((".", "?", "!")) else "?"
    letter_only = draw.rng.random() < _LETTER_ONLY
    if letter_only or draw.rng.random() < _LEAD:
        question += f" {ask(draw, phrasings('multiple_choice')['letter_only' if letter_only else 'choose'])}"
    lines = [f"{letter}) {option}" for letter, option in zip(LETTERS, options, strict=False)]
    answer = LETTERS[correct] if letter_only else lines[correct]
    return Exchange(
        turns=(("\n".join([question, *lines]), answer),), template=template, choices=options, correct=correct
    )


def _company(track: Track, draw: Draw, known: Callable[[Track], bool], most: int) -> tuple[Track, ...] | None:
    """This recording and one to three others of which the same is known."""
    count = draw.rng.randint(2, most)
    others = [other for other in draw.others if known(other)]
    if not known(track) or len(others) < count - 1:
        return None
    return (track, *draw.rng.sample(others, count - 1))


def _of_value(
    wordings: Phrasings, value: Callable[[Track], str | None], *, most: int = len(LETTERS)
) -> Callable[[Track, Draw], _Asked | None]:
    """A question whose options are one fact of several recordings."""

    def asked(track: Track, draw: Draw) -> _Asked | None:
        company = _company(track, draw, lambda one: value(one) is not None, most)
        options = tuple(str(value(one)) for one in company or ())
        if not options or _confusable(options):
            return None
        return _Asked(wordings=wordings, options=options)

    return asked


def _confusable(options: _Options) -> bool:
    """Whether two options are equal, or are names that share a word, as "rock" and "pop rock" do."""
    return any(
        one == other or (one[0].islower() and (set(one.split()) - _NO_NAMES) & set(other.split()))
        for one, other in itertools.combinations(options, 2)
    )


def _tempo(track: Track, draw: Draw) -> _Asked | None:
    company = _company(track, draw, lambda one: track_facts.steady_tempo(one) is not None, len(LETTERS))
    tempi = [track_facts.steady_tempo(one) or 0.0 for one in company or ()]
    for low, high in itertools.combinations(sorted(tempi), 2):
        if high / low < _CLEAR_TEMPO or abs(high / low / 2 - 1) < _OCTAVE:
            return None
    if not tempi:
        return None
    return _Asked(wordings=_general("tempo"), options=tuple(f"{round(tempo)} BPM" for tempo in tempi))


def _own(
    wordings: Phrasings,
    has: Callable[[Track], Sequence[str] | None],
    lacks: Callable[[Track], Sequence[str] | None],
) -> Callable[[Track, Draw], _Asked | None]:
    """A question whose options are what each of several recordings has and none of the others."""

    def asked(track: Track, draw: Draw) -> _Asked | None:
        company = _company(track, draw, lambda one: bool(has(one)) and lacks(one) is not None, len(LETTERS))
        options = []
        for one in company or ():
            others = [other for other in company or () if other is not one]
            alone = [word for word in has(one) or () if all(word in (lacks(other) or ()) for other in others)]
            options.append(pick(draw.rng, alone))
        if not options or None in options:
            return None
        return _Asked(wordings=wordings, options=tuple(map(str, options)))

    return asked


def _mood(track: Track, draw: Draw) -> _Asked | None:
    """Moods that a recording was not given are taken as not its own."""
    company = _company(track, draw, lambda one: bool(one.moods), len(LETTERS))
    every = {mood for one in company or () for mood in one.moods or ()}
    narrowed = dataclasses.replace(draw, others=(company or ())[1:])
    own = _own(
        phrasings("single_fact")["mood"],
        lambda one: one.moods,
        lambda one: tuple(mood for mood in every if mood not in (one.moods or ())),
    )
    return own(track, narrowed) if company is not None else None


def _enters(track: Track, draw: Draw) -> _Asked | None:
    """When an instrument enters, with the times at which it enters elsewhere."""
    name = pick(draw.rng, [one for one in track.activity or () if track_facts.enters(track, one)])
    if name is None:
        return None
    company = _company(track, draw, lambda one: bool(track_facts.enters(one, name)), len(LETTERS))
    times = sorted(track_facts.enters(one, name) or 0.0 for one in company or ())
    near = any(after - before < track_facts.APART_SECONDS for before, after in itertools.pairwise(times))
    if company is None or near:
        return None
    options = tuple(in_words.whole_stamp(track_facts.enters(one, name) or 0.0) for one in company)
    return _Asked(wordings=phrasings("when")["enters"], options=options, fields={"name": name})


def _at_a_time(
    wordings: Phrasings, value: Callable[[Track, float], str | None]
) -> Callable[[Track, Draw], _Asked | None]:
    """A question about a moment that lies in all the recordings."""

    def asked(track: Track, draw: Draw) -> _Asked | None:
        lengths = [one.seconds for one in (track, *draw.others) if one.seconds is not None]
        if track.seconds is None:
            return None
        time = draw.rng.randrange(int(min(lengths)) + 1)
        found = _of_value(wordings, lambda one: value(one, time))(track, draw)
        return None if found is None else dataclasses.replace(found, fields={"time": in_words.whole_stamp(time)})

    return asked


def _section(track: Track, time: float) -> str | None:
    name = track_facts.section_at(track, time)
    return None if name is None else in_words.section(name)


def _chord(track: Track, time: float) -> str | None:
    name = track_facts.chord_at(track, time)
    return None if name in (None, "N") else in_words.chord(str(name))


def _speed(track: Track) -> str | None:
    tempo = track_facts.steady_tempo(track)
    return None if tempo is None else speed_word(round(tempo))


def _instrument_count(track: Track) -> str | None:
    count = counting.instruments(track)
    return None if count is None else in_words.number(count)


def _general(intent: str) -> Phrasings:
    """Wordings that suggest no answer; the plain sentences of training name keys and meters that are no options."""
    return Phrasings(train=question_patterns.QUESTIONS[intent], held_out=QUESTIONS[intent].held_out)


_CHOICE, _FACT = phrasings("multiple_choice"), phrasings("single_fact")
_ASKED: Mapping[str, Callable[[Track, Draw], _Asked | None]] = {
    "tempo": _tempo,
    "speed": _of_value(_CHOICE["speed_of"], _speed, most=3),
    "key": _of_value(_general("key"), track_facts.steady_key),
    "mode": _of_value(_CHOICE["mode_of"], track_facts.steady_mode, most=3),
    "meter": _of_value(_general("meter"), lambda track: track.meter, most=3),
    "style": _of_value(_FACT["style"], lambda track: track.style),
    "drum_pattern": _of_value(
        _FACT["drum_pattern"], lambda track: None if track.drum_pattern == "none" else track.drum_pattern
    ),
    "mood": _mood,
    "instrument": _own(_CHOICE["instrument_of"], lambda track: track.playing, lambda track: track.absent),
    "instrument_count": _of_value(phrasings("counting")["instruments"], _instrument_count),
    "enters": _enters,
    "section_at": _at_a_time(phrasings("when")["section_at"], _section),
    "chord_at": _at_a_time(_FACT["chord_at"], _chord),
}
_OFTEN = ("tempo", "key", "meter", "instrument", "style")
_WEIGHTS = {name: 2.0 if name in _OFTEN else 1.0 for name in _ASKED}
