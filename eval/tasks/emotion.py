"""How does it feel? Valence and arousal, as listeners rated them from 1 to 9.

In: recordings with mean ratings: a table `emotion.csv` or `.jsonl` with `file`, `valence` and `arousal`, or the files
of DEAM as its authors publish them (`static_annotations_averaged_songs_*.csv` with `song_id`, `valence_mean` and
`arousal_mean`, and `MEMD_audio/<song_id>.mp3`; from their description, the files themselves were not seen). Out: two
questions a recording. Of rendered music nobody rated anything, so that it is not asked about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mllm.errors import MessageError, MllmError
from mllm.eval import blind as blind_answers
from mllm.eval import statistic
from mllm.eval.music import AbsentError, Music
from mllm.eval.questions import Question, Said, asked
from mllm.eval.reading import scale
from mllm.eval.statistic import OfSums, Statistic, Values
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _about, _rows
from mllm.instruct_data.sources import _tables
from mllm.messages import Audio

LOW, HIGH = 1.0, 9.0
_NEAR = 1.0
_WHERE = (
    "Give a folder with emotion.csv or emotion.jsonl (file, valence, arousal, each rating from 1 to 9), or that of "
    "DEAM (https://cvml.unige.ch/databases/DEAM/): static_annotations_averaged_songs_*.csv and MEMD_audio/."
)
ABOUT = About(
    title="Emotion",
    version="1",
    summary="Valence and arousal on a scale from 1 to 9, as listeners rated them on average. An answer that is missing "
    "counts as the farthest end of the scale.",
    figures={
        "valence_near": Figure(title="valence within 1 of 9", headline=True),
        "arousal_near": Figure(title="arousal within 1 of 9", headline=True),
        "valence_r2": Figure(title="valence, R squared"),
        "arousal_r2": Figure(title="arousal, R squared"),
    },
    source="emotion",
    where=_WHERE,
    licence="that of the recordings and ratings",
)
_ASKED = {
    "valence": "How positive does this music feel? Answer with one number from 1 (very negative) to 9 (very positive).",
    "arousal": "How much energy does this music have? Answer with one number from 1 (very calm) to 9 (very excited).",
}


def load(music: Music) -> Sequence[Question]:
    """Two questions a recording."""
    folder = music.place("emotion", _WHERE)
    tables = [path for name in ("emotion.csv", "emotion.jsonl") if (path := folder / name).is_file()]
    deam = sorted(folder.rglob("static_annotations_averaged_songs_*.csv"))
    if not tables and not deam:
        raise AbsentError(f"{folder} holds no ratings. {_WHERE}")
    about = _rows.about(ABOUT.title, _WHERE)
    found: list[Question] = []
    for path in tables:
        is_csv = path.suffix == ".csv"
        rows = _tables.csv_rows(path, ("file", *_ASKED), about) if is_csv else _tables.json_lines(path)
        found += _rows.usable(music, "emotion", _tables.each(rows, lambda row: _own(row, folder)), _WHERE)
    for path in deam if not tables else ():
        rows = _tables.csv_rows(path, ("song_id", "valence_mean", "arousal_mean"), about)
        found += _rows.usable(music, "emotion", _tables.each(rows, lambda row: _of_deam(row, folder)), _WHERE)
    return found


def credit(question: Question, said: Said) -> float | None:
    """1 within one step of the scale."""
    value = scale.read(said.text, LOW, HIGH)
    return float(value is not None and abs(value - question.truth) <= _NEAR)


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Share near the truth, and R squared, of each rating."""
    found: dict[str, Statistic] = {}
    for name in _ASKED:
        earned = [
            credit(question, one) if question.template == f"emotion/{name}" else None
            for question, one in zip(questions, said, strict=True)
        ]
        found[f"{name}_near"] = statistic.share(earned)
        found[f"{name}_r2"] = _r_squared(questions, said, f"emotion/{name}")
    return found


def blind(questions: Sequence[Question]) -> Mapping[str, list[Said]]:
    """The one place on the scale that is right most often."""
    places = _about.constants([f"{half / 2:g}" for half in range(2, 19)])
    return {"best single rating": blind_answers.best_way(questions, lambda _: places, credit)}


def _r_squared(questions: Sequence[Question], said: Sequence[Said], template: str) -> OfSums:
    """The coefficient of determination, 1 - squared errors / squared distances of the truth from its mean.

    Below 0 where that mean would do better.
    """
    columns = np.zeros((len(questions), 4))
    for place, (question, one) in enumerate(zip(questions, said, strict=True)):
        if question.template == template:
            true = float(question.truth)
            value = scale.read(one.text, LOW, HIGH)
            farthest = LOW if true - LOW > HIGH - true else HIGH
            columns[place] = 1, true, true**2, (true - (farthest if value is None else value)) ** 2

    def formula(sums: NDArray[np.float64]) -> Values:
        count, total, squares, errors = sums.T
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = squares - total**2 / count
            return np.where(spread > 1e-9, 1 - errors / spread, np.nan)

    return OfSums(columns=columns, formula=formula)


def _own(row: _tables.Row, folder: Path) -> Iterator[Question]:
    recording = _rows.recording(folder, row.text("file"))
    yield from _questions(recording, row.text("file"), row.number_at("valence"), row.number_at("arousal"))


def _of_deam(row: _tables.Row, folder: Path) -> Iterator[Question]:
    name = f"MEMD_audio/{row.text('song_id')}.mp3"
    recording = _rows.recording(folder, name)
    yield from _questions(recording, name, row.number_at("valence_mean"), row.number_at("arousal_mean"))


def _questions(recording: Audio, name: str, valence: float, arousal: float) -> Iterator[Question]:
    for kind, value in (("valence", valence), ("arousal", arousal)):
        if not LOW <= value <= HIGH:
            problem: MllmError = MessageError(f"{kind} is {value:g}; expected a rating from {LOW:g} to {HIGH:g}")
            raise problem
        yield Question(
            id=f"{name}/{kind}",
            messages=asked(_ASKED[kind], [recording]),
            truth=value,
            references=(f"{value:g}",),
            unit=name,
            template=f"emotion/{kind}",
            groups={"rating": kind},
        )
