"""Shared by the pooling adapters: how many soft tokens a piece gets, and the mean of its frames for each.

In: frames, and rates a second. Out: counts and pooled frames. Knows nothing of weights or of other adapters.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mllm.errors import ConfigError

LOWEST_TOKENS_PER_SECOND = 0.2
HIGHEST_TOKENS_PER_SECOND = 25.0


def rate_problems(tokens_per_second: float) -> list[str]:
    """What is wrong with a rate of soft tokens; empty if nothing is."""
    if LOWEST_TOKENS_PER_SECOND <= tokens_per_second <= HIGHEST_TOKENS_PER_SECOND:
        return []
    return [
        f"tokens_per_second is {tokens_per_second:g}; "
        f"expected {LOWEST_TOKENS_PER_SECOND:g} to {HIGHEST_TOKENS_PER_SECOND:g}"
    ]


def pooled_tokens(num_frames: int, *, tokens_per_second: float, frames_per_second: float) -> int:
    """Soft tokens of a piece of `num_frames` frames (1 or more): its length times the rate, rounded, at least 1.

    Raises:
        ConfigError: if the encoder has fewer frames a second than soft tokens are wanted.
    """
    if tokens_per_second > frames_per_second:
        raise ConfigError(
            f"tokens_per_second is {tokens_per_second:g}, but the encoder gives {frames_per_second:g} frames a second; "
            f"set tokens_per_second to at most that"
        )
    return max(1, math.floor(num_frames * tokens_per_second / frames_per_second + 0.5))


def stretch_frames(*, tokens_per_second: float, frames_per_second: float) -> int:
    """Frames of one soft token where every stretch is equally long: one over the rate, in whole frames, at least 1."""
    return max(1, math.floor(frames_per_second / tokens_per_second + 0.5))


def pool(frames: Float[Tensor, "batch frames width"], num_tokens: int) -> Float[Tensor, "batch tokens width"]:
    """Means over `num_tokens` neighbouring stretches that cover all frames, as even as the count admits."""
    return functional.adaptive_avg_pool1d(frames.transpose(1, 2), num_tokens).transpose(1, 2)


def pool_fixed(frames: Float[Tensor, "batch frames width"], length: int) -> Float[Tensor, "batch tokens width"]:
    """Means over neighbouring stretches of `length` frames; the last one takes what is left, be it shorter."""
    return torch.stack([stretch.mean(1) for stretch in torch.split(frames, length, dim=1)], dim=1)
