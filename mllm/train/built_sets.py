"""Data sets that `mllm data build` made, as training reads them: Parquet files of conversations in a folder.

In: the folder, or one of its Parquet files. Out: which files are which split, and each row's messages as JSON holds
them, with the place where they stand. Paths of recordings begin in the folder. Knows nothing of how they are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mllm.errors import ConfigError

MANIFEST = "manifest.json"
RECORDS = "data"
UNFINISHED = ".parts"
ENDING = ".parquet"
_ROWS_AT_ONCE = 1000


def is_built(folder: Path) -> bool:
    """Whether a folder is such a data set.

    Raises:
        ConfigError: it is one that is not finished.
    """
    if (folder / UNFINISHED).is_dir() and not (folder / MANIFEST).is_file():
        raise ConfigError(f"{folder} is a data set that is not finished; run its mllm data build again")
    return (folder / MANIFEST).is_file() and any((folder / RECORDS).glob(f"*{ENDING}"))


def files(folder: Path, split: str) -> tuple[Path, ...]:
    """The Parquet files of a split."""
    return tuple(sorted((folder / RECORDS).glob(f"{split}-*{ENDING}")))


def folder_of(file: Path) -> Path:
    """The folder in which the paths of a Parquet file begin."""
    return file.parent.parent if file.parent.name == RECORDS else file.parent


def messages(file: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The place and the messages of each row.

    Raises:
        ConfigError: the file cannot be read, or has no messages.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError(f"{file} needs pyarrow, which is not installed: pip install 'mllm-music[train]'") from error
    try:
        with pyarrow.parquet.ParquetFile(file) as opened:
            if "messages" not in opened.schema_arrow.names:
                raise ConfigError(f"{file} has no column 'messages'; give a data set that mllm data build made")
            number = 0
            for batch in opened.iter_batches(_ROWS_AT_ONCE, columns=["messages"]):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{file} row {number}", [_plain(message) for message in row["messages"] or ()]
    except (pyarrow.ArrowException, OSError) as error:
        raise ConfigError(
            f"{file} cannot be read ({' '.join(str(error).split())}); build the data set again"
        ) from error


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message whose parts have no fields that are null."""
    content = message["content"] or ()
    return {
        "role": message["role"],
        "content": [{name: value for name, value in part.items() if value is not None} for part in content],
    }
