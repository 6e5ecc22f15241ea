"""What rows say of one another: ids that are unique, tracks that exist, paths and splits that agree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mllm.instruct_data import checking
from mllm.instruct_data.checking import Known, Settings, Told
from mllm.instruct_data.findings import Finding
from mllm.instruct_data.rows import Row, Rows
from mllm.instruct_data.texts import hash_of
from mllm.instruct_data.tracks import Track
from mllm.messages import Audio

SUMMARY = "ids are unique, and records name tracks that exist, with the same path, family and split"


class Check(checking.Check):
    """Remembers a hash of each id."""

    def __init__(self, name: str, rows: Rows, settings: Settings) -> None:
        """Nothing was seen yet."""
        super().__init__(name, rows, settings)
        self._tracks: set[int] = set()
        self._records: set[int] = set()

    def of_track(self, row: Row[Track], known: Known) -> Iterator[Finding]:
        """Of each track."""
        where = f"{row.place} (track {known.id!r})"
        if (identity := hash_of(known.id)) in self._tracks:
            yield self.found(
                "error", "id of two tracks", where, "another track has this id", "give it an id of its own"
            )
        self._tracks.add(identity)
        if self.rows.built and _leads_out(known.path):
            yield self.found(
                "warning",
                "path that leads out",
                where,
                f"the path {known.path!r} leads out of the data set, which so cannot be moved",
                "have recordings copied (audio: copy in the settings of the build)",
            )

    def of_record(self, told: Told) -> Iterator[Finding]:
        """Of each record."""
        record = told.record
        where = f"{told.place} (record {record.id!r})"
        if (identity := hash_of(record.id)) in self._records:
            yield self.found(
                "error", "id of two records", where, "another record has this id", "give it an id of its own"
            )
        self._records.add(identity)
        if len(told.tracks) < len(record.tracks) and self.rows.built:
            there = {track.id for track in told.tracks}
            unknown = next(one for one in record.tracks if one not in there)
            yield self.found(
                "error",
                "record about an unknown track",
                where,
                f"the data set holds no track {unknown!r}",
                "add the track, or take the record out",
            )
        for track in told.tracks:
            if track.split != record.split:
                yield self.found(
                    "error",
                    "record in another split than its track",
                    where,
                    f"is in {record.split}, and its track {track.id!r} in {track.split}",
                    "give both the split of the track",
                )
            if track.family not in record.families and self.rows.built:
                yield self.found(
                    "error",
                    "record without the family of its track",
                    where,
                    f"the family {track.family!r} of {track.id!r} is not among its families",
                    "add it, or splitting will tear the family apart",
                )
        yield from self._paths(told, where)

    def _paths(self, told: Told, where: str) -> Iterator[Finding]:
        heard = [
            str(part.source)
            for message in told.record.messages
            for part in message.parts
            if isinstance(part, Audio) and isinstance(part.source, Path)
        ]
        of_tracks = {track.path for track in told.tracks}
        if strange := [path for path in heard if path not in of_tracks] if told.tracks else []:
            yield self.found(
                "error",
                "record that plays another recording",
                where,
                f"plays {strange[0]!r}, which is the path of none of its tracks",
                "correct the path or the track",
            )
        if told.tracks and not heard:
            yield self.found(
                "warning",
                "record that plays nothing",
                where,
                "is about a track, and no message holds its recording",
                "put the recording before the first question",
            )


def _leads_out(path: str) -> bool:
    pure = PurePosixPath(path)
    return pure.is_absolute() or ".." in pure.parts
