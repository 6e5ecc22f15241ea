"""Whether answers about recordings are true, found from the tracks alone, by reading the answers.

In: the tracks of an exchange and the exchange. Out: AssertionError where an answer says what is not so. Shares nothing
with the code that made the answers but the types and the vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from mllm.facts import INSTRUMENTS
from mllm.instruct_data.exchanges import Exchange
from mllm.instruct_data.tracks import Track

KEY = re.compile(r"\b[A-G][b#]? (?:major|minor|dorian|mixolydian)\b(?! seventh)")
METER = re.compile(r"\b\d{1,2}/\d\b")
BPM = re.compile(r"(\d+)(?: to about (\d+))? BPM")
STAMP = re.compile(r"(?<![\d:])(\d+):(\d\d(?:\.\d)?)(?!\d)|(\d+\.\d) seconds")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
QUALITIES = {"maj": " major", "min": " minor", "7": "7", "min7": " minor seventh"}
ROUNDED = 0.51
"""A time may be rounded to the second."""


def stamps(text: str) -> list[float]:
    """Every time in a text, in seconds."""
    return [float(b) + 60 * int(a) if a else float(c) for a, b, c in STAMP.findall(text)]


def number(text: str) -> int:
    """The first number in a text, in letters or digits; 1 and 2 for once and twice, 0 for "does not"."""
    words = {"once": 1, "twice": 2} | {word: count for count, word in enumerate(NUMBERS)}
    for word in re.findall(r"[a-z]+|\d+", text.lower()):
        if word.isdigit() or word in words:
            return int(word) if word.isdigit() else words[word]
    assert "does not" in text
    return 0


def mentioned(text: str) -> set[str]:
    """The instruments that a text names."""
    return {name for name in INSTRUMENTS if re.search(rf"\b{name}\b", text)} - (
        {"bass"} if "double bass" in text else set()
    )


def events(track: Track) -> list[float]:
    """Every time at which something that could be asked for happens."""
    times = [0.0, track.seconds or 0.0]
    times += [at for spans in (track.activity or {}).values() for span in spans for at in span]
    times += [at for begin, end, _ in track.sections or () for at in (begin, end)]
    return times + [at for at, _ in (*(track.keys or ()), *(track.tempo_curve or ()))]


def says_only_what_is_so(track: Track, text: str) -> None:
    """No key, meter, tempo, time or instrument that is not of this track."""
    denied = re.sub(r"It is not in [^.]*\.|It does not run [^.]*\.|I hear no [^.]*\.|against [^.]*", "", text)
    chords = {f"{root}{QUALITIES[quality]}" for *_, name in track.chords or () for root, quality in [name.split(":")]}
    keys = {key for _, key in track.keys or ()} | {track.key}
    assert set(KEY.findall(denied)) <= keys | chords, text
    assert set(METER.findall(denied)) <= {track.meter}, text
    tempi = [track.tempo_bpm or 0.0, *(bpm for _, bpm in track.tempo_curve or ())]
    said = [float(one) for match in BPM.findall(denied) for one in match if one]
    assert all(any(abs(bpm - one) <= ROUNDED for one in tempi) for bpm in said), text
    pattern = track.drum_pattern or "none"
    heard = mentioned(denied.replace(pattern, "").replace("the drums play", ""))
    assert heard <= set(track.playing or ()), text
    assert not re.search(r"\{|\}|None|\[|<", text), text


def _caption(tracks: Sequence[Track], exchange: Exchange) -> None:
    ((_, answer),) = exchange.turns
    known = events(tracks[0])
    assert all(any(abs(at - one) <= ROUNDED for one in known) for at in stamps(answer)), answer
    if exchange.template == "caption/tags":
        assert mentioned(answer) == set(tracks[0].playing or ())


def _changes(track: Track) -> bool:
    tempi = [bpm for _, bpm in track.tempo_curve or ()]
    return max(tempi) > 1.04 * min(tempi)


_YES: Mapping[str, Callable[[Track, str, str], bool]] = {
    "has": lambda track, value, question: value in (track.playing or ()),
    "is_key": lambda track, value, question: track.key == value,
    "is_mode": lambda track, value, question: str(track.key).split()[1] == value,
    "is_meter": lambda track, value, question: track.meter == value,
    "faster_than": lambda track, value, question: (track.tempo_bpm or 0) > int(value),
    "slower_than": lambda track, value, question: (track.tempo_bpm or 0) < int(value),
    "tempo_changes": lambda track, value, question: _changes(track),
    "key_changes": lambda track, value, question: len(track.keys or ()) > 1,
    "vocals": lambda track, value, question: bool(track.vocals),
    "plays_at": lambda track, value, question: _plays_at(track, value, stamps(question)[0]),
}


def _plays_at(track: Track, name: str, time: float) -> bool:
    return any(begin <= time <= end for begin, end in (track.activity or {})[name])


def _yes_no(tracks: Sequence[Track], exchange: Exchange) -> None:
    ((question, answer),) = exchange.turns
    _, kind, *value = exchange.template.split("/", 2)
    yes = _YES[kind](tracks[0], value[0] if value else "", question)
    assert exchange.label == ("yes" if yes else "no"), (question, answer)
    assert answer.startswith("Yes, " if yes else "No, "), answer


def _speed(track: Track) -> str:
    tempo = round(track.tempo_bpm or 0)
    return "slow" if tempo < 80 else "fast" if tempo >= 130 else "moderate"


def _section(track: Track, time: float) -> str:
    name = next(name for begin, end, name in track.sections or () if begin <= time <= end)
    return f"section {name}" if len(name) == 1 else f"the {name}"


def _chord(track: Track, time: float) -> str:
    root, quality = next(name for begin, end, name in track.chords or () if begin <= time <= end).split(":")
    return f"{root}{QUALITIES[quality]}"


_RIGHT: Mapping[str, Callable[[Track, str, str], bool]] = {
    "tempo": lambda track, option, question: option == f"{round(track.tempo_bpm or 0)} BPM",
    "speed": lambda track, option, question: option == _speed(track),
    "key": lambda track, option, question: option == track.key,
    "mode": lambda track, option, question: option == str(track.key).split()[1],
    "meter": lambda track, option, question: option == track.meter,
    "style": lambda track, option, question: option == track.style,
    "drum_pattern": lambda track, option, question: option == track.drum_pattern,
    "mood": lambda track, option, question: option in (track.moods or ()),
    "instrument": lambda track, option, question: option in (track.playing or ()),
    "instrument_count": lambda track, option, question: NUMBERS.index(option) == len(track.playing or ()),
    "enters": lambda track, option, question: any(
        abs((track.activity or {})[name][0][0] - stamps(option)[0]) <= ROUNDED
        for name in mentioned(question) & set(track.activity or ())
    ),
    "section_at": lambda track, option, question: option == _section(track, stamps(question)[0]),
    "chord_at": lambda track, option, question: option == _chord(track, stamps(question)[0]),
}


def _multiple_choice(tracks: Sequence[Track], exchange: Exchange) -> None:
    ((question, answer),) = exchange.turns
    kind = exchange.template.split("/")[1]
    assert exchange.correct is not None
    asked = question.split("\nA) ")[0]
    right = [_RIGHT[kind](tracks[0], option, asked) for option in exchange.choices]
    assert right == [number == exchange.correct for number in range(len(exchange.choices))], question
    assert 2 <= len(exchange.choices) == len(set(exchange.choices)) <= 4
    lines = [f"{letter}) {option}" for letter, option in zip("ABCD", exchange.choices, strict=False)]
    assert question.endswith("\n".join(["", *lines]))
    assert answer in ("ABCD"[exchange.correct], lines[exchange.correct])


def _when(tracks: Sequence[Track], exchange: Exchange) -> None:
    ((_question, answer),) = exchange.turns
    (track,) = tracks
    kind, said = exchange.template.split("/")[1], stamps(answer)
    activity = track.activity or {}
    if kind in ("enters", "stops", "plays"):
        (name,) = mentioned(answer)
        first, last = activity[name][0][0], activity[name][-1][1]
        if kind == "plays":
            truth = [at for span in activity[name] for at in span if 1.0 < at < (track.seconds or 0) - 1.0]
        else:
            truth = [first] if kind == "enters" else [last]
            at_border = first <= 1.0 if kind == "enters" else last >= (track.seconds or 0) - 1.0
            assert at_border == ("very beginning" in answer or "until the end" in answer), answer
            truth = [] if at_border else truth
        assert all(abs(one - other) <= ROUNDED for one, other in zip(said, truth, strict=True)), answer
    elif kind == "what_enters":
        names = {name for name, spans in activity.items() if any(abs(at - said[0]) <= 0.7 for at, _ in spans)}
        assert mentioned(answer) == names, answer
    elif kind == "section_at":
        assert _section(track, said[0]) in answer
    elif kind == "section_begins":
        begins = [begin for begin, _, name in track.sections or () if re.search(rf"\b{name}\b", answer)]
        order = next(
            (n for n, word in enumerate(("first", "second", "third")) if f" {word} " in f" {answer.lower()} "), 0
        )
        assert "very beginning" in answer if begins[order] == 0 else abs(begins[order] - said[0]) <= ROUNDED
    elif kind == "key_change":
        truth = [at for at, _ in (track.keys or ())[1:]]
        assert said == [round(at, 1) for at in truth] or all(
            abs(a - b) <= 0.06 for a, b in zip(said, truth, strict=True)
        )
        assert ("does not change" in answer) == (not truth)
    elif kind == "tempo_change":
        assert ("does not change" in answer) != _changes(track)
        assert all(any(abs(at - one) <= 0.06 for one, _ in track.tempo_curve or ()) for at in said)
    elif kind == "between":
        begin, end = said
        playing = {name for name, spans in activity.items() if any(at < end and to > begin for at, to in spans)}
        assert mentioned(answer) == playing, answer
    else:
        raise AssertionError(f"nothing checks {exchange.template}")


def _counting(tracks: Sequence[Track], exchange: Exchange) -> None:
    ((question, answer),) = exchange.turns
    (track,) = tracks
    kind = exchange.template.split("/")[1]
    names = [name for _, _, name in track.sections or ()]
    truth = {
        "instruments": lambda: len(track.playing or ()),
        "sections": lambda: len(names),
        "section_times": lambda: next(names.count(name) for name in names if re.search(rf"\b{name}\b", answer)),
        "key_changes": lambda: len(track.keys or ()) - 1,
        "tempo_changes": lambda: int(_changes(track)),
        "bars": lambda: len(track.downbeats or ()),
        "chords": lambda: len({name for _, _, name in track.chords or ()}),
        "entries": lambda: len((track.activity or {})[next(iter(mentioned(answer)))]),
    }[kind]()
    assert number(answer) == truth, (question, answer)


def _comparison(tracks: Sequence[Track], exchange: Exchange) -> None:
    ((question, answer),) = exchange.turns
    kind, *value = exchange.template.split("/")[1:]
    measure: Mapping[str, Callable[[Track], float]] = {
        "faster": lambda track: track.tempo_bpm or 0,
        "slower": lambda track: -(track.tempo_bpm or 0),
        "denser": lambda track: track.density or 0,
        "more_instruments": lambda track: len(track.playing or ()),
        "which_has": lambda track: value[0] in (track.playing or ()),
    }
    if kind in measure:
        first, second = (measure[kind](track) for track in tracks)
        assert first != second
        assert exchange.label == ("first" if first > second else "second"), question
        assert answer.startswith(f"The {exchange.label} one")
        return
    same = {"same_key": lambda t: t.key, "same_mode": lambda t: t.key.split()[1], "same_meter": lambda t: t.meter}
    first, second = (same[kind](track) for track in tracks)
    assert exchange.label == ("yes" if first == second else "no"), question
    assert answer.startswith(f"{str(exchange.label).capitalize()}, ")


def _multi_turn(tracks: Sequence[Track], exchange: Exchange) -> None:
    assert 2 <= len(exchange.turns) <= 5
    for question, answer in exchange.turns:
        for at in stamps(answer):
            if answer.startswith("At "):
                assert _section(tracks[0], at) in answer, answer
            else:
                assert any(abs(at - one) <= ROUNDED for one in events(tracks[0])), answer
        claims = [*KEY.findall(question), *METER.findall(question)]
        if answer.startswith("That is "):
            right = all(claim in (tracks[0].key, tracks[0].meter) for claim in claims)
            right &= all(abs(float(bpm) - (tracks[0].tempo_bpm or 0)) <= ROUNDED for bpm, _ in BPM.findall(question))
            assert answer.startswith("That is right" if right else "That is not right"), (question, answer)


def _cannot_tell(tracks: Sequence[Track], exchange: Exchange) -> None:
    assert exchange.turns[0][1] == f"I cannot tell {exchange.template.split('/', 1)[1]}."


def _single_fact(tracks: Sequence[Track], exchange: Exchange) -> None:
    ((question, answer),) = exchange.turns
    (track,) = tracks
    kind, key = exchange.template.split("/")[1], str(track.key)
    registers = {name: bounds for name, bounds in (track.registers or {}).items() if name in mentioned(answer)}
    notes = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    pitches = [f"{notes[one % 12]}{one // 12 - 1}" for bounds in registers.values() for one in bounds]
    wanted: Mapping[str, Callable[[], list[str]]] = {
        "tempo": lambda: [f"about {round(track.tempo_bpm or 0)} BPM"],
        "speed": lambda: [_speed(track)],
        "key": lambda: [key],
        "mode": lambda: [f" {key.split()[1]} key"],
        "tonic": lambda: [f" {key.split()[0]}."],
        "key_and_tempo": lambda: [key, f"about {round(track.tempo_bpm or 0)} BPM"],
        "meter": lambda: [str(track.meter)],
        "instruments": lambda: list(track.playing or ()),
        "style": lambda: [str(track.style)],
        "mood": lambda: list(track.moods or ()),
        "drum_pattern": lambda: [str(track.drum_pattern)],
        "chord_at": lambda: [_chord(track, stamps(answer)[0])],
        "first_chords": lambda: [_chord(track, (track.chords or ())[0][0] + 0.1)],
        "register": lambda: [f" {_register(*next(iter(registers.values())))} "],
        "highest_note": lambda: [pitches[1]],
        "lowest_note": lambda: [pitches[0]],
        "form": lambda: [name for _, _, name in track.sections or ()],
        "loudest": lambda: [_extreme(track, max)],
        "softest": lambda: [_extreme(track, min)],
    }
    assert all(piece in answer for piece in wanted[kind]()), (question, answer)


def _register(low: int, high: int) -> str:
    return "low" if low + high < 100 else "high" if low + high >= 144 else "middle"


def _extreme(track: Track, choose: Callable[..., tuple[float, float]]) -> str:
    time, _ = choose(track.dynamics or (), key=lambda one: one[1])
    return _section(track, time + 0.01)


CHECKS: Mapping[str, Callable[[Sequence[Track], Exchange], None]] = {
    "cannot_tell": _cannot_tell,
    "caption": _caption,
    "comparison": _comparison,
    "counting": _counting,
    "multi_turn": _multi_turn,
    "multiple_choice": _multiple_choice,
    "single_fact": _single_fact,
    "when": _when,
    "yes_no": _yes_no,
}
"""By kind of question."""
