"""Beats: how well stated times of beats agree with the true ones, by mir_eval.beat.

Conventions: times are seconds, rising. Formulas: `f_measure` counts beats within 70 ms of a true one (Dixon 2007);
`continuity` is the share of beats that are right in a row (CMLc) or at all (CMLt) within 17.5 % of a beat, AMLc and
AMLt the same where double, half and off-beat tempi are allowed (Hainsworth 2004; Klapuri and others 2006). Unlike
mir_eval's own `evaluate`, nothing is cut off at the beginning unless asked: answers are about short stretches. All lie
in [0, 1]; of no beats said, or a single one for continuity, all are 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import mir_eval
import numpy as np
from numpy.typing import NDArray

from mllm.errors import ConfigError

WINDOW_SECONDS = 0.07
CONTINUITY = ("cmlc", "cmlt", "amlc", "amlt")


def f_measure(true: Sequence[float], said: Sequence[float]) -> float:
    """Harmonic mean of precision and recall of beats within `WINDOW_SECONDS`.

    Raises:
        ConfigError: there is no true beat, or times do not rise.
    """
    reference, estimate = _checked(true, said)
    if not len(estimate):
        return 0.0
    return float(mir_eval.beat.f_measure(reference, estimate, f_measure_threshold=WINDOW_SECONDS))


def continuity(true: Sequence[float], said: Sequence[float]) -> dict[str, float]:
    """CMLc, CMLt, AMLc and AMLt by these names in small letters.

    Raises:
        ConfigError: there is no true beat, or times do not rise.
    """
    reference, estimate = _checked(true, said)
    # With a single beat there is no interval to be right, and mir_eval would warn of it.
    if len(reference) < 2 or len(estimate) < 2:
        return dict.fromkeys(CONTINUITY, 0.0)
    found = mir_eval.beat.continuity(reference, estimate)
    return {name: float(value) for name, value in zip(CONTINUITY, found, strict=True)}


def evaluate(true: Sequence[float], said: Sequence[float], *, begin_seconds: float = 0.0) -> dict[str, float]:
    """`f_measure` and `continuity` of one recording.

    Args:
        true: times of the true beats.
        said: times that were said.
        begin_seconds: beats before this are left out on both sides; mir_eval takes 5 for whole recordings.

    Raises:
        ConfigError: there is no true beat behind the beginning, or times do not rise.
    """
    kept, heard = ([time for time in times if time >= begin_seconds] for times in (true, said))
    return {"f_measure": f_measure(kept, heard), **continuity(kept, heard)}


def _checked(true: Sequence[float], said: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    reference, estimate = np.asarray(true, dtype=np.float64), np.asarray(said, dtype=np.float64)
    if not len(reference):
        raise ConfigError("there is no true beat; expected at least one")
    for times in (reference, estimate):
        if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
            raise ConfigError("times of beats do not rise; sort them, and give each once")
    return reference, estimate
