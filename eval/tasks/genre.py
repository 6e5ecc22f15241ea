"""Which style is it, of a closed list? One question a recording.

In: rendered pieces, composed in known styles; GTZAN where it is given. Out: questions in held-out wordings, behind
which the list stands in an order that the seed decides. An answer that names several of the list is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mllm.eval.metrics import classification, meter
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.reading import words
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _about
from mllm.instruct_data.asked import ask
from mllm.instruct_data.augment import single_fact
from mllm.instruct_data.statements import join
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="Genre",
    version="1",
    summary="The style of a recording, one of a list that stands in the question.",
    figures={
        "accuracy": Figure(title="genre of a closed list", headline=True),
        "balanced": Figure(title="genre, mean over genres"),
    },
    also=("gtzan",),
)
QUESTIONS = 60

OTHER_WORDS: Mapping[str, tuple[str, ...]] = {
    "bossa": ("bossa nova", "samba bossa"),
    "folk dance": ("folk",),
    "jazz swing": ("swing", "swing jazz", "jazz"),
    "pop ballad": ("ballad", "pop"),
    "house": ("house music",),
    "waltz": ("waltzes",),
    "hip hop": ("rap",),
}
"""What else may be said for a style of a list, where the list has no such style itself."""
_LISTS = (
    "Choose one of {list}.",
    "Choose from this list: {list}.",
    "It is one of these: {list}.",
    "Say one of {list}.",
)


def load(music: Music) -> Sequence[Question]:
    """One question a recording, for each source with its own list."""
    found = []
    for tracks in (
        _about.rendered(music, QUESTIONS, _is_known),
        _about.given(music, ABOUT.also, _is_known),
    ):
        styles = sorted({str(track.style) for track in tracks})
        found += [_question(music, track, styles) for track in tracks]
    return found


def credit(question: Question, said: Said) -> float | None:
    """1 for the right style."""
    return float(_named(question, said) == question.label)


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """The share right, and its mean over styles."""
    truths = [str(question.label) for question in questions]
    named = [_named(*pair) for pair in zip(questions, said, strict=True)]
    return {"accuracy": classification.accuracy(truths, named), "balanced": meter.balanced(truths, named)}


def _is_known(track: Track) -> bool:
    return track.style is not None


def _named(question: Question, said: Said) -> str | None:
    styles = question.truth["among"]
    return words.one(
        said.text,
        {style: [word for word in OTHER_WORDS.get(style, ()) if word not in styles] for style in styles},
    )


def _question(music: Music, track: Track, styles: Sequence[str]) -> Question:
    draw = _about.chance(music, "genre", track.id)
    shuffled = draw.rng.sample(styles, len(styles))
    offered = draw.rng.choice(_LISTS).format(list=" or ".join(join(shuffled).rsplit(" and ", 1)))
    return _about.question(
        track,
        "genre",
        _about.with_more(ask(draw, single_fact.wordings("style")), offered),
        truth={"style": track.style, "among": list(styles)},
        references=(single_fact.style(track) or "",),
        template=f"genre/{track.source}",
        label=track.style,
        field="style",
    )
