"""Files that several processes write at once: each appears whole or not at all, spread over 256 folders by name.

In: names of hexadecimal digits, and bytes. Out: paths. A file is written beside its place while the lock of its folder
is held, and then renamed. A half file that is found under that lock was therefore left by a process that is gone: it is
removed. The kernel frees the locks of a process that was killed. Knows nothing of what the files hold.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from filelock import FileLock, Timeout

from mllm.errors import ConfigError

LOCK_NAME = ".lock"
HALF_SUFFIX = ".half"
"""Ends the name of a file that is being written."""
_PATIENCE_SECONDS = 600.0
_POLL_SECONDS = 0.01
_FOLDER_LETTERS = 2


class SharedFiles:
    """A folder of such files.

    Args:
        directory: of the folders; made when the first file is written.
        suffix: ends the name of every file.
    """

    def __init__(self, directory: Path, suffix: str) -> None:
        self._directory = directory
        self._suffix = suffix

    def path(self, name: str) -> Path:
        """Where the file of a name is, or would be."""
        return self._directory / name[:_FOLDER_LETTERS] / f"{name}{self._suffix}"

    def write(
        self,
        name: str,
        content: bytes,
        *,
        replace: bool = True,
        placing: AbstractContextManager[object] | None = None,
    ) -> bool:
        """Write a file.

        Args:
            name: hexadecimal digits.
            content: all of it.
            replace: whether a file of that name that is there gives way; otherwise it stays.
            placing: entered around the moment in which the file appears.

        Returns:
            Whether it was written.

        Raises:
            ConfigError: the folder cannot be written to, or another process holds its lock for ten minutes.
        """
        path = self.path(name)
        with told(self._directory):
            path.parent.mkdir(parents=True, exist_ok=True)
            with locked(path.parent):
                _remove_halves(path.parent)
                if path.exists() and not replace:
                    return False
                write_locked(path, content, placing=placing)
        return True

    def clean(self) -> None:
        """Remove what processes left that were killed while they wrote.

        Raises:
            ConfigError: as `write`.
        """
        with told(self._directory):
            for folder in self._folders():
                if any(folder.glob(f"*{HALF_SUFFIX}")):
                    with locked(folder):
                        _remove_halves(folder)

    def entries(self) -> Iterator[os.DirEntry[str]]:
        """Every whole file, in no order."""
        for folder in self._folders():
            with os.scandir(folder) as found:
                yield from (entry for entry in found if entry.name.endswith(self._suffix))

    def _folders(self) -> Iterator[Path]:
        if self._directory.is_dir():
            yield from (folder for folder in self._directory.iterdir() if folder.is_dir())


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which one process has at a time.

    Raises:
        ConfigError: another process holds it for ten minutes.
    """
    lock = FileLock(folder / LOCK_NAME, timeout=_PATIENCE_SECONDS)
    try:
        lock.acquire(poll_interval=_POLL_SECONDS)
    except Timeout as error:
        raise ConfigError(
            f"another process has held {lock.lock_file} for {_PATIENCE_SECONDS / 60:g} minutes; end the process that "
            "hangs, and run this again"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def told(directory: Path) -> Iterator[None]:
    """Tell what the system says of a directory as an error of ours.

    Raises:
        ConfigError: it cannot be written to.
    """
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{directory} cannot be written ({error.strerror or error}); give a folder of yours on a disk with room"
        ) from error


def write_locked(path: Path, content: bytes, *, placing: AbstractContextManager[object] | None = None) -> None:
    """Write a file whole or not at all; the lock of its folder must be held. `placing` as for `SharedFiles.write`."""
    half = path.with_name(path.name + HALF_SUFFIX)
    try:
        with half.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with placing or contextlib.nullcontext():
            half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def _remove_halves(folder: Path) -> None:
    for half in folder.glob(f"*{HALF_SUFFIX}"):
        half.unlink(missing_ok=True)
