"""Questions about two recordings: which is faster, are they in the same key, which one has drums?

In: two tracks. Out: questions with label "first" or "second", or "yes" or "no". Differences that are small enough to be
doubted are not asked about. Which of the two comes first is a matter of chance, so that "first" is as often right as
"second"; two recordings rarely share a key, so most of those that do not are not asked whether they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from mllm.instruct_data import in_words, track_facts
from mllm.instruct_data.asked import ask, phrasings, pick, weighted_order
from mllm.instruct_data.augment import counting
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.tracks import Track

SUMMARY = "Which of two recordings is faster, denser or has an instrument, and whether key, meter and mode agree."
TRACKS = 2

CLEARLY_FASTER = 1.1
CLEARLY_DENSER = 1.5
CLEARLY_MORE = 2
"""Instruments."""
_DIFFERENT_KEYS_ASKED = 0.1
"""Share of the pairs in different keys that are asked whether they are in the same."""
_ORDINALS = ("first", "second")


def exchanges(tracks: Sequence[Track], draw: Draw) -> Iterator[Exchange]:
    """Questions about what is known of both, in random order."""
    first, second = tracks
    for name in weighted_order(draw.rng, dict.fromkeys(_QUESTIONS, 1.0)):
        found = _QUESTIONS[name]((first, second), draw)
        if found is not None:
            yield found


def _exchange(draw: Draw, template: str, intent: str, answer: str, label: str, /, **fields: object) -> Exchange:
    question = ask(draw, phrasings("comparison")[intent], **fields)
    return Exchange(turns=((question, in_words.agreeing(answer)),), template=f"comparison/{template}", label=label)


def _than(draw: Draw, intent: str, word: str, which: int, detail: str) -> Exchange:
    ordinal = _ORDINALS[which]
    return _exchange(draw, intent, intent, f"The {ordinal} one is {word}: {detail}.", ordinal)


def _tempo(pair: tuple[Track, Track], draw: Draw, *, faster: bool) -> Exchange | None:
    tempi = [track_facts.steady_tempo(track) for track in pair]
    if tempi[0] is None or tempi[1] is None or max(tempi[0], tempi[1]) < CLEARLY_FASTER * min(tempi[0], tempi[1]):
        return None
    which = int((tempi[1] > tempi[0]) == faster)
    word = "faster" if faster else "slower"
    detail = f"about {round(tempi[which] or 0)} BPM against about {round(tempi[1 - which] or 0)} BPM"
    return _than(draw, word, word, which, detail)


def _same(pair: tuple[Track, Track], draw: Draw, *, what: str) -> Exchange | None:
    values = [_VALUES[what](track) for track in pair]
    if values[0] is None or values[1] is None:
        return None
    if what == "mode" and track_facts.pass_for_each_other(values[0], values[1]):
        return None
    if what == "key" and values[0] != values[1] and draw.rng.random() > _DIFFERENT_KEYS_ASKED:
        return None
    if values[0] == values[1]:
        return _exchange(draw, f"same_{what}", f"same_{what}", f"Yes, both are in {values[0]}.", "yes")
    answer = f"No, the first one is in {values[0]}, the second one in {values[1]}."
    return _exchange(draw, f"same_{what}", f"same_{what}", answer, "no")


_VALUES: Mapping[str, Callable[[Track], str | None]] = {
    "key": track_facts.steady_key,
    "meter": lambda track: track.meter,
    "mode": track_facts.steady_mode,
}


def _which_has(pair: tuple[Track, Track], draw: Draw) -> Exchange | None:
    """Asked about an instrument that one of them surely has and the other one surely has not."""
    which = draw.rng.randrange(2)
    plays, lacks = pair[which], pair[1 - which]
    name = pick(draw.rng, [one for one in plays.playing or () if one in (lacks.absent or ())])
    if name is None:
        return None
    said = draw.rng.choice(in_words.SAID.get(name, (name,)))
    answer = f"The {_ORDINALS[which]} one has {in_words.with_article(name)}."
    fields = {"name": said, "a_name": in_words.with_article(said)}
    return _exchange(draw, f"which_has/{name}", "which_has", answer, _ORDINALS[which], **fields)


def _more_instruments(pair: tuple[Track, Track], draw: Draw) -> Exchange | None:
    counts = [counting.instruments(track) for track in pair]
    if counts[0] is None or counts[1] is None or abs(counts[0] - counts[1]) < CLEARLY_MORE:
        return None
    which = int(counts[1] > counts[0])
    numbers = [in_words.number(count or 0) for count in counts]
    answer = f"The {_ORDINALS[which]} one has more instruments: {numbers[which]} against {numbers[1 - which]}."
    return _exchange(draw, "more_instruments", "more_instruments", answer, _ORDINALS[which])


def _denser(pair: tuple[Track, Track], draw: Draw) -> Exchange | None:
    densities = [track.density for track in pair]
    if densities[0] is None or densities[1] is None or max(densities[0], densities[1]) == 0:
        return None
    if max(densities[0], densities[1]) < CLEARLY_DENSER * min(densities[0], densities[1]):
        return None
    which = int(densities[1] > densities[0])
    detail = f"about {densities[which]:.1f} notes a second against {densities[1 - which]:.1f}"
    return _than(draw, "denser", "denser", which, detail)


_QUESTIONS: Mapping[str, Callable[[tuple[Track, Track], Draw], Exchange | None]] = {
    "faster": lambda pair, draw: _tempo(pair, draw, faster=True),
    "slower": lambda pair, draw: _tempo(pair, draw, faster=False),
    "same_key": lambda pair, draw: _same(pair, draw, what="key"),
    "same_meter": lambda pair, draw: _same(pair, draw, what="meter"),
    "same_mode": lambda pair, draw: _same(pair, draw, what="mode"),
    "which_has": _which_has,
    "more_instruments": _more_instruments,
    "denser": _denser,
}
