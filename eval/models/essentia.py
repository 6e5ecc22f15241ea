"""Tempo, beats and key by Essentia's extractors, where a user has installed that package.

In: questions about tempo, beats and key of one recording. Out: answers such as "118.0 bpm" or "F# minor". Tempo and
beats are those of RhythmExtractor2013 (method "multifeature"), the key is that of KeyExtractor (profile "bgate").

Essentia is under the AGPL-3.0: it is compared with, never a dependency of ours and never shipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mllm import facts
from mllm.audio import Samples
from mllm.eval.model import Model, ModelSettings
from mllm.eval.models import _tool
from mllm.eval.models._tool import Tool

TITLE = "a tool: tempo, beats and key by Essentia (AGPL, never installed by us)"
NEEDS = "pip install essentia"
_RATE_HZ = 44_100
_PROFILE = "bgate"


def open_model(place: str | None, settings: ModelSettings) -> Model:  # noqa: ARG001
    """Import the library.

    Raises:
        ConfigError: it is not installed, or a place was given.
    """
    _tool.refuse_place("essentia", place)
    library = _tool.installed("essentia", install=f"{NEEDS} (it is under the AGPL-3.0)")
    library.log.infoActive = False
    library.log.warningActive = False
    return Extractors(
        _tool.installed("essentia.standard", install=NEEDS),
        name="essentia",
        description=_tool.described("essentia", "essentia", licence="AGPL-3.0", profile=_PROFILE),
        fields=(_tool.TEMPO, _tool.BEATS, _tool.KEY),
        sample_rate_hz=_RATE_HZ,
    )


class Extractors(Tool):
    """Two extractors, one for time and one for the key."""

    def __init__(self, standard: Any, **described: Any) -> None:
        super().__init__(**described)
        self._rhythm = standard.RhythmExtractor2013(method="multifeature")
        self._key = standard.KeyExtractor(profileType=_PROFILE, sampleRate=self.sample_rate_hz)

    def analyse(self, samples: Samples) -> Mapping[str, str]:
        """Tempo, beats and key."""
        tempo, beats, *_ = self._rhythm(samples)
        tonic, mode, _ = self._key(samples)
        return {
            _tool.TEMPO: _tool.tempo_in_words(float(tempo)),
            _tool.BEATS: _tool.beats_in_words([float(one) for one in beats]),
            _tool.KEY: facts.KEYS[facts.key_index(f"{tonic} {mode}")],
        }
