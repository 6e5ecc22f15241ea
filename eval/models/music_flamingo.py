"""Music Flamingo through transformers: one recording a conversation, of it the first twenty minutes.

In: the directory of a checkpoint or its name on the hub. Out: the model.
"""

from __future__ import annotations

from typing import Any

from mllm.eval.model import Model, ModelSettings
from mllm.eval.models import _transformers

TITLE = "Music Flamingo: a directory or a name on the hub; without one, nvidia/music-flamingo-2601-hf (17 GB)"
NEEDS = ""


def open_model(place: str | None, settings: ModelSettings) -> Model:
    """Open a checkpoint.

    Raises:
        ConfigError: it cannot be opened.
    """
    return _transformers.open_peer(_FAMILY, place, settings)


def _longest_seconds(processor: Any) -> float:
    """As many whole windows as its processor takes; what is longer is cut off by it."""
    window = processor.feature_extractor.chunk_length
    return float(processor.max_audio_len // window * window)


_FAMILY = _transformers.Family(
    kind="music_flamingo",
    model="MusicFlamingoForConditionalGeneration",
    processor="MusicFlamingoProcessor",
    usual="nvidia/music-flamingo-2601-hf",
    licence="NVIDIA OneWay Noncommercial License",
    longest_seconds=_longest_seconds,
    most_recordings=1,
)
