"""What happens to rendered music between the synthesiser and the file: room, tone, loudness, noise, lossy coding.

In: mono float samples and a random generator. Out: mono float32 samples of the same length. Changes no pitch and no
time, so every label stays exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from mllm.instruct_data import coding

Samples = NDArray[np.float32]

NOISES = ("white", "pink", "brown", "hiss", "hum", "crackle", "murmur")
"""Kinds of background noise: three slopes of the spectrum, a tape, mains, a worn record, people in the next room."""

_EQUALISER_TAPS = 511
_BANDS_HZ = (60.0, 120.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
_BLOCK = 2048
"""Samples between which slow changes are straight lines."""
_PINK_NUMERATOR = (0.049922035, -0.095993537, 0.050612699, -0.004408786)
_PINK_DENOMINATOR = (1.0, -2.494956002, 2.017265875, -0.522189400)
"""A filter of third order whose slope is 3 dB an octave within 0.3 dB (J. O. Smith, "Spectral Audio Signal
Processing", 2011)."""


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
        sound = coding.through_vorbis(sound, sample_rate_hz, quality=rng.uniform(0.3, 0.95))
    return np.asarray(sound * (rng.uniform(0.3, 0.95) / max(float(np.abs(sound).max()), 1e-6)), dtype=np.float32)


def record(samples: Samples, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    """How a piece may have been recorded and handed on: a random chain of effects that ends at a peak of 0.3 to 1.

    One piece in six stays as it is, but for its level.
    """
    sound = _at_peak(samples, 1.0)
    if rng.random() < 1 / 6:
        return _at_peak(sound, rng.uniform(0.3, 0.95))
    if rng.random() < 0.6:
        sound = room(sound, sample_rate_hz, decay_seconds=rng.uniform(0.15, 1.6), wet=rng.uniform(0.05, 0.35), rng=rng)
    if rng.random() < 0.6:
        sound = equalise(sound, sample_rate_hz, bands=draw_bands(rng))
    if rng.random() < 0.2:
        sound = cut(sound, sample_rate_hz, "lowpass", hz=float(np.exp(rng.uniform(np.log(3000), np.log(10000)))))
    if rng.random() < 0.2:
        sound = cut(sound, sample_rate_hz, "highpass", hz=float(np.exp(rng.uniform(np.log(30), np.log(160)))))
    if rng.random() < 0.3:
        sound = compress(sound, drive=rng.uniform(1.2, 4.0))
    if rng.random() < 0.35:
        kind = str(rng.choice(NOISES))
        sound = add_background(_at_peak(sound, 1.0), sample_rate_hz, kind, db=rng.uniform(-65, -36), rng=rng)
    if rng.random() < 0.1:
        sound = clip_hard(sound, over_db=rng.uniform(1.0, 9.0))
    sound = _coded(sound, sample_rate_hz, rng)
    return _at_peak(sound, rng.uniform(0.3, 1.0) if rng.random() < 0.7 else 0.999)


def _coded(sound: Samples, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    draw = rng.random()
    if draw < 0.03:
        return coding.through_mp3(sound, sample_rate_hz, kilobits=int(rng.choice([16, 24, 32, 48, 64])))
    if draw < 0.06:
        return coding.through_opus(sound, sample_rate_hz, kilobits=int(rng.choice([8, 12, 16, 24, 32])))
    if draw < 0.09:
        return coding.through_vorbis(sound, sample_rate_hz, quality=rng.uniform(0.3, 0.95))
    return sound


def _at_peak(samples: Samples, peak: float) -> Samples:
    return np.asarray(samples * np.float32(peak / max(float(np.abs(samples).max(initial=0.0)), 1e-6)), dtype=np.float32)


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


def draw_bands(rng: np.random.Generator) -> list[tuple[float, float]]:
    """Random gains of an equaliser's bands, (Hz, dB): a slope and bumps around it."""
    slope, bumps = rng.uniform(-2.0, 2.0), rng.normal(0.0, 2.0, len(_BANDS_HZ))
    octaves = np.log2(np.array(_BANDS_HZ) / 1000.0)
    gains = np.clip(slope * octaves + bumps, -12.0, 12.0)
    return [(hz, float(gain)) for hz, gain in zip(_BANDS_HZ, gains, strict=True)]


def equalise(samples: Samples, sample_rate_hz: int, *, bands: Sequence[tuple[float, float]]) -> Samples:
    """Gains at frequencies, (Hz, dB) with rising Hz, straight lines between over the logarithm of frequency.

    The filter is symmetric in time: nothing is moved.
    """
    frequencies = np.linspace(0, sample_rate_hz / 2, 513)
    known, gains = zip(*bands, strict=True)
    decibels = np.interp(np.log(np.maximum(frequencies, 1.0)), np.log(known), gains)
    kernel = signal.firwin2(_EQUALISER_TAPS, frequencies, 10 ** (decibels / 20), fs=sample_rate_hz)
    return np.asarray(signal.oaconvolve(samples, kernel.astype(np.float32), mode="same"), dtype=np.float32)


def clip_hard(samples: Samples, *, over_db: float) -> Samples:
    """Too hot by `over_db`: what would be above full scale is cut off flat."""
    return np.asarray(np.clip(_at_peak(samples, 10 ** (over_db / 20)), -1.0, 1.0), dtype=np.float32)


def add_background(samples: Samples, sample_rate_hz: int, kind: str, *, db: float, rng: np.random.Generator) -> Samples:
    """Background noise of one of `NOISES`; its mean power is `db` (negative) relative to full scale."""
    noise = _noise(kind, len(samples), sample_rate_hz, rng)
    power = float(np.sqrt(np.mean(np.square(noise)))) if len(noise) else 1.0
    return np.asarray(samples + noise * np.float32(10 ** (db / 20) / max(power, 1e-9)), dtype=np.float32)


def _noise(kind: str, count: int, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    if kind == "hum":
        time = np.arange(count, dtype=np.float32) / np.float32(sample_rate_hz)
        mains = float(rng.choice([50.0, 60.0]))
        harmonics = enumerate(rng.uniform(0.1, 1.0, 5), start=1)
        tones = [strength * np.sin(np.float32(2 * np.pi * mains * number) * time) for number, strength in harmonics]
        return np.asarray(sum(tones), dtype=np.float32)
    if kind == "crackle":
        clicks = np.zeros(count, dtype=np.float32)
        places = rng.integers(0, max(count, 1), int(count / sample_rate_hz * rng.uniform(3, 25)))
        clicks[places] = rng.normal(0.0, 1.0, len(places)) ** 3
        return np.asarray(signal.lfilter([1.0], [1.0, -0.6], clicks), dtype=np.float32)
    white = rng.standard_normal(count, dtype=np.float32)
    if kind == "pink":
        return np.asarray(signal.lfilter(_PINK_NUMERATOR, _PINK_DENOMINATOR, white), dtype=np.float32)
    if kind == "brown":
        return np.asarray(signal.lfilter([0.05], [1.0, -0.995], white), dtype=np.float32)
    if kind == "hiss":
        return cut(white, sample_rate_hz, "highpass", hz=2500.0)
    if kind == "murmur":
        speech = cut(cut(white, sample_rate_hz, "lowpass", hz=900.0), sample_rate_hz, "highpass", hz=200.0)
        swells = rng.uniform(0.2, 1.0, count // _BLOCK + 2)
        return np.asarray(speech * np.interp(np.arange(count) / _BLOCK, np.arange(len(swells)), swells), np.float32)
    return white
