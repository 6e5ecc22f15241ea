"""The only file that opens audio: a path or bytes in, mono float32 samples at a wanted rate out.

Libsndfile opens what it can; PyAV opens the rest (m4a, aac, the sound of mp4, mkv and webm) and mp3, because libsndfile
silently ends a variable-rate mp3 without a length header at its guessed length. Decoding and resampling stream, so that
hours of sound never lie in memory whole, and every piece stands on the sample grid of the whole file. Knows nothing of
encoders or of torch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Protocol, TypeAlias

import av
import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from mllm.errors import AudioError

Samples: TypeAlias = npt.NDArray[np.float32]
"""Mono samples (W,), nominally in [-1, 1]."""
Source: TypeAlias = str | os.PathLike[str] | bytes
"""A path, or the bytes of a whole audio file."""

MINIMUM_SECONDS = 1.0
"""Less sound than this is an error: nothing can be told about it."""
SILENCE_PEAK = 1e-4
"""A peak below this (-80 dBFS) counts as silence."""

_BLOCK_FRAMES = 65_536
_RESAMPLER_MARGIN_SECONDS = 0.1
"""Sound on either side of a piece that its resampled samples depend on; the filter itself is shorter than 0.02 s."""
_PREROLL_SECONDS = 0.5
"""How much earlier a lossy decoder is started than wanted, so that its state has settled."""
_NO_DECLARED_LENGTH = frozenset({"aac", "ac3", "amr", "eac3", "loas", "mp3"})
"""Formats of PyAV whose length is only guessed until all packets have been read."""
_AV_FORMATS = "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,loas,m4a,matroska,mov,mp3,mp4,mpeg,mpegts,ogg,tta,w64,wav,webm,wv"
"""What PyAV may take a file for; playlists, which could make it open other files or addresses, are left out."""
_INTEGER_SCALES = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "flt": 1.0, "dbl": 1.0}


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


class _Reader(Protocol):
    """An opened file: its facts, and its sound as mono blocks at its own rate."""

    sample_rate_hz: int
    channels: int
    declared_frames: int

    def blocks(self, first: int, last: int | None) -> Iterator[Samples]:
        """The frames `first` (>= 0) to `last` (exclusive; None: to the end), fewer if the file ends before."""


def probe(source: Source) -> AudioInfo:
    """Length, rate and channels of a file, read from its headers (mp3 and raw aac: from all packets, undecoded).

    Raises:
        AudioError: for a missing file, a directory, an empty file, or anything that is not audio.
    """
    with _open(source) as reader:
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
        AudioError: if the source cannot be heard: missing, a directory, empty, not audio, NaN or infinite samples,
            silent, or shorter than `MINIMUM_SECONDS`; or if `start` and `end` are not a piece of it.
    """
    first, last = _sample_range(source, sample_rate_hz, start, end)
    with _open(source) as reader:
        blocks = list(_resampled(reader, sample_rate_hz, first, last, _name(source)))
        declared_seconds = reader.declared_frames / reader.sample_rate_hz
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    heard_to = (first + len(samples)) / sample_rate_hz
    _require_length(source, len(samples) / sample_rate_hz, start, end, heard_to if last is None else declared_seconds)
    if require_sound and _peak(samples) < SILENCE_PEAK:
        raise _silence_error(source, start, end)
    reaches_end = last is None or first + len(samples) < last
    total_seconds = heard_to if reaches_end else max(declared_seconds, heard_to)
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
    peak = 0.0
    with _open(source) as reader:
        name = _name(source)
        starts: list[int] | None = None
        if max_windows is not None:
            stop = _true_end(reader, sample_rate_hz, first, last, window, name)
            starts = _spread_starts(first, stop, window, hop, max_windows)
        if starts is None:
            pieces = _cut(_resampled(reader, sample_rate_hz, first, last, name), first, window, hop)
        else:
            pieces = (
                (begin, np.concatenate([*_resampled(reader, sample_rate_hz, begin, begin + window, name)]))
                for begin in starts
            )
        minimum_samples = math.ceil(MINIMUM_SECONDS * sample_rate_hz)
        waiting: list[Window] = []
        heard_to = first
        for begin, samples in pieces:
            peak = max(peak, _peak(samples))
            heard_to = begin + len(samples)
            waiting.append(Window(begin / sample_rate_hz, samples, sample_rate_hz))
            if heard_to - first >= minimum_samples:
                yield from waiting
                waiting = []
        declared_seconds = reader.declared_frames / reader.sample_rate_hz
    _require_length(source, (heard_to - first) / sample_rate_hz, start, end, declared_seconds)
    if require_sound and peak < SILENCE_PEAK:
        raise _silence_error(source, start, end)


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
    """Starts of `max_windows` windows spread over the samples `first` to `stop`, or None if that many cover them all."""
    latest = stop - window
    if latest <= first + (max_windows - 1) * hop:
        return None
    if max_windows == 1:
        return [(first + latest) // 2]
    return [first + round(i * (latest - first) / (max_windows - 1)) for i in range(max_windows)]


def _true_end(reader: _Reader, sample_rate_hz: int, first: int, last: int | None, window: int, name: str) -> int:
    """Where the sound in samples `first` to `last` really ends: a damaged file may end before its declared length."""
    declared = reader.declared_frames * sample_rate_hz // reader.sample_rate_hz
    expected = declared if last is None else min(declared, last)
    tail_from = max(first, expected - window)
    tail = sum(len(block) for block in _resampled(reader, sample_rate_hz, tail_from, expected, name))
    if tail:
        return tail_from + tail
    return first + sum(len(block) for block in _resampled(reader, sample_rate_hz, first, last, name))


def _resampled(reader: _Reader, sample_rate_hz: int, first: int, last: int | None, name: str) -> Iterator[Samples]:
    """Samples `first` to `last` (exclusive) at the wanted rate; sample n stands at n / sample_rate_hz of the file.

    Decoding starts shortly before `first`, at a source frame that falls on the wanted grid, so that the piece equals
    the same piece of the whole file resampled (measured: within 2e-6).
    """
    divisor = math.gcd(sample_rate_hz, reader.sample_rate_hz)
    up, down = sample_rate_hz // divisor, reader.sample_rate_hz // divisor
    if up == down:
        yield from _finite(reader.blocks(first, last), first, reader.sample_rate_hz, name)
        return
    margin = math.ceil(_RESAMPLER_MARGIN_SECONDS * reader.sample_rate_hz)
    periods = max(0, first * down // up - margin) // down
    begin = periods * down
    stop = None if last is None else last * down // up + margin
    resampler = soxr.ResampleStream(reader.sample_rate_hz, sample_rate_hz, 1, dtype="float32", quality="HQ")
    source_blocks = _finite(reader.blocks(begin, stop), begin, reader.sample_rate_hz, name)
    yield from _between(_through(resampler, source_blocks), periods * up, first, last)


def _through(resampler: soxr.ResampleStream, blocks: Iterable[Samples]) -> Iterator[Samples]:
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _between(blocks: Iterable[Samples], position: int, first: int, last: int | None) -> Iterator[Samples]:
    """What of a stream that starts at `position` lies in [first, last)."""
    for block in blocks:
        piece = block[max(0, first - position) : None if last is None else max(0, last - position)]
        position += len(block)
        if len(piece):
            yield piece
        if last is not None and position >= last:
            return


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


def _mono(frames: npt.NDArray[np.generic], *, axis: int, scale: float = 1.0) -> Samples:
    """Mean over the channels, as float32; a value that float32 cannot hold becomes infinite, which `_finite` reports."""
    with np.errstate(over="ignore", invalid="ignore"):
        return (frames.mean(axis=axis, dtype=np.float64) / scale).astype(np.float32)


class _SoundFileReader:
    """A file that libsndfile opens."""

    def __init__(self, file: soundfile.SoundFile) -> None:
        self._file = file
        self.sample_rate_hz: int = file.samplerate
        self.channels: int = file.channels
        self.declared_frames: int = file.frames

    def blocks(self, first: int, last: int | None) -> Iterator[Samples]:
        stop = self.declared_frames if last is None else min(last, self.declared_frames)
        try:
            if first < stop:
                self._file.seek(first)
            while first < stop:
                block = self._file.read(min(_BLOCK_FRAMES, stop - first), dtype="float32", always_2d=True)
                if not len(block):
                    return
                first += len(block)
                yield _mono(block, axis=1)
        except soundfile.LibsndfileError:
            return  # damaged from here on: it is heard as far as it decodes


class _AvReader:
    """A file that only PyAV opens. Each reading opens it anew, for a decoder keeps state.

    A piece that starts late is sought, not decoded from the beginning; its place is then as exact as the file's own
    time stamps (Matroska and webm: 1 ms; others: one sample).
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        with self._opened() as (container, stream):
            first_frame = next(_frames(container, stream), None)
            if first_frame is None:
                raise AudioError(
                    f"{_name(source)} holds no sound that can be decoded; it may be cut off or damaged: get it again"
                )
            self.sample_rate_hz: int = first_frame.sample_rate
            self.channels: int = first_frame.layout.nb_channels
            self._origin_seconds: float | None = first_frame.time
            seconds = _declared_seconds(container, stream)
        if seconds is None or self._origin_seconds is None:
            seconds = self._packet_seconds()
        self.declared_frames = round(seconds * self.sample_rate_hz)

    def blocks(self, first: int, last: int | None) -> Iterator[Samples]:
        with self._opened() as (container, stream):
            position: int | None = 0
            target_seconds = first / self.sample_rate_hz - _PREROLL_SECONDS
            if target_seconds > 0 and self._origin_seconds is not None and stream.time_base is not None:
                container.seek(int((target_seconds + self._origin_seconds) / stream.time_base), stream=stream)
                position = None
            for frame in _frames(container, stream):
                if position is None and frame.time is not None:
                    position = round((frame.time - self._origin_seconds) * self.sample_rate_hz)
                if position is None or frame.sample_rate != self.sample_rate_hz:
                    continue
                block = _frame_samples(frame)
                yield from _between([block], position, first, last)
                position += len(block)
                if last is not None and position >= last:
                    return

    def _packet_seconds(self) -> float:
        """Length by the time stamps of all packets, without decoding them."""
        with self._opened() as (container, stream):
            ends = [p.pts + p.duration for p in _packets(container, stream) if p.pts is not None and p.duration]
            end = max(ends, default=0)
            return max(0.0, float(end * (stream.time_base or 0)) - (self._origin_seconds or 0.0))

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[av.container.InputContainer, av.AudioStream]]:
        file: IO[bytes] = io.BytesIO(self._source) if isinstance(self._source, bytes) else Path(self._source).open("rb")
        with file:
            try:
                container = av.open(file, options={"format_whitelist": _AV_FORMATS}, metadata_errors="ignore")
            except (av.error.FFmpegError, OSError) as error:
                raise AudioError(
                    f"{_name(self._source)} is not audio that can be opened; expected wav, flac, ogg, mp3, m4a, aac, "
                    "opus, or the sound of mp4, mkv or webm: see whether a player opens it, then convert it to one"
                ) from error
            with container:
                if not container.streams.audio:
                    raise AudioError(
                        f"{_name(self._source)} has no sound in it, only other streams; give a file with sound"
                    )
                yield container, container.streams.audio[0]


def _packets(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.Packet]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            return  # the end, or damaged from here on: it is heard as far as it decodes
        yield packet


def _frames(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
    for packet in _packets(container, stream):
        try:
            decoded = packet.decode()
        except av.error.FFmpegError:
            continue  # a damaged packet, some hundredths of a second: the decoder resumes at the next one
        for frame in decoded:
            if isinstance(frame, av.AudioFrame) and frame.samples:
                yield frame


def _frame_samples(frame: av.AudioFrame) -> Samples:
    frames = frame.to_ndarray()
    if not frame.format.is_planar:
        frames = frames.reshape(-1, frame.layout.nb_channels).T
    kind = frame.format.name.removesuffix("p")
    if kind == "u8":
        frames = frames.astype(np.int16) - 128
    return _mono(frames, axis=0, scale=_INTEGER_SCALES[kind])


def _declared_seconds(container: av.container.InputContainer, stream: av.AudioStream) -> float | None:
    if container.format.name in _NO_DECLARED_LENGTH:
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / av.time_base


@contextlib.contextmanager
def _open(source: Source) -> Iterator[_Reader]:
    """Open a source with the library that hears all of it."""
    _require_file(source)
    with contextlib.ExitStack() as stack:
        reader: _Reader
        try:
            raw = stack.enter_context(io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb"))
            file = stack.enter_context(soundfile.SoundFile(raw))
            reader = _AvReader(source) if file.format == "MP3" else _SoundFileReader(file)
        except PermissionError as error:
            raise AudioError(f"{_name(source)} may not be read; give this user permission to read it") from error
        except (soundfile.LibsndfileError, TypeError):  # TypeError: headerless formats, known by a suffix such as .raw
            reader = _AvReader(source)
        if reader.declared_frames < 1:
            raise AudioError(f"{_name(source)} is audio of zero length; expected at least {MINIMUM_SECONDS} s of sound")
        yield reader


def _require_file(source: Source) -> None:
    if isinstance(source, bytes):
        if not source:
            raise AudioError("the given audio is 0 bytes; expected the bytes of a whole audio file")
        return
    path = Path(source)
    if path.is_dir():
        raise AudioError(f"{path} is a directory; expected an audio file, so give the path of one in it")
    if not path.exists():
        raise AudioError(f"{path} does not exist; expected an audio file, so check the path")
    if not path.is_file():
        raise AudioError(f"{path} is not a regular file; expected an audio file")
    if path.stat().st_size == 0:
        raise AudioError(f"{path} is empty (0 bytes); expected an audio file, so get it again")


def _sample_range(
    source: Source, sample_rate_hz: int, start: float | None, end: float | None
) -> tuple[int, int | None]:
    """The asked piece in samples at the wanted rate."""
    if sample_rate_hz < 1:
        raise AudioError(f"cannot resample to {sample_rate_hz} Hz; expected sample_rate_hz of at least 1")
    begin = 0.0 if start is None else start
    if not (math.isfinite(begin) and begin >= 0) or (end is not None and not (math.isfinite(end) and end > begin)):
        raise AudioError(
            f"{_name(source)}: cannot hear from start {start} s to end {end} s; expected 0 <= start < end, in seconds"
        )
    return round(begin * sample_rate_hz), None if end is None else round(end * sample_rate_hz)


def _require_length(
    source: Source, seconds: float, start: float | None, end: float | None, total_seconds: float
) -> None:
    if seconds < MINIMUM_SECONDS:
        asked = (
            ""
            if start is None and end is None
            else f" between start {start or 0:g} s and end {end or total_seconds:g} s"
        )
        raise AudioError(
            f"{_name(source)} has {max(0.0, seconds):.2f} s of sound{asked} (length {total_seconds:.2f} s); expected at "
            f"least {MINIMUM_SECONDS:g} s, so give a longer piece"
        )


def _silence_error(source: Source, start: float | None, end: float | None) -> AudioError:
    where = "" if start is None and end is None else f" in the piece from {start or 0:g} s to {end or 'its end'}"
    return AudioError(
        f"{_name(source)} is silent{where} (no sample above {SILENCE_PEAK:g} of full scale); expected music, so check "
        "the recording or choose another piece"
    )


def _peak(samples: Samples) -> float:
    return float(np.abs(samples).max(initial=0.0))


def _name(source: Source) -> str:
    return "the given audio" if isinstance(source, bytes) else str(source)
