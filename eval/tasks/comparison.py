"""Two recordings in one conversation: which is faster, reaches higher, is louder, has more; do key and meter agree?

In: rendered pieces, and for loudness one piece at two levels. Out: questions about pairs, each asked twice, with the
recordings in either order: "first" is as often right as "second", and answering by the place is found out. Nothing is
asked where the difference could be doubted.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from mllm import facts
from mllm.eval import statistic
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said, asked
from mllm.eval.reading import yes_no
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _made, _matched, _which
from mllm.instruct_data import in_words, track_facts
from mllm.instruct_data.asked import ask, phrasings
from mllm.instruct_data.augment import comparison as training
from mllm.instruct_data.exchanges import Draw
from mllm.instruct_data.phrases import Phrasings
from mllm.instruct_data.tracks import Track
from mllm.messages import Audio

ABOUT = About(
    title="Comparison of two recordings",
    version="1",
    summary="Which of two recordings is faster, reaches higher, is louder, has more instruments or a given one, and "
    "whether key and meter agree; every pair in both orders.",
    figures={
        "accuracy": Figure(title="comparisons right", headline=True, chance=0.5),
        "both_orders": Figure(title="right in both orders", chance=0.25),
        "first": Figure(title="the first one named, of those named", better="neither", chance=0.5),
    },
)

_PAIRS: Mapping[str, int] = {
    "faster": 10,
    "higher": 10,
    "louder": 8,
    "which_has": 10,
    "more_instruments": 8,
    "same_key": 8,
    "same_meter": 6,
}
"""How many pairs of recordings are asked about what; each gives two questions."""
_CLEARLY_HIGHER = 7
"""Semitones."""
_CLEARLY_FASTER = 1.2
_SOFTER_DB = 15.0
_TOGETHER = {"2/4": "4/4", "6/8": "4/4", "12/8": "4/4", "9/8": "3/4"}
"""Meters that are easily counted as another one."""

OWN = {
    "higher": Phrasings(
        train=(),
        held_out=(
            "Which of the two climbs to the higher top note?",
            "In which recording does the melody or any other part reach further up?",
            "Leaving drums aside, where do I hear the highest pitch of all, in recording one or in recording two?",
            "Compare the very highest notes of both. Whose lies above the other's?",
            "which one goes up higher in pitch",
            "Of these two, which would need more ledger lines above the staff?",
        ),
    ),
    "louder": Phrasings(
        train=(),
        held_out=(
            "Which of the two is played back at the higher volume?",
            "For which of them would I have to turn the knob down?",
            "which ones louder",
            "Of this pair, whose level is higher?",
            "One of them was mastered much hotter. Recording one or recording two?",
            "A sound level meter would show more for which of the two?",
        ),
    ),
}
"""Wordings of what no training asks."""

_Answer = Callable[[Track, Track], str]
"""The answer in words, of the recordings in the order in which they are heard."""


def load(music: Music) -> Sequence[Question]:
    """Two questions a pair: the recordings in one order, then in the other."""
    tracks = music.short()
    found: list[Question] = []
    for kind, usual in _PAIRS.items():
        rng = random.Random(f"{music.seed}/comparison/{kind}")
        if kind == "louder":
            found += _loudness(music, tracks, rng, music.count(usual))
        else:
            for one, other, thing in itertools.islice(_PAIRED[kind](tracks, rng), music.count(usual)):
                found += _both_orders(kind, (one, other), thing, rng)
    return found


def _couples(tracks: Sequence[Track], rng: random.Random) -> Iterator[tuple[Track, Track]]:
    """All pairs of recordings in random order, those of recordings that are in no pair yet first."""
    pairs = list(itertools.combinations(tracks, 2))
    rng.shuffle(pairs)
    later, used = [], set[str]()
    for one, other in pairs:
        if {one.id, other.id} & used:
            later.append((one, other))
        else:
            used |= {one.id, other.id}
            yield one, other
    yield from later


def _differing(
    tracks: Sequence[Track], rng: random.Random, value: Callable[[Track], float | None], clearly: Callable[..., bool]
) -> Iterator[tuple[Track, Track, str]]:
    """Pairs of which one clearly has more."""
    for one, other in _couples(tracks, rng):
        less, more = value(one), value(other)
        if less is not None and more is not None and clearly(min(less, more), max(less, more)):
            yield one, other, ""


def _top(track: Track) -> float | None:
    """Its highest note."""
    return max((float(high) for _, high in (track.registers or {}).values()), default=None)


def _count(track: Track) -> float | None:
    """How many instruments it has."""
    return None if track.playing is None else float(len(track.playing))


def _faster(tracks: Sequence[Track], rng: random.Random) -> Iterator[tuple[Track, Track, str]]:
    return _differing(tracks, rng, track_facts.steady_tempo, lambda less, more: more >= _CLEARLY_FASTER * less)


def _higher(tracks: Sequence[Track], rng: random.Random) -> Iterator[tuple[Track, Track, str]]:
    return _differing(tracks, rng, _top, lambda less, more: more - less >= _CLEARLY_HIGHER)


def _more(tracks: Sequence[Track], rng: random.Random) -> Iterator[tuple[Track, Track, str]]:
    return _differing(tracks, rng, _count, lambda less, more: more - less >= training.CLEARLY_MORE)


def _which_has(tracks: Sequence[Track], rng: random.Random) -> Iterator[tuple[Track, Track, str]]:
    """Pairs of which one has an instrument."""
    for one, other in _couples(tracks, rng):
        names = [name for name in facts.INSTRUMENTS if (name in _playing(one)) != (name in _playing(other))]
        if names:
            yield one, other, rng.choice(names)


def _playing(track: Track) -> tuple[str, ...]:
    return track.playing or ()


def _same(
    tracks: Sequence[Track], rng: random.Random, value: Callable[[Track], str | None], alike: Callable[[str, str], bool]
) -> Iterator[tuple[Track, Track, str]]:
    """Pairs that agree and pairs that do not by turns, so that both are equally many."""
    agreeing, differing = [], []
    for one, other in _couples(tracks, rng):
        values = value(one), value(other)
        if values[0] is None or values[1] is None:
            continue
        if values[0] == values[1]:
            agreeing.append((one, other, ""))
        elif not alike(values[0], values[1]):
            differing.append((one, other, ""))
    for two in zip(agreeing, differing, strict=False):
        yield from two


def _plain_key(track: Track) -> str | None:
    """The key, where it does not change and is major or minor."""
    key = track_facts.steady_key(track)
    return key if key in facts.KEYS else None


def _near_keys(one: str, other: str) -> bool:
    """Whether keys have the same tonic, or all notes in common."""
    places = [facts.key_index(key) for key in (one, other)]
    signatures = [place if place < 12 else (place + 3) % 12 for place in places]
    return places[0] % 12 == places[1] % 12 or signatures[0] == signatures[1]


def _near_meters(one: str, other: str) -> bool:
    return _TOGETHER.get(one, one) == _TOGETHER.get(other, other) or {one, other} == {"3/4", "6/8"}


_PAIRED: Mapping[str, Callable[[Sequence[Track], random.Random], Iterator[tuple[Track, Track, str]]]] = {
    "faster": _faster,
    "higher": _higher,
    "which_has": _which_has,
    "more_instruments": _more,
    "same_key": lambda tracks, rng: _same(tracks, rng, _plain_key, _near_keys),
    "same_meter": lambda tracks, rng: _same(tracks, rng, lambda track: track.meter, _near_meters),
}


def _both_orders(kind: str, pair: tuple[Track, Track], thing: str, rng: random.Random) -> list[Question]:
    """The same question, in the same words, of a pair in either order."""
    wordings = OWN[kind] if kind in OWN else phrasings("comparison")[kind]
    said = in_words.with_article(thing) if thing else ""
    question = ask(Draw(rng=rng, held_out=True), wordings, name=thing, a_name=said)
    found = []
    for number, (first, second) in enumerate((pair, pair[::-1])):
        label, answer = _answer(kind, first, second, thing)
        found.append(_question(kind, (first, second), question, label, answer, f"{thing}/{number}"))
    return found


def _question(kind: str, heard: tuple[Track, Track], text: str, label: str, answer: str, number: str) -> Question:
    unit = " + ".join(sorted({track.id for track in heard}))
    return Question(
        id=f"{kind}/{unit}/{number}",
        messages=asked(text, [Audio(source=Path(track.path)) for track in heard]),
        truth=label,
        references=(in_words.agreeing(answer),),
        unit=unit,
        template=f"comparison/{kind}",
        label=label,
        groups={"about": kind},
    )


def _answer(kind: str, first: Track, second: Track, thing: str) -> tuple[str, str]:
    """Label and answer of a question about two recordings in this order."""
    if kind.startswith("same"):
        value = _plain_key if kind == "same_key" else lambda track: track.meter
        one, other = value(first), value(second)
        if one == other:
            return "yes", f"Yes, both are in {one}."
        return "no", f"No, the first one is in {one}, the second one in {other}."
    if kind == "which_has":
        label = "first" if thing in _playing(first) else "second"
        return label, f"The {label} one has {in_words.with_article(thing)}."
    value_of = {"faster": track_facts.steady_tempo, "higher": _top, "more_instruments": _count}[kind]
    label = "first" if (value_of(first) or 0.0) > (value_of(second) or 0.0) else "second"
    told = {"faster": "is faster", "higher": "reaches the higher note", "more_instruments": "has more instruments"}
    return label, f"The {label} one {told[kind]}."


def _loudness(music: Music, tracks: Sequence[Track], rng: random.Random, count: int) -> list[Question]:
    """One piece at its own level and much softer, in either order."""
    folder = music.made(f"comparison-{ABOUT.version}")
    found = []
    for track in rng.sample(tracks, min(count, len(tracks))):
        levels = [_at_level(track, folder, decibels) for decibels in (0.0, -_SOFTER_DB)]
        text = ask(Draw(rng=rng, held_out=True), OWN["louder"])
        for number, heard in enumerate((levels, levels[::-1])):
            label = ("first", "second")[number]
            pair = (heard[0], heard[1])
            found.append(_question("louder", pair, text, label, f"The {label} one is louder.", f"{number}"))
    return found


def _at_level(track: Track, folder: Path, decibels: float) -> Track:
    """The piece with its level changed."""
    factor = np.float32(10 ** (decibels / 20))
    path = folder / f"{track.id}-{abs(decibels):.0f}dB-softer.flac"
    _made.keep(path, lambda: _made.samples_of(track) * factor)
    return dataclasses.replace(track, path=str(path))


def credit(question: Question, said: Said) -> float | None:
    """1 for the right verdict, or for the right one of the two."""
    return float(_verdict(question, said) == question.label)


def _verdict(question: Question, said: Said) -> str | None:
    """What an answer says, in the words of labels."""
    if question.label in ("yes", "no"):
        verdict = yes_no.read(said.text)
        return None if verdict is None else "yes" if verdict else "no"
    return _which.read(said.text)


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Accuracy, both orders right, and how often the first one is named."""
    verdicts = [_verdict(question, one) for question, one in zip(questions, said, strict=True)]
    earned = [float(verdict == question.label) for question, verdict in zip(questions, verdicts, strict=True)]
    named = [float(verdict == "first") if verdict in ("first", "second") else None for verdict in verdicts]
    return {
        "accuracy": statistic.share(earned),
        "both_orders": _matched.both_right(questions, earned),
        "first": statistic.share(named),
    }
