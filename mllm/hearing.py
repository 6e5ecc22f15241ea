"""How a model hears, and how it reads items: windows of audio, or features of items, in; soft tokens out.

Shared by the model for transformers and the one that vLLM serves, so that both hear the same and their tensors have the
same names. Knows neither language models nor prompts nor audio files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mllm.configuration import MusicLLMConfig
from mllm.errors import ConfigError, PromptError
from mllm.items import ROWS_PER_SECOND
from mllm.layer_mix import LayerMix
from mllm.window_batches import by_equal_shape

TRAINED_PARTS = ("layer_mix", "audio_adapter", "item_adapter")
"""Attributes of the model that are trained and saved; every other part stays as it was loaded."""


@torch.no_grad()
def encode_windows(
    encoder: Any, waveforms: Sequence[Float[Tensor, " samples"]]
) -> list[Float[Tensor, "layers frames encoder_width"]]:
    """Hidden states of an encoder for each window, mono at its rate, in the order given."""
    weight = next(encoder.parameters(), None)
    place = torch.empty(0) if weight is None else weight
    return by_equal_shape([waveform.to(place.device, place.dtype) for waveform in waveforms], encoder)


class Hearing:
    """The hearing parts of a `torch.nn.Module`, which has this class among its bases and calls `build_hearing`."""

    audio_encoder: Any
    audio_adapter: Any
    layer_mix: LayerMix | None
    item_adapter: Any

    def build_hearing(self, config: MusicLLMConfig, audio_encoder: Any = None) -> None:
        """Build the parts.

        Args:
            config: of the model; rates that it leaves open are filled in.
            audio_encoder: an already loaded encoder; None builds one with random weights from `config.audio_encoder`.

        Raises:
            ConfigError: if a rate in `config` is not what the encoder or the adapter runs at.
        """
        if audio_encoder is None:
            audio_encoder = config.encoder_module.Encoder(config.encoder_config)
        self.audio_encoder = audio_encoder
        layers = audio_encoder.num_layers
        self.layer_mix = LayerMix(layers) if config.layer_mix and layers > 1 else None
        self.audio_adapter = config.adapter_module.Adapter(
            config.adapter_config,
            input_width=audio_encoder.width,
            output_width=config.text_config.hidden_size,
            frames_per_second=audio_encoder.frames_per_second,
        )
        self.build_item_adapter(config)
        found = {
            "sample_rate_hz": audio_encoder.sample_rate_hz,
            "frames_per_second": audio_encoder.frames_per_second,
            "tokens_per_second": config.adapter_config.tokens_per_second,
        }
        for key, value in found.items():
            stated = getattr(config, key)
            if stated is not None and abs(stated - value) > 1e-6 * value:
                raise ConfigError(f"{key} is {stated} in the configuration, but the part runs at {value}")
            setattr(config, key, value)

    def build_item_adapter(self, config: MusicLLMConfig) -> None:
        """Build the adapter of items, if `config` has one."""
        self.item_adapter = None
        if config.item_adapter is not None:
            self.item_adapter = config.item_adapter_module.Adapter(
                config.item_adapter_config,
                input_width=config.item_space["width"],
                output_width=config.text_config.hidden_size,
                frames_per_second=ROWS_PER_SECOND,
            )

    def trained_parts(self) -> nn.ModuleDict:
        """The parts that are trained and saved, under the names that their tensors have in a checkpoint."""
        parts = {name: getattr(self, name) for name in TRAINED_PARTS}
        return nn.ModuleDict({name: part for name, part in parts.items() if part is not None})

    def encode_audio(
        self, waveforms: Sequence[Float[Tensor, " samples"]]
    ) -> list[Float[Tensor, "layers frames encoder_width"]]:
        """Hidden states of the frozen encoder for each window, mono at `config.sample_rate_hz`, in the order given."""
        return encode_windows(self.audio_encoder, waveforms)

    def soft_tokens(
        self, features: Sequence[Float[Tensor, "layers frames encoder_width"]]
    ) -> list[Float[Tensor, "tokens width"]]:
        """Soft tokens for each window's features, in the order given; gradients reach the trained parts."""
        weight = next(self.audio_adapter.parameters())
        return by_equal_shape([states.to(weight.device, weight.dtype) for states in features], self._adapt)

    def item_tokens(self, features: Sequence[Float[Tensor, "rows item_width"]]) -> list[Float[Tensor, "tokens width"]]:
        """Soft tokens for each item's features, in the order given; gradients reach the trained part.

        Raises:
            PromptError: if the model takes no items.
        """
        if self.item_adapter is None:
            raise PromptError("items were given, but this model has no item adapter; leave them out")
        weight = next(self.item_adapter.parameters())
        return by_equal_shape([rows.to(weight.device, weight.dtype) for rows in features], self.item_adapter)

    def _adapt(self, states: Tensor) -> Tensor:
        """Frames of equal length to soft tokens: (B, L, T, D) -> (B, N, H)."""
        frames = states[:, -1] if self.layer_mix is None else self.layer_mix(states)  # (B, T, D)
        tokens: Tensor = self.audio_adapter(frames)
        return tokens
