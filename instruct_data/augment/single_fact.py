"""One question about one fact of a recording: tempo, key, instruments, a chord at a time, the loudest part and more.

In: one track. Out: questions with exact answers, facts in random order, each at most once. Questions that the dialogues
of the reference backbone also ask have their wordings and their answers (`wordings`, `dialogue`). Knows no titles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from mllm.instruct_data import in_words, track_facts
from mllm.instruct_data.asked import ask, phrasings, pick, weighted_order
from mllm.instruct_data.dialogue import speed_word
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.phrases import Phrasings
from mllm.instruct_data.statements import join
from mllm.instruct_data.tracks import Track
from mllm.instruct_data.wordings import QUESTIONS

SUMMARY = "One question about one fact, with its exact answer."
TRACKS = 1

_MOST_SECTIONS = 12


def exchanges(tracks: Sequence[Track], draw: Draw) -> Iterator[Exchange]:
    """Questions about the facts that are known, in random order."""
    (track,) = tracks
    for name in weighted_order(draw.rng, _WEIGHTS):
        turn = _FACTS[name](track, draw)
        if turn is not None:
            yield Exchange(turns=(turn,), template=f"single_fact/{name}")


def wordings(name: str) -> Phrasings:
    """The wordings in which a fact is asked."""
    return QUESTIONS[name] if name in QUESTIONS else phrasings("single_fact")[name]


def _turn(draw: Draw, name: str, answer: str, /, **fields: object) -> tuple[str, str]:
    return ask(draw, wordings(name), **fields), in_words.sentence(answer)


def tempo(track: Track) -> str | None:
    """The sentence that states the tempo."""
    if track.tempo_bpm is None:
        return None
    mostly = " for most of it" if track_facts.tempo_changes(track) else ""
    return f"The tempo is about {round(track.tempo_bpm)} BPM{mostly}."


def key(track: Track) -> str | None:
    """The sentence that states the key."""
    if track.key is None:
        return None
    return f"The key is {track.key}{' for most of it' if track_facts.key_changes(track) else ''}."


def meter(track: Track) -> str | None:
    """The sentence that states the meter."""
    return None if track.meter is None else f"The time signature is {track.meter}."


def instruments(track: Track) -> str | None:
    """The sentence that names what plays."""
    return f"I hear {in_words.named(track.playing)}." if track.playing else None


def style(track: Track) -> str | None:
    """The sentence that names the style."""
    return None if track.style is None else f"The style is {track.style}."


def mood(track: Track) -> str | None:
    """The sentence that names the moods."""
    return f"The mood is {join(track.moods)}." if track.moods else None


def drum_pattern(track: Track) -> str | None:
    """The sentence that names what the drums play; None where they play nothing."""
    if track.drum_pattern in (None, "none"):
        return None
    return f"The drum pattern is {in_words.pattern(str(track.drum_pattern))}."


def _asked(name: str, state: Callable[[Track], str | None]) -> Callable[[Track, Draw], tuple[str, str] | None]:
    """A question whose answer needs no chance."""

    def turn(track: Track, draw: Draw) -> tuple[str, str] | None:
        answer = state(track)
        return None if answer is None else _turn(draw, name, answer)

    return turn


def _speed(track: Track) -> str | None:
    return None if track.tempo_bpm is None else f"It is {speed_word(round(track.tempo_bpm))}."


def _mode(track: Track) -> str | None:
    mode = track_facts.steady_mode(track)
    return None if mode is None else f"It is in {in_words.a(mode)} key."


def _tonic(track: Track) -> str | None:
    steady = track_facts.steady_key(track)
    return None if steady is None else f"The tonic is {steady.split()[0]}."


def _key_and_tempo(track: Track) -> str | None:
    stated = key(track), tempo(track)
    return f"{stated[0]} {stated[1]}" if None not in stated else None


def _chord_at(track: Track, draw: Draw) -> tuple[str, str] | None:
    if not track.chords:
        return None
    time = round(draw.rng.uniform(0.0, track.chords[-1][1]), 1)
    chord = track_facts.chord_at(track, time)
    if chord is None or chord == "N":
        return None
    time_said = in_words.stamp(time)
    return _turn(draw, "chord_at", f"At {time_said} the chord is {in_words.chord(chord)}.", time=time_said)


def _first_chords(track: Track, draw: Draw) -> tuple[str, str] | None:
    chords = track_facts.chords_in_order(track)
    count = draw.rng.choice((3, 4))
    if chords is None or len(chords) < count or "N" in chords[:count]:
        return None
    said = join([in_words.chord(one) for one in chords[:count]])
    return _turn(
        draw, "first_chords", f"The first {in_words.number(count)} chords are {said}.", count=in_words.number(count)
    )


def _register(track: Track, draw: Draw) -> tuple[str, str] | None:
    name = pick(draw.rng, [one for one in track.registers or () if track_facts.register(track, one) is not None])
    if name is None:
        return None
    word = track_facts.register(track, name)
    return _turn(draw, "register", f"The {name} plays in {in_words.a(str(word))} register.", name=name)


def _extreme_note(track: Track, draw: Draw, *, which: str) -> tuple[str, str] | None:
    name = pick(draw.rng, list(track.registers or ()))
    if name is None or track.registers is None:
        return None
    pitch = track.registers[name][0 if which == "lowest" else 1]
    return _turn(draw, f"{which}_note", f"The {which} note of the {name} is {in_words.note(pitch)}.", name=name)


def _form(track: Track) -> str | None:
    if not track.sections or not 2 <= len(track.sections) <= _MOST_SECTIONS:
        return None
    return f"The sections are {join([name for _, _, name in track.sections])}."


def _extreme_section(track: Track, *, loudest: bool) -> str | None:
    number = track_facts.extreme_section(track, loudest=loudest)
    if number is None or track.sections is None:
        return None
    begin, end, name = track.sections[number]
    word = "loudest" if loudest else "softest"
    return f"The {word} part is {in_words.section(name)} from {in_words.stamp(begin)} to {in_words.stamp(end)}."


_FACTS: Mapping[str, Callable[[Track, Draw], tuple[str, str] | None]] = {
    "tempo": _asked("tempo", tempo),
    "speed": _asked("speed", _speed),
    "key": _asked("key", key),
    "mode": _asked("mode", _mode),
    "tonic": _asked("tonic", _tonic),
    "key_and_tempo": _asked("key_and_tempo", _key_and_tempo),
    "meter": _asked("meter", meter),
    "instruments": _asked("instruments", instruments),
    "style": _asked("style", style),
    "mood": _asked("mood", mood),
    "drum_pattern": _asked("drum_pattern", drum_pattern),
    "chord_at": _chord_at,
    "first_chords": _first_chords,
    "register": _register,
    "highest_note": lambda track, draw: _extreme_note(track, draw, which="highest"),
    "lowest_note": lambda track, draw: _extreme_note(track, draw, which="lowest"),
    "form": _asked("form", _form),
    "loudest": _asked("loudest", lambda track: _extreme_section(track, loudest=True)),
    "softest": _asked("softest", lambda track: _extreme_section(track, loudest=False)),
}
_OFTEN = ("tempo", "key", "meter", "instruments", "style")
_WEIGHTS = {name: 3.0 if name in _OFTEN else 1.0 for name in _FACTS}
