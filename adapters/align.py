"""The aligning adapter: each soft token is a weighted mean of the backbone's own embeddings of a chosen vocabulary.

A Q-Former reads each chunk of frames; what a query found becomes a softmax over K words, and the soft token is the mean
of their embeddings under it (Masry et al., "AlignVLM", 2025, arXiv 2502.01341), so that the frozen backbone only ever
sees points between words that it knows. In: (B, T, D) frames. Out: (B, N, width of the backbone). Knows neither encoder
nor backbone; the embeddings are given to it once.
"""

from __future__ import annotations

import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mllm.adapters import _pooling, _qformer
from mllm.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the aligning adapter."""

    lexicon_token_ids: tuple[int, ...] = ()
    """Token ids of the backbone whose embeddings the soft tokens mix; at least 2, all different."""
    queries: int = 16
    """Soft tokens of one chunk; each query has its own prior over the lexicon."""
    chunk_seconds: float = 30.0
    """Length of what the queries read; a last, shorter chunk gets as many queries."""
    hidden_size: int = 256
    """Width of the Q-Former."""
    num_layers: int = 2
    """Its layers; each attends to the frames."""
    num_heads: int = 4
    """Its attention heads."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "lexicon_token_ids", tuple(self.lexicon_token_ids))
        problems = _qformer.shape_problems(
            chunk_seconds=self.chunk_seconds,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
        )
        if self.queries < 1:
            problems.append(f"queries is {self.queries}; expected 1 or more")
        if not problems:
            problems += [
                f"queries {self.queries} / chunk_seconds {self.chunk_seconds:g}: {problem}"
                for problem in _pooling.rate_problems(self.tokens_per_second)
            ]
        different = set(self.lexicon_token_ids)
        if len(different) < 2 or len(different) < len(self.lexicon_token_ids) or min(different) < 0:
            problems.append(
                f"lexicon_token_ids has {len(self.lexicon_token_ids)} ids, {len(different)} different ones; "
                f"expected at least 2, all different, none below 0"
            )
        if problems:
            raise ConfigError("; ".join(problems))

    @property
    def tokens_per_second(self) -> float:
        """Soft tokens for one second of audio, 0.2 to 25; follows from the other settings."""
        return self.queries / self.chunk_seconds


def num_tokens(config: Config, num_frames: int, frames_per_second: float) -> int:
    """Soft tokens of a piece of `num_frames` frames: the queries of each chunk that it begins."""
    return _qformer.chunked_tokens(
        num_frames,
        queries=config.queries,
        chunk_seconds=config.chunk_seconds,
        frames_per_second=frames_per_second,
    )


class Adapter(nn.Module):
    """Q-Former over chunks, softmax over the lexicon, mean of its embeddings.

    `anchors` (K, output_width) belong to the backbone and are not trained. They are NaN, and with them every soft
    token, until `set_anchors` or a checkpoint fills them: a forgotten call must not pass for a model.
    """

    anchors: Tensor

    def __init__(self, config: Config, *, input_width: int, output_width: int, frames_per_second: float) -> None:
        super().__init__()
        self.config = config
        self.frames_per_second = frames_per_second
        words = len(config.lexicon_token_ids)
        self.qformer = _qformer.QFormer(
            input_width=input_width,
            hidden_size=config.hidden_size,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            queries=config.queries,
            chunk_seconds=config.chunk_seconds,
            frames_per_second=frames_per_second,
        )
        self.head = nn.Linear(config.hidden_size, words, bias=False)
        self.prior = nn.Parameter(torch.zeros(config.queries, words))
        self.register_buffer("anchors", torch.full((words, output_width), torch.nan))

    def num_tokens(self, num_frames: int) -> int:
        """Soft tokens of a piece of `num_frames` frames."""
        return num_tokens(self.config, num_frames, self.frames_per_second)

    def set_anchors(self, embedding_matrix: Float[Tensor, "vocabulary output_width"]) -> None:
        """Copy the rows of `Config.lexicon_token_ids` from the backbone's input embeddings.

        Raises:
            ConfigError: if the matrix has another width, or fewer rows than the ids need.
        """
        rows, width = embedding_matrix.shape
        highest = max(self.config.lexicon_token_ids)
        if width != self.anchors.shape[1] or highest >= rows:
            raise ConfigError(
                f"the backbone's input embeddings are {rows} of width {width}; lexicon_token_ids up to {highest} and "
                f"width {self.anchors.shape[1]} were expected; give the ids of this backbone's tokenizer"
            )
        ids = torch.tensor(self.config.lexicon_token_ids, device=embedding_matrix.device)
        self.anchors.copy_(embedding_matrix.detach()[ids])

    def token_logits(self, frames: Float[Tensor, "batch frames width"]) -> Float[Tensor, "batch tokens words"]:
        """What each soft token says over the lexicon, before the softmax, in the order of `lexicon_token_ids`."""
        found = self.head(self.qformer(frames))  # (B, N, K)
        logits: Tensor = found.unflatten(1, (-1, self.config.queries)) + self.prior  # (B, chunks, queries, K)
        return logits.flatten(1, 2)  # (B, N, K)

    def forward(self, frames: Float[Tensor, "batch frames width"]) -> Float[Tensor, "batch tokens output_width"]:
        """Soft tokens of pieces of equal length, in the dtype of the anchors."""
        shares = self.token_logits(frames).float().softmax(-1)
        return shares.to(self.anchors.dtype) @ self.anchors
