"""Qwen2-Audio through transformers: any number of recordings, of each the first 30 s.

In: the directory of a checkpoint or its name on the hub. Out: the model.
"""

from __future__ import annotations

from typing import Any

from mllm.eval.model import Model, ModelSettings
from mllm.eval.models import _transformers

TITLE = "Qwen2-Audio: a directory or a name on the hub; without one, Qwen/Qwen2-Audio-7B-Instruct (17 GB)"
NEEDS = ""


def open_model(place: str | None, settings: ModelSettings) -> Model:
    """Open a checkpoint.

    Raises:
        ConfigError: it cannot be opened.
    """
    return _transformers.open_peer(_FAMILY, place, settings)


def _longest_seconds(processor: Any) -> float:
    """One window of its feature extractor; what is longer is cut off by it."""
    return float(processor.feature_extractor.chunk_length)


_FAMILY = _transformers.Family(
    kind="qwen2_audio",
    model="Qwen2AudioForConditionalGeneration",
    processor="Qwen2AudioProcessor",
    usual="Qwen/Qwen2-Audio-7B-Instruct",
    licence="Apache-2.0",
    longest_seconds=_longest_seconds,
    most_recordings=None,
)
