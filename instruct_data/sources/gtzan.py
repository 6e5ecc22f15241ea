"""GTZAN: a thousand clips of 30 s in ten genres, with the keys and tempi that others added.

In: a folder with `genres/<genre>/<genre>.00000.wav` (or .au as first published; `genres_original/` as Kaggle calls it)
and, if there, key annotations `gtzan_key/genres/<genre>/<genre>.00000.lerch.txt` (a number: 0 to 11 major keys from A
on, 12 to 23 minor ones, -1 where it changes or is not clear), tempo annotations `tempo/gtzan_<genre>_00000.bpm` and
beats `beats/gtzan_<genre>_00000.beats` (a time and a place in the bar a line). Out: tracks, and records about these.

The enumeration of keys was read in the repository itself; the names and forms of the other annotation files are as
public readers of them say. The annotations are found anywhere below the folder. Filtered splits are read where
{train,valid,test}_filtered.txt list them, lines such as "blues/blues.00029.wav"; these could not be looked at.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mllm.errors import ConfigError, MessageError, MllmError
from mllm.facts import METERS
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _labelled, _vocabulary
from mllm.instruct_data.sources._files import About
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="GTZAN",
    licence="not stated (excerpts of commercial recordings; the annotations state none either)",
    citation="Tzanetakis, Cook: Musical Genre Classification of Audio Signals, IEEE Transactions on Speech and Audio "
    "Processing 10(5), 2002; keys: Lerch, gtzan_key; beats and tempi: Marchand, Fresnel, Peeters: GTZAN-Rhythm, ISMIR "
    "2015 (late-breaking)",
    where="unpack genres.tar.gz (http://marsyas.info/downloads/datasets.html), "
    "https://github.com/alexanderlerch/gtzan_key and https://github.com/TempoBeatDownbeat/gtzan_tempo_beat beside one "
    "another",
    needs={"genres*/": "recordings in a folder for each genre"},
)

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
_CLIP = re.compile(rf"({'|'.join(GENRES)})[._](\d{{5}})")
_ENDINGS = (".wav", ".au", ".mp3", ".flac", ".ogg")
_SPLIT_FILES = {"train": "train", "validation": "valid", "test": "test"}


def tracks(folder: Path) -> Iterator[Track | MllmError]:
    """Every clip that is there or that an annotation names."""
    if not any(folder.glob("genres*/")):
        raise ConfigError(f"{ABOUT.title}: {folder / 'genres'} ({ABOUT.needs['genres*/']}) is missing; {ABOUT.where}")
    heard = _files(folder, _ENDINGS)
    keys, tempi, beats = (_files(folder, (ending,)) for ending in (".lerch.txt", ".bpm", ".beats"))
    splits = _splits(folder)
    for clip in sorted({*heard, *keys, *tempi, *beats}):
        if clip not in heard:
            place = next(files[clip] for files in (keys, tempi, beats) if clip in files).name
            yield _labelled.unheard(ABOUT, place, f"{clip}.wav")
            continue
        if splits and clip not in splits:
            continue  # the filtered lists leave out duplicates and damaged clips
        try:
            yield Track(
                id=f"gtzan/{clip}",
                path=heard[clip].relative_to(folder).as_posix(),
                source="gtzan",
                licence=ABOUT.licence,
                split=splits.get(clip, "train"),
                family=f"gtzan/{clip}",
                style=_vocabulary.genre(clip.partition(".")[0]),
                key=_key(keys[clip]) if clip in keys else None,
                tempo_bpm=_tempo(tempi[clip]) if clip in tempi else None,
                **(_beats(beats[clip]) if clip in beats else {}),
            )
        except MllmError as error:
            yield error


def records(folder: Path, *, seed: int = 0, per_track: int = _labelled.PER_TRACK) -> Iterator[Record | MllmError]:
    """Conversations about the clips."""
    return _labelled.records_of(tracks(folder), seed=seed, per_track=per_track)


def _files(folder: Path, endings: tuple[str, ...]) -> dict[str, Path]:
    """Files of clips by the clip's name, such as "blues.00000"."""
    known: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        named = _CLIP.search(path.name)
        if named and path.name.lower().endswith(endings) and path.is_file():
            known.setdefault(f"{named[1]}.{named[2]}", path)
    return known


def _key(path: Path) -> str | None:
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    if text == "-1":
        return None
    try:
        return _vocabulary.key_of_number(int(text), first="A")
    except ValueError as error:
        raise MessageError(f"{path.name}: {text!r} is no key; expected -1 to 23") from error
    except ConfigError as error:
        raise MessageError(f"{path.name}: {error}") from error


def _tempo(path: Path) -> float:
    tempo = _labelled.number(path.read_text(encoding="utf-8", errors="replace").strip())
    if tempo is None or tempo <= 0:
        raise MessageError(f"{path.name}: expected one number, beats a minute")
    return tempo


def _beats(path: Path) -> dict[str, Any]:
    times: list[float] = []
    places: list[float] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        numbers = [_labelled.number(cell) for cell in line.split()]
        if not numbers:
            continue
        if numbers[0] is None or numbers[-1] is None or len(numbers) > 2:
            raise MessageError(f"{path.name}: {line!r} is no beat; expected a time in seconds and a place in the bar")
        times.append(numbers[0])
        places.append(numbers[-1] if len(numbers) == 2 else 0)
    downbeats = tuple(time for time, place in zip(times, places, strict=True) if place == 1)
    return {"beats": tuple(times), "downbeats": downbeats or None, "meter": _meter(places)}


def _meter(places: list[float]) -> str | None:
    """The meter, where all whole bars have equally many beats. Three or four are quarters; two may be 2/4 or 6/8."""
    bars = {int(one) for one, following in itertools.pairwise(places) if following == 1}
    name = f"{bars.pop()}/4" if len(bars) == 1 else ""
    return name if name in METERS and name != "2/4" else None


def _splits(folder: Path) -> dict[str, str]:
    known: dict[str, str] = {}
    for split, name in _SPLIT_FILES.items():
        for path in sorted(folder.rglob(f"{name}_filtered.txt")):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            known |= {f"{named[1]}.{named[2]}": split for line in lines if (named := _CLIP.search(line))}
    return known
