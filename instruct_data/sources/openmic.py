"""OpenMIC-2018: 20,000 excerpts of 10 s from the Free Music Archive; of some of 20 instruments it is known that they
play or that they do not.

In: the unpacked folder with openmic-2018-aggregated-labels.csv (sample_key, instrument, relevance, num_responses),
`audio/000/000046_3840.ogg` and so on, and partitions/split01_{train,test}.csv (one key a line). Out: tracks, and
records about these. A relevance of at least 0.5 says that an instrument plays, a lower one that it does not; one that
is not listed is not known. Who denies a violin has not denied a cello: only words for whole instruments make absent
ones.

Columns, threshold and partitions are as public readers of the files have them; the files could not be looked at.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

from mllm.errors import MessageError, MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _clips, _labelled, _vocabulary
from mllm.instruct_data.sources._files import About, found
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="OpenMIC-2018",
    licence="CC-BY-4.0 (labels); audio: Creative Commons, each track its own (openmic-2018-metadata.csv)",
    citation="Humphrey, Durand, McFee: OpenMIC-2018: An Open Dataset for Multiple Instrument Recognition, ISMIR 2018",
    where="unpack openmic-2018-v1.0.0.tgz from https://zenodo.org/record/1432913",
    needs={"openmic-2018-aggregated-labels.csv": "labels", "audio/": "recordings"},
)
HEARD_FROM = 0.5
"""Relevance from which on an instrument plays."""


def tracks(folder: Path) -> Iterator[Track | MllmError]:
    """Every excerpt with a label."""
    table = found(folder, "openmic-2018-aggregated-labels.csv", ABOUT)
    heard, tested = _clips.known(folder, "audio", ABOUT), _tested(folder)
    labels: dict[str, dict[str, float]] = {}
    places: dict[str, str] = {}
    for row in _labelled.by_column(table, ",", ("sample_key", "instrument", "relevance")):
        if isinstance(row, MllmError):
            yield row
            continue
        place, fields = row
        relevance = _labelled.number(fields["relevance"])
        if relevance is None or not 0 <= relevance <= 1:
            yield MessageError(f"{place}: relevance is {fields['relevance']!r}; expected 0 to 1")
            continue
        labels.setdefault(fields["sample_key"], {})[fields["instrument"]] = relevance
        places.setdefault(fields["sample_key"], place)
    for key, relevances in labels.items():
        if key in heard:
            yield _track(key, heard[key], relevances, "test" if key in tested else "train")
        else:
            yield _labelled.unheard(ABOUT, places[key], f"{key}.ogg")


def records(folder: Path, *, seed: int = 0, per_track: int = _labelled.PER_TRACK) -> Iterator[Record | MllmError]:
    """Conversations about the excerpts."""
    return _labelled.records_of(tracks(folder), seed=seed, per_track=per_track)


def _track(key: str, path: str, relevances: Mapping[str, float], split: str) -> Track:
    playing = [name for name, relevance in relevances.items() if relevance >= HEARD_FROM]
    silent = [name for name in relevances if name not in playing]
    known = _vocabulary.sorted_tags(playing)
    heard = set(known.instruments or ())
    refused = {name for name in itertools.chain(*map(_vocabulary.denied, silent)) if name not in heard}
    if "guitar" in playing:
        refused -= set(_vocabulary.denied("guitar"))
    return Track(
        id=f"openmic/{key}",
        path=path,
        seconds=10.0,
        source="openmic",
        licence=ABOUT.licence,
        split=split,
        family=f"fma/{key.partition('_')[0]}",
        instruments=known.instruments,
        absent=_vocabulary.in_order(refused) or None,
        vocals=relevances["voice"] >= HEARD_FROM if "voice" in relevances else None,
        tags=known.tags,
    )


def _tested(folder: Path) -> set[str]:
    """The keys of the test part, where it is there."""
    path = folder / "partitions" / "split01_test.csv"
    return set(path.read_text(encoding="utf-8").split()) if path.is_file() else set()
