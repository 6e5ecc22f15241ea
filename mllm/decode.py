"""Opens audio files and decodes them: a path or bytes in, mono float32 blocks at the file's own rate out.

Libsndfile opens what it can; PyAV opens the rest (m4a, aac, the sound of mp4, mkv and webm) and mp3, because libsndfile
silently ends a variable-rate mp3 without a length header at its guessed length. Decoding streams: a long file never
lies in memory whole. Serves `mllm.audio` only; knows nothing of wanted rates or windows.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias

import av
import numpy as np
import numpy.typing as npt
import soundfile

from mllm import mpeg_frames, truncation
from mllm.errors import AudioError, NotAudioError

Samples: TypeAlias = npt.NDArray[np.float32]
"""Mono samples (W,), nominally in [-1, 1]."""
Source: TypeAlias = str | os.PathLike[str] | bytes
"""A path, or the bytes of a whole audio file."""

_BLOCK_FRAMES = 65_536
_PREROLL_SECONDS = 0.5
"""How much earlier a lossy decoder is started than wanted, so that its state has settled."""
_TOLERATED_SECONDS, _TOLERATED_PART = 0.5, 0.01
"""An mp3 may announce so many seconds and such a part more than it holds: nobody corrects it after trimming."""
_DELAY_SECONDS = 0.15
"""An mp3's length header counts the delay of encoder and decoder, the time stamps do not (0.14 s at 8 kHz, 0.03 s at
44.1 kHz)."""
_NO_DECLARED_LENGTH = frozenset({"aac", "ac3", "amr", "eac3", "loas", "mp3"})
"""Formats of PyAV whose length is only guessed until all packets have been read."""
_AV_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,loas,m4a,matroska,mov,mp3,mp4,mpeg,mpegts,"
    "ogg,tta,w64,wav,webm,wv"
)
"""What PyAV may take a file for; playlists, which could make it open other files or addresses, are left out."""
_FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "flt": 1.0, "dbl": 1.0}
"""The sample value that means 1.0, by PyAV's name of the sample format."""


class Reader(Protocol):
    """A file that can be opened: its facts, and its sound as mono blocks at its own rate.

    Each reading opens the file anew, so that none depends on the state that another left a decoder in.
    """

    name: str
    """How a message calls it."""
    sample_rate_hz: int
    """Samples a second, in the file."""
    channels: int
    """Number of channels, in the file."""
    declared_frames: int
    """Length that the file declares; a damaged file may hold less."""

    def blocks(self, first: int, last: int | None) -> Iterator[Samples]:
        """The frames `first` (>= 0) to `last` (exclusive; None: to the end), fewer if the file ends before."""

    def require_whole(self) -> None:
        """Raise an AudioError if the file was cut off, as far as its frames tell; cheap, however long it is."""


def open_audio(source: Source) -> Reader:
    """Open a source with the library that hears all of it.

    Raises:
        AudioError: for a missing file, a directory, an empty file, anything that is not audio, zero length, or a file
            that was cut off.
    """
    _require_file(source)
    reader: Reader
    try:
        with _raw(source) as file:
            missing = truncation.missing(file)
            is_stream = truncation.announces_no_length(file)
        if missing:
            raise _cut_off(source, missing)
        reader = _AvReader(source) if is_stream or _may_be_mp3(source) else _SoundFileReader(source)
    except PermissionError as error:
        raise AudioError(f"{name_of(source)} may not be read; give this user permission to read it") from error
    except (soundfile.LibsndfileError, TypeError):  # TypeError: headerless formats, known by a suffix such as .raw
        reader = _AvReader(source)
    if reader.declared_frames < 1:
        raise AudioError(f"{name_of(source)} is audio of zero length; expected some seconds of music")
    reader.require_whole()
    return reader


def between(blocks: Iterable[Samples], position: int, first: int, last: int | None) -> Iterator[Samples]:
    """What of a stream of blocks that starts at sample `position` lies in [first, last)."""
    for block in blocks:
        piece = block[max(0, first - position) : None if last is None else max(0, last - position)]
        position += len(block)
        if len(piece):
            yield piece
        if last is not None and position >= last:
            return


def name_of(source: Source) -> str:
    """How a message calls a source."""
    return "the given audio" if isinstance(source, bytes) else os.fspath(source)


def _cut_off(source: Source, missing: str) -> AudioError:
    return AudioError(
        f"{name_of(source)} was cut off: {missing}; expected a whole file, so copy it again from its source or "
        "re-encode what can still be played, e.g. with ffmpeg"
    )


def _raw(source: Source) -> IO[bytes]:
    return io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb")


def _may_be_mp3(source: Source) -> bool:
    """Whether it starts with an ID3 tag or with the eleven set bits of an MPEG frame (raw aac does, too)."""
    with _raw(source) as file:
        beginning = file.read(3)
    return beginning == b"ID3" or (len(beginning) > 1 and beginning[0] == 0xFF and beginning[1] >= 0xE0)


@contextlib.contextmanager
def _sound_file(source: Source) -> Iterator[soundfile.SoundFile]:
    with _raw(source) as raw, soundfile.SoundFile(raw) as file:
        yield file


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


class _SoundFileReader:
    """A file that libsndfile opens."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.name = name_of(source)
        with _sound_file(source) as file:
            self.sample_rate_hz: int = file.samplerate
            self.channels: int = file.channels
            self.declared_frames: int = file.frames
            self._format: str = file.format

    def blocks(self, first: int, last: int | None) -> Iterator[Samples]:
        stop = self.declared_frames if last is None else min(last, self.declared_frames)
        if first >= stop:
            return
        with _sound_file(self._source) as file:
            try:
                file.seek(first)
                while first < stop:
                    block = file.read(min(_BLOCK_FRAMES, stop - first), dtype="float32", always_2d=True)
                    if not len(block):
                        return
                    first += len(block)
                    yield _mono(block, axis=1)
            except soundfile.LibsndfileError:
                return  # damaged from here on: it is heard as far as it decodes

    def require_whole(self) -> None:
        """The last sample of a flac must be there; of other formats libsndfile counts what is there."""
        if self._format != "FLAC" or self._reaches(self.declared_frames - 1):
            return
        announced_seconds = self.declared_frames / self.sample_rate_hz
        there_seconds = _AvReader(self._source).packet_seconds(from_seconds=announced_seconds - 1)
        raise _cut_off(
            self._source, f"its header announces {announced_seconds:.2f} s, of which {there_seconds:.2f} s are there"
        )

    def _reaches(self, frame: int) -> bool:
        with _sound_file(self._source) as file:
            try:
                file.seek(frame)
                return len(file.read(1)) == 1
            except soundfile.LibsndfileError:
                return False


class _AvReader:
    """A file that PyAV opens.

    A piece that starts late is sought, not decoded from the beginning; its place is then as exact as the file's own
    time stamps (Matroska and webm: 1 ms; others: one sample).
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.name = name_of(source)
        with self._opened() as (container, stream):
            first_frame = next(_frames(container, stream), None)
            if first_frame is None:
                raise AudioError(
                    f"{name_of(source)} holds no sound that can be decoded; it may be cut off or damaged: get it again"
                )
            self.sample_rate_hz: int = first_frame.sample_rate
            self.channels: int = first_frame.layout.nb_channels
            self._kind = _kind(first_frame)
            self._origin_seconds: float | None = first_frame.time
            seconds = _declared_seconds(container, stream)
        if seconds is None:
            seconds = self.packet_seconds()
        self.declared_frames = round(seconds * self.sample_rate_hz)

    def blocks(self, first: int, last: int | None) -> Iterator[Samples]:
        with self._opened() as (container, stream):
            position: int | None = 0
            origin_seconds = self._origin_seconds
            target_seconds = first / self.sample_rate_hz - _PREROLL_SECONDS
            if target_seconds > 0 and origin_seconds is not None and stream.time_base is not None:
                container.seek(int((target_seconds + origin_seconds) / stream.time_base), stream=stream)
                position = None
            gathered = av.AudioFifo()  # a decoder gives some hundreds of samples at a time: too few to work on
            for frame in _frames(container, stream):
                if position is None and frame.time is not None and origin_seconds is not None:
                    position = round((frame.time - origin_seconds) * self.sample_rate_hz)
                if position is None or _kind(frame) != self._kind:
                    continue
                frame.pts = None  # the queue counts by itself
                gathered.write(frame)
                enough = last is not None and position + gathered.samples >= last
                if enough or gathered.samples >= _BLOCK_FRAMES:
                    block = _samples(gathered.read())
                    yield from between([block], position, first, last)
                    position += len(block)
                if enough:
                    return
            if position is not None:
                yield from between([_samples(gathered.read())], position, first, last)

    def require_whole(self) -> None:
        """The last frame of an mp3 or raw aac must be whole, and an mp3 as long as its length header announces.

        A length header that agrees with what is there outweighs a last frame that is not whole.
        """
        if not _may_be_mp3(self._source):
            return
        there_seconds = self.declared_frames / self.sample_rate_hz
        with _raw(self._source) as file:
            announced_seconds = mpeg_frames.announced_seconds(file)
            incomplete = mpeg_frames.incomplete_last_frame(file)
        if announced_seconds is not None:
            lacking_seconds = announced_seconds - there_seconds
            tolerated_seconds = max(_TOLERATED_SECONDS, _TOLERATED_PART * announced_seconds)
            if lacking_seconds > (_DELAY_SECONDS if incomplete else tolerated_seconds):
                raise _cut_off(
                    self._source,
                    f"its header announces {announced_seconds:.2f} s, of which {there_seconds:.2f} s are there",
                )
        elif incomplete:
            there_bytes, frame_bytes = incomplete
            raise _cut_off(
                self._source,
                f"{there_seconds:.2f} s are there, and of the last frame {there_bytes} of {frame_bytes} bytes",
            )

    def packet_seconds(self, *, from_seconds: float = 0.0) -> float:
        """Length by the time stamps of the packets, undecoded: of all, or of those that a player seeks from there."""
        with self._opened() as (container, stream):
            if from_seconds > 0 and stream.time_base is not None:
                container.seek(int(from_seconds / stream.time_base), stream=stream)
            ends = (p.pts + p.duration for p in _packets(container, stream) if p.pts is not None and p.duration)
            seconds = float(max(ends, default=0) * (stream.time_base or 0))
            return max(0.0, seconds - (self._origin_seconds or 0.0))

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[av.container.InputContainer, av.AudioStream]]:
        with _raw(self._source) as file:
            options = {"format_whitelist": _AV_FORMATS}
            try:
                container = av.open(file, mode="r", options=options, metadata_errors="ignore")
            except (av.error.FFmpegError, OSError) as error:
                raise NotAudioError(
                    f"{self.name} is not audio that can be opened; expected wav, flac, ogg, mp3, m4a, aac, "
                    "opus, or the sound of mp4, mkv or webm: see whether a player opens it, then convert it to one"
                ) from error
            with container:
                if not container.streams.audio:
                    raise NotAudioError(f"{self.name} has no sound in it, only other streams; expected music")
                yield container, container.streams.audio[0]


def _packets(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.Packet[av.AudioStream]]:
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
        yield from (frame for frame in decoded if frame.samples)


def _kind(frame: av.AudioFrame) -> tuple[int, str, str]:
    """What must stay the same through a stream."""
    return frame.sample_rate, frame.layout.name, frame.format.name


def _samples(frame: av.AudioFrame | None) -> Samples:
    if frame is None:
        return np.zeros(0, np.float32)
    frames: npt.NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        frames = frames.reshape(-1, frame.layout.nb_channels).T
    kind = frame.format.name.removesuffix("p")
    if kind == "u8":
        frames = frames.astype(np.int16) - 128
    return _mono(frames, axis=0, full_scale=_FULL_SCALE[kind])


def _mono(frames: npt.NDArray[Any], *, axis: int, full_scale: float = 1.0) -> Samples:
    """Mean over the channels as float32; a value too large for float32 becomes infinite, which the caller reports."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean: Samples = frames.mean(axis=axis, dtype=np.float32)
    return mean if full_scale == 1.0 else mean / np.float32(full_scale)


def _declared_seconds(container: av.container.InputContainer, stream: av.AudioStream) -> float | None:
    if container.format.name in _NO_DECLARED_LENGTH:
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / av.time_base
