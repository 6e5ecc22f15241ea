"""Shared by the adapters with learnt queries: a Q-Former that reads a piece chunk by chunk.

In: (B, T, D) frames. Out: (B, N, hidden size), the same number of queries for each chunk. The Q-Former is transformers'
own (Li et al., "BLIP-2", 2023, arXiv 2301.12597). Knows neither encoder nor backbone.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import Blip2QFormerConfig, Blip2QFormerModel

_FEED_FORWARD_RATIO = 4
_QUERY_DEVIATION = 0.02
_SHORTEST_PERIOD_SECONDS = 0.25
_LONGEST_PERIOD_SECONDS = 64.0


def shape_problems(*, chunk_seconds: float, hidden_size: int, num_layers: int, num_heads: int) -> list[str]:
    """What is wrong with the settings that both adapters have; empty if nothing is."""
    problems = [
        f"{key} is {value}; expected 1 or more"
        for key, value in (("hidden_size", hidden_size), ("num_layers", num_layers), ("num_heads", num_heads))
        if value < 1
    ]
    if chunk_seconds <= 0:
        problems.append(f"chunk_seconds is {chunk_seconds:g}; expected more than 0")
    if not problems and (hidden_size % num_heads or hidden_size % 2):
        problems.append(f"hidden_size is {hidden_size}; expected an even multiple of num_heads {num_heads}")
    return problems


def chunk_frames(chunk_seconds: float, frames_per_second: float) -> int:
    """Frames of a full chunk, at least 1."""
    return max(1, math.floor(chunk_seconds * frames_per_second + 0.5))


def chunked_tokens(num_frames: int, *, queries: int, chunk_seconds: float, frames_per_second: float) -> int:
    """Soft tokens of a piece: every chunk gives `queries`, the last one too, however short it is."""
    return math.ceil(num_frames / chunk_frames(chunk_seconds, frames_per_second)) * queries


class QFormer(nn.Module):
    """Learnt queries that attend to the frames of one chunk at a time.

    Frames are layer-normed and projected to the hidden size; then sines and cosines of the seconds since the start of
    the chunk (periods from 0.25 to 64 s) are added, because attention by itself does not know the order of frames. No
    dropout.
    """

    def __init__(
        self,
        *,
        input_width: int,
        hidden_size: int,
        num_layers: int,
        num_heads: int,
        queries: int,
        chunk_seconds: float,
        frames_per_second: float,
    ) -> None:
        super().__init__()
        self.frames_per_second = frames_per_second
        self.chunk_frames = chunk_frames(chunk_seconds, frames_per_second)
        self.frame_norm = nn.LayerNorm(input_width)
        self.frame_projection = nn.Linear(input_width, hidden_size)
        self.queries = nn.Parameter(torch.randn(queries, hidden_size) * _QUERY_DEVIATION)
        self.layers = Blip2QFormerModel(
            Blip2QFormerConfig(
                hidden_size=hidden_size,
                num_hidden_layers=num_layers,
                num_attention_heads=num_heads,
                intermediate_size=_FEED_FORWARD_RATIO * hidden_size,
                encoder_hidden_size=hidden_size,
                cross_attention_frequency=1,
                hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0,
                initializer_range=0.02 * (768 / hidden_size) ** 0.5,  # the published width and deviation, scaled
                use_qformer_text_input=False,
            )
        )

    def forward(self, frames: Float[Tensor, "batch frames width"]) -> Float[Tensor, "batch tokens hidden"]:
        """One vector for each query of each chunk, chunks in the order of time."""
        batch, total = frames.shape[:2]
        full = total - total % self.chunk_frames
        states = self.frame_projection(self.frame_norm(frames.to(self.frame_projection.weight.dtype)))  # (B, T, H)
        found = []
        if full:
            chunks = states[:, :full].reshape(-1, self.chunk_frames, states.shape[-1])  # (B * chunks, T, H)
            found.append(self._read(chunks).reshape(batch, -1, states.shape[-1]))  # (B, N, H)
        if full < total:
            found.append(self._read(states[:, full:]))
        return torch.cat(found, 1)

    def _read(self, chunks: Tensor) -> Tensor:
        outputs = self.layers(
            query_embeds=self.queries.expand(chunks.shape[0], -1, -1),
            encoder_hidden_states=chunks + self._positions(chunks),
        )
        read: Tensor = outputs.last_hidden_state
        return read

    def _positions(self, chunks: Tensor) -> Tensor:
        """(T, H): sines, then cosines, of the seconds since the start of the chunk."""
        count, half = chunks.shape[1], chunks.shape[2] // 2
        seconds = torch.arange(count, device=chunks.device, dtype=torch.float32) / self.frames_per_second
        exponents = torch.linspace(0.0, 1.0, half, device=chunks.device)
        periods = _SHORTEST_PERIOD_SECONDS * (_LONGEST_PERIOD_SECONDS / _SHORTEST_PERIOD_SECONDS) ** exponents
        angles = 2.0 * math.pi * seconds[:, None] / periods
        return torch.cat((angles.sin(), angles.cos()), 1).to(chunks.dtype)
