"""Open questions: about rendered music with short true answers, or of MusicQA and MusicInstruct.

In: rendered pieces; or in their place, with `--data`, the test splits of musicqa or musicinstruct. Out: questions in
held-out wordings about single facts, times and numbers, and last turns of conversations, whose answers are read for the
fact alone: the words around it earn nothing. Where there are only texts by others to compare with, ROUGE-L F is the
credit and words are counted; an answerer that never hears the recording does well by that (it stands among the blind
lines as "another recording's answer", which knows questions by their words).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mllm import registry
from mllm.eval import statistic
from mllm.eval.metrics import text
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.reading import letter
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _facts, _rows
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.records import Record, conversation
from mllm.instruct_data.tracks import MODES, Track

SOURCES = ("musicqa", "musicinstruct")
ABOUT = About(
    title="Open questions",
    version="1",
    summary="Questions with short answers, read for the fact that is asked for.",
    figures={
        "correct": Figure(title="facts right", headline=True),
        "bleu1": Figure(title="BLEU-1"),
        "bleu4": Figure(title="BLEU-4"),
        "rouge_l": Figure(title="ROUGE-L F"),
        "meteor": Figure(title="METEOR"),
        "meteor_without_synonyms": Figure(title="METEOR without WordNet"),
    },
    also=SOURCES,
    where="Give one of the data sets.",
)
_QUESTIONS = 120
_MOST_TOKENS = 64
_TURNS = ("single_fact", "when", "single_fact", "counting", "when", "multi_turn")
"""Kinds of questions, one recording after the other."""
_KINDS: Mapping[str, str] = {
    "single_fact/tempo": "tempo",
    "single_fact/key": "key",
    "single_fact/meter": "meter",
    "single_fact/instruments": "instruments",
    "single_fact/style": "style",
    "single_fact/speed": "speed",
    "single_fact/mode": "mode",
    "single_fact/drum_pattern": "drum_pattern",
    "single_fact/loudest": "times",
    "single_fact/softest": "times",
    "when/enters": "times",
    "when/stops": "times",
    "when/plays": "times",
    "when/section_begins": "times",
    "when/what_enters": "instruments",
    "when/between": "instruments",
    "when/section_at": "section",
    "multi_turn/instrument": "times",
    "multi_turn/missing": "instruments",
    "multi_turn/form": "times",
    **{
        f"counting/{what}": "number"
        for what in ("instruments", "sections", "section_times", "bars", "chords", "entries")
    },
}
"""What the last answer of a template is read for."""
_BEGINNINGS = {"The tempo is": "tempo", "The key is": "key", "The time signature is": "meter", "The style is": "style"}
"""What the last answer of conversations about several facts is read for, by its beginning."""


def load(music: Music) -> Sequence[Question]:
    """One question a recording; of data sets all."""
    keys = _rows.given(music, ABOUT.also)
    if keys:
        return [question for key in keys for question in _published(_rows.test_records(music, key), key)]
    tracks = music.short()
    vocabularies = _vocabularies(tracks)
    found = (_rendered(number, track, tracks, vocabularies) for number, track in enumerate(tracks))
    return [question for question in found if question is not None][: music.count(_QUESTIONS)]


def credit(question: Question, said: Said) -> float:
    """How right the fact is; ROUGE-L F where there is only a text to compare with."""
    if question.truth is None:
        return text.rouge_l(said.text, question.references)
    return _right(question, said)


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Facts where they are known, and words."""
    found = dict(text.statistics([one.text for one in said], [question.references for question in questions]))
    found["correct"] = statistic.share(
        [
            _right(question, one) if question.truth is not None else None
            for question, one in zip(questions, said, strict=True)
        ]
    )
    return {name: one for name, one in found.items() if name in ABOUT.figures}


def _right(question: Question, said: Said) -> float:
    kind, truth = question.truth["kind"], question.truth["is"]
    return _facts.score(kind, truth, _facts.read(kind, said.text, question.truth.get("among", ())))


def _vocabularies(tracks: Sequence[Track]) -> dict[str, Any]:
    """The words that there are for facts that are one of some words."""
    return {
        "style": sorted({track.style for track in tracks if track.style is not None}),
        "drum_pattern": sorted({track.drum_pattern for track in tracks if track.drum_pattern not in (None, "none")}),
        "section": sorted({name for track in tracks for _, _, name in track.sections or ()}),
        "mode": list(MODES),
        "speed": {word: list(others) for word, others in _facts.SPEEDS.items()},
    }


def _rendered(number: int, track: Track, tracks: Sequence[Track], vocabularies: Mapping[str, Any]) -> Question | None:
    """A question about a recording: of the kind whose turn it is, or of the next ones."""
    others = [other for other in tracks if other.id != track.id]
    draw = Draw(rng=random.Random(f"open_qa/{track.id}"), held_out=True, others=others)
    for step in range(len(_TURNS)):
        kind = _TURNS[(number + step) % len(_TURNS)]
        for exchange in registry.find("augmentation", kind).exchanges([track], draw):
            truth = _truth(exchange, vocabularies)
            if truth is not None:
                return _question(track, exchange, truth)
    return None


def _truth(exchange: Exchange, vocabularies: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is true, and how it is read; None where the last answer is not read for one fact."""
    answer = exchange.turns[-1][1]
    kind = _KINDS.get(exchange.template)
    if exchange.template == "multi_turn/facts":
        kind = next((name for words, name in _BEGINNINGS.items() if answer.startswith(words)), None)
    if kind is None:
        return None
    among = {"among": vocabularies[kind]} if kind in vocabularies else {}
    kind = "words" if among else kind
    value = _facts.read(kind, answer, among.get("among", ()))
    return None if value is None else {"kind": kind, "is": value, **among}


def _question(track: Track, exchange: Exchange, truth: Mapping[str, Any]) -> Question:
    return Question(
        id=f"{track.id}/{exchange.template.replace('/', '_')}",
        messages=conversation([track], exchange.turns)[:-1],
        truth=truth,
        references=(exchange.turns[-1][1],),
        unit=track.id,
        template=exchange.template,
        groups={"asked for": exchange.template.partition("/")[0].replace("_", " ")},
        max_new_tokens=_MOST_TOKENS,
    )


def _published(records: Sequence[Record], key: str) -> Iterator[Question]:
    """The last question of each record; questions in the same words are of one template."""
    often = Counter(letter.fold(_rows.last_question(record)) for record in records)
    for record in records:
        words = letter.fold(_rows.last_question(record))
        yield Question(
            id=record.id,
            messages=record.messages[:-1],
            references=(record.answer,),
            unit=" + ".join(record.tracks),
            template=f"free/{words}" if often[words] > 1 else "free",
            groups={"data": key},
            max_new_tokens=2 * _MOST_TOKENS,
        )
