"""MuChoMusic: 1,187 multiple-choice questions about clips of MusicCaps and Song Describer; for evaluation only.

In: `muchomusic.csv`, the recordings of Song Describer below `sdd/audio/` (`00/415600.2min.mp3`) and the clips of
MusicCaps in `musiccaps/audio/` (named as in `musiccaps`), as the authors' code places them. Out: a record a question.
The published table names the true answer first and leaves the order to chance; ours is drawn once for each question
from its number, whatever the seed, so that it is the same for everybody. Columns and identifiers ("415600.json",
"<YouTube id>_....json") were read from the authors' code; the table was not seen here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from mllm.errors import MessageError, MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _clips, _tables, _written
from mllm.instruct_data.sources._files import About, found
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="MuChoMusic",
    licence="CC-BY-SA-4.0 (questions); recordings: those of Song Describer and MusicCaps",
    citation="Weck, Manco, Benetos, Quinton, Fazekas, Bogdanov: MuChoMusic: Evaluating Music Understanding in "
    "Multimodal Audio-Language Models, ISMIR 2024",
    where="get muchomusic.csv from https://doi.org/10.5281/zenodo.12709974, the recordings from Song Describer and "
    "MusicCaps",
    needs={
        "muchomusic.csv": "questions",
        "sdd/audio/": "the recordings of Song Describer",
        "musiccaps/audio/": "the clips of MusicCaps",
    },
    evaluation_only=True,
)
ANSWERS = ("correct_answer", "distractor_1_answer", "distractor_2_answer", "distractor_3_answer")
COLUMNS = ("question", *ANSWERS, "dataset", "dataset_identifier")
_PLACES = {"sdd": "sdd/audio", "musiccaps": "musiccaps/audio"}


def records(folder: Path, *, seed: int = 0) -> Iterator[Record | MllmError]:  # noqa: ARG001 - equal for everybody
    """A record a question."""
    table = found(folder, "muchomusic.csv", ABOUT)
    recordings = {name: _clips.known(folder, place, ABOUT) for name, place in _PLACES.items()}

    def record(row: _tables.Row) -> Iterator[Record]:
        options = [row.text(name) for name in ANSWERS]
        right = options[0]
        name = row.text("question_id") if row.has("question_id") else str(row.number)
        random.Random(f"muchomusic/{name}").shuffle(options)
        yield _written.multiple_choice(_track(row, recordings), row.text("question"), options, right, name)

    return _tables.each(_tables.csv_rows(table, COLUMNS, ABOUT), record)


def _track(row: _tables.Row, recordings: dict[str, dict[str, str]]) -> Track:
    dataset, identifier = row.text("dataset"), row.text("dataset_identifier").removesuffix(".json")
    names: tuple[str, ...]
    if dataset == "sdd":
        identity, names = f"jamendo/{identifier}", (f"{identifier}.2min", identifier)
    elif dataset == "musiccaps":
        ytid = _clips.youtube_id(identifier)
        # The clip's name also has its times, which this table does not: any clip of the video is the one.
        times = tuple(name for name in recordings[dataset] if name.startswith((f"[{ytid}]", f"{ytid}_")))
        identity, names = _clips.family_of(ytid), (*_clips.youtube_names(ytid), *times)
    else:
        raise MessageError(f"dataset is {dataset!r}, expected sdd or musiccaps")
    return Track(
        id=identity,
        path=_clips.path_of(recordings[dataset], names, f"{_PLACES[dataset]}/"),
        source="muchomusic",
        licence=ABOUT.licence,
        split="test",
        family=identity,
    )
