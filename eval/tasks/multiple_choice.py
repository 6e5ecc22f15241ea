"""Multiple choice about rendered music, or about recordings of one's own.

In: rendered pieces; or, with `--data choices=FILE`, JSON lines {"audio": path from the file's folder on, "question",
"choices": [...], "answer": one of them}, perhaps with "id" and "group". Out: questions with two to ten options in drawn
order. The wrong options about rendered music are what is true of other pieces, so that every option is as common among
right ones as among wrong ones; the questions are the same under every seed, the order of their options is not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mllm.errors import MessageError
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About
from mllm.eval.tasks import _choices, _rows
from mllm.instruct_data.augment import multiple_choice
from mllm.instruct_data.exchanges import Draw
from mllm.instruct_data.sources import _tables
from mllm.instruct_data.tracks import Track
from mllm.messages import Audio

OWN = "choices"
ABOUT = About(
    title="Multiple choice",
    version="1",
    summary="Two to four options of which one is true, their order drawn; an answer that names none is wrong.",
    figures=_choices.table(),
    also=(OWN,),
    where='Give a file of JSON lines {"audio", "question", "choices", "answer"}, or a folder with choices.jsonl.',
)
_QUESTIONS = 160
_DRAW = "multiple_choice"
"""Of what is asked, whatever the seed."""
_TEMPLATES = {"tempo": "tempo_bpm", "key": "key", "meter": "meter", "style": "style"}
"""Of questions whose options are the values of a field, the field."""


def load(music: Music) -> Sequence[Question]:
    """One question a recording; of one's own file where one was given."""
    if music.has(OWN):
        path = _rows.table(music, OWN, "choices.jsonl", ABOUT.where)
        rows = _tables.each(_rows.rows_of(path, OWN, ABOUT.where), lambda row: _own(row, path.parent, music.seed))
        return _rows.usable(music, OWN, rows, ABOUT.where)
    tracks = music.short()
    found = (_rendered(track, tracks, music.seed) for track in tracks)
    return [question for question in found if question is not None][: music.count(_QUESTIONS)]


credit = _choices.credit


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """By letter and by likelihood."""
    return _choices.figures(questions, said)


def _rendered(track: Track, tracks: Sequence[Track], seed: int) -> Question | None:
    others = [other for other in tracks if other.id != track.id]
    draw = Draw(rng=random.Random(f"{_DRAW}/{track.id}"), held_out=True, others=others)
    for exchange in multiple_choice.exchanges([track], draw):
        assert exchange.correct is not None
        ((question, _),) = exchange.turns
        name = exchange.template.rpartition("/")[2]
        return _choices.make(
            f"{track.id}/{name}",
            [Audio(source=Path(track.path), start=track.start, end=track.end)],
            question.removesuffix("\n" + "\n".join(_choices.lines(exchange.choices))),
            exchange.choices,
            exchange.correct,
            seed=seed,
            unit=track.id,
            template=exchange.template,
            groups={"asked about": name.replace("_", " "), "options": str(len(exchange.choices))},
            field=_TEMPLATES.get(name),
        )
    return None


def _own(row: _tables.Row, folder: Path, seed: int) -> Iterator[Question]:
    name = "audio" if row.has("audio") else "path"
    options, answer = list(row.texts("choices")), row.text("answer")
    if options.count(answer) != 1:
        raise MessageError(
            f"the answer {answer!r} stands {options.count(answer)} times among the choices, expected once"
        )
    sound = _rows.recording(folder, row.text(name))
    yield _choices.make(
        row.text("id") if row.has("id") else str(row.number),
        [sound],
        row.text("question"),
        options,
        options.index(answer),
        seed=seed,
        unit=row.text(name),
        template="free",
        groups={"group": row.text("group")} if row.has("group") else None,
    )
