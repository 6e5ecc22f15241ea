"""What happens to a rendered clip between the synthesiser and the file: room, tone, loudness, noise, lossy coding.

In: mono float samples and a random generator. Out: mono float32 samples of the same length. Changes no pitch and no
time, so every label stays exact.
"""

from __future__ import annotations

import io
from typing import cast

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy import signal

Samples = NDArray[np.float32]


def degrade(samples: Samples, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    """A random chain of effects, each in a share of the clips, ending at a peak of 0.3 to 0.95."""
    sound = samples / max(float(np.abs(samples).max()), 1e-6)
    if rng.random() < 0.6:
        sound = room(sound, sample_rate_hz, decay_seconds=rng.uniform(0.15, 1.6), wet=rng.uniform(0.05, 0.4), rng=rng)
    if rng.random() < 0.7:
        sound = tilt(sound, sample_rate_hz, db_per_octave=rng.uniform(-2.5, 2.5))
    if rng.random() < 0.25:
        sound = cut(sound, sample_rate_hz, "lowpass", hz=float(np.exp(rng.uniform(np.log(3000), np.log(10000)))))
    if rng.random() < 0.2:
        sound = cut(sound, sample_rate_hz, "highpass", hz=float(np.exp(rng.uniform(np.log(30), np.log(160)))))
    if rng.random() < 0.4:
        sound = compress(sound, drive=rng.uniform(1.2, 4.0))
    if rng.random() < 0.35:
        sound = add_noise(sound, db=rng.uniform(-70, -35), rng=rng)
    if rng.random() < 0.06:
        sound = through_vorbis(sound, sample_rate_hz, quality=rng.uniform(0.3, 0.95))
    return np.asarray(sound * (rng.uniform(0.3, 0.95) / max(float(np.abs(sound).max()), 1e-6)), dtype=np.float32)


def room(
    samples: Samples, sample_rate_hz: int, *, decay_seconds: float, wet: float, rng: np.random.Generator
) -> Samples:
    """Convolution with decaying noise: `decay_seconds` is the time to -60 dB, `wet` in [0, 1] its share."""
    length = int(decay_seconds * sample_rate_hz)
    time = np.arange(length) / sample_rate_hz
    response = rng.standard_normal(length) * 10 ** (-3 * time / decay_seconds)
    response /= np.sqrt(np.sum(response**2))
    reverberant = signal.oaconvolve(samples, response.astype(np.float32))[: len(samples)]
    return np.asarray((1 - wet) * samples + wet * reverberant, dtype=np.float32)


def tilt(samples: Samples, sample_rate_hz: int, *, db_per_octave: float) -> Samples:
    """A straight slope of the spectrum around 1 kHz, at most 12 dB either way."""
    taps = 255
    frequencies = np.linspace(0, sample_rate_hz / 2, 129)
    octaves = np.log2(np.maximum(frequencies, 60.0) / 1000.0)
    gains = 10 ** (np.clip(db_per_octave * octaves, -12, 12) / 20)
    kernel = signal.firwin2(taps, frequencies, gains, fs=sample_rate_hz)
    return np.asarray(signal.oaconvolve(samples, kernel.astype(np.float32), mode="same"), dtype=np.float32)


def cut(samples: Samples, sample_rate_hz: int, kind: str, *, hz: float) -> Samples:
    """A second-order "lowpass" or "highpass" at `hz`."""
    sections = signal.butter(2, hz, kind, fs=sample_rate_hz, output="sos")
    return np.asarray(signal.sosfilt(sections, samples), dtype=np.float32)


def compress(samples: Samples, *, drive: float) -> Samples:
    """Soft clipping: the louder, the flatter."""
    peak = max(float(np.abs(samples).max()), 1e-6)
    return np.asarray(np.tanh(drive * samples / peak) / np.tanh(drive), dtype=np.float32)


def add_noise(samples: Samples, *, db: float, rng: np.random.Generator) -> Samples:
    """White or brownish noise `db` (negative) relative to full scale."""
    noise = rng.standard_normal(len(samples)).astype(np.float32)
    if rng.random() < 0.5:
        noise = np.asarray(signal.lfilter([0.3], [1, -0.95], noise), dtype=np.float32)
    return np.asarray(samples + noise * 10 ** (db / 20), dtype=np.float32)


def through_vorbis(samples: Samples, sample_rate_hz: int, *, quality: float) -> Samples:
    """Encoded as Ogg Vorbis and decoded again; `quality` in [0, 1], 0 is the best."""
    coded = io.BytesIO()
    peak = max(float(np.abs(samples).max()), 1e-6)
    with soundfile.SoundFile(
        coded, "w", samplerate=sample_rate_hz, channels=1, format="OGG", subtype="VORBIS", compression_level=quality
    ) as file:
        file.write(samples * (0.9 / peak))
    coded.seek(0)
    decoded, _ = soundfile.read(coded, dtype="float32")
    kept = np.zeros(len(samples), dtype=np.float32)
    kept[: min(len(kept), len(decoded))] = decoded[: len(kept)]
    return cast(Samples, kept * (peak / 0.9))
