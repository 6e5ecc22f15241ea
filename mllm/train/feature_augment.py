"""One training example out of one cached clip: a random piece of it, transposed, stretched, coloured, noised, masked.

Everything happens on levels in [0, 1] (decibels on a fixed scale), with labels changed to match. Knows nothing of
networks and files.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mllm.encoders import _cqt_frontend as frontend
from mllm.facts import HIGHEST_TEMPO_BPM, INSTRUMENTS, LOWEST_TEMPO_BPM, TEMPO_CLASSES_BPM, TEMPO_STEP
from mllm.train.feature_store import ACTIVITY, BASS, NO_BASS, PITCH_CLASSES, SEMITONES, CachedClip, FeatureStore

IGNORE = -100
"""Class that no loss looks at."""

_DB = 1.0 / (frontend.HIGHEST_DB - frontend.LOWEST_DB)
_TEMPO_SPREAD = 0.8
"""Standard deviation of the soft tempo label, in classes."""
_HEARD_SECONDS = 0.4
"""An instrument that sounds this long within the piece is one of its instruments."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far training examples may be from the rendered clip; all zero leaves the clip as it is."""

    semitones: int = 6
    """Largest transposition up or down; moves constant-Q bins only."""
    detune_bins: float = 0.6
    """Largest detuning in bins (quarter tones); labels stay."""
    stretch: float = 1.25
    """Largest change of tempo, as a ratio (at least 1)."""
    tilt_db_per_octave: float = 1.5
    """Standard deviation of the spectral slope."""
    gain_db: float = 4.0
    """Largest change of level."""
    noise_share: float = 0.3
    """Share of examples with added noise."""
    mask_share: float = 0.5
    """Share of examples with masked bands and moments."""


NONE = Augmentation(
    semitones=0, detune_bins=0.0, stretch=1.0, tilt_db_per_octave=0.0, gain_db=0.0, noise_share=0.0, mask_share=0.0
)


def example(
    store: FeatureStore, clip: CachedClip, *, slots: int, rng: np.random.Generator, augmentation: Augmentation
) -> dict[str, np.ndarray]:
    """Inputs and targets of `mllm.train.encoder.EncoderTraining` for a random piece of `slots` slots (even).

    A clip that is shorter is repeated from its start where its end is reached.
    """
    ratio = _stretch_ratio(clip, slots, rng, augmentation.stretch)
    wanted = min(clip.slots, int(np.ceil(slots * ratio)) + 1)
    first = int(rng.integers(0, clip.slots - wanted + 1))
    levels, targets, notes = store.read(clip, first, wanted)
    semitones = int(rng.integers(-augmentation.semitones, augmentation.semitones + 1))
    detune = float(rng.uniform(-augmentation.detune_bins, augmentation.detune_bins))

    cqt = _resample(levels[:, : frontend.CQT_BINS], slots, ratio)
    mel = levels[:, frontend.CQT_BINS :].reshape(-1, frontend.MEL_BANDS)
    mel = _resample(mel, slots * frontend.MEL_PER_SLOT, ratio)
    rows = np.floor((np.arange(slots) + 0.5) * ratio).astype(int) % wanted
    targets, notes = targets[rows], notes[rows]
    cqt = _shift_bins(cqt, 2 * semitones + detune)
    _colour(cqt, mel, rng, augmentation)
    if rng.random() < augmentation.mask_share:
        _mask(cqt, mel, rng)

    bass = np.where(targets[:, BASS] == NO_BASS, IGNORE, (targets[:, BASS].astype(np.int64) + semitones) % 12)
    pairs = (slots // frontend.SLOTS_PER_FRAME, frontend.SLOTS_PER_FRAME)
    active = targets[:, ACTIVITY].astype(np.float32)
    tempo = tempo_target(clip.tempo_bpm * ratio)
    return {
        "features": np.concatenate(
            (cqt, mel.reshape(slots, frontend.MEL_PER_SLOT * frontend.MEL_BANDS)), axis=1, dtype=np.float32
        ),
        "tempo": tempo,
        "key": np.int64(IGNORE if clip.key < 0 else (clip.key % 12 + semitones) % 12 + 12 * (clip.key // 12)),
        "meter": np.int64(IGNORE if clip.meter < 0 else clip.meter),
        "instruments": (active.sum(0) >= _HEARD_SECONDS * frontend.SLOTS_PER_SECOND).astype(np.float32),
        "frame_instruments": active.reshape(*pairs, len(INSTRUMENTS)).mean(1),
        "pitch_classes": np.roll(targets[:, PITCH_CLASSES], semitones, axis=1)
        .astype(np.float32)
        .reshape(*pairs, 12)
        .mean(1),
        "bass": bass.reshape(pairs)[:, 0],
        "notes": _transposed(np.bitwise_or.reduce(notes.reshape(*pairs, SEMITONES), axis=1), semitones),
    }


def tempo_target(tempo_bpm: float) -> np.ndarray:
    """Soft label over `facts.TEMPO_CLASSES_BPM`, float32; all zero where the tempo is not known (0) or out of range."""
    if not LOWEST_TEMPO_BPM * 0.98 <= tempo_bpm <= HIGHEST_TEMPO_BPM * 1.02:
        return np.zeros(len(TEMPO_CLASSES_BPM), np.float32)
    steps = np.log(np.array(TEMPO_CLASSES_BPM) / tempo_bpm) / np.log(TEMPO_STEP)
    weights = np.exp(-0.5 * np.square(steps / _TEMPO_SPREAD))
    target: np.ndarray = (weights / weights.sum()).astype(np.float32)
    return target


def _stretch_ratio(clip: CachedClip, slots: int, rng: np.random.Generator, largest: float) -> float:
    """Slots of the clip per slot of the example; above 1 is faster."""
    ratio = float(np.exp(rng.uniform(-np.log(largest), np.log(largest))))
    ratio = min(ratio, max(1 / largest, (clip.slots - 1) / slots))
    if clip.tempo_bpm and not LOWEST_TEMPO_BPM <= clip.tempo_bpm * ratio <= HIGHEST_TEMPO_BPM:
        return 1.0
    return ratio


def _resample(levels: np.ndarray, count: int, ratio: float) -> np.ndarray:
    """Rows read at `ratio` times the speed, by linear interpolation; repeats from the start past the end."""
    positions = (np.arange(count) + 0.5) * ratio - 0.5
    if ratio == 1.0:
        same: np.ndarray = levels[np.arange(count) % len(levels)]
        return same
    low = np.floor(positions).astype(int)
    weight = (positions - low).astype(np.float32)[:, None]
    below: np.ndarray = levels[np.maximum(low, 0) % len(levels)]
    above = levels[(low + 1) % len(levels)]
    below += weight * (above - below)
    return below


def _shift_bins(cqt: np.ndarray, bins: float) -> np.ndarray:
    """Levels moved up by `bins` (fractional); the edge is continued."""
    positions = np.clip(np.arange(cqt.shape[1]) - bins, 0, cqt.shape[1] - 1)
    low = np.minimum(positions.astype(int), cqt.shape[1] - 2)
    weight = (positions - low).astype(np.float32)
    shifted: np.ndarray = cqt[:, low] * (1 - weight) + cqt[:, low + 1] * weight
    return shifted


def _transposed(notes: np.ndarray, semitones: int) -> np.ndarray:
    """Sets of instruments, int64, moved up; nothing comes in at the edge."""
    moved = np.zeros(notes.shape, np.int64)
    source = np.arange(SEMITONES) - semitones
    inside = (source >= 0) & (source < SEMITONES)
    moved[:, inside] = notes[:, source[inside]]
    return moved


_CQT_OCTAVE = np.arange(frontend.CQT_BINS, dtype=np.float32) / frontend.BINS_PER_OCTAVE
_MEL_OCTAVE = np.log2(frontend.mel_centres_hz() / frontend.LOWEST_HZ).astype(np.float32)


def _colour(cqt: np.ndarray, mel: np.ndarray, rng: np.random.Generator, augmentation: Augmentation) -> None:
    """Level, spectral slope, a broad boost or cut, and noise, the same in both parts; in place."""
    gain = rng.uniform(-augmentation.gain_db, augmentation.gain_db)
    slope, bump = rng.normal(0.0, augmentation.tilt_db_per_octave, 2)
    centre = rng.uniform(0.0, 8.0)
    noisy = rng.random() < augmentation.noise_share
    level, noise_slope = rng.uniform(-65.0, -35.0), rng.uniform(-3.0, 1.0)
    for part, octave in ((cqt, _CQT_OCTAVE), (mel, _MEL_OCTAVE)):
        curve = gain + slope * (octave - 4.0) + 3.0 * bump * np.exp(-np.square(octave - centre))
        part += (_DB * curve).astype(np.float32)
        if noisy:
            floor = (level + noise_slope * (octave - 4.0) - frontend.LOWEST_DB) * _DB
            jitter = (5.0 * _DB) * rng.standard_normal(part.shape, dtype=np.float32)
            np.maximum(part, floor.astype(np.float32) + jitter, out=part)
        np.clip(part, 0.0, 1.0, out=part)


def _mask(cqt: np.ndarray, mel: np.ndarray, rng: np.random.Generator) -> None:
    """One band of each part and one moment of both at their mean; in place."""
    for part, widest in ((cqt, 16), (mel, 10)):
        width = int(rng.integers(1, widest))
        start = int(rng.integers(0, part.shape[1] - width))
        part[:, start : start + width] = part.mean()
    width = int(rng.integers(1, 8))
    start = int(rng.integers(0, len(cqt) - width))
    cqt[start : start + width] = cqt.mean()
    mel[frontend.MEL_PER_SLOT * start : frontend.MEL_PER_SLOT * (start + width)] = mel.mean()
