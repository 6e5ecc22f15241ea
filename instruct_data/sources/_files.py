"""What every source says of itself, and how it finds its files.

In: the folder into which someone put a data set. Out: the paths of its tables and recordings, or one sentence that says
which files are missing and where they come from. Knows no data set.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mllm.errors import ConfigError
from mllm.messages import AUDIO_FORMATS


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
    """What is published about a data set."""

    title: str
    """As its authors write it."""
    licence: str
    """Of what is read: name and, where labels and audio differ, both; "not stated" where its authors state none."""
    citation: str
    """Authors, title, place, year."""
    where: str
    """How to get the files: a sentence with an address."""
    needs: Mapping[str, str]
    """Files and folders by what is in them: {"musiccaps-public.csv": "captions", "audio/": "recordings"}."""
    evaluation_only: bool = False
    """Whether it is a benchmark, which is never trained on."""


def found(folder: Path, name: str, about: About) -> Path:
    """A file or folder of a source.

    Args:
        folder: of the data set.
        name: as in `About.needs`; a pattern such as "*.csv" takes the first that fits.
        about: the source.

    Raises:
        ConfigError: it is not there; the sentence says what it is and where it comes from.
    """
    places = sorted(folder.glob(name.rstrip("/")))
    if not places:
        what = about.needs.get(name, "its data")
        raise ConfigError(f"{about.title}: {folder / name} ({what}) is missing; {about.where}")
    return places[0]


def recordings(folder: Path, place: str = "audio") -> dict[str, str]:
    """Every recording below `folder / place`: its file name without ending -> its path from `folder` on.

    Also by its path without ending from `place` on ("00/1234500" as well as "1234500"), as data sets name both.
    """
    known: dict[str, str] = {}
    for path in sorted((folder / place).rglob("*")):
        if path.suffix.lower().removeprefix(".") in AUDIO_FORMATS and path.is_file():
            relative = PurePosixPath(path.relative_to(folder).as_posix())
            known.setdefault(relative.stem, str(relative))
            known[str(relative.relative_to(place).with_suffix(""))] = str(relative)
    return known
