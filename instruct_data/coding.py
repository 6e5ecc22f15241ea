"""Audio codecs: samples as the bytes of a file, and samples as they sound after a lossy codec.

In: mono float32 samples. Out: bytes of a FLAC, Ogg Opus or Ogg Vorbis file, the same bytes for the same samples; or
samples of the same length with every event where it was: what a codec delays is taken back. Knows no files on disk.
"""

from __future__ import annotations

import io
from typing import cast

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from mllm.errors import ConfigError

Samples = NDArray[np.float32]

SUFFIXES = {"flac": ".flac", "opus": ".opus", "ogg": ".ogg"}
"""Formats of files and the endings of their names."""

_OPUS_KILOBITS = 64
_OPUS_EFFORT = "2"
"""Of 10; 2 takes about half the time of 10."""
_VORBIS_QUALITY = 0.3
_MP3_DELAY = 1105
"""Samples: 576 of the encoder and 529 of any decoder. Files of low bit rates have no room to tell it to the decoder."""
_HEADROOM = 0.9
"""Codecs clip what they make louder than full scale."""


def encode(samples: Samples, sample_rate_hz: int, form: str) -> bytes:
    """The bytes of a file: "flac" (16 bit), "opus" (64 kbit/s) or "ogg" (Vorbis, about 40 kbit/s).

    Raises:
        ConfigError: for another format.
    """
    if form == "flac":
        content = io.BytesIO()
        # As integers: libsndfile takes nearly twice as long for floats.
        whole = np.rint(np.clip(samples, -1.0, 1.0) * np.float32(32767)).astype(np.int16)
        soundfile.write(content, whole, sample_rate_hz, format="FLAC", subtype="PCM_16")
        return content.getvalue()
    if form == "opus":
        return opus(samples, sample_rate_hz, _OPUS_KILOBITS)
    if form == "ogg":
        return _with_fixed_serial(_vorbis(samples, sample_rate_hz, _VORBIS_QUALITY))
    raise ConfigError(f"audio format {form!r} is not known; expected one of {', '.join(SUFFIXES)}")


def through_mp3(samples: Samples, sample_rate_hz: int, *, kilobits: int) -> Samples:
    """Encoded as MP3 of constant bit rate, 8 to 160 kbit/s, and decoded again."""
    scaled, scale = _with_headroom(samples)
    # libsndfile spreads 0 to 1 evenly over the bit rates of MPEG-2 (rates up to 24 kHz), from the highest down.
    level = float(np.clip((160 - kilobits) / (160 - 8), 0.0, 0.98))
    coded = _written(scaled, sample_rate_hz, "MP3", "MPEG_LAYER_III", level, bitrate_mode="CONSTANT")
    with av.open(io.BytesIO(coded), "r") as container:
        decoded = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    delay = _MP3_DELAY if len(decoded) > len(samples) else 0
    return _fitted(decoded[delay:], len(samples)) * scale


def through_opus(samples: Samples, sample_rate_hz: int, *, kilobits: int) -> Samples:
    """Encoded as Opus, 6 to 256 kbit/s, and decoded again; the rate is one that Opus knows, such as 24 kHz."""
    scaled, scale = _with_headroom(samples)
    decoded, _ = soundfile.read(io.BytesIO(opus(scaled, sample_rate_hz, kilobits)), dtype="float32")
    return _fitted(decoded, len(samples)) * scale


def through_vorbis(samples: Samples, sample_rate_hz: int, *, quality: float) -> Samples:
    """Encoded as Ogg Vorbis and decoded again; `quality` in [0, 1], 0 is the best."""
    scaled, scale = _with_headroom(samples)
    decoded, _ = soundfile.read(io.BytesIO(_vorbis(scaled, sample_rate_hz, quality)), dtype="float32")
    return _fitted(decoded, len(samples)) * scale


def opus(samples: Samples, sample_rate_hz: int, kilobits: int) -> bytes:
    """The bytes of an Ogg Opus file, 6 to 256 kbit/s; the rate is one that Opus knows, such as 24 kHz."""
    content = io.BytesIO()
    # Without "bitexact" the streams of a file would have a random number.
    with av.open(content, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=sample_rate_hz, layout="mono")
        stream.bit_rate = 1000 * kilobits
        stream.options = {"compression_level": _OPUS_EFFORT}
        stream.codec_context.format = "flt"
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts = sample_rate_hz, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return content.getvalue()


def _vorbis(samples: Samples, sample_rate_hz: int, quality: float) -> bytes:
    return _written(samples, sample_rate_hz, "OGG", "VORBIS", quality)


def _with_fixed_serial(ogg: bytes) -> bytes:
    """The same packets in a file that has no random number in it; libsndfile writes one."""
    content = io.BytesIO()
    with (
        av.open(io.BytesIO(ogg), "r") as given,
        av.open(content, "w", format="ogg", options={"fflags": "+bitexact"}) as container,
    ):
        source = given.streams.audio[0]
        stream = container.add_stream_from_template(source)
        for packet in given.demux(source):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    return content.getvalue()


def _written(
    samples: Samples, sample_rate_hz: int, form: str, subtype: str, level: float, *, bitrate_mode: str | None = None
) -> bytes:
    content = io.BytesIO()
    with soundfile.SoundFile(
        content,
        "w",
        samplerate=sample_rate_hz,
        channels=1,
        format=form,
        subtype=subtype,
        compression_level=level,
        bitrate_mode=bitrate_mode,
    ) as file:
        # In one piece, minutes of Vorbis end the process: the encoder lays what it is given on the stack.
        for start in range(0, len(samples), sample_rate_hz):
            file.write(samples[start : start + sample_rate_hz])
    return content.getvalue()


def _with_headroom(samples: Samples) -> tuple[Samples, np.float32]:
    scale = np.float32(max(float(np.abs(samples).max(initial=0.0)), 1e-6) / _HEADROOM)
    return np.asarray(samples / scale, dtype=np.float32), scale


def _fitted(decoded: Samples, count: int) -> Samples:
    kept = np.zeros(count, dtype=np.float32)
    kept[: min(count, len(decoded))] = decoded[:count]
    return cast(Samples, kept)
