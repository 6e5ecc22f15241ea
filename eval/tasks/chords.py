"""Which chord sounds at 0:12, and which ones follow one another in a stretch?

In: rendered pieces with their chords; other sources have none. Out: two kinds of questions. Moments are drawn evenly
over a piece, so that a chord is asked about the more often the longer it sounds: the mean over questions is weighted by
duration. A tool is told the moment, or the stretch, in `given`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

from mllm.eval import statistic
from mllm.eval.metrics import chords as metrics
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.reading import chords as reading
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _about
from mllm.instruct_data import in_words, track_facts
from mllm.instruct_data.asked import ask
from mllm.instruct_data.augment import single_fact
from mllm.instruct_data.phrases import Phrasings
from mllm.instruct_data.statements import join
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="Chords",
    version="1",
    summary="The chord at a moment, compared by root, as major or minor, and by root and third (mir_eval.chord); the "
    "chords of a stretch in order, by edit distance.",
    figures={
        "majmin": Figure(title="chord at a moment, major or minor", headline=True),
        "root": Figure(title="chord at a moment, root", headline=True),
        "thirds": Figure(title="chord at a moment, root and third"),
        "sequence": Figure(title="chords of a stretch, 1 - edits / length", headline=True),
    },
)
MOMENTS, STRETCHES = 40, 20

_MOMENT, _STRETCH = "single_fact/chord_at", "chords/stretch"
_TRIES = 20
_FEWEST, _MOST = 3, 5
_WORDINGS = Phrasings(
    train=(),
    held_out=(
        "Which chords are played from {begin} to {end}, in order?",
        "Name the chords between {begin} and {end}, one after the other.",
        "I want to play along from {begin} to {end}. Which chords do I need, in order?",
        "Write down the chord progression of the stretch from {begin} to {end}.",
        "what are the chords from {begin} until {end}",
        "Starting at {begin} and stopping at {end}: which harmonies follow one another?",
        "Please list the chord changes between {begin} and {end}.",
        "Transcribe the harmony from {begin} to {end} as a sequence of chords.",
    ),
)


def load(music: Music) -> Sequence[Question]:
    """Questions about moments, and about stretches."""
    tracks = [track for track in music.short() if track.chords]
    moments = (_moment(music, track) for track in tracks)
    stretches = (_stretch(music, track) for track in tracks)
    return [
        *itertools.islice((one for one in moments if one is not None), music.count(MOMENTS)),
        *itertools.islice((one for one in stretches if one is not None), music.count(STRETCHES)),
    ]


def credit(question: Question, said: Said) -> float | None:
    """Of a moment 1 for the right root and third; of a stretch 1 - edits / length."""
    if question.template == _STRETCH:
        return metrics.sequence(question.truth, reading.read(said.text), "thirds")
    return _compared(question, said, "thirds")


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """By the rules, each over the questions of its kind."""
    pairs = list(zip(questions, said, strict=True))

    def share(template: str, score: Callable[[Question, Said], float | None]) -> Statistic:
        return statistic.share([score(*pair) if pair[0].template == template else None for pair in pairs])

    return {
        "majmin": share(_MOMENT, lambda question, one: _compared(question, one, "majmin")),
        "root": share(_MOMENT, lambda question, one: _compared(question, one, "root")),
        "thirds": share(_MOMENT, lambda question, one: _compared(question, one, "thirds")),
        "sequence": share(_STRETCH, credit),
    }


def _compared(question: Question, said: Said, rule: metrics.Rule) -> float | None:
    return metrics.compare(question.truth, reading.one(said.text), rule)


def _moment(music: Music, track: Track) -> Question | None:
    draw = _about.chance(music, "chords", "moment", track.id)
    for _ in range(_TRIES):
        time = round(draw.rng.uniform(0.0, (track.chords or ())[-1][1]), 1)
        chord = track_facts.chord_at(track, time)
        if chord not in (None, reading.NO_CHORD):
            break
    else:
        return None
    said = in_words.stamp(time)
    return _about.question(
        track,
        "moment",
        ask(draw, single_fact.wordings("chord_at"), time=said),
        truth=chord,
        references=(f"At {said} the chord is {in_words.chord(str(chord))}.",),
        template=_MOMENT,
        label=chord,
        field="chords",
        given={"time": time},
        groups={"asked": "moment"},
    )


def _stretch(music: Music, track: Track) -> Question | None:
    draw = _about.chance(music, "chords", "stretch", track.id)
    chords = track.chords or ()
    count = draw.rng.randint(_FEWEST, _MOST)
    runs = [
        run
        for run in (chords[place : place + count] for place in range(len(chords) - count + 1))
        if all(before[2] != after[2] and before[1] >= after[0] - 0.05 for before, after in itertools.pairwise(run))
        and reading.NO_CHORD not in {name for _, _, name in run}
    ]
    if not runs:
        return None
    run = draw.rng.choice(runs)
    begin, end = run[0][0], run[-1][1]
    names = [name for _, _, name in run]
    return _about.question(
        track,
        "stretch",
        ask(draw, _WORDINGS, begin=in_words.stamp(begin), end=in_words.stamp(end)),
        truth=names,
        references=(f"The chords are {join([in_words.chord(name) for name in names])}.",),
        template=_STRETCH,
        field="chords",
        given={"begin": begin, "end": end},
        groups={"asked": "stretch"},
        max_new_tokens=96,
    )
