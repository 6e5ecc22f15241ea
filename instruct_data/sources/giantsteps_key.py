"""GiantSteps key: 604 previews of electronic dance music, two minutes each, with one key.

In: a clone of the repository with its recordings in `audio/`. Out: tracks with key and genre, and records about these.
Keys are read from `annotations/key/*.key` ("Bb major"), else from `annotations/jams/*.jams` ("D:major"), else, where
the revised edition of Zenodo was unpacked, from `keys/*.txt`, whose form could not be looked at. A track whose key is
given as "-" or unclear there has none. Many papers test on these tracks; they are put into no test split here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mllm.errors import MessageError, MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _giantsteps, _labelled, _vocabulary
from mllm.instruct_data.sources._files import About
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="GiantSteps key",
    licence=_giantsteps.LICENCE,
    citation=_giantsteps.CITATION,
    where="clone https://github.com/GiantSteps/giantsteps-key-dataset and run its audio_dl.sh",
    needs={"annotations/key/": "keys", "audio/": "recordings"},
)
_PLACES = (("annotations/key", ".key"), ("annotations/jams", ".jams"), ("keys", ".txt"))
_UNCLEAR = ("", "-", "x", "all", "unknown", "other")


def tracks(folder: Path) -> Iterator[Track | MllmError]:
    """Every annotated track."""
    return _giantsteps.tracks_of(folder, ABOUT, _PLACES, "giantsteps_key", lambda path: {"key": _key(path)})


def records(folder: Path, *, seed: int = 0, per_track: int = _labelled.PER_TRACK) -> Iterator[Record | MllmError]:
    """Conversations about the tracks."""
    return _labelled.records_of(tracks(folder), seed=seed, per_track=per_track)


def _key(path: Path) -> str | None:
    if path.suffix == ".jams":
        said = next((str(value) for value, _ in _giantsteps.values(path, "key")), "")
    else:
        said = _giantsteps.text(path)
    key = _vocabulary.key(said)
    if key is None and said.lower() not in _UNCLEAR:
        raise MessageError(f"{path.name}: {said[:40]!r} is no key; expected one such as 'Bb major'")
    return key
