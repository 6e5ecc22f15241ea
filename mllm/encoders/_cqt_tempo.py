"""The tempo branch of the compact encoder: mel levels in, tempo and metre evidence out.

Learnt onset channels are autocorrelated; on a logarithmic lag axis a change of tempo is a shift, so one small network
is shared by all tempi. Knows nothing of pitch, labels or files.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mllm.encoders._cqt_frontend import MEL_BANDS, MEL_FRAMES_PER_SECOND
from mllm.facts import TEMPO_CLASSES_BPM, TEMPO_STEP

_SHORTEST_LAG_SECONDS = 0.2
_LONGEST_LAG_SECONDS = 4.8
_LAGS = int(_LONGEST_LAG_SECONDS * MEL_FRAMES_PER_SECOND) + 2
_GRID = int(math.log(_LONGEST_LAG_SECONDS / _SHORTEST_LAG_SECONDS) / math.log(TEMPO_STEP)) + 1
_MULTIPLES = (1 / 3, 1 / 2, 2 / 3, 1.0, 3 / 2, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Where a tempo looks for evidence, in beats."""
_LOCAL_MEAN_FRAMES = 25


def _interpolation(positions: np.ndarray, length: int) -> Tensor:
    """Matrix (length, positions) that reads a sequence at fractional positions; zero outside it."""
    matrix = np.zeros((length, positions.size))
    for column, position in enumerate(positions.ravel()):
        low = math.floor(position)
        for index, weight in ((low, 1.0 - (position - low)), (low + 1, position - low)):
            if 0 <= index < length and -0.5 <= position <= length - 0.5:
                matrix[index, column] += weight
    return torch.from_numpy(matrix).float()


class TempoBranch(nn.Module):
    """Tempo logits and a vector about the beat from mel levels at 50 Hz.

    Args:
        onset_channels: learnt onset functions that are autocorrelated.
        width: channels of the network over lags, and width of the vector.
    """

    to_grid: Tensor
    to_classes: Tensor

    def __init__(self, onset_channels: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.onsets = nn.Sequential(
            nn.Conv1d(MEL_BANDS, 32, 5, padding=2), nn.GELU(), nn.Conv1d(32, onset_channels, 5, padding=2)
        )
        self.lags = nn.Sequential(
            nn.Conv1d(onset_channels, 32, 5, padding=2), nn.GELU(), nn.Conv1d(32, 32, 5, padding=2), nn.GELU()
        )
        self.classes = nn.Sequential(
            nn.Conv1d(32 * len(_MULTIPLES), width, 1), nn.GELU(), nn.Conv1d(width, width, 3, padding=1), nn.GELU()
        )
        self.score = nn.Linear(width, 1)
        self.narrow = nn.Conv1d(32, 6, 1)
        self.whole = nn.Sequential(nn.Linear(6 * _GRID, 96), nn.GELU(), nn.Linear(96, len(TEMPO_CLASSES_BPM)))
        grid = _SHORTEST_LAG_SECONDS * TEMPO_STEP ** np.arange(_GRID)
        self.register_buffer("to_grid", _interpolation(grid * MEL_FRAMES_PER_SECOND, _LAGS), persistent=False)
        beats = 60.0 / np.array(TEMPO_CLASSES_BPM)
        lags = np.array(_MULTIPLES)[:, None] * beats[None]
        positions = np.log(lags / _SHORTEST_LAG_SECONDS) / math.log(TEMPO_STEP)
        self.register_buffer("to_classes", _interpolation(positions, _GRID), persistent=False)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Tempo logits (B, 89) and a vector (B, width) from levels (B, frames, 64)."""
        onsets = self.onsets(mel.transpose(1, 2))  # (B, C, T)
        mean = functional.avg_pool1d(onsets, _LOCAL_MEAN_FRAMES, 1, _LOCAL_MEAN_FRAMES // 2, count_include_pad=False)
        onsets = functional.relu(onsets - mean)
        grid = self._autocorrelation(onsets - onsets.mean(-1, keepdim=True)) @ self.to_grid  # (B, C, grid)
        hidden = self.lags(grid)
        evidence = hidden @ self.to_classes  # (B, 32, multiples * 89)
        evidence = evidence.reshape(len(mel), -1, len(TEMPO_CLASSES_BPM))  # (B, 32 * multiples, 89)
        states = self.classes(evidence).transpose(1, 2)  # (B, 89, width)
        logits = self.score(states)[..., 0] + self.whole(self.narrow(hidden).flatten(1))
        vector = (logits.softmax(-1)[:, None] @ states)[:, 0]
        return logits, vector

    def _autocorrelation(self, onsets: Tensor) -> Tensor:
        """Correlation with itself by lag, 1 at lag 0, corrected for the shorter overlap of long lags; (B, C, lags)."""
        frames = onsets.shape[-1]
        size = 1 << (frames + _LAGS - 1).bit_length()
        spectrum = torch.fft.rfft(onsets, n=size)
        power = spectrum.real.square() + spectrum.imag.square()
        raw: Tensor = torch.fft.irfft(torch.complex(power, torch.zeros_like(power)), n=size)[..., :_LAGS]
        overlap = (frames - torch.arange(_LAGS, device=onsets.device, dtype=onsets.dtype)).clamp_min(frames / 4)
        return raw / (raw[..., :1] + 1e-4 * frames) * (frames / overlap)
