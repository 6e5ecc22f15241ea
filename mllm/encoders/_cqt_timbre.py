"""The timbre branches of the compact encoder: mel levels in, instrument logits of the whole piece out.

Which instruments play shows in how the levels of each band are spread over time and how fast they move, wherever in
the piece that is: `TimbreBranch`, a small network on such statistics, learns it from few clips. `PatchBranch` reads the
levels themselves and needs many mixtures, but hears what statistics leave out: how one sound begins and goes on.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

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


_PATCH_WIDTH = 256
_BANDS_AT_THE_TOP = 4
"""Bands that are left when four convolutions have halved them."""


class PatchBranch(nn.Module):
    """Instrument logits from mel levels: convolutions over time and bands, then a mean and a maximum over time.

    Args:
        channels: channels of the first convolution; the later ones have two, four and six times as many.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.width = _PATCH_WIDTH
        sizes = (2, channels, 2 * channels, 4 * channels, 6 * channels)
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, 3 if index else 5, stride=(1 if index == 3 else 2, 2), padding=1 if index else 2)
            for index, (before, after) in enumerate(pairwise(sizes))
        )
        self.norms = nn.ModuleList(nn.GroupNorm(4, size) for size in sizes[1:])
        self.over_bands = nn.Conv2d(sizes[-1], _PATCH_WIDTH, (1, _BANDS_AT_THE_TOP))
        self.over_time = nn.Conv1d(_PATCH_WIDTH, _PATCH_WIDTH, 5, padding=2)
        self.score = nn.Linear(2 * _PATCH_WIDTH, len(INSTRUMENTS))

    def forward(self, mel: Tensor) -> Tensor:
        """Logits (B, 17) from levels (B, frames, 64)."""
        return self.judge(self.listen(mel))

    def listen(self, mel: Tensor) -> Tensor:
        """What is heard at each time, (B, 256, frames / 8)."""
        hidden = torch.stack((4.0 * mel - 2.0, 8.0 * (mel - mel.mean(1, keepdim=True))), 1)  # (B, 2, frames, 64)
        hidden = hidden.contiguous(memory_format=torch.channels_last)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            hidden = functional.relu(norm(layer(hidden)))
        frames = functional.relu(self.over_bands(hidden))[..., 0]  # (B, 256, frames / 8)
        result: Tensor = frames + functional.relu(self.over_time(frames))
        return result

    def judge(self, heard: Tensor) -> Tensor:
        """Logits (B, 17) of what `listen` gave."""
        logits: Tensor = self.score(torch.cat((heard.mean(2), heard.amax(2)), 1))
        return logits
