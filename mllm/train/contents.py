"""Which content a recording has: its bytes are hashed once and known again by their place, size and time of change.

In: a path or bytes. Out: a sha256. What was found is kept in a folder, so that the content of a file is known even
after the file is gone. Knows nothing of audio.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from mllm.errors import ConfigError
from mllm.train.shared_files import SharedFiles

_READ_BYTES = 1 << 20


class Contents:
    """What is known of recordings.

    Args:
        directory: where it is kept, one small file a path.
    """

    def __init__(self, directory: Path) -> None:
        self._files = SharedFiles(directory, ".json")

    def of(self, source: Path | bytes) -> str | None:
        """Sha256 (64 hexadecimal digits) of a recording's bytes.

        A file is read only if it is new or its size or time of change are others than before; of one that is gone, the
        content that it had last is given.

        Returns:
            None for a file that cannot be read and was never known.
        """
        if isinstance(source, bytes):
            return hashlib.sha256(source).hexdigest()
        path = source.absolute()
        name = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()
        known = self._read(name)
        try:
            status = path.stat()
            seen = {"bytes": status.st_size, "changed_ns": status.st_mtime_ns}
            if known is not None and all(known.get(key) == value for key, value in seen.items()):
                return str(known["sha256"])
            content = _hash(path)
        except FileNotFoundError:
            return None if known is None else str(known["sha256"])
        except OSError:
            return None  # hearing it says what is wrong
        record = {"path": str(path), **seen, "sha256": content}
        with contextlib.suppress(ConfigError):  # where nothing can be written, it is hashed again the next time
            self._files.write(name, json.dumps(record).encode())
        return content

    def clean(self) -> None:
        """Remove what processes left that were killed while they wrote."""
        self._files.clean()

    def _read(self, name: str) -> dict[str, object] | None:
        try:
            record = json.loads(self._files.path(name).read_bytes())
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) and isinstance(record.get("sha256"), str) else None


def _hash(path: Path) -> str:
    content = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            content.update(block)
    return content.hexdigest()
