"""The music questions of MMAU's test-mini: 334 multiple-choice questions; for evaluation only.

In: `mmau-test-mini.json` (all questions; those of the other tasks are passed over) or any `mmau-test-mini*.json` of
that form, and the recordings in `test-mini-audios/`. Out: a record a question, with the options in their published
order. The format was read from the published file. It says from which data set a recording is (181 of the 334:
MusicBench), and not which one it is there, so its family is its own: overlaps with MusicCaps, MusicBench and Song
Describer can only be found by sound. In one question the answer stands twice among the options; it is told and left
out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mllm.errors import MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _clips, _tables, _written
from mllm.instruct_data.sources._files import About, found
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="MMAU (music, test-mini)",
    licence="Apache-2.0 (questions); recordings: those of the data sets that they are from",
    citation="Sakshi, Tyagi, Kumar, Seth, Selvakumar, Nieto, Duraiswami, Ghosh, Manocha: MMAU: A Massive Multi-Task "
    "Audio Understanding and Reasoning Benchmark, ICLR 2025",
    where="get mmau-test-mini.json from https://github.com/Sakshi113/MMAU, and the recordings by the link there",
    needs={"mmau-test-mini*.json": "questions", "test-mini-audios/": "the recordings"},
    evaluation_only=True,
)


def records(folder: Path, *, seed: int = 0) -> Iterator[Record | MllmError]:  # noqa: ARG001 - nothing is left to chance
    """A record a question."""
    table = found(folder, "mmau-test-mini*.json", ABOUT)
    recordings = _clips.known(folder, "test-mini-audios", ABOUT)

    def record(row: _tables.Row) -> Iterator[Record]:
        if row.text("task") != "music":
            return
        identity = row.text("id")
        name = PurePosixPath(row.text("audio_id")).stem
        track = Track(
            id=f"mmau/{name}",
            path=_clips.path_of(recordings, [name], "test-mini-audios/"),
            source="mmau_music",
            licence=ABOUT.licence,
            split="test",
            family=f"mmau/{name}",
        )
        options = row.texts("choices")
        yield _written.multiple_choice(track, row.text("question"), options, row.text("answer"), identity)

    return _tables.each(_tables.json_array(table, ABOUT), record)
