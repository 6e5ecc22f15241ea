"""Shared by both GiantSteps sources: tracks with their annotations, genres, and JAMS files.

In: the folder of a clone of either repository with its recordings in `audio/`. Out: what stands in its small files. The
repositories have one file a track, `annotations/<kind>/<number>.LOFI.<kind>`, and beside them JAMS with the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mllm.errors import ConfigError, MessageError, MllmError
from mllm.instruct_data.sources import _clips, _labelled, _vocabulary
from mllm.instruct_data.sources._files import About
from mllm.instruct_data.tracks import Track

CITATION = (
    "Knees, Faraldo, Herrera, Vogl, Böck, Hörschläger, Le Goff: Two Data Sets for Tempo Estimation and Key Detection "
    "in Electronic Dance Music Annotated from User Corrections, ISMIR 2015"
)
LICENCE = "not stated (annotations); audio: previews of Beatport, all rights reserved"


def tracks_of(
    folder: Path, about: About, places: Sequence[tuple[str, str]], source: str, label: Callable[[Path], dict[str, Any]]
) -> Iterator[Track | MllmError]:
    """Every annotated track.

    Args:
        folder: of the data set.
        about: the source.
        places: folders of annotations and endings of their files; the first that has a track counts.
        source: its name.
        label: what an annotation says, as fields of a `Track`.

    Raises:
        ConfigError: there are no annotations.
    """
    files = [by_track(folder / place, ending) for place, ending in places]
    if not any(files):
        name = f"{places[0][0]}/"
        raise ConfigError(f"{about.title}: {folder / places[0][0]} ({about.needs[name]}) is missing; {about.where}")
    heard = _clips.known(folder, "audio", about)
    for track in sorted({name for found in files for name in found}):
        path = next(found[track] for found in files if track in found)
        if track not in heard:
            yield _labelled.unheard(about, path.name, f"{track}.mp3")
            continue
        # Both sources take previews of one shop, so that a track may be in both.
        name = f"beatport/{track.partition('.')[0].lstrip('0')}"
        try:
            yield Track(
                id=name,
                path=heard[track],
                source=source,
                licence=about.licence,
                family=name,
                style=style(folder, track),
                **label(path),
            )
        except MllmError as error:
            yield error


def by_track(folder: Path, kind: str) -> dict[str, Path]:
    """Annotation files by track, such as "10089.LOFI"."""
    return {path.name.removesuffix(path.suffix): path for path in sorted(folder.glob(f"*{kind}"))}


def text(path: Path) -> str:
    """What stands in a small file, on one line."""
    return " ".join(path.read_text(encoding="utf-8", errors="replace").split())


def style(folder: Path, track: str) -> str | None:
    """The genre of a track in words, such as "progressive house"."""
    path = folder / "annotations" / "genre" / f"{track}.genre"
    return _vocabulary.genre(text(path).replace("-", " ")) or None if path.is_file() else None


def values(path: Path, namespace: str) -> Iterator[tuple[Any, float]]:
    """Values and confidences in the annotations of one kind in a JAMS file.

    Raises:
        MessageError: it is no JAMS file.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        for annotation in plain["annotations"]:
            if annotation["namespace"].startswith(namespace):
                for one in annotation["data"]:
                    yield one["value"], float(one["confidence"] or 0)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MessageError(f"{path.name} is no JAMS file ({error!r}); fetch it again") from error
