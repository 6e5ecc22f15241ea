"""MusicBench: clips of MusicCaps, many of them shifted in pitch, tempo or loudness, with captions and detected
features.

In: `MusicBench_train.json`, `MusicBench_test_A.json` and `..._test_B.json` (JSON lines, as many as are there), and the
folder `datashare/` of `MusicBench.tar.gz`. Out: a record for each of the two captions of a row; tracks with what was
detected: tempo, beats, meter, key, chords. These are a program's guesses and not truth: a key is taken only where the
detector was sure of it (`LEAST_KEY_PROBABILITY` is our choice), the last chord is left out, whose end is not published,
and two beats a bar are taken for no meter, as they may be four.

Whoever is in AudioSet's evaluation half or in a test file is the test split, with all copies. Files, columns, locations
("data_aug2/<id>_1.wav") and beats ([times, numbers in the bar]) were read from the card, its authors' earlier files and
others' code; that a key is ["F#", "minor"] is from the latter, the authors' earlier ["F# minor", null] is read too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mllm.errors import MessageError, MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _clips, _musical, _tables, _written
from mllm.instruct_data.sources._files import About, found
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="MusicBench",
    licence="CC-BY-SA-3.0 (captions and features); recordings: not stated",
    citation="Melechovsky, Guo, Ghosal, Majumder, Herremans, Poria: Mustango: Toward Controllable Text-to-Music "
    "Generation, NAACL 2024",
    where="get the JSON files and MusicBench.tar.gz from https://huggingface.co/datasets/amaai-lab/MusicBench",
    needs={"MusicBench_*.json": "captions and features", "datashare/": "the recordings of MusicBench.tar.gz"},
)
LEAST_KEY_PROBABILITY = 0.7
_METERS = {3: "3/4", 4: "4/4"}


def records(folder: Path, *, seed: int = 0) -> Iterator[Record | MllmError]:
    """A record a caption; a caption that a clip has twice gives one."""
    known: set[tuple[str, str]] = set()
    for read in _rows(folder):
        if isinstance(read, MllmError):
            yield read
            continue
        part, row, track = read
        for kind, text in _captions(row).items():
            if (track.id, text) not in known:
                known.add((track.id, text))
                yield _written.caption(track, text, f"{part}/{track.id.partition('/')[2]}/{kind}", seed=seed)


def tracks(folder: Path) -> Iterator[Track | MllmError]:
    """A track a recording, with captions and what was detected."""
    known: set[str] = set()
    for read in _rows(folder):
        if isinstance(read, MllmError):
            yield read
        elif read[2].id not in known:
            known.add(read[2].id)
            yield read[2]


def _rows(folder: Path) -> Iterator[tuple[str, _tables.Row, Track] | MllmError]:
    """Of each row: from which part of the data set it is, the row, and its track."""
    found(folder, "MusicBench_*.json", ABOUT)
    recordings = _clips.known(folder, "datashare", ABOUT)
    tables = sorted(folder.glob("MusicBench_*.json"))
    held_out = {family for table in tables if _is_test(table) for family in _families(table)}
    for table in tables:
        part = table.stem.removeprefix("MusicBench_").lower()

        def read(row: _tables.Row, part: str = part) -> list[tuple[str, _tables.Row, Track]]:
            return [(part, row, _track(row, recordings, held_out, is_test=part.startswith("test")))]

        yield from _tables.each(_tables.json_lines(table), read)


def _families(table: Path) -> Iterator[str]:
    """The families of all rows that say where they are."""
    for location in _tables.each(_tables.json_lines(table), lambda row: [row.text("location")]):
        if isinstance(location, str):
            yield _clips.family_of(PurePosixPath(location).name[:11])


def _is_test(table: Path) -> bool:
    return table.stem.startswith("MusicBench_test")


def _track(row: _tables.Row, recordings: dict[str, str], held_out: set[str], *, is_test: bool) -> Track:
    location = str(PurePosixPath(row.text("location")).with_suffix(""))
    family = _clips.family_of(_clips.youtube_id(PurePosixPath(location).name))
    is_test = row.flag("is_audioset_eval_mcaps") or is_test or family in held_out
    chords = row.texts("chords") if row.has("chords") else ()
    return Track(
        id=f"musicbench/{location}",
        path=_clips.path_of(recordings, [location], "datashare/"),
        source="musicbench",
        licence=ABOUT.licence,
        split="test" if is_test else "train",
        family=family,
        captions=tuple(dict.fromkeys(_captions(row).values())),
        tempo_bpm=_tempo(row),
        key=_key(row),
        chords=_musical.chords(chords, row.numbers("chords_time"), None) if chords else None,
        **_beats(row),
    )


def _captions(row: _tables.Row) -> dict[str, str]:
    """The captions of a row by their kind; the second is not always there."""
    kinds = ["main", "alt"] if row.has("alt_caption") else ["main"]
    return {kind: row.text(f"{kind}_caption") for kind in kinds}


def _tempo(row: _tables.Row) -> float | None:
    bpm = row.number_at("bpm") if row.has("bpm") else 0.0
    return bpm if bpm > 0 else None


def _key(row: _tables.Row) -> str | None:
    key = " ".join(row.texts("key")[:2]) if row.has("key") else ""
    is_sure = row.has("keyprob") and row.numbers("keyprob")[0] >= LEAST_KEY_PROBABILITY
    return _musical.key(key) if is_sure else None


def _beats(row: _tables.Row) -> dict[str, Any]:
    """Beats, downbeats and meter from [times, numbers in the bar]."""
    given = row.fields["beats"] if row.has("beats") else [[], []]
    if not isinstance(given, list) or len(given) != 2:
        raise MessageError("beats is not a list of two lists, expected [times, numbers in the bar]")
    times, numbers = (row.of({"beats": one}).numbers("beats") for one in given)
    if len(times) != len(numbers):
        raise MessageError(f"beats has {len(times)} times and {len(numbers)} numbers, expected as many")
    if not times:
        return {}
    downbeats = tuple(time for time, number in zip(times, numbers, strict=True) if number == 1)
    return {"beats": times, "downbeats": downbeats, "meter": _METERS.get(round(max(numbers)))}
