"""A small data set with which nothing is wrong, for tests that spoil it: twelve pieces with sound, and questions.

In: a folder. Out: tracks and records, or these as files with a true manifest. Knows no check.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from mllm.facts import INSTRUMENTS
from mllm.instruct_data import data_set
from mllm.instruct_data.records import Record, conversation
from mllm.instruct_data.tracks import SPLITS, Track

RATE_HZ = 24_000
SECONDS = 6.0
LICENCE = "CC-BY-4.0"
SPLIT_OF = ("train",) * 8 + ("validation",) * 2 + ("test",) * 2
_STYLES = ("waltz", "march", "reggae", "bossa nova", "jazz swing", "ballad", "techno", "folk dance", "chorale", "rock")
_CAPTIONS = (
    "A friendly {style} on the {first}: it strolls along in {key} while a {second} hums underneath.",
    "Somebody waits at a window and plays the {first}; at {tempo} BPM the rain keeps time with the {second}.",
    "This {style} opens with {first} alone and soon has the {second} answering every phrase.",
    "Dusty boots, warm evening air and a {first} in {key}, with the {second} close behind.",
    "You can almost see the dancers turning. The {first} calls, the {second} follows, {tempo} beats per minute.",
    "Short notes of the {first} fall like gravel on a roof. Below them walks a patient {second} in {key}.",
    "An old melody in 4/4 for {first} and {second}, told slowly enough that nobody has to hurry home.",
    "Bright morning music: {second} first in the mind, {first} first in the ear, all of it a {style}.",
    "Two players, {first} and {second}, share one joke in {key} and never quite finish telling it.",
    "Nothing here but patience, a {first}, a {second}, and a pulse of {tempo} BPM that goes on for ever.",
    "The kind of {style} that a train would write if trains had a {first} and, for company, a {second}.",
    "Far out at sea the {second} rolls in 4/4 and above it gulls quarrel over the tune of the {first}.",
)
_PAIRS = (("piano", "bass"), ("flute", "harp"), ("organ", "choir"), ("drums", "brass"), ("strings", "harpsichord"))


@functools.lru_cache(maxsize=64)
def melody(seed: int, seconds: float = SECONDS, rate_hz: int = RATE_HZ) -> npt.NDArray[np.float32]:
    """Plucked notes over a beat of noise, other notes for every seed; loudest sample 0.7."""
    rng = np.random.default_rng(seed)
    sound = np.zeros(int(seconds * rate_hz) + rate_hz)
    times = np.arange(rate_hz) / rate_hz
    for begin in range(0, int(seconds * rate_hz), int(rate_hz * rng.uniform(0.18, 0.3))):
        for pitch in rng.integers(48, 84, 2):
            hz = 440 * 2 ** ((pitch - 69) / 12)
            partials = [np.sin(2 * np.pi * hz * number * times) / number for number in range(1, 5)]
            sound[begin : begin + rate_hz] += np.sum(partials, axis=0) * np.exp(-4 * times) * rng.uniform(0.4, 1)
        if rng.random() < 0.5:
            sound[begin : begin + 2000] += rng.normal(size=2000) * np.linspace(0.5, 0, 2000)
    sound = sound[: int(seconds * rate_hz)]
    made: npt.NDArray[np.float32] = (0.7 * sound / np.abs(sound).max()).astype(np.float32)
    made.flags.writeable = False
    return made


def tracks() -> list[Track]:
    """Twelve pieces with every fact."""
    made = []
    for number, split in enumerate(SPLIT_OF):
        first, second = _PAIRS[number % len(_PAIRS)]
        tempo = 80 + 5 * number
        beats = tuple(round(beat * 60 / tempo, 3) for beat in range(int(SECONDS * tempo / 60)))
        made.append(
            Track(
                id=f"piece-{number}",
                path=f"audio/piece-{number}.wav",
                seconds=SECONDS,
                source="rendered",
                licence=LICENCE,
                split=split,
                family=f"tune-{number}",
                title=f"Piece {number}",
                tempo_bpm=float(tempo),
                tempo_curve=((0.0, float(tempo)),),
                beats=beats,
                downbeats=beats[::4],
                meter="4/4",
                key="A minor" if number % 2 else "C major",
                keys=((0.0, "A minor" if number % 2 else "C major"),),
                chords=((0.0, 3.0, "C:maj"), (3.0, SECONDS, "A:min")),
                activity={first: ((0.0, SECONDS),), second: ((2.0, 5.0),)},
                instruments=tuple(name for name in INSTRUMENTS if name in (first, second)),
                absent=tuple(name for name in INSTRUMENTS if name not in (first, second)),
                sections=((0.0, 3.0, "A"), (3.0, SECONDS, "B")),
                registers={first: (48, 72)},
                style=_STYLES[number % len(_STYLES)],
                vocals=False,
            )
        )
    return made


def record(track: Track, name: str, turns: Sequence[tuple[str, str]], **fields: object) -> Record:
    """A record about one track."""
    given: dict[str, object] = {"task": "question", "template": "free"} | fields
    return Record(
        id=f"{track.id}/{name}",
        messages=conversation([track], turns),
        source=track.source,
        licence=track.licence,
        split=track.split,
        tracks=(track.id,),
        families=(track.family,),
        **given,  # type: ignore[arg-type]
    )


def records(given: Sequence[Track]) -> list[Record]:
    """A caption of each piece, balanced choices and balanced yes/no questions, enough to be counted."""
    made = []
    for number, track in enumerate(given):
        first, second = track.playing or ()
        caption = _CAPTIONS[number].format(
            first=first, second=second, style=track.style, key=track.key, tempo=f"{track.tempo_bpm:.0f}"
        )
        made.append(record(track, "caption", [(f"Describe recording {number}.", caption)], task="caption"))
        for question in range(8):
            made.append(_choice(track, question, number))
            made.append(_yes_no(track, question, number))
    return made


def _choice(track: Track, question: int, number: int) -> Record:
    right = (track.playing or ())[0]
    options = [name for name in INSTRUMENTS if name not in (track.playing or ())][question : question + 3]
    place = (question + number) % 4
    # Filled up to one length, so that length says nothing.
    options = [f"the {name}".ljust(24, ".") for name in (*options[:place], right, *options[place:])]
    lettered = " ".join(f"{letter}) {option}" for letter, option in zip("ABCD", options, strict=True))
    return record(
        track,
        f"choice-{question}",
        [
            (
                f"{track.split} {number}.{question}: which of these plays? {lettered}",
                f"{'ABCD'[place]}) {options[place]}",
            )
        ],
        task="multiple_choice",
        template="which plays",
        choices=tuple(options),
        correct=place,
    )


def _yes_no(track: Track, question: int, number: int) -> Record:
    yes = question % 2 == 0
    playing = track.playing or ()
    name = playing[question // 2 % 2] if yes else (track.absent or ())[question]
    ask = ("Is there any {} here?", "Do you hear any {} in it?")[question // 4]
    return record(
        track,
        f"yes-no-{question}",
        [(f"{ask.format(name)}", "Yes." if yes else "No.")],
        task="yes_no",
        template="instrument",
        label="yes" if yes else "no",
    )


def write(folder: Path, given: Sequence[Track], asked: Sequence[Record], *, with_audio: bool = True) -> None:
    """A finished data set."""
    for split in SPLITS:
        name = data_set.file_name(split, 0, 1)
        data_set.write_tracks(folder / "tracks" / name, (one for one in given if one.split == split))
        data_set.write_records(folder / "data" / name, (one for one in asked if one.split == split))
    if with_audio:
        (folder / "audio").mkdir(exist_ok=True)
        for number, track in enumerate(given):
            soundfile.write(folder / track.path, melody(number), RATE_HZ)
    finish(folder)


def finish(folder: Path) -> None:
    """Write the manifest anew."""
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*/*.parquet"))
    }
    (folder / data_set.MANIFEST).write_text(json.dumps({"files": files}), encoding="utf-8")
