"""What a recording sounds like, in few bits: finds the same recording in another coding, at another loudness, or cut.

In: mono samples. Out: one 32-bit word for each `HOP_SECONDS`, and, of many recordings, the pairs that hold the same
sound at some offset. The words are signs of differences of energy between neighbouring bands and moments (Haitsma and
Kalker, "A highly robust audio fingerprinting system", ISMIR 2002), which coding and gain hardly change. Two recordings
that only share a passage, such as a drum loop, are not told: most of the shorter must lie in the longer. Opens no
file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

RATE_HZ = 5512
"""Samples a second that are expected."""
_FRAME, _HOP = 2048, 128
HOP_SECONDS = _HOP / RATE_HZ
_BANDS = 33
_LOWEST_HZ, _HIGHEST_HZ = 300.0, 2000.0
_FRAMES_AT_ONCE = 1024
_QUIET = 1e-6
"""Energy, relative to the loudest frame of a recording, below which a frame is silence (-60 dB)."""
SILENCE = 0
"""The word of a frame in which nothing is heard; no sound has it."""

_ONE_IN = 8
"""So many of the different words are looked up, chosen by the word alone, so that every coding looks up the same."""
_NEIGHBOURS = 6
"""Among recordings that share a word, each is compared with so many others."""
_HITS = 3
"""Words found at the same offset that make a pair worth comparing."""
_SHARE_OF_SHORTER = 0.6
"""Of the shorter recording so much must lie within the longer."""
_FEWEST_WORDS = 100
"""So many words (2.3 s) must be compared."""
ALIKE = 0.30
"""Two stretches whose words differ in less than this share of bits are the same recording. Unrelated music differs in
0.5, the same recording after mp3 coding at 64 kbit/s in less than 0.15 (tests/test_fingerprint.py)."""

Words: TypeAlias = npt.NDArray[np.uint32]


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
    """Two recordings that hold the same sound."""

    first: int
    second: int
    """Which of the given recordings; first < second."""
    offset_seconds: float
    """Where in the first the second begins; negative where the second begins earlier."""
    difference: float
    """Share of bits that differ."""


def words(samples: npt.NDArray[np.float32]) -> Words:
    """The words of a recording.

    Args:
        samples: mono, (W,), at `RATE_HZ`.

    Returns:
        A word for each hop but the first; none where the recording is shorter than 0.4 s.
    """
    if len(samples) < _FRAME + _HOP:
        return np.zeros(0, dtype=np.uint32)
    energies = _band_energies(np.asarray(samples, dtype=np.float32))
    steps = np.diff(energies, axis=1)
    bits = np.diff(steps, axis=0) > 0  # (frames - 1, 32)
    packed: Words = np.packbits(bits, axis=1).view(">u4")[:, 0].astype(np.uint32)
    total = energies.sum(axis=1)[1:]
    packed[packed == SILENCE] = 1
    packed[total <= _QUIET * max(float(total.max()), 1e-12)] = SILENCE
    return packed


def matches(recordings: Sequence[Words]) -> Iterator[Match]:
    """The pairs of recordings that hold the same sound, each once."""
    for first, second, offsets in _candidates(recordings):
        best = min(
            (_compare(recordings[first], recordings[second], offset + shift), offset + shift)
            for offset in offsets
            for shift in (-1, 0, 1)
        )
        if best[0] <= ALIKE:
            yield Match(first, second, best[1] * HOP_SECONDS, best[0])


def _band_energies(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Energy of each band of each frame, (frames, bands)."""
    window = np.hanning(_FRAME).astype(np.float32)
    edges_hz = np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, _BANDS + 1)
    edges = np.round(edges_hz * _FRAME / RATE_HZ).astype(int)
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_HOP]
    parts = []
    for begin in range(0, len(frames), _FRAMES_AT_ONCE):
        spectrum = np.fft.rfft(frames[begin : begin + _FRAMES_AT_ONCE] * window, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        parts.append(np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1))
    return np.concatenate(parts)


def _candidates(recordings: Sequence[Words]) -> Iterator[tuple[int, int, list[int]]]:
    """Pairs that share several looked-up words at an offset, with the offsets that have the most."""
    found, owners, positions = _looked_up(recordings)
    order = np.argsort(found, kind="stable")
    found, owners, positions = found[order], owners[order], positions[order]
    pairs: list[npt.NDArray[np.int64]] = []
    for lag in range(1, _NEIGHBOURS + 1):
        same = (found[lag:] == found[:-lag]) & (owners[lag:] != owners[:-lag])
        there = np.flatnonzero(same)
        pairs.append(np.stack([owners[there], owners[there + lag], positions[there] - positions[there + lag]], axis=1))
    hits, counts = np.unique(np.concatenate(pairs), axis=0, return_counts=True)
    enough = counts >= _HITS
    offsets: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for (first, second, offset), count in zip(hits[enough].tolist(), counts[enough].tolist(), strict=True):
        offsets.setdefault((first, second), []).append((count, offset))
    for (first, second), given in offsets.items():
        yield first, second, [offset for _, offset in sorted(given, reverse=True)[:3]]


def _looked_up(
    recordings: Sequence[Words],
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The words that are looked up, whose they are, and where they stand; recordings in ascending order."""
    found, owners, positions = [], [], []
    for number, given in enumerate(recordings):
        mixed = given * np.uint32(2654435761)
        chosen = np.flatnonzero(((mixed >> np.uint32(20)) % np.uint32(_ONE_IN) == 0) & (given != SILENCE))
        found.append(given[chosen])
        owners.append(np.full(len(chosen), number, dtype=np.int64))
        positions.append(chosen.astype(np.int64))
    if not found:
        return np.zeros(0, np.uint32), np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(found), np.concatenate(owners), np.concatenate(positions)


def _compare(first: Words, second: Words, offset: int) -> float:
    """Share of differing bits where the second begins `offset` words into the first; 1.0 where too little is there."""
    a = first[max(0, offset) : offset + len(second)]
    b = second[max(0, -offset) : len(first) - offset]
    heard = (a != SILENCE) & (b != SILENCE)
    shorter = min(np.count_nonzero(first), np.count_nonzero(second))
    count = int(np.count_nonzero(heard))
    if count < max(_FEWEST_WORDS, _SHARE_OF_SHORTER * shorter):
        return 1.0
    return float(np.bitwise_count(a[heard] ^ b[heard]).mean()) / 32
