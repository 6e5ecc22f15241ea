"""The MERT music encoder: waveform at 24 kHz in, all hidden states at 75 Hz out.

Reads the directory layout of the published MERT-v1 checkpoints (Li et al., "MERT", ICLR 2024, arXiv 2306.00107) into
transformers' `HubertModel`; the Python files that such a directory names are neither needed nor run. Audio longer than
the context of the model is heard in overlapping pieces. Knows nothing of files of audio, of adapters or of text.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import HubertConfig, HubertModel, PreTrainedConfig

from mllm import strict_io
from mllm.errors import AudioError, CheckpointError, ConfigError
from mllm.settings import config_from_dict, near

CONFIG_FILE = "config.json"
PREPROCESSOR_FILE = "preprocessor_config.json"
WEIGHTS_FILE = "model.safetensors"
OLD_WEIGHTS_FILE = "pytorch_model.bin"
MODEL_TYPE = "mert_model"

_NORMALIZE_EPSILON = 1e-7
_REFUSED_IF_TRUE = ("deepnorm", "feature_extractor_cqt", "conv_pos_batch_norm")
"""Variants that no released MERT-v1 has; the published code of the first does not run."""
_IGNORED_KEYS = frozenset(
    {
        "_name_or_path",
        "attention_relax",
        "auto_map",
        "feat_extract_dropout",
        "feature_extractor_cqt_bins",
        "gradient_checkpointing",
        "hidden_dropout_prob",
        "num_feat_extract_layers",
        "sample_rate",
        "tokenizer_class",
        "torch_dtype",
    }
)
"""Keys of published files, beside those of transformers, that change nothing in evaluation."""
_OWN_KEYS = ("window_seconds", "context_seconds", "margin_seconds")
"""Settings of ours that may stand in config.json beside the published ones."""
_PREPROCESSOR_KEYS = {"do_normalize": "do_normalize", "sample_rate_hz": "sampling_rate"}
"""Fields of `Config` that stand in preprocessor_config.json, and their names there."""
_OLD_NAMES = {
    "encoder.pos_conv_embed.conv.parametrizations.weight.original0": "encoder.pos_conv_embed.conv.weight_g",
    "encoder.pos_conv_embed.conv.parametrizations.weight.original1": "encoder.pos_conv_embed.conv.weight_v",
}
"""Names in torch today, and in published files."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Shape of a MERT, in the words of the published config.json (the defaults are MERT-v1-95M), and how it listens."""

    hidden_size: int = 768
    """Width of the frames."""
    num_hidden_layers: int = 12
    """Transformer layers; one more hidden state than this is handed out."""
    num_attention_heads: int = 12
    """Attention heads."""
    intermediate_size: int = 3072
    """Inner width of a transformer layer."""
    hidden_act: str = "gelu"
    """Activation inside a transformer layer."""
    layer_norm_eps: float = 1e-5
    """Epsilon of the layer norms."""
    do_stable_layer_norm: bool = False
    """True: layer norm before attention (330M); false: after it (95M)."""
    feat_proj_layer_norm: bool = True
    """Layer norm between the convolutions and the transformer."""
    feat_extract_norm: Literal["group", "layer"] = "group"
    """Norm of the convolutions: over time behind the first one, or over channels behind each."""
    feat_extract_activation: str = "gelu"
    """Activation of the convolutions."""
    conv_dim: tuple[int, ...] = (512,) * 7
    """Channels of each convolution over the waveform."""
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    """Kernel length of each, in its own input's steps."""
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    """Stride of each; their product is the number of samples a frame."""
    conv_bias: bool = False
    """Bias in the convolutions."""
    num_conv_pos_embeddings: int = 128
    """Kernel length, in frames, of the convolution that encodes positions."""
    num_conv_pos_embedding_groups: int = 16
    """Its groups."""
    mask_time_prob: float = 0.05
    """If this or `mask_feature_prob` is above 0, the checkpoint holds `masked_spec_embed`, which is never used."""
    mask_feature_prob: float = 0.0
    """See `mask_time_prob`."""
    sample_rate_hz: int = 24_000
    """Sample rate of the waveform, from preprocessor_config.json."""
    do_normalize: bool = False
    """Bring the waveform to zero mean and unit variance, from preprocessor_config.json."""
    window_seconds: float = 30.0
    """Longest piece that is given at once, in seconds."""
    context_seconds: float = 5.0
    """Longest piece that the transformer sees at once, in seconds; MERT was trained on 5."""
    margin_seconds: float = 1.0
    """Frames nearer than this to an inner border are taken from the neighbouring piece; under half of the context."""

    def __post_init__(self) -> None:
        problems = [
            f"{key} is {getattr(self, key)}; expected more than 0"
            for key in (
                *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "layer_norm_eps"),
                *("num_conv_pos_embeddings", "num_conv_pos_embedding_groups", "sample_rate_hz"),
                *("window_seconds", "context_seconds"),
            )
            if getattr(self, key) <= 0
        ]
        if not len(self.conv_dim) == len(self.conv_kernel) == len(self.conv_stride) >= 1:
            problems.append("conv_dim, conv_kernel and conv_stride must have one number for each convolution")
        elif min(self.conv_dim + self.conv_kernel + self.conv_stride) < 1:
            problems.append("conv_dim, conv_kernel and conv_stride must be 1 or more everywhere")
        if not problems:
            problems += self._check_together()
        if problems:
            raise ConfigError("; ".join(problems))

    def _check_together(self) -> list[str]:
        problems = [
            f"hidden_size {self.hidden_size} is not a multiple of {key} {getattr(self, key)}"
            for key in ("num_attention_heads", "num_conv_pos_embedding_groups")
            if self.hidden_size % getattr(self, key)
        ]
        if self.margin_seconds < 0 or _context_frames(self) <= 2 * _margin_frames(self):
            problems.append(
                f"margin_seconds is {self.margin_seconds}; expected 0 or more and less than half of "
                f"context_seconds {self.context_seconds}"
            )
        return problems


def num_frames(config: Config, num_samples: int) -> int:
    """Frames of a waveform of `num_samples` samples; 0 if it is shorter than one frame sees."""
    return max(0, (num_samples - _frame_samples(config)) // _hop_samples(config) + 1)


def frames_per_second(config: Config) -> float:
    """Frames a second: 75 for MERT-v1. The end of the last frame's view is lost: 5 s give 374 frames, not 375."""
    return config.sample_rate_hz / _hop_samples(config)


class Encoder(nn.Module):
    """A frozen MERT; see the head of this file.

    A waveform of at most `Config.context_seconds` is computed whole, exactly as the published model does. A longer one
    is cut into pieces of that length, never padded, which start on the grid of frames; each frame is taken from one
    piece that holds at least `Config.margin_seconds` on both sides of it (less only at the two ends of the waveform),
    and the last piece ends with the last frame. So a frame depends on where a recording was cut only through the
    borders of the piece that it is computed in: not at all if the cut moves by a multiple of context less twice the
    margin, and otherwise by at most 12 % of the norm of a hidden state (tests/test_encoder_mert.py: random weights,
    away from the cut by the margin).
    """

    windows_at_once = 4
    """Pieces computed in one batch; more is faster on a GPU and needs about 150 MB for each (95M)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.sample_rate_hz = config.sample_rate_hz
        self.window_seconds = config.window_seconds
        self.frames_per_second = frames_per_second(config)
        self.width = config.hidden_size
        self.num_layers = config.num_hidden_layers + 1
        self.hubert = HubertModel(_hubert_config(config))
        self.hubert.eval()

    def num_frames(self, num_samples: int) -> int:
        """Frames of a waveform of `num_samples` samples."""
        return num_frames(self.config, num_samples)

    def train(self, mode: bool = True) -> Encoder:
        """As for every module, but the published model inside stays in evaluation mode, where nothing is random."""
        super().train(mode)
        self.hubert.eval()
        return self

    def forward(self, waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch layers frames width"]:
        """All hidden states of mono audio at `sample_rate_hz`: the transformer's input, then each layer's output.

        With `Config.do_normalize` the mean and variance are those of the whole waveform given. Computed in the dtype of
        the weights, also under autocast.

        Raises:
            AudioError: if the waveform is shorter than what one frame sees (400 samples for MERT-v1).
        """
        total = self.num_frames(waveform.shape[1])
        if total < 1:
            raise AudioError(
                f"the waveform has {waveform.shape[1]} samples; MERT needs at least {_frame_samples(self.config)}"
            )
        waveform = waveform.float()
        if self.config.do_normalize:
            variance, mean = torch.var_mean(waveform, dim=1, correction=0, keepdim=True)
            waveform = (waveform - mean) / torch.sqrt(variance + _NORMALIZE_EPSILON)
        waveform = waveform.to(self.hubert.dtype)
        with torch.autocast(waveform.device.type, enabled=False):
            if waveform.shape[1] <= _context_samples(self.config):
                return self._hidden_states(waveform)
            return self._in_pieces(waveform, total)

    def _in_pieces(self, waveform: Tensor, total: int) -> Tensor:
        context, margin, hop = _context_frames(self.config), _margin_frames(self.config), _hop_samples(self.config)
        starts = [*range(0, total - context, context - 2 * margin), total - context]
        length = hop * (context - 1) + _frame_samples(self.config)
        pieces = torch.stack([waveform[:, hop * start : hop * start + length] for start in starts], 1)  # (B, P, W)
        computed = [self._hidden_states(some) for some in torch.split(pieces.flatten(0, 1), self.windows_at_once)]
        joined = torch.cat(computed)  # (B * P, L, T, D)
        states = joined.reshape(*pieces.shape[:2], *joined.shape[1:])  # (B, P, L, T, D)
        ends = [start + context - margin for start in starts[:-1]] + [total]
        begins = [0, *ends[:-1]]
        kept = [
            states[:, index, :, begin - start : end - start]
            for index, (start, begin, end) in enumerate(zip(starts, begins, ends, strict=True))
        ]
        return torch.cat(kept, 2)

    def _hidden_states(self, waveform: Tensor) -> Tensor:
        """(B, L, T, D) of waveforms that are computed whole."""
        outputs = self.hubert(waveform, output_hidden_states=True)
        # With layer norm before attention, the last entry here lacks the final norm that the published model applies.
        return torch.stack((*outputs.hidden_states[:-1], outputs.last_hidden_state), 1)

    @classmethod
    def from_pretrained(cls, directory: str | Path) -> Encoder:
        """The encoder of a directory in the published layout, in evaluation mode; nothing missing, nothing left over.

        Needs config.json, preprocessor_config.json and model.safetensors or pytorch_model.bin.

        Raises:
            CheckpointError: if a file is missing, or a tensor is missing, left over or of another shape.
            ConfigError: if a setting is unknown, missing or of a variant that is not supported.
        """
        directory = Path(directory)
        encoder = cls(_read_published(directory))
        if (directory / WEIGHTS_FILE).is_file():
            path = directory / WEIGHTS_FILE
            tensors = strict_io.load_tensors(path)
        elif (directory / OLD_WEIGHTS_FILE).is_file():
            path = directory / OLD_WEIGHTS_FILE
            tensors = strict_io.load_torch_file(path)
        else:
            raise CheckpointError(
                f"there is neither {WEIGHTS_FILE} nor {OLD_WEIGHTS_FILE} in {directory}; give the directory of a MERT "
                f"checkpoint with its weights"
            )
        today = {old: new for new, old in _OLD_NAMES.items()}
        renamed = {today.get(name, name): tensor for name, tensor in tensors.items()}
        if len(renamed) < len(tensors):
            raise CheckpointError(f"{path} holds both the old and the new name of {', '.join(today)}; expected one")
        strict_io.fill(encoder.hubert, renamed, path, spelling=lambda name: _OLD_NAMES.get(name, name))
        return encoder.eval()

    def save_pretrained(self, directory: str | Path) -> None:
        """Write the encoder to `directory` in the published layout, weights as safetensors."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        settings = dataclasses.asdict(self.config)
        preprocessor = {theirs: settings.pop(ours) for ours, theirs in _PREPROCESSOR_KEYS.items()}
        fixed: dict[str, Any] = dict.fromkeys(_REFUSED_IF_TRUE, False)
        tensors = {_OLD_NAMES.get(name, name): tensor for name, tensor in self.hubert.state_dict().items()}
        strict_io.write_tensors(tensors, directory / WEIGHTS_FILE)
        strict_io.write_json(
            {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1, **preprocessor},
            directory / PREPROCESSOR_FILE,
        )
        strict_io.write_json(
            {"architectures": ["MERTModel"], "model_type": MODEL_TYPE, **fixed, **settings}, directory / CONFIG_FILE
        )


def _hop_samples(config: Config) -> int:
    """Samples from the start of one frame to the start of the next."""
    return math.prod(config.conv_stride)


def _frame_samples(config: Config) -> int:
    """Samples that the convolutions see for one frame."""
    samples, hop = 1, 1
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        samples += (kernel - 1) * hop
        hop *= stride
    return samples


def _context_samples(config: Config) -> int:
    return round(config.context_seconds * config.sample_rate_hz)


def _context_frames(config: Config) -> int:
    return num_frames(config, _context_samples(config))


def _margin_frames(config: Config) -> int:
    return math.ceil(config.margin_seconds * frames_per_second(config))


def _hubert_config(config: Config) -> HubertConfig:
    """The same shape for transformers, with everything off that is random in training."""
    shape = dataclasses.asdict(config)
    for key in (*_OWN_KEYS, *_PREPROCESSOR_KEYS):
        del shape[key]
    off: dict[str, Any] = dict.fromkeys(
        (
            "hidden_dropout",
            "activation_dropout",
            "attention_dropout",
            "feat_proj_dropout",
            "final_dropout",
            "layerdrop",
        ),
        0.0,
    )
    return HubertConfig(**shape, **off, apply_spec_augment=False)


def _read_published(directory: Path) -> Config:
    path = directory / CONFIG_FILE
    published = strict_io.read_json(path)
    preprocessor = strict_io.read_json(directory / PREPROCESSOR_FILE)
    problems = []
    if published.get("model_type") != MODEL_TYPE:
        problems.append(f"model_type is {published.get('model_type')!r}; expected {MODEL_TYPE!r}")
    problems += [
        f"{key} is true; this variant of MERT is not supported, expected false"
        for key in _REFUSED_IF_TRUE
        if published.get(key)
    ]
    shape = [f.name for f in dataclasses.fields(Config) if f.name not in (*_OWN_KEYS, *_PREPROCESSOR_KEYS)]
    known = {*shape, *_OWN_KEYS, *_REFUSED_IF_TRUE, *_IGNORED_KEYS, *_transformers_keys()}
    problems += [f"{key} is not a setting{near(key, known)}" for key in published if key not in known]
    problems += [f"{key} is missing" for key in shape if key not in published]
    problems += [
        f"{key} is missing in {PREPROCESSOR_FILE}" for key in _PREPROCESSOR_KEYS.values() if key not in preprocessor
    ]
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}")
    settings = {key: published[key] for key in (*shape, *_OWN_KEYS) if key in published}
    settings |= {ours: preprocessor[theirs] for ours, theirs in _PREPROCESSOR_KEYS.items()}
    try:
        return config_from_dict(Config, settings)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _transformers_keys() -> set[str]:
    """Keys that a HuBERT configuration file may hold, of which those outside `Config` matter in training only."""
    return {*HubertConfig().to_dict(), *PreTrainedConfig().to_dict()}
