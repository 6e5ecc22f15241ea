"""The timbre branch of the compact encoder: mel levels in, instrument logits of the whole piece out.

Which instruments play shows in how the levels of each band are spread over time and how fast they move, wherever in
the piece that is: a small network on such statistics learns it from far fewer clips than one that reads frames.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mllm.encoders._cqt_frontend import MEL_BANDS
from mllm.facts import INSTRUMENTS

_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.97)
_LAGS = (1, 2, 4, 8)
LEVEL_STATISTICS = (0, *range(2, 2 + len(_QUANTILES)))
"""Which of the statistics move with the level of a band; the others do not."""
STATISTICS = 2 + len(_QUANTILES) + 2 * len(_LAGS)
"""Statistics of one band; statistic by statistic, each for all bands."""
LEVEL_SCALE = 4.0
"""What a change of a level by 1 (the whole range) changes in those statistics."""


def statistics(mel: Tensor) -> Tensor:
    """Mean, spread, quantiles and rises and falls over four lags of each band; (B, `STATISTICS` * 64), of order 1.

    Args:
        mel: levels in [0, 1] at 50 Hz, (B, frames, 64), more frames than the longest lag.
    """
    ordered = mel.sort(1).values
    last = mel.shape[1] - 1
    parts = [LEVEL_SCALE * mel.mean(1) - 2.0, 8.0 * mel.std(1) - 1.0]
    parts += [LEVEL_SCALE * ordered[:, round(quantile * last)] - 2.0 for quantile in _QUANTILES]
    for lag in _LAGS:
        change = mel[:, lag:] - mel[:, :-lag]
        parts += [20.0 * change.relu().mean(1) - 1.0, 20.0 * (-change).relu().mean(1) - 1.0]
    return torch.cat(parts, -1)


class TimbreBranch(nn.Module):
    """Instrument logits from statistics of mel levels.

    Args:
        width: inner width.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(STATISTICS * MEL_BANDS, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, len(INSTRUMENTS)),
        )

    def forward(self, mel: Tensor) -> Tensor:
        """Logits (B, 17) from levels (B, frames, 64)."""
        logits: Tensor = self.layers(statistics(mel))
        return logits
