"""A LoRA on the backbone: low-rank additions to its linear layers, which learn while the layers stay as they are.

In: a language model and the settings of its LoRA. Out: the same model with PEFT's layers in it, and access to what is
trained of it. Knows nothing of audio, checkpoints or training loops. PEFT is imported where there is a LoRA only.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import math
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from mllm.errors import ConfigError
from mllm.settings import near

LORA = "lora"
"""What the LoRA is called among the parts that are trained."""
ADAPTER = "default"
"""PEFT's name of the only LoRA there is; it is part of the names of its tensors, in files too."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """Which layers get an addition, and how large it is."""

    rank: int = 8
    """Rank of each addition, 1 or more; the number of trained weights grows with it."""
    alpha: float = 16.0
    """The addition is multiplied by alpha / rank; above 0."""
    dropout: float = 0.0
    """Probability with which an input of an addition is set to 0 in training, from 0 to less than 1."""
    targets: tuple[str, ...] = ()
    """Names of linear layers of the backbone, such as q_proj; empty: all of them but the output layer."""

    def __post_init__(self) -> None:
        problems = []
        if self.rank < 1:
            problems.append(f"rank is {self.rank}; expected 1 or more")
        if not math.isfinite(self.alpha) or self.alpha <= 0:
            problems.append(f"alpha is {self.alpha}; expected a number above 0")
        if not 0 <= self.dropout < 1:
            problems.append(f"dropout is {self.dropout}; expected at least 0 and less than 1")
        if not all(self.targets) or len(set(self.targets)) < len(self.targets):
            problems.append(f"targets are {list(self.targets)}; expected different names of layers, or none for all")
        if problems:
            raise ConfigError("; ".join(problems))

    def to_dict(self) -> dict[str, Any]:
        """The fields as they stand in a configuration file."""
        return {**dataclasses.asdict(self), "targets": list(self.targets)}


def inject(language_model: Any, settings: LoraSettings) -> LoraSettings:
    """Put a LoRA into a language model, in place; fresh, it changes nothing of what the model computes.

    Its weights are float32, whatever the model's are, and its first values are drawn from torch's generator.

    Args:
        language_model: without a LoRA; its layers may be quantised by bitsandbytes.
        settings: of the LoRA.

    Returns:
        The settings with the names of all layers that have an addition now.

    Raises:
        ConfigError: if PEFT is not installed, a target is no linear layer of the model, or there is a LoRA already.
    """
    if importlib.util.find_spec("peft") is None:
        raise ConfigError("a LoRA needs peft, which is not installed: pip install 'mllm-music[train]'")
    from peft import LoraConfig, inject_adapter_in_model

    if layers(language_model):
        raise ConfigError("the language model has a LoRA already; give one without")
    found = _linear_layers(language_model)
    for target in settings.targets:
        if target not in found:
            raise ConfigError(
                f"lora.targets names {target!r}, which is no linear layer of the backbone"
                f"{near(target, found)}; expected some of: {', '.join(found)}"
            )
    settings = dataclasses.replace(settings, targets=settings.targets or tuple(found))
    options: dict[str, Any] = {  # as PEFT takes an alpha that is no whole number, but does not say so
        "r": settings.rank,
        "lora_alpha": settings.alpha,
        "lora_dropout": settings.dropout,
        "target_modules": list(settings.targets),
        "fan_in_fan_out": any(found[target] is Conv1D for target in settings.targets),
    }
    inject_adapter_in_model(LoraConfig(**options), language_model, adapter_name=ADAPTER)
    trained(language_model).float()
    return settings


def layers(language_model: nn.Module) -> dict[str, Any]:
    """The layers that have an addition, by their names in the language model."""
    return {name: module for name, module in language_model.named_modules() if hasattr(module, "lora_A")}


def trained(language_model: nn.Module) -> nn.Module:
    """The trained weights alone, under the names that they have in the language model."""
    root = nn.Module()
    for name, layer in layers(language_model).items():
        place = root
        for step in name.split("."):
            if step not in dict(place.named_children()):
                place.add_module(step, nn.Module())
            place = place.get_submodule(step)
        place.lora_A = layer.lora_A
        place.lora_B = layer.lora_B
    return root


def set_mode(language_model: nn.Module, *, training: bool) -> None:
    """Evaluation mode for the language model, whose own dropout stays off; `training` for the dropout of a LoRA."""
    language_model.eval()
    for layer in layers(language_model).values():
        layer.lora_dropout.train(training)


@torch.no_grad()
def merge(language_model: Any) -> None:
    """Add the LoRA to the weights of the layers, in place, and take it out.

    The sum is computed in float32 and rounded once, to the dtype of the layer; no layer may be quantised.
    """
    for name, layer in layers(language_model).items():
        plain = layer.get_base_layer()
        assert plain.weight.is_floating_point(), f"{name} is quantised"
        plain.weight.copy_(plain.weight.float() + layer.get_delta_weight(ADAPTER).float())
        parent, _, attribute = name.rpartition(".")
        setattr(language_model.get_submodule(parent), attribute, plain)
    del language_model.peft_config


def _linear_layers(language_model: Any) -> dict[str, type]:
    """Last parts of the names of all linear layers but the output layer, sorted, and the kind of each."""
    output = language_model.get_output_embeddings()
    found = {
        name.rpartition(".")[2]: Conv1D if isinstance(module, Conv1D) else nn.Linear
        for name, module in language_model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and module is not output
    }
    return dict(sorted(found.items()))
