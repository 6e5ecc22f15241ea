"""GiantSteps tempo: 664 previews of electronic dance music, two minutes each, with one tempo.

In: a clone of the repository with its recordings in `audio/`. Out: tracks with tempo and genre, and records about
these. Tempi are read from `annotations_v2/tempo/*.bpm` (a number; 0.0: there is no tempo), which listeners gave in an
experiment, else from `annotations_v2/jams/*.jams` (of several tempi the one of most confidence), else from the first
edition, `annotations/tempo/*.bpm`. Folders are as the repository's README names them; a genre and a JAMS file of its
sister were looked at, a .bpm file could not be. Many papers test on these tracks; they are put into no test split here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mllm.errors import MessageError, MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _giantsteps, _labelled
from mllm.instruct_data.sources._files import About
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="GiantSteps tempo",
    licence=_giantsteps.LICENCE,
    citation=f"{_giantsteps.CITATION}; second edition: Schreiber, Müller: A Crowdsourced Experiment for Tempo "
    "Estimation of Electronic Dance Music, ISMIR 2018",
    where="clone https://github.com/GiantSteps/giantsteps-tempo-dataset and run its audio_dl.sh",
    needs={"annotations_v2/tempo/": "tempi", "audio/": "recordings"},
)
_PLACES = (("annotations_v2/tempo", ".bpm"), ("annotations_v2/jams", ".jams"), ("annotations/tempo", ".bpm"))


def tracks(folder: Path) -> Iterator[Track | MllmError]:
    """Every annotated track; those without a tempo have none."""
    return _giantsteps.tracks_of(folder, ABOUT, _PLACES, "giantsteps_tempo", lambda path: {"tempo_bpm": _tempo(path)})


def records(folder: Path, *, seed: int = 0, per_track: int = _labelled.PER_TRACK) -> Iterator[Record | MllmError]:
    """Conversations about the tracks."""
    return _labelled.records_of(tracks(folder), seed=seed, per_track=per_track)


def _tempo(path: Path) -> float | None:
    if path.suffix == ".jams":
        given = sorted(_giantsteps.values(path, "tempo"), key=lambda one: -one[1])
        said = str(given[0][0]) if given else "0"
    else:
        said = _giantsteps.text(path)
    tempo = _labelled.number(said)
    if tempo is None or tempo < 0:
        raise MessageError(f"{path.name}: {said[:40]!r} is no tempo; expected beats a minute")
    return tempo or None
