"""Key by the templates of Krumhansl and Kessler over librosa's constant-Q chroma.

In: questions about the key of one recording. Out: answers such as "F# minor". The mean chroma of the recording is
correlated with the probe-tone profiles in all 24 rotations (Krumhansl, Cognitive Foundations of Musical Pitch, 1990,
chapter 4, the Krumhansl-Schmuckler algorithm). Knows no mode but major and minor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mllm.audio import Samples
from mllm.eval.model import Model, ModelSettings
from mllm.eval.models import _tool
from mllm.eval.models._tool import Tool
from mllm.facts import KEYS

TITLE = "a tool: key by Krumhansl's templates over librosa's chroma"
NEEDS = "pip install 'mllm-music[peers]'"
_RATE_HZ = 22_050

MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
"""Ratings of the twelve tones from the tonic up (Krumhansl and Kessler 1982)."""


def open_model(place: str | None, settings: ModelSettings) -> Model:  # noqa: ARG001
    """Import the library.

    Raises:
        ConfigError: it is not installed, or a place was given.
    """
    _tool.refuse_place("krumhansl", place)
    return KeyTemplates(
        _tool.installed("librosa", install=NEEDS),
        name="krumhansl",
        description=_tool.described("krumhansl", "librosa", licence="ISC"),
        fields=(_tool.KEY,),
        sample_rate_hz=_RATE_HZ,
    )


class KeyTemplates(Tool):
    """Correlations with 24 templates."""

    def __init__(self, library: Any, **described: Any) -> None:
        super().__init__(**described)
        self._library = library

    def analyse(self, samples: Samples) -> Mapping[str, str]:
        """The key; none where no tone stands out."""
        chroma = self._library.feature.chroma_cqt(y=samples, sr=self.sample_rate_hz).mean(axis=1)
        found = key_of(chroma)
        return {} if found is None else {_tool.KEY: found}


def key_of(chroma: NDArray[np.floating]) -> str | None:
    """The key whose template correlates best.

    Args:
        chroma: (12,), how strong each pitch class is, from C up.

    Returns:
        One of `facts.KEYS`; None where all pitch classes are equally strong.
    """
    if np.ptp(chroma) == 0:
        return None
    templates = [np.roll(profile, tonic) for profile in (MAJOR, MINOR) for tonic in range(12)]
    likeness = [float(np.corrcoef(chroma, template)[0, 1]) for template in templates]
    return KEYS[int(np.argmax(likeness))]
