"""The front-end of the compact encoder: waveform in, constant-Q and mel levels in [0, 1] out.

Nothing here is learnt. The waveform is brought to unit loudness first, so gain does not matter. The constant-Q part
halves the sample rate once an octave, so that one small set of band-limited kernels serves all octaves (Brown and
Puckette, 1992; Schoerkhuber and Klapuri, 2010). Knows nothing of labels, networks or files.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mllm.errors import AudioError

SAMPLE_RATE_HZ = 24_000
SLOT_SAMPLES = 1_920
"""Samples of one slot (80 ms): one constant-Q frame and `MEL_PER_SLOT` mel frames."""
SLOTS_PER_SECOND = SAMPLE_RATE_HZ / SLOT_SAMPLES
SLOTS_PER_FRAME = 2
"""Slots of one frame that the encoder hands out (160 ms, 6.25 a second)."""

OCTAVES = 7
BINS_PER_OCTAVE = 24
CQT_BINS = OCTAVES * BINS_PER_OCTAVE
LOWEST_HZ = 32.703
"""C1; the highest bin lies a quarter tone under C8."""

MEL_BANDS = 64
MEL_PER_SLOT = 4
MEL_HOP = SLOT_SAMPLES // MEL_PER_SLOT
MEL_FRAMES_PER_SECOND = SAMPLE_RATE_HZ / MEL_HOP
SLOT_WIDTH = CQT_BINS + MEL_PER_SLOT * MEL_BANDS
"""Numbers of one slot: the constant-Q bins from low to high, then the mel frames in time order, bands low to high."""

LOWEST_DB = -80.0
HIGHEST_DB = 6.0
"""Levels are relative to a waveform of unit root mean square; feature 0 is `LOWEST_DB`, feature 1 is `HIGHEST_DB`."""

_MEL_FFT = 1_024
_MEL_LOWEST_HZ = 30.0
_MEL_HIGHEST_HZ = 11_000.0
_RESOLUTION = 0.75
"""Kernel length relative to full quarter-tone resolution: semitones stay apart, and the bass is a quarter faster."""
_SUBFRAMES = (4, 4, 2, 1, 1, 1, 1)
"""Kernels within one slot, by octave from the top: short kernels would otherwise leave most of the slot unheard."""
_HALVING_TAPS = 31
_HALVING_BLOCK = 32
_SHORTEST_SECONDS = 1.0
_QUIETEST_RMS = 1e-5


def num_slots(num_samples: int) -> int:
    """Slots of a waveform: every sample lies in one, and their number is a multiple of `SLOTS_PER_FRAME`."""
    return SLOTS_PER_FRAME * max(1, math.ceil(num_samples / (SLOTS_PER_FRAME * SLOT_SAMPLES)))


def _constant_q_kernels() -> tuple[np.ndarray, int]:
    """Kernels of the highest octave, (samples, 2 * bins) with real parts first, and their length in samples."""
    quality = _RESOLUTION / (2.0 ** (1.0 / BINS_PER_OCTAVE) - 1.0)
    frequencies = LOWEST_HZ * 2.0 ** (OCTAVES - 1 + np.arange(BINS_PER_OCTAVE) / BINS_PER_OCTAVE)
    half = math.ceil(quality * SAMPLE_RATE_HZ / frequencies[0] / 8) * 4
    time = np.arange(-half, half)
    kernels = np.zeros((2 * half, 2 * BINS_PER_OCTAVE))
    for index, frequency in enumerate(frequencies):
        length = quality * SAMPLE_RATE_HZ / frequency
        window = np.where(np.abs(time) < length / 2, 0.5 + 0.5 * np.cos(2 * np.pi * time / length), 0.0)
        window *= 2.0 / window.sum()  # a sine of amplitude a has magnitude a
        phase = 2 * np.pi * frequency * time / SAMPLE_RATE_HZ
        kernels[:, index] = window * np.cos(phase)
        kernels[:, BINS_PER_OCTAVE + index] = -window * np.sin(phase)
    return kernels, 2 * half


def _halving_matrix() -> np.ndarray:
    """A low-pass filter that keeps every second sample, as a matrix from a block with margins to half a block."""
    time = np.arange(_HALVING_TAPS) - _HALVING_TAPS // 2
    taps = np.sinc(time / 2) * np.blackman(_HALVING_TAPS + 2)[1:-1]
    taps /= taps.sum()
    matrix = np.zeros((2 * _HALVING_BLOCK + _HALVING_TAPS - 1, _HALVING_BLOCK))
    for column in range(_HALVING_BLOCK):
        matrix[2 * column : 2 * column + _HALVING_TAPS, column] = taps
    return matrix


def _mel_edges_hz() -> np.ndarray:
    """Lower edge, centres and upper edge of the mel bands in Hz, (bands + 2,)."""

    def mel(hz: float) -> float:
        return 2595.0 * math.log10(1.0 + hz / 700.0)

    points = np.linspace(mel(_MEL_LOWEST_HZ), mel(_MEL_HIGHEST_HZ), MEL_BANDS + 2)
    edges: np.ndarray = 700.0 * (10.0 ** (points / 2595.0) - 1.0)
    # Neighbouring low bands would fall between two FFT bins: an edge is at least one bin from the last one.
    for index in range(1, len(edges)):
        edges[index] = max(edges[index], edges[index - 1] + SAMPLE_RATE_HZ / _MEL_FFT)
    return edges


def mel_centres_hz() -> np.ndarray:
    """Centre of each mel band in Hz, (64,), rising."""
    return _mel_edges_hz()[1:-1]


def _mel_matrix() -> np.ndarray:
    """Triangular mel bands of equal height, (FFT bins, bands)."""
    edges = _mel_edges_hz()
    bins = np.arange(_MEL_FFT // 2 + 1) * SAMPLE_RATE_HZ / _MEL_FFT
    rising = (bins[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[None, 2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    triangles: np.ndarray = np.maximum(0.0, np.minimum(rising, falling))
    return triangles


class FrontEnd(nn.Module):
    """Constant-Q levels at 12.5 Hz and mel levels at 50 Hz of a waveform at 24 kHz.

    Frames are centred in their slot; the waveform is mirrored at both ends. Holds no state that a checkpoint keeps.
    """

    kernels: Tensor
    halving: Tensor
    mel: Tensor
    mel_window: Tensor

    def __init__(self) -> None:
        super().__init__()
        kernels, self.kernel_samples = _constant_q_kernels()
        hann = np.hanning(_MEL_FFT + 1)[:-1]
        for name, values in (
            ("kernels", kernels),
            ("halving", _halving_matrix()),
            ("mel", _mel_matrix()),
            ("mel_window", hann * 2.0 / hann.sum()),
        ):
            self.register_buffer(name, torch.from_numpy(values).float(), persistent=False)

    @torch.no_grad()
    def forward(self, waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch slots 424"]:
        """Levels in [0, 1], one row a slot of 80 ms, laid out as `SLOT_WIDTH` says.

        Args:
            waveform: mono, 24 kHz, at least one second, all of the same length.

        Raises:
            AudioError: if the waveform is shorter than one second.
        """
        samples = waveform.shape[-1]
        if samples < _SHORTEST_SECONDS * SAMPLE_RATE_HZ:
            raise AudioError(
                f"the audio is {samples / SAMPLE_RATE_HZ:.2f} s long; the encoder hears at least "
                f"{_SHORTEST_SECONDS:.0f} s: give a longer piece"
            )
        wave, margin, slots = self._padded(waveform)
        cqt = self._constant_q(wave, margin, slots)  # (B, slots, 168), power
        mel = self._mel(wave, margin, slots)  # (B, slots, 256), power
        return _levels(torch.cat((cqt, mel), -1))

    @torch.no_grad()
    def mel_levels(self, waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch frames 64"]:
        """The mel part of `forward` alone, at 50 Hz."""
        mel = self._mel(*self._padded(waveform))
        return _levels(mel.reshape(len(mel), -1, MEL_BANDS))

    def _padded(self, waveform: Tensor) -> tuple[Tensor, int, int]:
        """At unit loudness, mirrored at both ends; how far, and the slots between."""
        samples = waveform.shape[-1]
        slots = num_slots(samples)
        wave = waveform.to(self.kernels.dtype)
        wave = wave / wave.square().mean(-1, keepdim=True).sqrt().clamp_min(_QUIETEST_RMS)
        margin = (self.kernel_samples // 2) << (OCTAVES - 1)
        width = (margin, slots * SLOT_SAMPLES - samples + margin)
        return nn.functional.pad(wave[:, None], width, mode="reflect")[:, 0], margin, slots

    def _constant_q(self, wave: Tensor, margin: int, slots: int) -> Tensor:
        octaves: list[Tensor] = []
        for octave, subframes in enumerate(_SUBFRAMES):
            hop = SLOT_SAMPLES // subframes
            start = ((margin + hop // 2) >> octave) - self.kernel_samples // 2
            pieces = wave[:, start:].unfold(-1, self.kernel_samples, hop >> octave)[:, : slots * subframes]
            real, imaginary = (pieces @ self.kernels).chunk(2, -1)
            power = real.square() + imaginary.square()
            octaves.append(power.reshape(len(power), slots, subframes, BINS_PER_OCTAVE).mean(2))
            if octave < OCTAVES - 1:
                wave = self._halve(wave)
        return torch.cat(octaves[::-1], -1)

    def _halve(self, wave: Tensor) -> Tensor:
        """The same signal at half the sample rate; sample k lies where sample 2k lay."""
        length = wave.shape[-1]
        block = 2 * _HALVING_BLOCK
        side = _HALVING_TAPS // 2
        padded = nn.functional.pad(wave, (side, side + (-length) % block))
        halves: Tensor = padded.unfold(-1, block + _HALVING_TAPS - 1, block) @ self.halving
        return halves.flatten(1)[:, : (length + 1) // 2]

    def _mel(self, wave: Tensor, margin: int, slots: int) -> Tensor:
        start = margin + MEL_HOP // 2 - _MEL_FFT // 2
        pieces = wave[:, start:].unfold(-1, _MEL_FFT, MEL_HOP)[:, : slots * MEL_PER_SLOT]
        spectrum = torch.fft.rfft(pieces * self.mel_window)
        power = spectrum.real.square() + spectrum.imag.square()
        bands: Tensor = power @ self.mel
        return bands.reshape(len(power), slots, MEL_PER_SLOT * MEL_BANDS)


def _levels(power: Tensor) -> Tensor:
    level: Tensor = 10.0 * torch.log10(power.clamp_min(1e-12))
    return ((level - LOWEST_DB) / (HIGHEST_DB - LOWEST_DB)).clamp(0.0, 1.0)
