"""What of a model learns: which parts are trained and saved, whose weights move, and which mode each part is in.

In: the names of parts. Out: parameters that need a gradient or do not, modules in training or in evaluation mode. Knows
nothing of how the model computes, nor of training loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from torch import nn

from mllm import lora
from mllm.configuration import MusicLLMConfig
from mllm.errors import ConfigError
from mllm.hearing import TRAINED_PARTS, Hearing
from mllm.settings import near


class Learning(Hearing, nn.Module):
    """The part of a model with a `language_model` that says what learns; see `Hearing` for the other parts."""

    config: MusicLLMConfig
    language_model: Any

    def trained_parts(self) -> nn.ModuleDict:
        """The parts that are trained and saved, under the names that their tensors have in a checkpoint."""
        parts = super().trained_parts()
        if self.config.lora is not None:
            parts["language_model"] = lora.trained(self.language_model)
        return parts

    def freeze(self, trained: Sequence[str] | None = None) -> None:
        """Decide what learns: the one place that does.

        Args:
            trained: names out of `TRAINED_PARTS`, and "lora"; None: all of these that the model has.

        Raises:
            ConfigError: if there is no such part.
        """
        there = [name for name in TRAINED_PARTS if getattr(self, name) is not None]
        there += [lora.LORA] if self.config.lora is not None else []
        trained = there if trained is None else trained
        for name in trained:
            if name not in there:
                raise ConfigError(f"this model has no {name!r} to train{near(name, there)}; it has {', '.join(there)}")
        for name, part in self.named_children():
            part.requires_grad_(name in trained)
        if self.config.lora is not None:
            lora.trained(self.language_model).requires_grad_(lora.LORA in trained)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Training mode for the parts that learn; a part without a trainable parameter stays in evaluation mode.

        Where a LoRA learns, that is its dropout; the backbone's own stays off. Gradient checkpointing looks at the mode
        of a layer, so where it is on, the layers of a frozen backbone carry the flag themselves.
        """
        super().train(mode)
        for part in self.children():
            if not any(parameter.requires_grad for parameter in part.parameters()):
                part.eval()
        if self.config.lora is not None:
            learns = any(parameter.requires_grad for parameter in self.language_model.parameters())
            lora.set_mode(self.language_model, training=mode and learns)
        for module in self.language_model.modules():
            if getattr(module, "gradient_checkpointing", False):
                module.training = mode
        return self
