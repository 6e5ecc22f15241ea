"""MusicQA of MU-LLaMA: questions and answers that a language model wrote from captions and tags.

In: `PretrainMusicQA.json` (from MusicCaps), `FinetuneMusicQA.json` (from MagnaTagATune) and `EvalMusicQA.json` (from
MTG-Jamendo), as many as are there, and the recordings of `audios.zip` in `audios/`. Out: a record a conversation; those
of `EvalMusicQA.json` are the test split. The format was read from the published EvalMusicQA.json. The authors numbered
the recordings anew, so a recording's family is its number: that it is one of MusicCaps, MagnaTagATune or MTG-Jamendo
can only be found by its sound.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mllm.errors import MessageError, MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _clips, _tables, _written
from mllm.instruct_data.sources._files import About, found
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="MusicQA",
    licence="MIT (questions and answers); recordings: not stated",
    citation="Liu, Hussain, Sun, Shan: Music Understanding LLaMA: Advancing Text-to-Music Generation with Question "
    "Answering and Captioning, ICASSP 2024",
    where="get the JSON files and audios.zip from https://huggingface.co/datasets/mu-llama/MusicQA",
    needs={"*MusicQA.json": "questions and answers", "audios/": "the recordings of audios.zip"},
)
_SPEAKERS = ("human", "gpt")


def records(folder: Path, *, seed: int = 0) -> Iterator[Record | MllmError]:  # noqa: ARG001 - nothing is left to chance
    """A record a conversation."""
    found(folder, "*MusicQA.json", ABOUT)
    recordings = _clips.known(folder, "audios", ABOUT)
    for table in sorted(folder.glob("*MusicQA.json")):
        part = table.stem.removesuffix("MusicQA").lower()

        def record(row: _tables.Row, part: str = part) -> Iterator[Record]:
            name = PurePosixPath(row.text("audio_name")).stem
            track = Track(
                id=f"musicqa/{name}",
                path=_clips.path_of(recordings, [name], "audios/"),
                source="musicqa",
                licence=ABOUT.licence,
                split="test" if part == "eval" else "train",
                family=f"musicqa/{name}",
            )
            yield _written.questions(track, _turns(row), f"{part}/{row.number}")

        yield from _tables.each(_tables.json_array(table, ABOUT), record)


def _turns(row: _tables.Row) -> list[tuple[str, str]]:
    said = row.fields.get("conversation")
    expected = "conversation is not a list of turns of 'human' and 'gpt' by turns, expected [{'from', 'value'}, ...]"
    if not isinstance(said, list) or not said or len(said) % 2 or not all(isinstance(turn, dict) for turn in said):
        raise MessageError(expected)
    turns = [row.of(turn) for turn in said]
    if any(turn.text("from") != _SPEAKERS[number % 2] for number, turn in enumerate(turns)):
        raise MessageError(expected)
    texts = [turn.text("value") for turn in turns]
    return list(zip(texts[::2], texts[1::2], strict=True))
