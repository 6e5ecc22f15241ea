"""transformers.Trainer as our stages need it: figures of tokens and audio, a stop where a loss is no number any more,
checkpoints that hold what was trained and nothing that is frozen.

In: what a Trainer takes, with batches from `mllm.train.rows`. Out: the same as a Trainer gives. Knows no stages and no
files of settings.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer
from transformers.trainer_pt_utils import get_parameter_names

from mllm.errors import TrainingError
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.strict_io import write_json
from mllm.train import launch
from mllm.train.rows import ABOUT, About
from mllm.train.whole_checkpoints import last_whole

DIVERGED = "diverged.json"
LORA_MARK = "lora_"
"""Stands in the name of every parameter of a LoRA."""


@dataclasses.dataclass
class Counts:
    """What one process has learnt from since the training began or went on."""

    tokens: int = 0
    seconds: float = 0.0
    conversations: int = 0

    def add(self, about: About) -> None:
        """Count one batch."""
        self.tokens += about.tokens
        self.seconds += about.seconds
        self.conversations += len(about.conversations)


class StageTrainer(Trainer):
    """A Trainer; see the first lines of the file.

    Args:
        place_of: what a conversation is called, by its index in the prepared data.
        lora_learning_rate: highest learning rate of a LoRA's parameters.
        arguments: of `Trainer`.
    """

    def __init__(self, *, place_of: Callable[[int], str], lora_learning_rate: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.counts = Counts()
        self.figures: Callable[[int, int], Mapping[str, float]] | None = None
        self._last_about = About(conversations=(), tokens=0, seconds=0.0)
        self._place_of = place_of
        self._lora_learning_rate = lora_learning_rate

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """One batch forward and backward.

        Raises:
            TrainingError: its loss is not finite; the batch is written to `diverged.json`.
        """
        about: About = inputs.pop(ABOUT)
        loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
        if not math.isfinite(loss.item()):
            raise self._diverged("loss", about)
        self._last_about = about
        self.counts.add(about)
        return loss

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        """The length of the gradient before it is shortened.

        Raises:
            TrainingError: it is not finite. With float16 the scaler passes over such steps, so nothing is raised.
        """
        norm: Any = super()._clip_grad_norm(model)  # type: ignore[no-untyped-call]
        if norm is not None and not self.args.fp16 and not math.isfinite(float(norm)):
            raise self._diverged("gradient", self._last_about)
        return norm

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Send figures to the log, with those of speed beside each loss of the training."""
        if "loss" in logs and self.figures is not None:
            logs.update(self.figures(self.state.global_step, self.state.max_steps))
        super().log(logs, start_time)

    def prediction_step(self, model: nn.Module, inputs: dict[str, Any], *others: Any, **options: Any) -> Any:
        """One batch of an evaluation."""
        inputs.pop(ABOUT, None)
        return super().prediction_step(model, {**inputs, "skip_logits": True}, *others, **options)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW in groups: with and without weight decay, and a LoRA at a learning rate of its own."""
        if self.optimizer is None:
            chosen: Any = self.model if model is None else model
            kind, settings = self.get_optimizer_cls_and_kwargs(self.args, chosen)
            self.optimizer = kind(self._groups(chosen), **settings)
        return self.optimizer

    def _groups(self, model: nn.Module) -> list[dict[str, Any]]:
        decayed = set(get_parameter_names(model, [nn.LayerNorm], ["bias", "layernorm", "rmsnorm", "norm."]))
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                groups.setdefault((LORA_MARK in name, name in decayed), []).append(parameter)
        return [
            {
                "params": parameters,
                "weight_decay": self.args.weight_decay if decays else 0.0,
                "lr": self._lora_learning_rate if is_lora else self.args.learning_rate,
            }
            for (is_lora, decays), parameters in sorted(groups.items(), key=lambda group: group[0])
        ]

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the trained tensors and the contract, and nothing that is frozen."""
        if self.args.should_save:
            model: Any = self.accelerator.unwrap_model(self.model)
            model.save_pretrained(output_dir or self.args.output_dir, state_dict=self.trained_tensors())

    def trained_tensors(self) -> dict[str, Tensor]:
        """The trained tensors by their names in a checkpoint, on the CPU."""
        model = self.accelerator.unwrap_model(self.model)
        assert isinstance(model, MusicLLMForConditionalGeneration)
        tensors: dict[str, Tensor] = model.trained_parts().state_dict()
        return {name: tensor.to("cpu", copy=True) for name, tensor in tensors.items()}

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.is_deepspeed_enabled:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        engine: Any = self.model_wrapped
        save = engine.save_checkpoint
        engine.save_checkpoint = lambda place: save(place, exclude_frozen_parameters=True)
        try:
            super()._save_optimizer_and_scheduler(output_dir)
        finally:
            engine.save_checkpoint = save

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The schedule; called once the engine stands, which then opens checkpoints without frozen tensors."""
        engine = launch.engine_of(self.accelerator)
        if engine is not None:
            load = engine.load_checkpoint

            def load_trained(place: str, **options: Any) -> Any:
                return load(place, **{**options, "load_module_strict": False})

            engine.load_checkpoint = load_trained
            launch.leave_whole(engine, self.accelerator.unwrap_model(self.model).trained_parts().values())
        return super().create_scheduler(num_training_steps, optimizer)

    def _diverged(self, what: str, about: About) -> TrainingError:
        work = Path(str(self.args.output_dir))
        places = [self._place_of(index) for index in about.conversations]
        record: Mapping[str, Any] = {"step": self.state.global_step + 1, "what": what, "conversations": places}
        write_json(
            record, work / (DIVERGED if self.args.process_index == 0 else f"{self.args.process_index}-{DIVERGED}")
        )
        good = last_whole(work)
        rest = "no checkpoint was written yet" if good is None else f"the last good checkpoint is {good}"
        return TrainingError(
            f"the {what} of step {self.state.global_step + 1} is not a finite number, so the training was stopped; the "
            f"conversations of that batch stand in {work / DIVERGED}, and {rest}: look at them, or lower "
            "train.learning_rate"
        )
