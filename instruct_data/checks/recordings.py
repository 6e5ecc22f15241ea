"""Recordings themselves: there, readable, long enough, on every channel, neither silent nor clipped, of one rate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mllm import audio
from mllm.instruct_data import checking
from mllm.instruct_data.checking import Heard, Known, Settings
from mllm.instruct_data.findings import Finding
from mllm.instruct_data.measuring import Measured
from mllm.instruct_data.rows import Row, Rows
from mllm.instruct_data.tracks import Track

SUMMARY = "recordings are there and readable, not silent, not clipped, not too short, of one sample rate"
CLIPPED = 0.001
"""From this share of samples at full scale on, a recording counts as clipped."""
OFFSET = 0.02
"""From this mean of all samples on, a recording has a constant offset."""
_ENDS_EARLY_SECONDS = 0.5
"""A recording may end so much before its labels say."""
_RATES_TOLD = 5


class Check(checking.Check):
    """Looks at what was measured; remembers rates and the ends of tracks."""

    def __init__(self, name: str, rows: Rows, settings: Settings) -> None:
        """Nothing was heard yet."""
        super().__init__(name, rows, settings)
        self._rates: Counter[int] = Counter()
        self._first_of_rate: dict[int, list[str]] = {}
        self._ends: dict[str, float] = {}

    def of_track(self, row: Row[Track], known: Known) -> Iterator[Finding]:
        """Remember how long the file of a track must be."""
        track = row.value
        begin = track.start or 0.0
        end = track.end if track.end is not None else begin + track.seconds if track.seconds is not None else None
        if end is not None:
            self._ends[known.path] = max(self._ends.get(known.path, 0.0), end)
        yield from ()

    def of_recording(self, heard: Heard) -> Iterator[Finding]:
        """Of each file."""
        where = _where(heard)
        measured = heard.measured
        if measured.missing:
            yield self.found("error", "missing recording", where, "the file is not there", "copy it to this place")
            return
        if measured.error:
            yield self.found(
                "error", "unreadable recording", where, measured.error, "get the file again or take its rows out"
            )
            return
        rate = measured.sample_rate_hz
        self._rates[rate] += 1
        self._first_of_rate.setdefault(rate, []).append(where) if self._rates[rate] <= _RATES_TOLD else None
        expected = self.settings.expected_rate_hz
        if expected is not None and rate != expected:
            yield self.found(
                "warning",
                "other sample rate",
                where,
                f"{rate} Hz instead of {expected} Hz",
                f"resample it to {expected} Hz",
            )
        yield from self._of_levels(where, measured)
        missing = self._ends.get(heard.path, 0.0) - measured.seconds
        if missing > _ENDS_EARLY_SECONDS:
            yield self.found(
                "error",
                "recording that ends before its labels",
                where,
                f"holds {measured.seconds:.1f} s, {missing:.1f} s less than its track says",
                "copy the file again, or label it anew",
            )

    def at_end(self) -> Iterator[Finding]:
        """Rates that few recordings have."""
        if len(self._rates) < 2 or self.settings.expected_rate_hz is not None:
            return
        (most, count), *others = self._rates.most_common()
        for rate, few in others:
            yield self.found(
                "note",
                "other sample rate",
                f"{few} recordings, such as {self._first_of_rate[rate][0]}",
                f"{rate} Hz, while {count} have {most} Hz",
                "nothing need be done: training resamples; have them made anew if their band widths must be equal",
            )

    def _of_levels(self, where: str, measured: Measured) -> Iterator[Finding]:
        if measured.seconds < audio.MINIMUM_SECONDS:
            yield self.found(
                "error",
                "very short recording",
                where,
                f"{measured.seconds:.2f} s long; less than {audio.MINIMUM_SECONDS:g} s is refused in training",
                "take it out or give a longer piece",
            )
        if measured.peak < audio.SILENCE_PEAK:
            yield self.found(
                "error",
                "silent recording",
                where,
                f"no sample is above {audio.SILENCE_PEAK:g} of full scale",
                "get the file again or take its rows out",
            )
            return
        if measured.clipped >= CLIPPED:
            yield self.found(
                "warning",
                "clipped recording",
                where,
                f"{100 * measured.clipped:.1f} % of its samples stand at full scale",
                "take it from a source that was not overdriven, unless clipping is wanted",
            )
        if measured.offset >= OFFSET:
            yield self.found(
                "warning",
                "constant offset",
                where,
                f"the mean of its samples is {measured.offset:.3f} of full scale instead of 0",
                "remove it with a high-pass filter, e.g. ffmpeg -af highpass=f=20",
            )
        dead = [number for number, peak in enumerate(measured.channel_peaks, start=1) if peak < audio.SILENCE_PEAK]
        if dead:
            yield self.found(
                "warning",
                "dead channel",
                where,
                f"channel {', '.join(map(str, dead))} of {len(measured.channel_peaks)} is silent",
                "make it mono from the channel that sounds; mixed down as it is, it is quieter than the others",
            )


def _where(heard: Heard) -> str:
    """The file, and the first row that names it."""
    return f"{heard.path} ({heard.tracks[0].place})" if heard.tracks else heard.path
