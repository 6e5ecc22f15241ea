"""The Q-Former adapter: learnt queries read each chunk of frames, then one projection.

In: (B, T, D) frames. Out: (B, N, width of the backbone). Knows neither encoder nor backbone.
"""

from __future__ import annotations

import dataclasses

from jaxtyping import Float
from torch import Tensor, nn

from mllm.adapters import _pooling, _qformer
from mllm.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the Q-Former adapter; a chunk gets round(chunk_seconds * tokens_per_second) queries."""

    tokens_per_second: float = 1.0
    """Soft tokens for one second of audio, 0.2 to 25."""
    chunk_seconds: float = 10.0
    """Length of what one set of queries reads; a last, shorter chunk gets as many queries."""
    hidden_size: int = 256
    """Width of the Q-Former."""
    num_layers: int = 2
    """Its layers; each attends to the frames."""
    num_heads: int = 4
    """Its attention heads."""

    def __post_init__(self) -> None:
        problems = _pooling.rate_problems(self.tokens_per_second) + _qformer.shape_problems(
            chunk_seconds=self.chunk_seconds,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
        )
        if not problems and self.queries < 1:
            problems.append(
                f"chunk_seconds {self.chunk_seconds:g} times tokens_per_second {self.tokens_per_second:g} gives no "
                f"query; expected chunk_seconds of at least {1 / self.tokens_per_second:g}"
            )
        if problems:
            raise ConfigError("; ".join(problems))

    @property
    def queries(self) -> int:
        """Soft tokens of one chunk."""
        return int(self.chunk_seconds * self.tokens_per_second + 0.5)


def num_tokens(config: Config, num_frames: int, frames_per_second: float) -> int:
    """Soft tokens of a piece of `num_frames` frames: the queries of each chunk that it begins."""
    return _qformer.chunked_tokens(
        num_frames,
        queries=config.queries,
        chunk_seconds=config.chunk_seconds,
        frames_per_second=frames_per_second,
    )


class Adapter(nn.Module):
    """Q-Former over chunks, then a linear map."""

    def __init__(self, config: Config, *, input_width: int, output_width: int, frames_per_second: float) -> None:
        super().__init__()
        self.config = config
        self.frames_per_second = frames_per_second
        self.qformer = _qformer.QFormer(
            input_width=input_width,
            hidden_size=config.hidden_size,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            queries=config.queries,
            chunk_seconds=config.chunk_seconds,
            frames_per_second=frames_per_second,
        )
        self.projection = nn.Linear(config.hidden_size, output_width)

    def num_tokens(self, num_frames: int) -> int:
        """Soft tokens of a piece of `num_frames` frames."""
        return num_tokens(self.config, num_frames, self.frames_per_second)

    def forward(self, frames: Float[Tensor, "batch frames width"]) -> Float[Tensor, "batch tokens output_width"]:
        """Soft tokens of pieces of equal length, in the dtype of the weights."""
        tokens: Tensor = self.projection(self.qformer(frames))
        return tokens
