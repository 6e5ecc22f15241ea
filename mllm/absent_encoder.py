"""Stands where an audio encoder would, for a model that is given encoder outputs and never hears.

In: the file of an encoder and its settings. Out: a module without weights that knows the encoder's geometry. Knows
nothing of adapters, prompts or files.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from mllm.errors import CheckpointError


class AbsentEncoder(nn.Module):
    """An encoder of which only the geometry is there.

    Args:
        module: file of the encoder, from `registry.find`.
        config: its settings.
    """

    def __init__(self, module: ModuleType, config: Any) -> None:
        super().__init__()
        with torch.device("meta"):  # shapes, but no memory and no values
            shape = module.Encoder(config)
        self.config = config
        self.sample_rate_hz = shape.sample_rate_hz
        self.window_seconds = shape.window_seconds
        self.frames_per_second = shape.frames_per_second
        self.width = shape.width
        self.num_layers = shape.num_layers

    def forward(self, waveform: Tensor) -> NoReturn:  # noqa: ARG002 (the form of every encoder)
        """Nothing can be heard.

        Raises:
            CheckpointError: always.
        """
        raise CheckpointError(
            "the model was opened without its audio encoder; give audio_features, or open it with the encoder"
        )
