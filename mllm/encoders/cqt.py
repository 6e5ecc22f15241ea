"""The compact reference encoder: waveform at 24 kHz in, frames at 6.25 Hz out that carry what it names.

A trunk over constant-Q and mel levels, and a branch that autocorrelates learnt onsets, name tempo, key, metre and
instruments; each frame handed out is the trunk's frame followed by these probabilities (`Encoder.readout_slices`), so
that nothing the encoder knows has to be learnt again behind it. Knows nothing of files of audio, labels or training.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mllm import strict_io
from mllm.encoders import _cqt_frontend as frontend
from mllm.encoders._cqt_tempo import TempoBranch
from mllm.encoders._cqt_timbre import PatchBranch, TimbreBranch
from mllm.errors import ConfigError
from mllm.facts import INSTRUMENTS, KEYS, METERS, TEMPO_CLASSES_BPM

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"

_SEMITONES = frontend.CQT_BINS // 2
_HARMONICS = (0, -12, 12, 19, 24, 28)
"""Semitones at which a pitch looks for its harmonics (octaves, twelfth, third above two octaves)."""
_WHITENING_BINS = 25
_PITCH_CHANNELS = 10
_RARE = -5.0
"""First guess of a note's logit."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Shape of the compact encoder; widths are numbers of channels."""

    window_seconds: float = 30.0
    """Longest piece that is heard at once, in seconds (at least 1)."""
    width: int = 256
    """Width of the trunk; the frames handed out are wider by the readouts."""
    depth: int = 4
    """Transformer layers."""
    heads: int = 4
    """Attention heads; `width / heads` must be even."""
    feed_forward: int = 1024
    """Inner width of a transformer layer."""
    stem_channels: int = 24
    """Channels of the first convolution over time and pitch."""
    pitch_channels: int = 24
    """Channels of one pitch after its harmonics were added."""
    chroma_channels: int = 32
    """Channels of one pitch class."""
    note_channels: int = 32
    """Channels of the network that tells which instrument sounds which semitone."""
    onset_channels: int = 20
    """Learnt onset functions that are autocorrelated for the tempo."""
    tempo_width: int = 64
    """Channels of the network over lags."""
    timbre_width: int = 256
    """Channels of the network on statistics of the mel levels that names the instruments."""
    patch_channels: int = 0
    """Channels of the first convolution of the network on the mel levels that names the instruments as well; 0 leaves
    that to the statistics."""
    sharpness: float = 2.0
    """Tempo, key and metre in the frames are softmax(sharpness * logits)."""
    readout_scale: float = 4.0
    """Factor on the probabilities in the frames, so that they weigh about as much as the trunk."""
    instrument_thresholds: tuple[float, ...] = (0.5,) * len(INSTRUMENTS)
    """Probability from which each instrument of `facts.INSTRUMENTS` counts as heard."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "instrument_thresholds", tuple(self.instrument_thresholds))
        if self.window_seconds < 1.0:
            raise ConfigError(f"window_seconds is {self.window_seconds}; the encoder needs at least 1 second")
        if self.width % self.heads or self.width // self.heads % 2:
            raise ConfigError(f"width {self.width} / heads {self.heads} must be an even whole number")
        if len(self.instrument_thresholds) != len(INSTRUMENTS):
            raise ConfigError(
                f"instrument_thresholds has {len(self.instrument_thresholds)} numbers; "
                f"expected {len(INSTRUMENTS)}, one an instrument"
            )


def num_frames(config: Config, num_samples: int) -> int:
    """Frames of a waveform of `num_samples` samples at 24 kHz (at least 1)."""
    del config  # the same for every shape of the network
    return frontend.num_slots(num_samples) // frontend.SLOTS_PER_FRAME


def frames_per_second(config: Config) -> float:
    """Frames a second that the encoder hands out."""
    del config
    return frontend.SLOTS_PER_SECOND / frontend.SLOTS_PER_FRAME


class Outputs(NamedTuple):
    """Everything the network computes from features; logits, not probabilities."""

    frames: Tensor
    """(B, T, width) of the trunk."""
    tempo: Tensor
    """(B, 89)"""
    key: Tensor
    """(B, 24)"""
    meter: Tensor
    """(B, 6)"""
    instruments: Tensor
    """(B, 17) of the whole piece."""
    frame_instruments: Tensor
    """(B, T, 17)"""
    chroma: Tensor
    """(B, channels, T, 12): what is known of each pitch class, C first."""
    notes: Tensor
    """(B, 17, T, 84): whether an instrument sounds a semitone, C1 first; never drums."""


class _Layer(nn.Module):
    """Pre-norm transformer layer with rotary positions."""

    def __init__(self, width: int, heads: int, feed_forward: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, feed_forward), nn.GELU(), nn.Linear(feed_forward, width))

    def forward(self, frames: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        batch, count, width = frames.shape
        mixed = self.qkv(self.attention_norm(frames)).reshape(batch, count, 3, self.heads, width // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)  # (B, heads, T, width / heads)
        query, key = _rotate(query, cosine, sine), _rotate(key, cosine, sine)
        heard = functional.scaled_dot_product_attention(query, key, value)
        frames = frames + self.out(heard.transpose(1, 2).flatten(2))
        result: Tensor = frames + self.feed(self.feed_norm(frames))
        return result


def _rotate(states: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = states.chunk(2, -1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), -1)


class _PitchStem(nn.Module):
    """Constant-Q levels to channels of each semitone (shared over pitch) and of each pitch class."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, config.stem_channels, 5, stride=2, padding=2)
        self.harmonics = nn.Conv2d(config.stem_channels, len(_HARMONICS) * config.pitch_channels, 1)
        self.second = nn.Conv2d(config.pitch_channels, config.pitch_channels, 3, padding=1)
        octaves = _SEMITONES // 12
        self.fold = nn.Conv2d(octaves * config.pitch_channels, config.chroma_channels, 1)
        self.around = nn.Conv2d(config.chroma_channels, config.chroma_channels, (3, 12), padding=(1, 0))
        self.narrow = nn.Conv2d(config.pitch_channels, _PITCH_CHANNELS, 1)
        self.to_frames = nn.Linear(_PITCH_CHANNELS * _SEMITONES + 12 * config.chroma_channels, config.width)

    def forward(self, cqt: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Frames (B, T, width), pitches (B, channels, T, 84) and pitch classes (B, channels, T, 12) from levels
        (B, slots, 168).
        """
        local = functional.avg_pool1d(cqt, _WHITENING_BINS, 1, _WHITENING_BINS // 2, count_include_pad=False)
        planes = torch.stack((4.0 * cqt - 2.0, 8.0 * (cqt - local)), 1)
        hidden = functional.gelu(self.first(planes.contiguous(memory_format=torch.channels_last)))
        parts = self.harmonics(hidden).chunk(len(_HARMONICS), 1)
        pitches = parts[0]
        for shift, part in zip(_HARMONICS[1:], parts[1:], strict=True):
            pitches = pitches + functional.pad(part, (-shift, shift))
        pitches = functional.gelu(self.second(functional.gelu(pitches)))  # (B, C, T, 84)
        octaves = pitches.reshape(*pitches.shape[:3], -1, 12).transpose(2, 3).flatten(1, 2)  # (B, C * 7, T, 12)
        chroma = functional.gelu(self.fold(octaves))
        chroma = chroma + functional.gelu(self.around(functional.pad(chroma, (5, 6, 0, 0), mode="circular")))
        features = torch.cat((self.narrow(pitches).transpose(1, 2).flatten(2), chroma.transpose(1, 2).flatten(2)), -1)
        return self.to_frames(features), pitches, chroma


class _NoteReader(nn.Module):
    """Which instrument sounds which semitone, with weights shared over pitch, and what that says of each frame."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        count = len(INSTRUMENTS)
        self.hidden = nn.Conv2d(config.pitch_channels, config.note_channels, 3, padding=1)
        self.score = nn.Conv2d(config.note_channels, count, 1)
        nn.init.constant_(self.score.bias, _RARE)  # type: ignore[arg-type]  # most instruments rest on most semitones
        self.to_frames = nn.Linear(2 * count, config.width)
        self.weight = nn.Parameter(torch.zeros(count))

    def forward(self, pitches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, 17, T, 84), an addition to frames (B, T, width) and one to instrument logits (B, T, 17)."""
        notes = self.score(functional.gelu(self.hidden(pitches)))
        clearest = notes.amax(-1).transpose(1, 2)  # (B, T, 17)
        amount = notes.sigmoid().sum(-1).transpose(1, 2)
        frames = self.to_frames(torch.cat((0.25 * clearest, amount), -1))
        return notes, frames, self.weight * (clearest - 0.5 * _RARE)


class Encoder(nn.Module):
    """The compact encoder; see the head of this file.

    Frames are `readout_slices`-documented: `trunk` (layer-normed), then `tempo`, `key`, `meter`, `instruments` of the
    whole piece, repeated in every frame, then `frame_instruments`; probabilities times `Config.readout_scale`.
    """

    sample_rate_hz = frontend.SAMPLE_RATE_HZ
    num_layers = 1

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.window_seconds = config.window_seconds
        self.frames_per_second = frames_per_second(config)
        self.readout_slices: dict[str, slice] = {}
        start = 0
        for name, size in (
            ("trunk", config.width),
            ("tempo", len(TEMPO_CLASSES_BPM)),
            ("key", len(KEYS)),
            ("meter", len(METERS)),
            ("instruments", len(INSTRUMENTS)),
            ("frame_instruments", len(INSTRUMENTS)),
        ):
            self.readout_slices[name] = slice(start, start + size)
            start += size
        self.width = start

        self.front_end = frontend.FrontEnd()
        self.stem = _PitchStem(config)
        self.timbre = nn.Sequential(
            nn.Conv1d(frontend.MEL_BANDS, 128, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Conv1d(128, config.width, 6, stride=4, padding=1),
            nn.GELU(),
            nn.Conv1d(config.width, config.width, 1),
        )
        self.notes = _NoteReader(config)
        self.entry_norm = nn.LayerNorm(config.width)
        self.layers = nn.ModuleList(
            _Layer(config.width, config.heads, config.feed_forward) for _ in range(config.depth)
        )
        self.exit_norm = nn.LayerNorm(config.width)
        self.tempo = TempoBranch(config.onset_channels, config.tempo_width)
        self.key_attention = nn.Linear(config.width, 1)
        self.key_linear = nn.Linear(config.width, len(KEYS))
        self.key_around = nn.Conv1d(2 * config.chroma_channels, 64, 12)
        self.key_modes = nn.Conv1d(64, 2, 12)
        self.meter = nn.Sequential(
            nn.Linear(config.width + config.tempo_width, 64), nn.GELU(), nn.Linear(64, len(METERS))
        )
        self.instrument_frames = nn.Linear(config.width, len(INSTRUMENTS))
        self.instruments = TimbreBranch(config.timbre_width)
        self.patches = PatchBranch(config.patch_channels) if config.patch_channels else None

    def num_frames(self, num_samples: int) -> int:
        """Frames of a waveform of `num_samples` samples."""
        return num_frames(self.config, num_samples)

    def forward(self, waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch layers frames width"]:
        """Frames at 6.25 Hz of mono audio at 24 kHz, at least one second long; one layer."""
        return self.encode(self.features(waveform))[:, None]

    def features(self, waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch slots 424"]:
        """Constant-Q and mel levels in [0, 1] at 12.5 Hz; what `encode`, `readout` and `compute` take."""
        features: Tensor = self.front_end(waveform)
        return features.to(self.exit_norm.weight.dtype)

    def encode(self, features: Float[Tensor, "batch slots 424"]) -> Float[Tensor, "batch frames width"]:
        """Trunk frames and probabilities side by side, laid out as `readout_slices` says."""
        outputs = self.compute(features)
        count = outputs.frames.shape[1]
        clip = torch.cat(
            [(self.config.sharpness * logits).softmax(-1) for logits in (outputs.tempo, outputs.key, outputs.meter)]
            + [outputs.instruments.sigmoid()],
            -1,
        )
        probabilities = torch.cat((clip[:, None].expand(-1, count, -1), outputs.frame_instruments.sigmoid()), -1)
        return torch.cat((outputs.frames, self.config.readout_scale * probabilities), -1)

    def readout(self, features: Float[Tensor, "batch slots 424"]) -> dict[str, Tensor]:
        """What the encoder itself names, as probabilities: `tempo` (B, 89) over `facts.TEMPO_CLASSES_BPM`, `key`
        (B, 24) over `facts.KEYS`, `meter` (B, 6) over `facts.METERS`, `instruments` (B, 17, each on its own) over
        `facts.INSTRUMENTS` and `frame_instruments` (B, T, 17).
        """
        outputs = self.compute(features)
        return {
            "tempo": outputs.tempo.softmax(-1),
            "key": outputs.key.softmax(-1),
            "meter": outputs.meter.softmax(-1),
            "instruments": outputs.instruments.sigmoid(),
            "frame_instruments": outputs.frame_instruments.sigmoid(),
        }

    def compute(self, features: Float[Tensor, "batch slots 424"]) -> Outputs:
        """All logits; training reads them."""
        cqt = features[..., : frontend.CQT_BINS]
        levels = features[..., frontend.CQT_BINS :].reshape(len(features), -1, frontend.MEL_BANDS)
        mel = 4.0 * levels - 2.0  # (B, 4 S, 64)
        pitch_frames, pitches, chroma = self.stem(cqt)
        notes, note_frames, note_instruments = self.notes(pitches)
        timbre = self.timbre(mel.transpose(1, 2)).transpose(1, 2)
        frames = self.entry_norm(pitch_frames + note_frames + timbre)
        cosine, sine = self._positions(frames)
        for layer in self.layers:
            frames = layer(frames, cosine, sine)
        frames = self.exit_norm(frames)
        tempo, beat = self.tempo(mel)
        frame_instruments = self.instrument_frames(frames) + note_instruments
        return Outputs(
            frames=frames,
            tempo=tempo,
            key=self._key(frames, chroma),
            meter=self.meter(torch.cat((frames.mean(1), beat), -1)),
            instruments=self._instruments(levels),
            frame_instruments=frame_instruments,
            chroma=chroma,
            notes=notes,
        )

    def _instruments(self, levels: Tensor) -> Tensor:
        logits: Tensor = self.instruments(levels)
        return logits if self.patches is None else logits + self.patches(levels)

    def _key(self, frames: Tensor, chroma: Tensor) -> Tensor:
        """Key logits: a part that is the same for every transposition, and a linear part from the trunk."""
        attention = self.key_attention(frames).softmax(1)
        linear = self.key_linear((attention * frames).sum(1))
        weighted = (chroma * attention.transpose(1, 2)[..., None]).sum(2)
        classes = torch.cat((chroma.mean(2), weighted), 1)  # (B, 2 C, 12)
        hidden = functional.gelu(self.key_around(functional.pad(classes, (5, 6), mode="circular")))
        modes = self.key_modes(functional.pad(hidden, (5, 6), mode="circular"))  # (B, 2, 12)
        logits: Tensor = linear + modes.flatten(1)
        return logits

    def _positions(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        half = self.config.width // self.config.heads // 2
        exponents = torch.arange(half, device=frames.device, dtype=torch.float32) / half
        steps = torch.arange(frames.shape[1], device=frames.device, dtype=torch.float32)
        angles = steps[:, None] * (1.0 / 1000.0**exponents)
        return angles.cos().to(frames.dtype), angles.sin().to(frames.dtype)

    @classmethod
    def from_pretrained(cls, directory: str | Path) -> Encoder:
        """The encoder saved in `directory`, in evaluation mode; nothing missing, nothing left over.

        Raises:
            CheckpointError: if a file is missing or does not fit.
        """
        directory = Path(directory)
        encoder = cls(strict_io.read_config(directory / CONFIG_FILE, Config))
        strict_io.read_tensors(encoder, directory / WEIGHTS_FILE)
        return encoder.eval()

    def save_pretrained(self, directory: str | Path, *, dtype: torch.dtype = torch.float32) -> None:
        """Write config and weights to `directory`; `dtype` is how floating-point weights are stored."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach().to(dtype).contiguous() for name, tensor in self.state_dict().items()}
        strict_io.write_tensors(tensors, directory / WEIGHTS_FILE)
        strict_io.write_config(self.config, directory / CONFIG_FILE)
