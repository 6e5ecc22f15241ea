"""The linear adapter: frames averaged to the wanted number of soft tokens a second, then one projection.

This is the connector of MusiLingo (Deng et al., 2023, arXiv 2309.08730), whose settings stand in `mllm.musilingo`.
In: (B, T, D) frames. Out: (B, N, width of the backbone). Knows neither encoder nor backbone.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from mllm.adapters import _pooling
from mllm.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the linear adapter."""

    tokens_per_second: float = 1.0
    """Soft tokens for one second of audio, 0.2 to 25 and at most the frame rate of the encoder."""
    stretches: Literal["even", "fixed"] = "even"
    """What a soft token is the mean of. "even": stretches as even as the count admits; "fixed": stretches of exactly
    1 / tokens_per_second, in whole frames, the last of which takes what is left, as in MusiLingo."""

    def __post_init__(self) -> None:
        problems = _pooling.rate_problems(self.tokens_per_second)
        if self.stretches not in ("even", "fixed"):
            problems.append(f"stretches is {self.stretches!r}; expected 'even' or 'fixed'")
        if problems:
            raise ConfigError("; ".join(problems))


def num_tokens(config: Config, num_frames: int, frames_per_second: float) -> int:
    """Soft tokens of a piece of `num_frames` frames: seconds * tokens_per_second, at least 1.

    Rounded to the nearest for even stretches; for fixed ones, a rest makes one more.
    """
    rates = {"tokens_per_second": config.tokens_per_second, "frames_per_second": frames_per_second}
    even = _pooling.pooled_tokens(num_frames, **rates)
    return even if config.stretches == "even" else math.ceil(num_frames / _pooling.stretch_frames(**rates))


class Adapter(nn.Module):
    """Mean over stretches of frames, then a linear map."""

    def __init__(self, config: Config, *, input_width: int, output_width: int, frames_per_second: float) -> None:
        super().__init__()
        self.config = config
        self.frames_per_second = frames_per_second
        self.projection = nn.Linear(input_width, output_width)

    def num_tokens(self, num_frames: int) -> int:
        """Soft tokens of a piece of `num_frames` frames."""
        return num_tokens(self.config, num_frames, self.frames_per_second)

    def forward(self, frames: Float[Tensor, "batch frames width"]) -> Float[Tensor, "batch tokens output_width"]:
        """Soft tokens of pieces of equal length, in the dtype of the weights."""
        frames = frames.to(self.projection.weight.dtype)
        if self.config.stretches == "even":
            pooled = _pooling.pool(frames, self.num_tokens(frames.shape[1]))
        else:
            rates = {"tokens_per_second": self.config.tokens_per_second, "frames_per_second": self.frames_per_second}
            pooled = _pooling.pool_fixed(frames, _pooling.stretch_frames(**rates))
        tokens: Tensor = self.projection(pooled)
        return tokens
