"""MidiCaps: 168,385 MIDI files of the Lakh collection, with captions by Claude 3 from what programs found in them.

In: `train.json` (JSON lines), and in `audio/` recordings of the MIDI files, with any sound font, named as these are
("1a0751….wav", in any folders): the data set itself has no sound. Out: a record a caption; tracks with tempo, meter,
key, instruments, chords and length as published. Tempo and meter are the first of the file, the instruments its
programs, the key is music21's and the chords Chordino's guess; genre and mood, guessed from a rendering with little
certainty, are left out. A chord whose name we cannot read leaves out all of them.

Columns were read from the card and from the authors' pipeline; `test_set` says the split.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mllm import facts
from mllm.errors import MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _clips, _musical, _tables, _written
from mllm.instruct_data.sources._files import About, found
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="MidiCaps",
    licence="CC-BY-SA-4.0 (captions and features); MIDI files: CC-BY-4.0 (Lakh MIDI Dataset)",
    citation="Melechovsky, Roy, Herremans: MidiCaps: A Large-Scale MIDI Dataset with Text Captions, ISMIR 2024",
    where="get train.json and midicaps.tar.gz from https://huggingface.co/datasets/amaai-lab/MidiCaps, and render the "
    "MIDI files with a sound font",
    needs={"train.json": "captions and features", "audio/": "a recording of each MIDI file, named as it is"},
)
DRUMS = 128
"""What stands for a drum kit among the programs."""


def records(folder: Path, *, seed: int = 0) -> Iterator[Record | MllmError]:
    """A record a caption."""
    for track in tracks(folder):
        if isinstance(track, Track):
            (written,) = track.captions or ()
            yield _written.caption(track, written, track.id.removeprefix("lakh/"), seed=seed)
        else:
            yield track


def tracks(folder: Path) -> Iterator[Track | MllmError]:
    """A track a MIDI file, with its caption and what is published of it."""
    table = found(folder, "train.json", ABOUT)
    recordings = _clips.known(folder, "audio", ABOUT)
    return _tables.each(_tables.json_lines(table), lambda row: [_track(row, recordings)])


def _track(row: _tables.Row, recordings: dict[str, str]) -> Track:
    name = PurePosixPath(row.text("location")).stem
    seconds = row.number_at("duration") if row.has("duration") else None
    tempo = row.number_at("tempo") if row.has("tempo") else 0.0
    return Track(
        id=f"lakh/{name}",
        path=_clips.path_of(recordings, [name], "audio/"),
        seconds=seconds,
        source="midicaps",
        licence=ABOUT.licence,
        split="test" if row.flag("test_set") else "train",
        family=f"lakh/{name}",
        captions=(row.text("caption"),),
        tempo_bpm=tempo if tempo > 0 else None,
        meter=_musical.meter(row.text("time_signature")) if row.has("time_signature") else None,
        key=_musical.key(row.text("key")) if row.has("key") else None,
        instruments=_instruments(row),
        chords=_chords(row, seconds),
    )


def _instruments(row: _tables.Row) -> tuple[str, ...] | None:
    if not row.has("instrument_numbers_sorted"):
        return None
    programs = [int(program) for program in row.numbers("instrument_numbers_sorted")]
    played = {"drums" if program == DRUMS else facts.instrument_of_program(program) for program in programs}
    return tuple(name for name in facts.INSTRUMENTS if name in played) or None


def _chords(row: _tables.Row, seconds: float | None) -> tuple[tuple[float, float, str], ...] | None:
    if not row.has("all_chords"):
        return None
    return _musical.chords(row.texts("all_chords"), row.numbers("all_chords_timestamps"), seconds)
