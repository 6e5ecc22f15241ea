"""What tasks ask about: rendered music that is always at hand, and files of benchmarks where somebody gave them.

In: the folder of the rendered music, folders by key, seeds. Out: `Track`s and records with absolute paths. Knows no
task.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mllm import registry
from mllm.errors import ConfigError, MllmError
from mllm.eval import suite
from mllm.instruct_data.records import Record
from mllm.instruct_data.tracks import Track
from mllm.messages import Audio


class AbsentError(MllmError):
    """Files that a task needs are not there; the sentence says which, and where they come from."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Music:
    """Everything that a run may ask about.

    Of the rendered pieces each has its exact facts, wordings that training never uses, and a sound font that training
    never hears (`suite`).
    """

    folder: Path
    """Where rendered music is, or will be made when it is asked for; recordings that tasks make are kept there too."""
    places: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    """Folders of other files, by the key of `--data KEY=DIR`: names of files in instruct_data/sources, or a task's
    own."""
    seed: int = 0
    """Of every choice that tasks make."""
    size: float = 1.0
    """How many questions tasks make of rendered music, as a share of the usual number, in (0, 1]."""
    tell: Callable[[str], object] = print
    """Told what is done now."""

    def count(self, usual: int) -> int:
        """So many questions, or recordings, as this run asks where `usual` is the whole; at least 2."""
        return max(2, round(usual * self.size))

    def short(self) -> list[Track]:
        """Rendered pieces of 12 to 30 s, all of split "test", in a fixed order."""
        return suite.pieces(self.folder, size=self.size, tell=self.tell)

    def made(self, name: str) -> Path:
        """A folder for recordings that a task makes from rendered ones; what is there already can be taken again."""
        place = suite.place(self.folder).absolute() / "made" / name
        place.mkdir(parents=True, exist_ok=True)
        return place

    def has(self, key: str) -> bool:
        """Whether a folder was given under a key."""
        return key in self.places

    def place(self, key: str, where: str) -> Path:
        """The folder that was given under a key.

        Args:
            key: of `--data KEY=DIR`.
            where: where such files come from, for the error.

        Raises:
            AbsentError: none was given, or it is not there.
        """
        found = self.places.get(key)
        if found is None:
            raise AbsentError(f"its files are not here; give them with --data {key}=DIR. {where}")
        if not found.exists():
            raise AbsentError(f"--data {key}={found} is not there. {where}")
        return found

    def source_records(self, key: str, **options: Any) -> list[Record]:
        """What a source of instruct_data gives from the folder under its key: records with absolute paths.

        Rows that cannot be used, such as those whose recordings are not there, are left out and told.

        Raises:
            AbsentError: the folder, its files, or all of its recordings are not there.
        """
        folder, rows = self._of_source(key, "records", options)
        return [_placed_record(row, folder) for row in rows]

    def source_tracks(self, key: str, **options: Any) -> list[Track]:
        """As `source_records`, of the labelled recordings of a source."""
        folder, rows = self._of_source(key, "tracks", options)
        return [dataclasses.replace(row, path=str(folder / row.path)) for row in rows]

    def _of_source(self, key: str, function: str, options: Mapping[str, Any]) -> tuple[Path, list[Any]]:
        module: types.ModuleType = registry.find("source", key)
        folder = self.place(key, module.ABOUT.where)
        give = getattr(module, function, None)
        if give is None:
            raise AbsentError(f"{module.ABOUT.title} gives no {function}")
        taken = inspect.signature(give).parameters
        usable: list[Any] = []
        bad: list[MllmError] = []
        try:
            for row in give(folder, **{name: value for name, value in options.items() if name in taken}):
                if isinstance(row, MllmError):
                    bad.append(row)
                else:
                    usable.append(row)
        except ConfigError as error:
            raise AbsentError(str(error)) from error
        if bad:
            self.tell(f"{key}: {len(bad)} of {len(bad) + len(usable)} rows cannot be used, the first: {bad[0]}")
        if not usable:
            raise AbsentError(f"no row of {folder} can be used{f': {bad[0]}' if bad else ''}. {module.ABOUT.where}")
        return folder, usable


def _placed_record(record: Record, folder: Path) -> Record:
    """The record with absolute paths."""
    spoken = tuple(
        dataclasses.replace(
            message,
            parts=tuple(
                dataclasses.replace(part, source=folder / part.source)
                if isinstance(part, Audio) and isinstance(part.source, Path)
                else part
                for part in message.parts
            ),
        )
        for message in record.messages
    )
    return dataclasses.replace(record, messages=spoken)


@functools.cache
def keys_of_sources() -> tuple[str, ...]:
    """Names that `--data` takes for the sources of instruct_data."""
    return registry.names("source")
