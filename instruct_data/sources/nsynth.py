"""NSynth: 305,979 single notes of four seconds from 1,006 sampled instruments.

In: a folder with nsynth-train, nsynth-valid and nsynth-test (any of them), each with examples.json and `audio/`. Out:
tracks of one note each, with the instrument that plays and all that surely do not, its pitch and its qualities as tags,
and records about these. examples.json, one object with a member for each note, is read member by member.

Fields as public readers have them: note_str, instrument_str, pitch, velocity, instrument_family_str (bass, brass,
flute, guitar, keyboard, mallet, organ, reed, string, synth_lead, vocal), instrument_source_str (acoustic, electronic,
synthetic), qualities_str. Where a family is no word of ours (reeds are saxophones as well as clarinets) the instrument
is not named, and those that it may be are not called absent. How loud a note was struck (velocity) is not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mllm.errors import ConfigError, MessageError, MllmError
from mllm.facts import INSTRUMENTS
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _labelled
from mllm.instruct_data.sources._files import About
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="NSynth",
    licence="CC-BY-4.0",
    citation="Engel, Resnick, Roberts, Dieleman, Eck, Simonyan, Norouzi: Neural Audio Synthesis of Musical Notes with "
    "WaveNet Autoencoders, ICML 2017",
    where="unpack nsynth-train.jsonwav.tar.gz and its sisters from https://magenta.tensorflow.org/datasets/nsynth",
    needs={"nsynth-*/": "examples.json and audio/ of each split"},
)

SECONDS = 4.0
_SPLITS = {"nsynth-train": "train", "nsynth-valid": "validation", "nsynth-test": "test"}
_CHUNK = 1 << 20

_PLAYS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("bass", "acoustic"): ("bass",),
    ("bass", "electronic"): ("bass",),
    ("bass", "synthetic"): ("bass",),
    ("brass", "acoustic"): ("brass",),
    ("brass", "electronic"): ("brass",),
    ("flute", "acoustic"): ("flute",),
    ("guitar", "acoustic"): ("acoustic guitar",),
    ("guitar", "electronic"): ("electric guitar",),
    ("keyboard", "acoustic"): ("piano",),
    ("keyboard", "electronic"): ("piano",),
    ("mallet", "acoustic"): ("mallets",),
    ("mallet", "electronic"): ("mallets",),
    ("organ", "acoustic"): ("organ",),
    ("organ", "electronic"): ("organ",),
    ("string", "acoustic"): ("strings",),
    ("string", "electronic"): ("strings",),
    ("synth_lead", "synthetic"): ("synthesizer",),
}
"""What plays, by family and source. Synthetic notes of other families imitate an instrument and are one."""
_MAYBE: Mapping[str, tuple[str, ...]] = {
    "bass": ("bass", "synthesizer"),
    "brass": ("brass",),
    "flute": ("flute",),
    "guitar": ("acoustic guitar", "electric guitar"),
    "keyboard": ("piano", "harpsichord", "organ", "synthesizer"),
    "mallet": ("mallets",),
    "organ": ("organ", "accordion"),
    "reed": ("saxophone", "woodwind", "accordion"),
    "string": ("strings", "harp"),
    "synth_lead": ("synthesizer",),
    "vocal": ("choir",),
}
"""What a family may hold: all else is surely absent. Synthetic notes may be called a synthesizer too."""


def tracks(folder: Path) -> Iterator[Track | MllmError]:
    """Every note."""
    parts = [name for name in _SPLITS if (folder / name).is_dir()]
    if not parts:
        raise ConfigError(
            f"{ABOUT.title}: {folder / 'nsynth-train'} ({ABOUT.needs['nsynth-*/']}) is missing; {ABOUT.where}"
        )
    for part in parts:
        table = folder / part / "examples.json"
        if not table.is_file():
            raise ConfigError(f"{ABOUT.title}: {table} (notes) is missing; {ABOUT.where}")
        try:
            for name, note in members(table):
                yield _track(name, note, folder, part)
        except MessageError as error:
            yield error


def records(folder: Path, *, seed: int = 0, per_track: int = _labelled.PER_TRACK) -> Iterator[Record | MllmError]:
    """Conversations about the notes."""
    return _labelled.records_of(tracks(folder), seed=seed, per_track=per_track)


def members(path: Path) -> Iterator[tuple[str, Any]]:
    """The members of the one JSON object in a file, one at a time.

    Raises:
        MessageError: it is no such file; the sentence says how far it is one.
    """
    decoder = json.JSONDecoder()
    with path.open(encoding="utf-8") as file:
        text, done = file.read(_CHUNK).lstrip().removeprefix("{"), 0
        while True:
            text = text.lstrip(" \r\n\t,")
            if text.startswith("}"):
                return
            try:
                name, end = decoder.raw_decode(text)
                value, end = decoder.raw_decode(text, end + len(text[end:]) - len(text[end:].lstrip(" \r\n\t:")))
            except ValueError as error:
                more = file.read(_CHUNK)
                if not more:
                    raise MessageError(
                        f"{path.name} is damaged behind its first {done} notes ({error}); fetch it again"
                    ) from error
                text += more
                continue
            yield name, value
            text, done = text[end:], done + 1


def _track(name: str, note: Any, folder: Path, part: str) -> Track | MllmError:
    place = f"{part}/examples.json {name}"
    try:
        family, source = note["instrument_family_str"], note["instrument_source_str"]
        instrument, pitch, qualities = note["instrument_str"], int(note["pitch"]), tuple(note["qualities_str"])
        maybe = _MAYBE[family]
    except (KeyError, TypeError, ValueError) as error:
        return MessageError(f"{place}: no note as they are published ({error!r}); fetch the file again")
    path = folder / part / "audio" / f"{name}.wav"
    if not path.is_file():
        return _labelled.unheard(ABOUT, place, f"{name}.wav")
    plays = _PLAYS.get((family, source))
    possible = {*maybe, "synthesizer"} if source == "synthetic" else set(maybe)
    return Track(
        id=f"nsynth/{name}",
        path=path.relative_to(folder).as_posix(),
        seconds=SECONDS,
        source="nsynth",
        licence=ABOUT.licence,
        split=_SPLITS[part],
        family=f"nsynth/{instrument}",  # its notes sound alike; no instrument of the training set is in the others
        instruments=plays,
        absent=tuple(one for one in INSTRUMENTS if one not in possible),
        registers={plays[0]: (pitch, pitch)} if plays else None,
        vocals=family == "vocal",
        tags=("single note", family.replace("_", " "), source, *(one.replace("_", " ") for one in qualities)),
    )
