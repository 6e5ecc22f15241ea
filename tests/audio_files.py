"""Audio files for tests: a tone in every format that the project names, written with soundfile or PyAV."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile

RATE = 24_000
"""Rate that tests ask for, in Hz."""
SOUND_FILE_FORMATS = {
    "wav 8": ("x.wav", "WAV", "PCM_U8", 0.02),
    "wav 16": ("x.wav", "WAV", "PCM_16", 1e-3),
    "wav 24": ("x.wav", "WAV", "PCM_24", 1e-3),
    "wav 32": ("x.wav", "WAV", "PCM_32", 1e-3),
    "wav float": ("x.wav", "WAV", "FLOAT", 1e-3),
    "wav double": ("x.wav", "WAV", "DOUBLE", 1e-3),
    "flac": ("x.flac", "FLAC", "PCM_16", 1e-3),
    "ogg": ("x.ogg", "OGG", "VORBIS", 0.05),
    "mp3": ("x.mp3", "MP3", "MPEG_LAYER_III", 0.05),
}
AV_FORMATS = {
    "m4a": ("x.m4a", "aac"),
    "aac": ("x.aac", "aac"),
    "opus": ("x.opus", "libopus"),
    "mp4": ("x.mp4", "aac"),
    "mkv": ("x.mkv", "flac"),
    "webm": ("x.webm", "libopus"),
}
ALL_FORMATS = [*SOUND_FILE_FORMATS, *AV_FORMATS]


def tone(seconds: float, sample_rate_hz: int, channels: int = 1, hertz: float = 440.0) -> npt.NDArray[np.float32]:
    """A tone whose loudness swells once in 7 s, so that every place in it sounds different; (samples, channels)."""
    times = np.arange(round(seconds * sample_rate_hz)) / sample_rate_hz
    wave = 0.5 * np.sin(2 * np.pi * hertz * times) * (0.6 + 0.4 * np.sin(2 * np.pi * times / 7))
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def write_with_av(
    path: Path,
    codec: str,
    frames: npt.NDArray[np.float32],
    sample_rate_hz: int,
    *,
    codec_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> None:
    """Writes `frames` (samples, channels) with ffmpeg's encoder called `codec`; options are those of ffmpeg."""
    layout = "mono" if frames.shape[1] == 1 else "stereo"
    with av.open(str(path), "w", container_options=container_options) as container:
        stream = container.add_stream(codec, rate=sample_rate_hz, options=codec_options, layout=layout)
        assert isinstance(stream, av.AudioStream)
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=sample_rate_hz)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(frames.T), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = sample_rate_hz, 0, Fraction(1, sample_rate_hz)
        fifo = av.AudioFifo()
        for converted in resampler.resample(frame):
            fifo.write(converted)
        size = stream.codec_context.frame_size or 1024
        while (piece := fifo.read(size, partial=True)) is not None:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


def make(folder: Path, name: str, seconds: float, sample_rate_hz: int = 48_000, channels: int = 2) -> Path:
    """A file of `tone` in the format called `name`."""
    frames = tone(seconds, sample_rate_hz, channels)
    if name in SOUND_FILE_FORMATS:
        file_name, format_name, subtype, _ = SOUND_FILE_FORMATS[name]
        soundfile.write(folder / file_name, frames, sample_rate_hz, format=format_name, subtype=subtype)
        return folder / file_name
    file_name, codec = AV_FORMATS[name]
    write_with_av(folder / file_name, codec, frames, sample_rate_hz)
    return folder / file_name
