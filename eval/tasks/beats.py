"""When do the beats fall in a short stretch, in seconds?

In: rendered pieces with their beats; GTZAN where it is given. Out: one question a recording about a stretch of five
seconds. Of an answer the times within the stretch count, so that a tool may give those of the whole recording. The
stretch also stands in `given`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from mllm.eval import blind as blind_answers
from mllm.eval import statistic
from mllm.eval.metrics import beats as metrics
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.reading import beats as reading
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _about
from mllm.instruct_data import in_words
from mllm.instruct_data.asked import ask
from mllm.instruct_data.phrases import Phrasings
from mllm.instruct_data.statements import join
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="Beats",
    version="1",
    summary="Times of the beats in five seconds of a recording: F of those within 70 ms, continuity (mir_eval.beat).",
    figures={
        "f_measure": Figure(title="beats within 70 ms, F", headline=True),
        "cmlt": Figure(title="beats, right metrical level (CMLt)"),
        "amlt": Figure(title="beats, any metrical level (AMLt)"),
        "read": Figure(title="answers that list times", better="neither"),
    },
    also=("gtzan",),
)
QUESTIONS = 40

_SECONDS = 5
_FEWEST = 3
_MARGIN_SECONDS = 0.1
"""No beat is so near to the ends of a stretch."""
_WORDINGS = Phrasings(
    train=(),
    held_out=(
        "At what times do the beats fall between {begin} and {end}? Give them in seconds from the beginning of the "
        "recording.",
        "List the time of every beat from {begin} to {end}, in seconds from the start of the recording.",
        "Where are the beats between {begin} and {end}? Please answer in seconds from the beginning of the file.",
        "I set markers on the beats. Which ones do I need from {begin} until {end}, in seconds from the very start?",
        "give me all beat times between {begin} and {end} in seconds counted from the start",
        "Tap along from {begin} to {end} and write down each tap, in seconds from the beginning of the recording.",
        "Annotate the beats of the stretch from {begin} to {end}: times in seconds from the start of the recording.",
        "From {begin} to {end}, when does each beat come? Count the seconds from the beginning of the recording.",
    ),
)


def load(music: Music) -> Sequence[Question]:
    """One stretch a recording, where it has beats enough."""
    rendered = (_question(music, track) for track in music.short())
    given = (_question(music, track) for track in _about.given(music, ABOUT.also, lambda track: bool(track.beats)))
    return [
        *itertools.islice((one for one in rendered if one is not None), music.count(QUESTIONS)),
        *(one for one in given if one is not None),
    ]


def credit(question: Question, said: Said) -> float | None:
    """F of the beats within 70 ms."""
    return metrics.f_measure(question.truth, _heard(question, said))


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Means over questions."""
    heard = [_heard(question, one) for question, one in zip(questions, said, strict=True)]
    continuity = [metrics.continuity(one.truth, times) for one, times in zip(questions, heard, strict=True)]
    return {
        "f_measure": statistic.share([credit(*pair) for pair in zip(questions, said, strict=True)]),
        "cmlt": statistic.share([one["cmlt"] for one in continuity]),
        "amlt": statistic.share([one["amlt"] for one in continuity]),
        "read": statistic.share([float(bool(times)) for times in heard]),
    }


def blind(questions: Sequence[Question]) -> Mapping[str, list[Said]]:
    """A beat every so many seconds from the beginning of the stretch on, whichever is right most often."""

    def grid(period: float) -> blind_answers.Way:
        def times(question: Question) -> str:
            begin, count = question.given["begin"], int(_SECONDS / period)
            return ", ".join(f"{begin + period * (number + 0.5):.2f}" for number in range(count))

        return times

    grids = [grid(period / 100) for period in range(30, 105, 5)]
    return {"evenly spaced beats": blind_answers.best_way(questions, lambda _: grids, credit)}


def _heard(question: Question, said: Said) -> list[float]:
    """The times within the stretch; its ends themselves are said again by many, and no beat is there."""
    begin, end = question.given["begin"], question.given["end"]
    return [time for time in reading.read(said.text) if begin < time < end]


def _question(music: Music, track: Track) -> Question | None:
    draw = _about.chance(music, "beats", track.id)
    beats = track.beats or ()
    begins = [
        begin
        for begin in range(max(0, int(beats[-1]) - _SECONDS) if beats else 0)
        if len(inside := [time for time in beats if begin <= time <= begin + _SECONDS]) >= _FEWEST
        and not any(abs(time - border) < _MARGIN_SECONDS for time in beats for border in (begin, begin + _SECONDS))
        and all(after - before > 2 * metrics.WINDOW_SECONDS for before, after in itertools.pairwise(inside))
    ]
    if not begins:
        return None
    begin = draw.rng.choice(begins)
    end = begin + _SECONDS
    inside = [round(time, 3) for time in beats if begin <= time <= end]
    return _about.question(
        track,
        "beats",
        ask(draw, _WORDINGS, begin=in_words.whole_stamp(begin), end=in_words.whole_stamp(end)),
        truth=inside,
        references=(f"The beats are at {join([f'{time:.2f}' for time in inside])} seconds.",),
        template="beats/stretch",
        field="beats",
        given={"begin": begin, "end": end},
        max_new_tokens=160,
    )
