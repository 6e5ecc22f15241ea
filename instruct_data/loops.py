"""Where a recorded note that is held may repeat itself, so that it lasts as long as it is written.

In: one recorded note that swells, stays and ends. Out: the note up to the end of a loop whose end runs into its start
without a break. Knows nothing of pitches or sound fonts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

_LATEST_SECONDS = 5.0
"""Where the steady part is cut off at the latest."""
_SHORTEST_SECONDS = 0.25
_SEARCHED_SHARE = 1 / 3
"""The last part of the steady sound, in which the loop lies."""
_ENDS_TRIED = 10
_COMPARED_SECONDS = 0.06
"""How much around both ends of a loop has to be alike."""
_CROSSFADE_SECONDS = 0.04
_WORST_DIFFERENCE = 0.5
"""Power of the difference as a share of the power of both; 1 is what unlike sounds have."""
_MARGIN_SAMPLES = 64
"""Samples after the loop, which interpolation reads."""
_LEVEL_SECONDS = 0.05
_STEADY_SHARE = 0.5
"""Of the usual level; below it the note ends."""


def with_loop(samples: NDArray[np.float64], rate_hz: int) -> tuple[NDArray[np.float64], tuple[int, int]] | None:
    """The note cut after its loop, with the crossfade in it, and the loop; None where nothing repeats well enough.

    The loop is a whole number of periods long, because it is chosen so that what surrounds its end is most like what
    surrounds its start.

    Args:
        samples: the note from its onset on, (samples,).
        rate_hz: samples a second.

    Returns:
        The samples, and the first sample of the loop and the one after its last.
    """
    stop = _steady_end(samples, rate_hz)
    half, shortest = round(_COMPARED_SECONDS * rate_hz / 2), round(_SHORTEST_SECONDS * rate_hz)
    searched = max(round(stop * _SEARCHED_SHARE), shortest + 4 * half)
    first, last = stop - searched, stop - half
    if first < half:
        return None
    best, loop = _WORST_DIFFERENCE, None
    for end in np.linspace(last - (searched - shortest - 2 * half) // 2, last, _ENDS_TRIED).astype(int):
        differences = _differences(samples[first - half : end - shortest + half], samples[end - half : end + half])
        start = int(differences.argmin())
        if differences[start] < best:
            best, loop = float(differences[start]), (first + start, int(end))
    return None if loop is None else (_crossfaded(samples, loop, rate_hz), loop)


def _steady_end(samples: NDArray[np.float64], rate_hz: int) -> int:
    """The sample at which the note begins to end."""
    frame = round(_LEVEL_SECONDS * rate_hz)
    used = samples[: round(_LATEST_SECONDS * rate_hz)]
    levels = np.sqrt(np.mean(used[: len(used) // frame * frame].reshape(-1, frame) ** 2, axis=1))
    usual = np.median(levels[levels > 0.25 * levels.max(initial=0.0)]) if len(levels) else 0.0
    loud = np.flatnonzero(levels >= _STEADY_SHARE * usual)
    return int(loud[-1] + 1) * frame if len(loud) else 0


def _differences(stretch: NDArray[np.float64], piece: NDArray[np.float64]) -> NDArray[np.float64]:
    """How unlike `piece` is to the part of `stretch` of the same length at each place, from 0 (equal) up."""
    products = fftconvolve(stretch, piece[::-1], mode="valid")
    sums = np.concatenate([[0.0], np.cumsum(stretch**2)])
    powers = sums[len(piece) :] - sums[: -len(piece)] + float(np.sum(piece**2))
    return np.asarray((powers - 2 * products) / np.maximum(powers, 1e-12), dtype=np.float64)


def _crossfaded(samples: NDArray[np.float64], loop: tuple[int, int], rate_hz: int) -> NDArray[np.float64]:
    """The note up to the loop's end, where it turns into what comes before the loop's start, and a little beyond."""
    start, end = loop
    length = min(round(_CROSSFADE_SECONDS * rate_hz), start, end - start)
    weights = np.linspace(0.0, 1.0, length)
    faded = samples[: end + _MARGIN_SAMPLES].copy()
    faded[end - length : end] *= 1.0 - weights
    faded[end - length : end] += weights * samples[start - length : start]
    faded[end:] = samples[start : start + len(faded) - end]
    return faded
