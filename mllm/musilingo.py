"""MusiLingo's published projectors: a file of theirs in, the trained tensors of a model of ours filled.

The layout is that of github.com/zihaod/MusiLingo (Deng et al., 2023, arXiv 2309.08730): `llama_proj`, one linear layer
from MERT's width to the backbone's. It reads the mean of all hidden states of MERT, averaged over stretches of 325
frames, which is what our linear adapter and layer mix compute with the settings given here. Knows neither prompts nor
audio files.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any

import safetensors
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor

from mllm.errors import CheckpointError, ConfigError
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.strict_io import fill, load_torch_file

STRETCH_FRAMES = 325
"""Frames of MERT that one soft token is the mean of; what is left at the end of a recording makes one more."""
FRAMES_PER_SECOND = 75
"""Frame rate of MERT-v1."""
ADAPTER = MappingProxyType(
    {"name": "linear", "tokens_per_second": FRAMES_PER_SECOND / STRETCH_FRAMES, "stretches": "fixed"}
)
"""The adapter that computes what MusiLingo computes; give it to `checkpoint.assemble`, with `layer_mix` on."""
_PROJECTOR = "llama_proj."
_FROZEN = ("audio_encoder.", "llama_model.")
"""What else stands in their files: buffers, or all weights, of the parts that MusiLingo keeps frozen."""
_WRAPPER = "model."
"""May stand before every name."""


def read_projector(
    path: str | Path,
) -> tuple[Float[Tensor, "output_width input_width"], Float[Tensor, " output_width"]]:
    """Weight and bias of a published projector, as float32; nothing in the file is executed.

    Args:
        path: a checkpoint of MusiLingo's training (torch: `{"model": tensors, …}`), or a safetensors file that holds
            the projector, alone or among the weights of the frozen parts, which are left in the file.

    Raises:
        CheckpointError: if the file cannot be read, lacks the projector, or holds anything else than it should.
    """
    path = Path(path)
    tensors = _read_safetensors(path) if path.suffix == ".safetensors" else load_torch_file(path, within="model")
    tensors = {name.removeprefix(_WRAPPER): tensor for name, tensor in tensors.items()}
    wanted = {_PROJECTOR + name: dimensions for name, dimensions in (("weight", 2), ("bias", 1))}
    strange = [name for name in tensors if name not in wanted and not name.startswith(_FROZEN)]
    missing = [name for name in wanted if name not in tensors]
    if strange or missing:
        raise CheckpointError(
            f"{path} is no projector of MusiLingo (missing: {', '.join(missing) or 'nothing'}; not expected: "
            f"{', '.join(strange[:4]) or 'nothing'}); expected {' and '.join(wanted)} beside frozen parts only: give a "
            f"checkpoint of MusiLingo's own training"
        )
    weight, bias = (tensors[name] for name in wanted)
    if (
        weight.ndim != 2
        or bias.shape != weight.shape[:1]
        or not (weight.is_floating_point() and bias.is_floating_point())
    ):
        raise CheckpointError(
            f"{path}: {_PROJECTOR}weight is {weight.dtype} {tuple(weight.shape)} and {_PROJECTOR}bias {bias.dtype} "
            f"{tuple(bias.shape)}; expected floating-point (output, input) and (output,): fetch the file again"
        )
    return weight.float(), bias.float()


@torch.no_grad()
def fill_from(model: MusicLLMForConditionalGeneration, path: str | Path) -> None:
    """Give a model the projector of a published checkpoint; the model then makes MusiLingo's soft tokens.

    Args:
        model: from `checkpoint.assemble` with `adapter=ADAPTER`; its layer mix becomes the mean over layers.
        path: as for `read_projector`.

    Raises:
        CheckpointError: if the file is not a projector, or one between other widths than the model's.
        ConfigError: if the model's settings compute something else than MusiLingo does.
    """
    _check_settings(model)
    weight, bias = read_projector(path)
    found, expected = tuple(weight.shape), tuple(model.audio_adapter.projection.weight.shape)
    if found != expected:
        raise CheckpointError(
            f"{path} projects from width {found[1]} to {found[0]}, but the encoder is {expected[1]} wide and the "
            f"backbone {expected[0]}; expected the same widths: give the encoder and the backbone that it was trained "
            f"with (MERT-v1-330M and Vicuna 7B v0)"
        )
    fill(model.audio_adapter, {"projection.weight": weight, "projection.bias": bias}, path)
    if model.layer_mix is not None:
        model.layer_mix.logits.zero_()


def _check_settings(model: MusicLLMForConditionalGeneration) -> None:
    stated: dict[str, Any] = model.config.audio_adapter
    if stated != dict(ADAPTER):
        raise ConfigError(f"the adapter is {stated}; MusiLingo's projector needs {dict(ADAPTER)}: assemble with that")
    if model.config.frames_per_second != FRAMES_PER_SECOND:
        raise ConfigError(
            f"the encoder gives {model.config.frames_per_second:g} frames a second; MusiLingo's projector needs "
            f"{FRAMES_PER_SECOND}, those of MERT-v1: assemble with that encoder"
        )
    if model.layer_mix is None and model.audio_encoder.num_layers > 1:
        raise ConfigError("layer_mix is false; MusiLingo's projector reads the mean of all layers: assemble with it on")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    """The projector's tensors in full, and an empty one for every other name: a shard may hold gigabytes of those."""
    if not path.is_file():
        raise CheckpointError(f"there is no {path.name} in {path.parent}; give a checkpoint of MusiLingo")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {
                name: file.get_tensor(name) if _PROJECTOR in name else torch.empty(0)
                for name in file.keys()  # noqa: SIM118 (the file is no dictionary)
            }
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file ({error}); fetch it again") from error
