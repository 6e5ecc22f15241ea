"""Hearing a file: a path or bytes in, mono float32 samples at a wanted rate out, whole or as windows.

With `mllm.decode`, which opens the file, the only place that audio comes in. Decoding and resampling stream, so that
hours of sound never lie in memory whole, and every piece stands on the sample grid of the whole file. What is heard is
accounted for (`seconds_heard`). Knows nothing of encoders or of torch.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from mllm.decode import Reader, Samples, Source, between, name_of, open_audio
from mllm.errors import AudioError, AudioLimitError

__all__ = [
    "MINIMUM_SECONDS",
    "SILENCE_PEAK",
    "AudioInfo",
    "Clip",
    "Hearing",
    "Samples",
    "Source",
    "Window",
    "hear",
    "load",
    "probe",
    "seconds_heard",
    "windows",
]

MINIMUM_SECONDS = 1.0
"""Less sound than this is an error: nothing can be told about it."""
SILENCE_PEAK = 1e-4
"""A peak below this (-80 dBFS) counts as silence."""

_LATEST_SECONDS = 1e9
"""No recording is that long; sample numbers further on do not fit into what decoders count with."""
_RESAMPLER_MARGIN_SECONDS = 0.1
"""Sound on either side of a piece that its resampled samples depend on; the filter itself is shorter than 0.02 s."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AudioInfo:
    """What a file says of itself, before it is decoded."""

    seconds: float
    """Length that the file declares; a damaged file may hold less."""
    sample_rate_hz: int
    """Samples a second, in the file."""
    channels: int
    """Number of channels, in the file."""


@dataclasses.dataclass(frozen=True, eq=False)
class Window:
    """A piece of a file."""

    start_seconds: float
    """Where it starts in the file."""
    samples: Samples
    """The sound, (W,)."""
    sample_rate_hz: int
    """Samples a second."""

    @property
    def end_seconds(self) -> float:
        """Where it ends in the file."""
        return self.start_seconds + len(self.samples) / self.sample_rate_hz


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Clip(Window):
    """A piece of a file, and how long the file is."""

    total_seconds: float
    """Length of the whole file; declared by the file where the clip ends earlier."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hearing:
    """All that is heard of a file."""

    windows: tuple[Window, ...]
    """In the order of their starts, at least one."""
    seconds_heard: float
    """Seconds that the windows cover together."""
    total_seconds: float
    """Length of the whole file."""


def probe(source: Source) -> AudioInfo:
    """Length, rate and channels of a file, read from its headers (mp3 and raw aac: from all packets, undecoded).

    Raises:
        AudioError: for a missing file, a directory, an empty file, anything that is not audio, or a file cut off.
    """
    reader = open_audio(source)
    seconds = reader.declared_frames / reader.sample_rate_hz
    return AudioInfo(seconds=seconds, sample_rate_hz=reader.sample_rate_hz, channels=reader.channels)


def load(
    source: Source,
    *,
    sample_rate_hz: int,
    start: float | None = None,
    end: float | None = None,
    require_sound: bool = True,
) -> Clip:
    """Decode a file, or a piece of it, as one array.

    Args:
        source: a path, or the bytes of an audio file.
        sample_rate_hz: wanted rate, > 0.
        start: seconds >= 0 to start at; None: the beginning.
        end: seconds > start to end at; None, or more than there is: the end.
        require_sound: whether silence (peak below 1e-4) is an error.

    Returns:
        The samples `round(start * rate)` to `round(end * rate)` of the whole resampled file.

    Raises:
        AudioError: if the source cannot be heard: missing, a directory, empty, not audio, cut off, NaN or infinite
            samples, silent, or shorter than `MINIMUM_SECONDS`; or if `start` and `end` are not a piece of it.
    """
    first, last = _sample_range(source, sample_rate_hz, start, end)
    reader = open_audio(source)
    samples = _joined(_resampled(reader, sample_rate_hz, first, last))
    declared_seconds = reader.declared_frames / reader.sample_rate_hz
    heard_to = (first + len(samples)) / sample_rate_hz
    reaches_end = len(samples) > 0 and (last is None or first + len(samples) < last)
    total_seconds = heard_to if reaches_end else declared_seconds
    _require_length(source, len(samples) / sample_rate_hz, start, end, total_seconds)
    if require_sound and _peak(samples) < SILENCE_PEAK:
        raise _silence_error(source, start, end)
    return Clip(first / sample_rate_hz, samples, sample_rate_hz, total_seconds=total_seconds)


def windows(
    source: Source,
    *,
    sample_rate_hz: int,
    window_seconds: float,
    overlap_seconds: float = 0.0,
    start: float | None = None,
    end: float | None = None,
    max_windows: int | None = None,
    require_sound: bool = True,
) -> Iterator[Window]:
    """Decode a file as windows, holding no more than about two of them in memory.

    Every window is full. A remainder is covered by one last full window aligned to the end, which overlaps its
    predecessor more; a file shorter than a window gives one short window. If there would be more than `max_windows`,
    that many are heard instead, evenly spread from the first to the last (the middle one, if it is one).

    Args:
        source: a path, or the bytes of an audio file.
        sample_rate_hz: wanted rate, > 0.
        window_seconds: length of a window, > 0.
        overlap_seconds: how much neighbours share, in [0, window_seconds).
        start: seconds >= 0 to start at; None: the beginning.
        end: seconds > start to end at; None, or more than there is: the end.
        max_windows: most windows to give, >= 1; None: all.
        require_sound: whether silence (peak of all windows below 1e-4) is an error, raised after the last window.

    Yields:
        Windows in the order of their starts.

    Raises:
        AudioError: as for `load`.
    """
    window = round(window_seconds * sample_rate_hz)
    hop = round((window_seconds - overlap_seconds) * sample_rate_hz)
    if window < 1 or not 1 <= hop <= window or (max_windows is not None and max_windows < 1):
        raise AudioError(
            f"windows of {window_seconds} s overlapping by {overlap_seconds} s, at most {max_windows}, cannot be cut; "
            "expected window_seconds > 0, overlap_seconds in [0, window_seconds) and max_windows of at least 1"
        )
    first, last = _sample_range(source, sample_rate_hz, start, end)
    reader = open_audio(source)
    stop, starts = None, None
    if max_windows is not None:
        stop = _true_end(reader, sample_rate_hz, first, last, window)
        starts = _spread_starts(first, stop, window, hop, max_windows)
    if starts is None:
        pieces = _cut(_resampled(reader, sample_rate_hz, first, last), first, window, hop)
    else:
        pieces = ((begin, _joined(_resampled(reader, sample_rate_hz, begin, begin + window))) for begin in starts)

    minimum_samples = math.ceil(MINIMUM_SECONDS * sample_rate_hz)
    waiting: list[Window] = []  # until it is sure that there is sound of the least length
    peak, heard_to = 0.0, first
    for begin, samples in pieces:
        peak, heard_to = max(peak, _peak(samples)), begin + len(samples)
        waiting.append(Window(begin / sample_rate_hz, samples, sample_rate_hz))
        if (heard_to if stop is None else stop) - first >= minimum_samples:
            yield from waiting
            waiting = []
    piece_seconds = ((heard_to if stop is None else stop) - first) / sample_rate_hz
    _require_length(source, piece_seconds, start, end, reader.declared_frames / reader.sample_rate_hz)
    if require_sound and peak < SILENCE_PEAK:
        raise _silence_error(source, start, end)


def hear(
    source: Source,
    *,
    sample_rate_hz: int,
    window_seconds: float,
    start: float | None = None,
    end: float | None = None,
    max_windows: int | None = None,
    require_sound: bool = True,
    max_seconds: float | None = None,
) -> Hearing:
    """Decode all windows of a file, and account for them.

    Args:
        source: as for `windows`, like all that follows but the last.
        sample_rate_hz: wanted rate.
        window_seconds: length of a window.
        start: seconds to start at.
        end: seconds to end at.
        max_windows: most windows to give.
        require_sound: whether silence is an error.
        max_seconds: longest file that is heard. One that declares more is not decoded; one that holds more than it
            declares is decoded up to there.

    Raises:
        AudioLimitError: the file is longer than `max_seconds`.
        AudioError: as for `load`.
    """
    declared_seconds = probe(source).seconds
    if max_seconds is not None and declared_seconds > max_seconds:
        raise _too_long(source, f"lasts {declared_seconds / 60:.1f} minutes", max_seconds)
    heard = []
    for window in windows(
        source,
        sample_rate_hz=sample_rate_hz,
        window_seconds=window_seconds,
        start=start,
        end=end,
        max_windows=max_windows,
        require_sound=require_sound,
    ):
        if max_seconds is not None and window.end_seconds > max_seconds + window_seconds:
            raise _too_long(
                source, f"lasts longer than the {declared_seconds / 60:.1f} minutes it declares", max_seconds
            )
        heard.append(window)
    total_seconds = max(declared_seconds, heard[-1].end_seconds)
    return Hearing(windows=tuple(heard), seconds_heard=seconds_heard(heard), total_seconds=total_seconds)


def seconds_heard(heard: Iterable[Window]) -> float:
    """How many seconds of a file the given windows (or clips) of it cover together; overlaps count once."""
    total, covered_to = 0.0, 0.0
    for start, end in sorted((piece.start_seconds, piece.end_seconds) for piece in heard):
        total += max(0.0, end - max(start, covered_to))
        covered_to = max(covered_to, end)
    return total


def _cut(blocks: Iterable[Samples], first: int, window: int, hop: int) -> Iterator[tuple[int, Samples]]:
    """Cut a stream that starts at sample `first` into (start, samples) of `window` samples every `hop`."""
    held = np.zeros(0, np.float32)
    held_from = begin = first
    covered_to = first
    for block in blocks:
        held = np.concatenate((held, block))
        received = held_from + len(held)
        while begin + window <= received:
            yield begin, held[begin - held_from : begin - held_from + window].copy()
            covered_to = begin + window
            begin += hop
        keep_from = max(held_from, min(begin, received - window))  # the last window of all may start before `begin`
        held, held_from = held[keep_from - held_from :], keep_from
    received = held_from + len(held)
    if received > covered_to:
        begin = max(first, received - window)
        yield begin, held[begin - held_from :].copy()


def _spread_starts(first: int, stop: int, window: int, hop: int, max_windows: int) -> list[int] | None:
    """Starts of `max_windows` windows spread over the samples `first` to `stop`; None if that many cover all."""
    latest = stop - window
    if latest <= first + (max_windows - 1) * hop:
        return None
    if max_windows == 1:
        return [(first + latest) // 2]
    return [first + round(i * (latest - first) / (max_windows - 1)) for i in range(max_windows)]


def _true_end(reader: Reader, sample_rate_hz: int, first: int, last: int | None, window: int) -> int:
    """Where the sound in samples `first` to `last` really ends: a damaged file may end before its declared length."""
    declared = reader.declared_frames * sample_rate_hz // reader.sample_rate_hz
    expected = declared if last is None else min(declared, last)
    tail_from = max(first, expected - window)
    tail = sum(len(block) for block in _resampled(reader, sample_rate_hz, tail_from, expected))
    if tail:
        return tail_from + tail
    return first + sum(len(block) for block in _resampled(reader, sample_rate_hz, first, last))


def _resampled(reader: Reader, sample_rate_hz: int, first: int, last: int | None) -> Iterator[Samples]:
    """Samples `first` to `last` (exclusive) at the wanted rate; sample n stands at n / sample_rate_hz of the file.

    Decoding starts shortly before `first`, at a source frame that falls on the wanted grid, so that the piece equals
    the same piece of the whole file resampled (measured: within 2e-6).
    """
    divisor = math.gcd(sample_rate_hz, reader.sample_rate_hz)
    up, down = sample_rate_hz // divisor, reader.sample_rate_hz // divisor
    if up == down:
        yield from _finite(reader.blocks(first, last), first, reader.sample_rate_hz, reader.name)
        return
    margin = math.ceil(_RESAMPLER_MARGIN_SECONDS * reader.sample_rate_hz)
    periods = max(0, first * down // up - margin) // down
    begin = periods * down
    stop = None if last is None else last * down // up + margin
    resampler = soxr.ResampleStream(reader.sample_rate_hz, sample_rate_hz, 1, dtype="float32", quality="HQ")
    source_blocks = _finite(reader.blocks(begin, stop), begin, reader.sample_rate_hz, reader.name)
    yield from between(_through(resampler, source_blocks), periods * up, first, last)


def _through(resampler: soxr.ResampleStream, blocks: Iterable[Samples]) -> Iterator[Samples]:
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _finite(blocks: Iterable[Samples], position: int, sample_rate_hz: int, name: str) -> Iterator[Samples]:
    """The blocks unchanged, or an error at the first NaN or infinite sample."""
    for block in blocks:
        bad = ~np.isfinite(block)
        if bad.any():
            seconds = (position + int(bad.argmax())) / sample_rate_hz
            raise AudioError(
                f"{name} holds samples that are not numbers (NaN or infinite), the first at {seconds:.3f} s; "
                "expected finite samples, so write the file again from its source"
            )
        position += len(block)
        yield block


def _sample_range(
    source: Source, sample_rate_hz: int, start: float | None, end: float | None
) -> tuple[int, int | None]:
    """The asked piece in samples at the wanted rate."""
    if sample_rate_hz < 1:
        raise AudioError(f"cannot resample to {sample_rate_hz} Hz; expected sample_rate_hz of at least 1")
    begin = 0.0 if start is None else start
    if not (math.isfinite(begin) and begin >= 0) or (end is not None and not (math.isfinite(end) and end > begin)):
        raise AudioError(
            f"{name_of(source)}: cannot hear from start {start} s to end {end} s; expected 0 <= start < end, in seconds"
        )
    last = None if end is None else round(min(end, _LATEST_SECONDS) * sample_rate_hz)
    return round(min(begin, _LATEST_SECONDS) * sample_rate_hz), last


def _require_length(
    source: Source, seconds: float, start: float | None, end: float | None, total_seconds: float
) -> None:
    if seconds < MINIMUM_SECONDS:
        raise AudioError(
            f"{name_of(source)}{_asked(start, end)} has {max(0.0, seconds):.2f} s of sound (the whole: "
            f"{total_seconds:.2f} s); expected at least {MINIMUM_SECONDS:g} s, so give a longer piece"
        )


def _too_long(source: Source, what: str, max_seconds: float) -> AudioLimitError:
    return AudioLimitError(
        f"{name_of(source)} {what}; at most {max_seconds / 60:g} minutes are accepted, so send a shorter piece of it"
    )


def _silence_error(source: Source, start: float | None, end: float | None) -> AudioError:
    return AudioError(
        f"{name_of(source)}{_asked(start, end)} is silent (no sample above {SILENCE_PEAK:g} of full scale); expected "
        "music, so check the recording or choose another piece"
    )


def _asked(start: float | None, end: float | None) -> str:
    """How a message calls the piece that was asked for; nothing for the whole file."""
    if start is None and end is None:
        return ""
    return f" from {start or 0:g} s to {'its end' if end is None else f'{end:g} s'}"


def _joined(blocks: Iterable[Samples]) -> Samples:
    return np.concatenate([np.zeros(0, np.float32), *blocks])


def _peak(samples: Samples) -> float:
    return float(max(samples.max(initial=0.0), -samples.min(initial=0.0)))
