"""Captions: of rendered music with several references each, of benchmarks, or of recordings of one's own.

In: rendered pieces; or in their place, with `--data`, the test splits of musiccaps, song_describer (its cleaned
subset), lp_musiccaps or midicaps, or captions=FILE, JSON lines {"audio": path from the file's folder on, "captions":
[...]}. Out: one request a recording. Texts are compared with the references by words; that says nothing about truth,
and fluent captions of another recording score well by it, so the headline figure of rendered music is another: how many
of the instruments, the key, the meter and the tempo are named, and how many of those that are named are right (F1 over
all facts). A good caption need not state everything: the references themselves do not quite reach 1 by it.

The credit of one answer is its ROUGE-L F, for want of a better judge of texts that people wrote.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from mllm.errors import MessageError
from mllm.eval.metrics import text
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said, asked
from mllm.eval.statistic import Ratio, Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _facts, _rows
from mllm.instruct_data.augment import caption
from mllm.instruct_data.exchanges import Draw
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _tables
from mllm.instruct_data.tracks import Track
from mllm.instruct_data.wordings import QUESTIONS
from mllm.messages import Audio

OWN = "captions"
SOURCES = ("musiccaps", "song_describer", "lp_musiccaps", "midicaps")
ABOUT = About(
    title="Captions",
    version="1",
    summary="One caption a recording: facts that it states, and words that it shares with captions by others.",
    figures={
        "facts_f1": Figure(title="facts named, F1", headline=True),
        "facts_precision": Figure(title="facts named that are right"),
        "facts_recall": Figure(title="facts that are named"),
        "bleu1": Figure(title="BLEU-1"),
        "bleu2": Figure(title="BLEU-2"),
        "bleu3": Figure(title="BLEU-3"),
        "bleu4": Figure(title="BLEU-4"),
        "rouge_l": Figure(title="ROUGE-L F", headline=True),
        "meteor": Figure(title="METEOR"),
        "meteor_without_synonyms": Figure(title="METEOR without WordNet"),
        "cider": Figure(title="CIDEr-D"),
        "distinct1": Figure(title="different words over all words", better="neither"),
        "distinct2": Figure(title="different pairs of words over all pairs", better="neither"),
        "mean_words": Figure(title="words a caption", better="neither"),
    },
    also=(*SOURCES, OWN),
    where='Give one of the data sets, or a file of JSON lines {"audio", "captions"}, or a folder with captions.jsonl.',
)
_QUESTIONS = 60
_REFERENCES = 5
_TRIES = 30
_MOST_TOKENS = 128


def load(music: Music) -> Sequence[Question]:
    """One request a recording."""
    keys = _rows.given(music, ABOUT.also)
    if not keys:
        return [_rendered(track, music.seed) for track in music.short()[: music.count(_QUESTIONS)]]
    return [question for key in keys for question in (_own(music) if key == OWN else _published(music, key))]


def credit(question: Question, said: Said) -> float:
    """ROUGE-L F of the nearest reference."""
    return text.rouge_l(said.text, question.references)


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Facts where they are known, and words."""
    captions = [one.text for one in said]
    found = dict(text.statistics(captions, [question.references for question in questions]))
    counted = [
        _facts.count(question.truth, one) if question.truth is not None else _facts.Counted(true=0, said=0, right=0)
        for question, one in zip(questions, captions, strict=True)
    ]
    right = np.array([one.right for one in counted], dtype=np.float64)
    stated = np.array([one.said for one in counted], dtype=np.float64)
    true = np.array([one.true for one in counted], dtype=np.float64)
    found["facts_f1"] = Ratio(numerators=2 * right, denominators=stated + true)
    found["facts_precision"] = Ratio(numerators=right, denominators=stated)
    found["facts_recall"] = Ratio(numerators=right, denominators=true)
    return {name: one for name, one in found.items() if name in ABOUT.figures}


def references(track: Track) -> tuple[str, ...]:
    """Several true captions of a rendered piece, always the same."""
    found: dict[str, None] = {}
    for number in range(_TRIES):
        draw = Draw(rng=random.Random(f"caption/{track.id}/{number}"), held_out=True)
        written = caption.short(track, draw)
        if written is not None:
            found[written] = None
        if len(found) == _REFERENCES:
            break
    return tuple(found)


def _rendered(track: Track, seed: int) -> Question:
    rng = random.Random(f"{seed}/captioning/{track.id}")
    return Question(
        id=track.id,
        messages=asked(QUESTIONS["caption"].choose(rng, held_out=True), [_sound(track)]),
        truth=_facts.of_track(track),
        references=references(track),
        unit=track.id,
        template="caption",
        max_new_tokens=_MOST_TOKENS,
    )


def _sound(track: Track) -> Audio:
    return Audio(source=Path(track.path), start=track.start, end=track.end)


def _published(music: Music, key: str) -> Iterator[Question]:
    """One request a recording of a data set, with all its captions."""
    by_recording: dict[tuple[Audio, ...], list[Record]] = {}
    for record in _rows.test_records(music, key):
        if key != "song_describer" or "/valid/" in record.id:
            by_recording.setdefault(_rows.heard(record), []).append(record)
    for sounds, records in by_recording.items():
        yield Question(
            id=records[0].id,
            messages=asked(_rows.last_question(records[0]), sounds),
            references=tuple(record.answer for record in records),
            unit=" + ".join(records[0].tracks),
            template="caption",
            groups={"data": key},
            max_new_tokens=_MOST_TOKENS,
        )


def _own(music: Music) -> list[Question]:
    path = _rows.table(music, OWN, "captions.jsonl", ABOUT.where)

    def question(row: _tables.Row) -> Iterator[Question]:
        name = "audio" if row.has("audio") else "path"
        written = row.texts("captions")
        if not written:
            raise MessageError("captions is empty; expected at least one text")
        rng = random.Random(f"{music.seed}/captioning/{row.number}")
        yield Question(
            id=row.text("id") if row.has("id") else f"{OWN}/{row.number}",
            messages=asked(
                QUESTIONS["caption"].choose(rng, held_out=True), [_rows.recording(path.parent, row.text(name))]
            ),
            references=written,
            unit=row.text(name),
            template="caption",
            groups={"data": OWN},
            max_new_tokens=_MOST_TOKENS,
        )

    return _rows.usable(music, OWN, _tables.each(_rows.rows_of(path, OWN, ABOUT.where), question), ABOUT.where)
