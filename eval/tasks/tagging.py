"""Which tags fit a recording?

In: rendered pieces, whose tags follow from their facts: pace, mode, meter, instruments, style. MagnaTagATune and
MTG-Jamendo where they are given, with the tags that listeners gave, of the fifty commonest ones. Out: one question a
recording; every other one about a rendered piece says which kinds of tags are wanted. Only words of the vocabulary
count, in right and wrong; a pace near a border, a mode or a meter that is not known are not scored.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence

from mllm.eval import blind as blind_answers
from mllm.eval.metrics import classification
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.reading import instruments, meter, words
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _about
from mllm.eval.tasks.genre import OTHER_WORDS
from mllm.eval.tasks.mood import PACES
from mllm.facts import INSTRUMENTS, METERS
from mllm.instruct_data import track_facts
from mllm.instruct_data.asked import ask
from mllm.instruct_data.augment import caption, single_fact
from mllm.instruct_data.statements import join
from mllm.instruct_data.tracks import MODES, Track

ABOUT = About(
    title="Tagging",
    version="1",
    summary="Tags of a recording, scored by the words of a closed vocabulary: F1 over all tags and mean over tags.",
    figures={
        "micro_f1": Figure(title="tags, micro-F1", headline=True),
        "macro_f1": Figure(title="tags, macro-F1", headline=True),
        "precision": Figure(title="tags, precision"),
        "recall": Figure(title="tags, recall"),
    },
    also=("magnatagatune", "mtg_jamendo"),
)
QUESTIONS = 60
COMMONEST = 50
"""Tags of a benchmark that are asked for."""

_FACTS = "tagging/facts"
_KINDS = (
    "Name the pace, the mode, the meter, the instruments and the style.",
    "Pace, mode, meter, instruments and style should be among them.",
    "Include pace, mode, time signature, instruments and style.",
    "I need the pace, the mode, the time signature, the instruments and the style.",
)
_LISTS = ("Choose from these: {list}.", "The tags to choose from are {list}.", "Only these may be used: {list}.")


def load(music: Music) -> Sequence[Question]:
    """One question a recording."""
    tracks = _about.rendered(music, QUESTIONS, _is_known)
    styles = sorted({str(track.style) for track in tracks})
    found = [_of_facts(music, track, styles, kinds_named=number % 2 == 1) for number, track in enumerate(tracks)]
    for source in ABOUT.also:
        found += _of_source(music, _about.given(music, (source,), lambda track: bool(_tags(track))))
    return found


def credit(question: Question, said: Said) -> float | None:
    """F1 of the tags that are named."""
    true, named = frozenset(question.truth["tags"]), _named(question, said)
    return 2 * len(true & named) / (len(true) + len(named))


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """F1, precision and recall."""
    true = [question.truth["tags"] for question in questions]
    named = [_named(*pair) for pair in zip(questions, said, strict=True)]
    return {
        "micro_f1": classification.micro_f1(true, named),
        "macro_f1": classification.macro_f1(true, named),
        "precision": classification.precision(true, named),
        "recall": classification.recall(true, named),
    }


def blind(questions: Sequence[Question]) -> Mapping[str, list[Said]]:
    """The commonest tags, as many as pay."""

    def ways(known: Sequence[Question]) -> list[blind_answers.Way]:
        return _about.constants(_about.commonest([question.truth["tags"] for question in known]))

    return {"commonest tags": blind_answers.best_way(questions, ways, credit)}


def _is_known(track: Track) -> bool:
    return track.style is not None and bool(track.playing)


def _named(question: Question, said: Said) -> frozenset[str]:
    """The tags of the vocabulary that are named, without those that are not scored."""
    if question.template != _FACTS:
        return words.read(said.text, question.truth["among"])
    found = instruments.resolved(_read(said.text, tuple(question.truth["styles"])), question.truth["tags"])
    return found - set(question.truth["unscored"])


@functools.lru_cache(maxsize=8)  # blind answerers say one thing to many questions in a row
def _read(text: str, styles: tuple[str, ...]) -> frozenset[str]:
    """Every tag about a fact that is named."""
    stated = meter.read(text)
    found = words.read(text, PACES) | words.read(text, MODES) | instruments.named(text)
    found |= words.read(text, {style: OTHER_WORDS.get(style, ()) for style in styles})
    return found | {stated} if stated in METERS else found


def _of_facts(music: Music, track: Track, styles: Sequence[str], *, kinds_named: bool) -> Question:
    draw = _about.chance(music, "tagging", track.id)
    text = ask(draw, single_fact.wordings("tags"))
    pace, mode = _about.speed(track), track_facts.steady_mode(track)
    known = [word for word in (pace, mode, track.meter, *(track.playing or ()), track.style) if word is not None]
    unscored = [
        *(PACES if pace is None else ()),
        *(MODES if mode is None else ()),
        *(METERS if track.meter is None else ()),
        *(name for name in INSTRUMENTS if name not in (*(track.playing or ()), *(track.absent or ()))),
    ]
    return _about.question(
        track,
        "tags",
        _about.with_more(text, draw.rng.choice(_KINDS)) if kinds_named else text,
        truth={"tags": known, "unscored": unscored, "styles": list(styles)},
        references=(caption.tags(track) or "",),
        template=_FACTS,
        field="tags",
        groups={"asked": "kinds named" if kinds_named else "openly"},
        max_new_tokens=96,
    )


def _tags(track: Track) -> set[str]:
    """Everything that listeners said of a recording in single words or names."""
    style = () if track.style is None else (track.style,)
    return {*(track.tags or ()), *(track.instruments or ()), *(track.moods or ()), *style}


def _of_source(music: Music, tracks: Sequence[Track]) -> list[Question]:
    counts = Counter(tag for track in tracks for tag in _tags(track))
    among = sorted(sorted(counts, key=lambda tag: (-counts[tag], tag))[:COMMONEST])
    found = []
    for track in tracks:
        true = sorted(_tags(track).intersection(among))
        if not true:
            continue
        draw = _about.chance(music, "tagging", track.id)
        offered = draw.rng.choice(_LISTS).format(list=join(draw.rng.sample(among, len(among))))
        found.append(
            _about.question(
                track,
                "tags",
                _about.with_more(ask(draw, single_fact.wordings("tags")), offered),
                truth={"tags": true, "among": among},
                references=(", ".join(true),),
                template=f"tagging/{track.source}",
                field="tags",
                max_new_tokens=96,
            )
        )
    return found
