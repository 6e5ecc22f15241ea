"""MusicInstruct (MI short and MI long): questions and answers that GPT-4 wrote from the captions of MusicCaps.

In: `MusicInstruct/music_instruct_short.json` and `..._long.json`, and the clips of MusicCaps in `audio/`, named as in
`musiccaps`. Out: a record a question. Clips of AudioSet's evaluation half are the test split, as its authors do it.
That a file is an object whose "QA" lists objects with "ytid", "question", "answer" and "is_audioset_eval" was read from
its authors' loader; the files themselves were not seen here, and other fields are passed over. (The authors' recordings
are arrays `MusicCaps_audio/<ytid>.npy`; we take the recordings themselves.)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mllm.errors import MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _clips, _tables, _written
from mllm.instruct_data.sources._files import About, found
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="MusicInstruct",
    licence="CC-BY-NC-4.0 (questions and answers); recordings: not stated",
    citation="Deng, Ma, Liu, Guo, Zhang, Chen, Huang, Benetos: MusiLingo: Bridging Music and Text with Pre-trained "
    "Language Models for Music Captioning and Query Response, NAACL Findings 2024",
    where="get the JSON files from https://huggingface.co/datasets/m-a-p/Music-Instruct; the clips are those of "
    "MusicCaps",
    needs={
        "MusicInstruct/music_instruct_*.json": "questions and answers, short and long",
        "audio/": "the clips of MusicCaps, <YouTube id>.wav",
    },
)
TABLES = "MusicInstruct/music_instruct_*.json"


def records(folder: Path, *, seed: int = 0) -> Iterator[Record | MllmError]:  # noqa: ARG001 - nothing is left to chance
    """A record a question; "short" or "long" is part of its id."""
    found(folder, TABLES, ABOUT)
    recordings = _clips.known(folder, "audio", ABOUT)
    for table in sorted(folder.glob(TABLES)):
        kind = table.stem.removeprefix("music_instruct_")

        def record(row: _tables.Row, kind: str = kind) -> Iterator[Record]:
            ytid = _clips.youtube_id(row.text("ytid"))
            track = Track(
                id=_clips.family_of(ytid),
                path=_clips.path_of(recordings, _clips.youtube_names(ytid), "audio/"),
                source="musicinstruct",
                licence=ABOUT.licence,
                split="test" if row.flag("is_audioset_eval") else "train",
                family=_clips.family_of(ytid),
            )
            yield _written.questions(track, [(row.text("question"), row.text("answer"))], f"{kind}/{row.number}")

        yield from _tables.each(_tables.json_array(table, ABOUT, within="QA"), record)
