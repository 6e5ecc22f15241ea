"""Tempo and beats by librosa's beat tracker (Ellis, Beat Tracking by Dynamic Programming, 2007).

In: questions about tempo and beats of one recording. Out: answers such as "118.0 bpm". Knows no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mllm.audio import Samples
from mllm.eval.model import Model, ModelSettings
from mllm.eval.models import _tool
from mllm.eval.models._tool import Tool

TITLE = "a tool: tempo and beats by librosa's beat tracker"
NEEDS = "pip install 'mllm-music[peers]'"
_RATE_HZ = 22_050


def open_model(place: str | None, settings: ModelSettings) -> Model:  # noqa: ARG001
    """Import the library.

    Raises:
        ConfigError: it is not installed, or a place was given.
    """
    _tool.refuse_place("librosa", place)
    return BeatTracker(
        _tool.installed("librosa", install=NEEDS),
        name="librosa",
        description=_tool.described("librosa", "librosa", licence="ISC"),
        fields=(_tool.TEMPO, _tool.BEATS),
        sample_rate_hz=_RATE_HZ,
    )


class BeatTracker(Tool):
    """`librosa.beat.beat_track` as it comes."""

    def __init__(self, library: Any, **described: Any) -> None:
        super().__init__(**described)
        self._library = library

    def analyse(self, samples: Samples) -> Mapping[str, str]:
        """Tempo and beats."""
        tempo, beats = self._library.beat.beat_track(y=samples, sr=self.sample_rate_hz, units="time")
        return {
            _tool.TEMPO: _tool.tempo_in_words(float(np.atleast_1d(tempo)[0])),
            _tool.BEATS: _tool.beats_in_words([float(one) for one in beats]),
        }
