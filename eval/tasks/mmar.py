"""The music questions of MMAR, which asks for reasoning over what is heard.

In: with `--data mmar=DIR`, `MMAR-meta.json` and the recordings at the places that it names ("./audio/<id>.wav"). Out:
the questions whose modality is "music", the order of their options drawn by the seed; those of mixtures, speech and
other sounds are passed over. Figures are also shown by category (its four "layers").

The file itself was not seen here. That it is a list of objects with "id", "audio_path", "question", "choices",
"answer", "modality" (one of "sound", "music", "speech", "mix-sound-music" and so on) and "category" is taken from its
authors' page and from evaluation code that reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mllm.errors import MessageError
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About
from mllm.eval.tasks import _choices, _rows
from mllm.instruct_data.sources import _tables

FILE = "MMAR-meta.json"
ABOUT = About(
    title="MMAR, music",
    version="1",
    summary="The questions about music alone, their options in drawn order; an answer that names none is wrong.",
    figures=_choices.table(),
    source="mmar",
    where=f"Get {FILE} and the recordings (audio/) from https://huggingface.co/datasets/BoJack/MMAR.",
    licence="as its authors state; recordings: from videos of others",
)


def load(music: Music) -> Sequence[Question]:
    """Every question about music whose recording is here."""
    path = _rows.table(music, "mmar", FILE, ABOUT.where)

    def question(row: _tables.Row) -> Iterator[Question]:
        if row.text("modality") != "music":
            return
        options, answer = list(row.texts("choices")), row.text("answer")
        if options.count(answer) != 1:
            raise MessageError(f"the answer {answer!r} stands {options.count(answer)} times among the choices")
        yield _choices.make(
            row.text("id"),
            [_rows.recording(path.parent, row.text("audio_path"))],
            row.text("question"),
            options,
            options.index(answer),
            seed=music.seed,
            unit=row.text("audio_path"),
            template="free",
            groups={"category": row.text("category")} if row.has("category") else None,
        )

    rows = _tables.each(_tables.json_array(path, _rows.about("MMAR", ABOUT.where)), question)
    return _rows.usable(music, "mmar", rows, ABOUT.where)


credit = _choices.credit


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """By letter and by likelihood."""
    return _choices.figures(questions, said)
