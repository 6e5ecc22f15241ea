"""One example for the instrument networks out of stems: a random mixture, as a recording of it might sound.

In: a store of stems and a random generator. Out: mel levels in [0, 1], which instruments they hold, and which of these
can be judged. Sounds of different players add up in power, so that levels of stems can be changed and mixed as the
sounds themselves would be: each stem gets its own loudness, equalisation and pitch, the mixture a room, a slope, a
narrower band and noise. No two examples have the same colours, whatever the number of sound fonts.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import torch
from scipy import signal

from mllm.encoders import _cqt_frontend as frontend
from mllm.facts import INSTRUMENTS
from mllm.train.stem_store import Stems, StemStore

_RANGE_DB = frontend.HIGHEST_DB - frontend.LOWEST_DB
_OCTAVES = np.log2(frontend.mel_centres_hz() / 1000.0).astype(np.float32)
"""Centre of each band, octaves from 1 kHz."""
_HEARD_FRAMES = round(0.4 * frontend.MEL_FRAMES_PER_SECOND)
"""A stem that is loud for so many frames of a piece plays in it."""
_FRAMES_A_MOMENT = 8
_RESTING = 1e-3
"""Share of a stem's highest power below which it rests."""
_POWER = (10.0 ** (0.1 * (frontend.LOWEST_DB + _RANGE_DB * np.arange(256) / 255.0))).astype(np.float32)
_CURVES = 5
_TO_DB = np.float32(10.0 / np.log(10.0))
"""Decibels of a power, from its natural logarithm."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixing:
    """How far a mixture may be from the clip that the stems are of."""

    drop_share: float = 0.12
    """Share of stems that are left out of a mixture."""
    few_share: float = 0.3
    """Share of mixtures of one stem, two or three: what a timbre is shows in these first."""
    guest_share: float = 0.15
    """Share of mixtures with one stem of another clip."""
    gain_db: float = 2.5
    """Standard deviation of each stem's change of loudness."""
    equalisation_db: float = 2.0
    """Standard deviation of each of five random curves over the bands, drawn for each stem."""
    semitones: float = 1.5
    """Standard deviation of each stem's change of pitch and formants, in half of the stems."""
    inaudible_db: float = -22.0
    """A stem this far below the mixture is not judged."""


def mixed(
    store: StemStore, clip: Stems, *, frames: int, rng: np.random.Generator, mixing: Mixing
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A random piece of a random mixture of `clip`; `frames` is a multiple of 8.

    Returns:
        Mel levels (frames, 64), 1 for each instrument of `facts.INSTRUMENTS` that plays (17,), 1 for each of which
        that can be said (17,), and the share of each eight frames in which it sounds (frames / 8, 17); float32.
    """
    total = np.zeros((frames, frontend.MEL_BANDS), np.float32)
    parts: list[tuple[int, float, np.ndarray]] = []
    loudness = 0.0
    for source, stem in _chosen(store, clip, rng, mixing):
        levels = store.read(source)[stem]
        first = int(rng.integers(0, max(1, len(levels) - frames + 1)))
        piece = levels[np.arange(first, first + frames) % len(levels)]
        sounds = _sounds(piece, levels)
        gain_db = source.gains_db[stem] + rng.normal(0.0, mixing.gain_db)
        power = _varied(piece, gain_db, rng, mixing)
        loudness += 10.0 ** (0.1 * gain_db)
        parts.append((source.instruments[stem], float(power.sum()), sounds))
        total += power
    labels = np.zeros(len(INSTRUMENTS), np.float32)
    weights = np.ones(len(INSTRUMENTS), np.float32)
    quietest = float(total.sum()) * 10.0 ** (0.1 * mixing.inaudible_db)
    moments = np.zeros((frames // _FRAMES_A_MOMENT, len(INSTRUMENTS)), np.float32)
    for instrument, power_sum, sounds in parts:
        if sounds.sum() >= _HEARD_FRAMES and power_sum >= quietest:
            labels[instrument] = 1.0
            share = sounds.reshape(-1, _FRAMES_A_MOMENT).mean(1)
            moments[:, instrument] = np.maximum(moments[:, instrument], share)
    for instrument, power_sum, sounds in parts:
        if sounds.sum() >= _HEARD_FRAMES and power_sum < quietest and not labels[instrument]:
            weights[instrument] = 0.0
    return _recorded(total / np.float32(max(loudness, 1e-12)), rng), labels, weights, moments


def _chosen(store: StemStore, clip: Stems, rng: np.random.Generator, mixing: Mixing) -> list[tuple[Stems, int]]:
    """Clips and numbers of the stems of a mixture; the stems of one clip start together only by chance."""
    kept = [stem for stem in range(len(clip.instruments)) if rng.random() >= mixing.drop_share]
    if rng.random() < mixing.few_share:
        kept = rng.permutation(kept)[: int(rng.integers(1, 4))].tolist()
    chosen = [(clip, stem) for stem in kept or [int(rng.integers(len(clip.instruments)))]]
    if rng.random() < mixing.guest_share:
        guest = store.clips[int(rng.integers(len(store.clips)))]
        chosen.append((guest, int(rng.integers(len(guest.instruments)))))
    return chosen


def _sounds(piece: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Whether the stem sounds in each frame of a piece of it, (frames,)."""
    loudest = float(_POWER[whole[:: 1 + len(whole) // 300]].sum(1).max())
    result: np.ndarray = _POWER[piece].sum(1) > _RESTING * loudest
    return result


def _varied(piece: np.ndarray, gain_db: float, rng: np.random.Generator, mixing: Mixing) -> np.ndarray:
    """Power of a piece of a stem after its own changes, (frames, 64)."""
    curve = gain_db + mixing.equalisation_db * rng.standard_normal(_CURVES).astype(np.float32) @ _curves()
    levels = piece.astype(np.float32)
    if rng.random() < 0.5:
        levels = levels @ _warp(float(np.clip(rng.normal(0.0, mixing.semitones), -4.0, 4.0)))
    decibels = levels * np.float32(_RANGE_DB / 255.0) + (curve + frontend.LOWEST_DB).astype(np.float32)
    power: np.ndarray = np.exp(decibels / _TO_DB)
    return power


@functools.cache
def _curves() -> np.ndarray:
    """Smooth curves over the bands, (`_CURVES`, 64); the level itself is none of them."""
    place = np.arange(frontend.MEL_BANDS, dtype=np.float32) / frontend.MEL_BANDS
    curves: np.ndarray = np.stack([np.cos(np.pi * count * place) for count in (1, 2, 3, 4, 6)])
    return curves.astype(np.float32)


@functools.lru_cache(maxsize=256)
def _warp_of(steps: int) -> np.ndarray:
    """Matrix that moves levels up by `steps` / 8 semitones."""
    centres = np.log2(frontend.mel_centres_hz())
    source = np.interp(centres - steps / 96.0, centres, np.arange(len(centres)))
    low = np.minimum(source.astype(int), len(centres) - 2)
    matrix = np.zeros((len(centres), len(centres)), np.float32)
    columns = np.arange(len(centres))
    matrix[low, columns] = 1.0 - (source - low)
    matrix[low + 1, columns] += source - low
    return matrix


def _warp(semitones: float) -> np.ndarray:
    return _warp_of(round(8.0 * semitones))


def _recorded(power: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Levels in [0, 1] of a mixture in a room, through a channel, with noise."""
    if rng.random() < 0.6:
        power = _in_room(power, decay_seconds=rng.uniform(0.15, 1.6), wet=rng.uniform(0.05, 0.4))
    decibels = _TO_DB * np.log(power + np.float32(1e-12)) + _channel_db(rng)
    if rng.random() < 0.4:  # soft clipping flattens what is loud
        loudness = _TO_DB * np.log(power.sum(1, keepdims=True) + np.float32(1e-9))
        decibels -= np.float32(rng.uniform(0.0, 0.35)) * np.maximum(loudness - np.median(loudness), np.float32(0.0))
    if rng.random() < 0.35:
        noise = rng.uniform(-62.0, -22.0) + _noise_db() + rng.uniform(-5.0, 0.0) * np.maximum(_OCTAVES + 2.0, 0.0)
        jitter = np.float32(0.25) * rng.standard_exponential(decibels.shape, dtype=np.float32) + np.float32(0.75)
        noise_power = (10.0 ** (0.1 * noise)).astype(np.float32)
        decibels = _TO_DB * np.log(np.exp(decibels / _TO_DB) + jitter * noise_power)
    levels = (decibels - np.float32(frontend.LOWEST_DB)) * np.float32(1.0 / _RANGE_DB)
    result: np.ndarray = np.clip(levels, 0.0, 1.0)
    return result


def _in_room(power: np.ndarray, *, decay_seconds: float, wet: float) -> np.ndarray:
    """Power with a decaying tail: 60 dB less after `decay_seconds`."""
    keep = 10.0 ** (-6.0 / (decay_seconds * frontend.MEL_FRAMES_PER_SECOND))
    ratio = np.array([1.0, -keep], np.float32)
    tail = signal.lfilter(np.array([1.0 - keep], np.float32), ratio, power, axis=0)
    mixture: np.ndarray = np.float32((1.0 - wet) ** 2) * power + np.float32(wet**2) * tail
    return mixture


def _channel_db(rng: np.random.Generator) -> np.ndarray:
    """Slope, a broad boost or cut, and a narrower band, as a curve over the bands in dB."""
    curve = rng.normal(0.0, 1.0) + np.clip(rng.normal(0.0, 1.8) * _OCTAVES, -12.0, 12.0)
    curve = curve + rng.normal(0.0, 4.0) * np.exp(-np.square(_OCTAVES - rng.uniform(-4.0, 3.0)))
    if rng.random() < 0.25:
        curve = curve - 10.0 * np.log10(1.0 + 2.0 ** (4.0 * (_OCTAVES - np.log2(rng.uniform(2.5, 10.0)))))
    if rng.random() < 0.2:
        curve = curve - 10.0 * np.log10(1.0 + 2.0 ** (-4.0 * (_OCTAVES - np.log2(rng.uniform(0.03, 0.16)))))
    result: np.ndarray = curve.astype(np.float32)
    return result


@functools.cache
def _noise_db() -> np.ndarray:
    """Mean level of each band for white noise of unit loudness, in dB."""
    noise = np.random.default_rng(0).standard_normal((1, 2 * frontend.SAMPLE_RATE_HZ)).astype(np.float32)
    levels = frontend.FrontEnd().mel_levels(torch.from_numpy(noise))[0].numpy()
    result: np.ndarray = frontend.LOWEST_DB + _RANGE_DB * levels.mean(0)
    return result
