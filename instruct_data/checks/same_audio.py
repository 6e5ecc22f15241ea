"""The same recording under several names: equal bytes, or another coding, loudness or cut of the same sound."""

from __future__ import annotations

from collections.abc import Iterator

from mllm.instruct_data import checking, fingerprint
from mllm.instruct_data.checking import Heard, Known, Settings
from mllm.instruct_data.findings import Finding
from mllm.instruct_data.rows import Rows

SUMMARY = "no recording is there twice, as the same bytes or as the same sound, least of all across a split"


class Check(checking.Check):
    """Remembers a hash and a fingerprint of each recording, 170 bytes a second."""

    def __init__(self, name: str, rows: Rows, settings: Settings) -> None:
        """Nothing was heard yet."""
        super().__init__(name, rows, settings)
        self._first: dict[str, Heard] = {}

    def of_recording(self, heard: Heard) -> Iterator[Finding]:
        """Compare bytes with those before."""
        if heard.measured.error:
            return
        first = self._first.setdefault(heard.measured.digest, heard)
        if first is not heard:
            yield self._twice(first.path, first.tracks, heard.path, heard.tracks, "holds the same bytes as", "")

    def at_end(self) -> Iterator[Finding]:
        """Compare sounds."""
        distinct = list(self._first.values())
        told: set[int] = set()
        for match in fingerprint.matches([one.measured.words for one in distinct]):
            first, second = distinct[match.first], distinct[match.second]
            across = _splits(first.tracks) != _splits(second.tracks)
            meant = {one.family for one in first.tracks} == {one.family for one in second.tracks}
            if (match.second in told or meant) and not across:
                continue
            told.add(match.second)
            how = f"{100 * match.difference:.0f} % of the fingerprint's bits differ"
            at = f", {abs(match.offset_seconds):.1f} s {'later' if match.offset_seconds > 0 else 'earlier'}"
            shifted = at if abs(match.offset_seconds) >= 0.1 else ""
            yield self._twice(
                first.path, first.tracks, second.path, second.tracks, "sounds the same as", f" ({how}{shifted})"
            )

    def _twice(
        self, first: str, of_first: tuple[Known, ...], second: str, of_second: tuple[Known, ...], like: str, how: str
    ) -> Finding:
        before, now = _splits(of_first), _splits(of_second)
        if before == now and len(now) == 1:
            kind = "same bytes" if "bytes" in like else "same sound"
            return self.found(
                "warning",
                f"{kind} twice",
                second,
                f"{like} {first}{how}",
                "keep one of them, or give both the same family",
            )
        return self.found(
            "error",
            "same recording on both sides of a split",
            second,
            f"is in {'/'.join(sorted(now))} and {like} {first}{how}, which is in {'/'.join(sorted(before))}",
            "give both the same family and split anew",
        )


def _splits(tracks: tuple[Known, ...]) -> set[str]:
    return {track.split for track in tracks}
