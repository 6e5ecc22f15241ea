"""MuChoMusic in the variant of RUListening: questions that need hearing, with four other wrong options each.

In: with `--data rulistening=DIR`, `RUL-MuchoMusic.json` and the recordings in `audio/`, each named by the number of its
question ("1740.mp3"), as its authors' code opens them. Out: its questions, all five options in drawn order.

The file was seen as published: an object whose keys are question numbers and whose entries have "question",
"correct_answer", "distractors" and, unused here, "caption" (a text about the recording, which must not be told) and
"PI" (by how much the question needs hearing, by their measure). Which recording of MuChoMusic belongs to which number
is not said there: whoever has the recordings names them so. The authors recommend to ask each question four times with
one wrong option left out, and to count votes; here it is asked once, with all five. So figures are comparable neither
with those of `muchomusic` nor with such votes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mllm.errors import ConfigError, MessageError, MllmError
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About
from mllm.eval.tasks import _choices, _rows
from mllm.instruct_data.sources import _clips, _files, _tables
from mllm.messages import Audio

FILE = "RUL-MuchoMusic.json"
ABOUT = About(
    title="MuChoMusic (RUListening)",
    version="1",
    summary="MuChoMusic's questions that need hearing, with RUListening's wrong options, five options each.",
    figures=_choices.table(0.2),
    source="rulistening",
    where=f"Get {FILE} from https://github.com/yongyizang/AreYouReallyListening, and the recordings of MuChoMusic as "
    "audio/<number of the question>.mp3 (or .wav, .flac).",
    licence="MIT (wrong options); CC-BY-SA-4.0 (questions); recordings: those of Song Describer and MusicCaps",
)


def load(music: Music) -> Sequence[Question]:
    """Every question whose recording is here."""
    path = _rows.table(music, "rulistening", FILE, ABOUT.where)
    known = _files.recordings(path.parent, "audio")

    def question(row: _tables.Row) -> Iterator[Question]:
        number = row.text("number")
        options = [row.text("correct_answer"), *row.texts("distractors")]
        sound = _clips.path_of(known, [number], "audio/")
        yield _choices.make(
            number,
            [Audio(source=path.parent / sound)],
            row.text("question"),
            options,
            0,
            seed=music.seed,
            unit=number,
            template="free",
        )

    return _rows.usable(music, "rulistening", _tables.each(_entries(path), question), ABOUT.where)


credit = _choices.credit


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """By letter and by likelihood."""
    return _choices.figures(questions, said)


def _entries(path: Path) -> Iterator[_tables.Row | MllmError]:
    """The entries, each with its key as "number"."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON ({error}); {ABOUT.where}") from error
    if not isinstance(plain, dict):
        raise ConfigError(f"{path} holds no object of questions by their numbers; {ABOUT.where}")
    for place, (number, entry) in enumerate(plain.items(), start=1):
        if isinstance(entry, dict):
            yield _tables.Row(place=f"{path} question {number}", number=place, fields={**entry, "number": number})
        else:
            yield MessageError(f"{path} question {number}: no object; expected question, correct_answer, distractors")
