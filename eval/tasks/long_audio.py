"""Facts at minute 1, 3 and 5 of recordings of about five and a half minutes.

In: rendered pieces, joined end to end, each recording about sixteen of them. Out: questions about the piece that plays
at a time: its key, its tempo, whether an instrument plays; and about when an instrument is first heard. A piece that
was composed as a whole keeps its key and its tempo for five minutes, so that its beginning tells its end; here each
minute has to be heard, and every time is exact.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from mllm import facts
from mllm.eval import statistic, suite
from mllm.eval.metrics import key as key_metrics
from mllm.eval.metrics import tempo as tempo_metrics
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said, asked
from mllm.eval.reading import key as key_reading
from mllm.eval.reading import tempo as tempo_reading
from mllm.eval.reading import times
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _made, _matched
from mllm.instruct_data import in_words, track_facts
from mllm.instruct_data.asked import ask, phrasings
from mllm.instruct_data.augment import _known
from mllm.instruct_data.augment._not_heard_wordings import WORDINGS
from mllm.instruct_data.exchanges import Draw
from mllm.instruct_data.tracks import Track
from mllm.messages import Audio

ABOUT = About(
    title="Long audio",
    version="1",
    summary="Key, tempo and instruments of what plays at minute 1, 3 and 5 of joined pieces of five and a half "
    "minutes, and when an instrument is first heard (within 3 s).",
    figures={
        "score": Figure(title="facts placed at a minute, right", headline=True),
        "key": Figure(title="key at a time"),
        "tempo": Figure(title="tempo at a time, within 4 %"),
        "plays": Figure(title="does it play at a time?", chance=0.5),
        "first": Figure(title="when it first plays, within 3 s"),
    },
)

_RECORDINGS = 4
_SECONDS = 330.0
_FEWEST_PIECES = 4
"""Of one key and one tempo; where there are not so many, others are taken too, and not asked about as a whole."""
_ORDERS = 200
"""Orders of the pieces that are looked at; the first one that has most of what can be asked is taken."""
MINUTES = (1, 3, 5)
_AFTER_THE_MINUTE_SECONDS = 5.0
_MARGIN_SECONDS = 3.0
"""A question about a time is asked no nearer to the beginning or the end of a piece."""
_WINDOW_SECONDS = (-20.0, 50.0)
"""What is first heard so long after a full minute belongs to it."""
_TOLERANCE_SECONDS = 3.0

KEY = (
    "Several pieces follow each other here. In which key is the one that plays at {time}?",
    "Skip to {time}: what key are we in there?",
    "which key is it in around {time}",
    "Name the key of what sounds at {time}.",
    "If I joined in at {time}, in what key would I have to play?",
)
TEMPO = (
    "Several pieces follow each other here. How many beats a minute has the one that plays at {time}?",
    "Skip to {time}: what would a metronome have to show there?",
    "whats the bpm around {time}",
    "Name the tempo of what sounds at {time}, in BPM.",
    "If I joined in at {time}, at how many beats a minute would I have to play?",
)
"""Wordings that no training uses."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Place:
    """What plays at a minute of a recording."""

    recording: Track
    part: Track
    begin: float
    """When the part begins in the recording, in seconds."""
    time: float
    """That is asked about, a whole second of the recording."""
    minute: int


def load(music: Music) -> Sequence[Question]:
    """The questions about each recording, minute by minute."""
    folder = music.made(f"long_audio-{ABOUT.version}")
    steady = [track for track in music.short() if _is_steady(track)]
    pieces = steady if len(steady) >= _FEWEST_PIECES else music.short()
    rng = random.Random(f"{music.seed}/long_audio")
    found: list[Question] = []
    places: list[_Place] = []
    for number in range(music.count(_RECORDINGS)):
        parts = _order(pieces, rng)
        path = folder / f"{suite.digest(parts)}.flac"
        recording, begins = _made.join(parts, path, identity=f"long-{number}")
        for minute in MINUTES:
            place = _place(recording, parts, begins, minute)
            if place is not None:
                places.append(place)
                found += _of_part(place, rng)
            found += _of_entry(recording, minute, rng)
    for one in _matched.in_twos(places, rng, _playing, len(places)):
        found.append(_plays(one.about, one.thing, one.true, rng))
    return found


def _is_steady(track: Track) -> bool:
    """Whether it has one tempo and one key, in major or minor."""
    return track_facts.steady_tempo(track) is not None and track_facts.steady_key(track) in facts.KEYS


def _order(pieces: Sequence[Track], rng: random.Random) -> list[Track]:
    """Pieces in a row, long enough, in which much is first heard near the minutes asked about."""
    orders = [_row(pieces, rng) for _ in range(_ORDERS)]
    return max(orders, key=lambda row: sum(bool(_entries(_activity(row), minute)) for minute in MINUTES))


def _row(pieces: Sequence[Track], rng: random.Random) -> list[Track]:
    """Pieces in random order until they are long enough; where there are too few, they come round again."""
    row: list[Track] = []
    waiting: list[Track] = []
    seconds = 0.0
    while seconds < _SECONDS:
        waiting = waiting or rng.sample(pieces, len(pieces))
        row.append(waiting.pop())
        seconds += row[-1].seconds or 0.0
    return row


def _activity(row: Sequence[Track]) -> dict[str, float]:
    """When each instrument is first heard in pieces that follow each other."""
    found: dict[str, float] = {}
    begin = 0.0
    for track in row:
        for name, spans in (track.activity or {}).items():
            if spans:
                found.setdefault(name, begin + spans[0][0])
        begin += track.seconds or 0.0
    return found


def _entries(first: Mapping[str, float], minute: int) -> list[str]:
    """The instruments that are first heard near a minute."""
    low, high = (60.0 * minute + edge for edge in _WINDOW_SECONDS)
    return [name for name, time in first.items() if low <= time < high]


def _place(recording: Track, parts: Sequence[Track], begins: Sequence[float], minute: int) -> _Place | None:
    """The piece at a few seconds after a minute, and a time well within it."""
    wanted = 60.0 * minute + _AFTER_THE_MINUTE_SECONDS
    for part, begin in zip(parts, begins, strict=True):
        end = begin + (part.seconds or 0.0)
        if begin <= wanted < end:
            time = float(round(min(max(wanted, begin + _MARGIN_SECONDS + 1), end - _MARGIN_SECONDS - 1)))
            return _Place(recording=recording, part=part, begin=begin, time=time, minute=minute)
    return None


def _of_part(place: _Place, rng: random.Random) -> list[Question]:
    """Key and tempo of the piece at a time."""
    said = in_words.whole_stamp(place.time)
    found = []
    key, tempo = track_facts.steady_key(place.part), track_facts.steady_tempo(place.part)
    if key is not None:
        text = rng.choice(KEY).format(time=said)
        found.append(_question(place.recording, place.minute, "key", text, key, f"The key is {key}."))
    if tempo is not None:
        text = rng.choice(TEMPO).format(time=said)
        found.append(_question(place.recording, place.minute, "tempo", text, tempo, f"About {tempo:.0f} BPM."))
    return found


def _of_entry(recording: Track, minute: int, rng: random.Random) -> list[Question]:
    """When an instrument is first heard that nobody has played before this minute."""
    first = {name: spans[0][0] for name, spans in (recording.activity or {}).items() if spans}
    names = _entries(first, minute)
    if not names:
        return []
    name = rng.choice(names)
    text = _known.worded(WORDINGS["enters"], Draw(rng=rng, held_out=True), _known.words(name))
    answer = in_words.sentence(f"the {name} enters at {in_words.stamp(first[name])}.")
    return [_question(recording, minute, "first", text, first[name], answer, name)]


def _playing(place: _Place) -> dict[str, bool]:
    """Of the instruments of the whole recording: whether they play around a time."""
    time = place.time - place.begin
    heard = track_facts.playing_between(place.part, time - 1.0, time + 1.0)
    if heard is None:
        return {}
    return {name: name in heard for name in place.recording.activity or ()}


def _plays(place: _Place, name: str, true: bool, rng: random.Random) -> Question:
    """Whether an instrument of the recording plays at a time."""
    said = in_words.whole_stamp(place.time)
    text = ask(Draw(rng=rng, held_out=True), phrasings("yes_no")["plays_at"], name=name, time=said)
    told = f"the {name} {'is playing' if true else 'is silent'} at {said}"
    label = "yes" if true else "no"
    answer = in_words.agreeing(f"{label.capitalize()}, {told}.")
    return _question(place.recording, place.minute, "plays", text, true, answer, name, label=label)


def _question(
    recording: Track,
    minute: int,
    fact: str,
    text: str,
    truth: str | float | bool,
    answer: str,
    about: str = "",
    *,
    label: str | None = None,
) -> Question:
    return Question(
        id=f"{recording.id}/{minute}/{fact}{f'/{about}' if about else ''}",
        messages=asked(text, [Audio(source=Path(recording.path))]),
        truth=truth,
        references=(answer,),
        unit=recording.id,
        template=f"long_audio/{fact}",
        label=label,
        groups={"minute": str(minute), "fact": fact},
    )


def credit(question: Question, said: Said) -> float | None:
    """1 for the right key, tempo, verdict or time."""
    fact = question.groups["fact"]
    if fact == "key":
        return float(key_metrics.exact(question.truth, key_reading.read(said.text)))
    if fact == "tempo":
        return float(tempo_metrics.acc1(question.truth, tempo_reading.read(said.text)))
    if fact == "plays":
        return _matched.credit(question, said)
    named = times.read(said.text)
    return float(bool(named) and abs(named[0] - question.truth) <= _TOLERANCE_SECONDS)


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """All facts, and each fact."""
    earned = [credit(question, one) for question, one in zip(questions, said, strict=True)]
    of_fact = [question.groups["fact"] for question in questions]
    found: dict[str, Statistic] = {"score": statistic.share(earned)}
    for fact in ("key", "tempo", "plays", "first"):
        found[fact] = statistic.share([one if of == fact else None for one, of in zip(earned, of_fact, strict=True)])
    return found
