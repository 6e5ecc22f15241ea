"""The files of a built data set against its manifest: finished, whole, unaltered, none left over."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mllm.instruct_data import checking, data_set, rows
from mllm.instruct_data.findings import Finding

SUMMARY = "the data set is finished, and its files are those that its manifest lists"
_AGAIN = "run mllm data build again; it goes on where it stood"


class Check(checking.Check):
    """Looks at names and hashes of files only."""

    def at_start(self) -> Iterator[Finding]:
        """Before any row."""
        if not self.rows.built:
            return
        folder = self.rows.folder
        if not (folder / data_set.MANIFEST).is_file():
            yield self.found(
                "error",
                "unfinished data set",
                str(folder),
                f"{data_set.MANIFEST} is missing, which is written last: this is a part of a data set only",
                _AGAIN,
            )
        else:
            yield from self._against_manifest(folder)
        for half in sorted([*folder.rglob("*.half")]):
            yield self.found(
                "warning",
                "half-written file",
                half.relative_to(folder).as_posix(),
                "was being written when a build ended",
                _AGAIN,
            )

    def _against_manifest(self, folder: Path) -> Iterator[Finding]:
        listed = _listed(folder / data_set.MANIFEST)
        if listed is None:
            yield self.found(
                "error",
                "manifest that cannot be read",
                data_set.MANIFEST,
                'is no JSON object with the hashes of the files, {"files": {"data/…": sha256}}',
                "build the data set again",
            )
            return
        there = {
            path.relative_to(folder).as_posix(): path
            for kind in (data_set.RECORDS, data_set.TRACKS)
            for path in rows.parquet_files(folder, kind)
        }
        for name, expected in sorted(listed.items()):
            if not name.endswith(".parquet"):
                continue
            if name not in there:
                yield self.found(
                    "error", "missing file", name, "the manifest lists it, and it is not there", "copy the folder again"
                )
            elif (given := _sha256(there[name])) != expected:
                yield self.found(
                    "error",
                    "altered file",
                    name,
                    f"its sha256 is {given[:12]}… where the manifest has {expected[:12]}…",
                    "copy the folder again, or build the data set again if it was changed on purpose",
                )
        for name in sorted(set(there) - set(listed)):
            yield self.found(
                "error",
                "file that the manifest does not list",
                name,
                "stands among the files of the data set, and would be read with them",
                "take it out, or build the data set again",
            )


def _listed(path: Path) -> Mapping[str, str] | None:
    """Hashes by file name, or None where there are none."""
    try:
        manifest: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not all(isinstance(one, str) for one in files.values()):
        return None
    return files


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
