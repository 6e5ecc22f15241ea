"""How long a training is and what the Trainer is told: steps, batches that are accumulated, its arguments.

In: a `RunConfig` and the number of rows. Out: numbers and `TrainingArguments`. Knows neither models nor data.
"""

from __future__ import annotations

import importlib.util
import math
import os
from pathlib import Path
from typing import Any

from transformers import TrainingArguments

from mllm.errors import ConfigError
from mllm.train import launch
from mllm.train.run_config import RunConfig

ROWS_PER_STEP = 8
EPOCHS = 3
FEWEST_STEPS = 300
"""What is taken where nothing is said; see `TrainSection.rows_per_step` and `epochs`."""
_SET_UP = {
    "wandb": ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT"),
    "trackio": ("TRACKIO_PROJECT", "TRACKIO_SPACE_ID", "TRACKIO_DIR"),
}
"""Variables of the environment of which one says that somebody set it up; figures go nowhere unasked."""


def accumulation(config: RunConfig, num_rows: int) -> int:
    """Batches that one process accumulates in a step.

    Args:
        config: of the run.
        num_rows: rows that there are.

    Raises:
        ConfigError: the rows of a step cannot be shared out evenly.
    """
    at_once = config.train.rows_at_once * launch.world_size()
    if config.train.rows_per_step is None:
        return max(1, min(ROWS_PER_STEP, num_rows // 10) // at_once)
    if config.train.rows_per_step % at_once:
        raise ConfigError(
            f"train.rows_per_step is {config.train.rows_per_step}, which {launch.world_size()} processes with "
            f"train.rows_at_once={config.train.rows_at_once} cannot share; expected a multiple of {at_once}"
        )
    return config.train.rows_per_step // at_once


def rows_of_step(config: RunConfig, num_rows: int) -> int:
    """Rows that a step learns from, all processes together."""
    return accumulation(config, num_rows) * config.train.rows_at_once * launch.world_size()


def steps_of_run(config: RunConfig, num_rows: int) -> int:
    """Optimiser steps of a run over so many rows."""
    train = config.train
    batches = math.ceil(num_rows / (train.rows_at_once * launch.world_size()))
    of_epoch = math.ceil(batches / accumulation(config, num_rows))
    if train.steps is not None:
        return train.steps
    return max(EPOCHS * of_epoch, FEWEST_STEPS) if train.epochs is None else math.ceil(train.epochs * of_epoch)


def arguments(
    config: RunConfig,
    num_rows: int,
    work: Path,
    deepspeed: dict[str, Any] | None,
    *,
    evaluates: bool,
) -> TrainingArguments:
    """The arguments of the Trainer.

    Args:
        config: of the run.
        num_rows: rows that there are, without empty ones that fill up the last step.
        work: where checkpoints and logs go.
        deepspeed: settings of DeepSpeed.
        evaluates: whether there is something to measure on.

    Raises:
        ConfigError: figures shall go to what is not installed.
    """
    train = config.train
    steps = steps_of_run(config, num_rows)
    precision = train.precision or ("float32" if launch.device().type == "cpu" else "bfloat16")
    arguments = TrainingArguments(
        output_dir=str(work),
        max_steps=steps,
        per_device_train_batch_size=train.rows_at_once,
        per_device_eval_batch_size=train.rows_at_once,
        gradient_accumulation_steps=accumulation(config, num_rows),
        learning_rate=train.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=int(train.warmup_share * steps),
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        optim=_optimizer(config),
        bf16=precision == "bfloat16",
        fp16=precision == "float16",
        gradient_checkpointing=train.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if train.gradient_checkpointing else None,
        logging_steps=train.log_every,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=train.save_every,
        save_total_limit=train.keep,
        eval_strategy="steps" if evaluates else "no",
        eval_steps=(train.evaluate_every or max(1, steps // 10)) if evaluates else None,
        prediction_loss_only=True,
        report_to=_reports(train.report_to),
        use_cpu=launch.device().type == "cpu",
        remove_unused_columns=False,
        seed=train.seed,
        data_seed=train.seed,
        disable_tqdm=True,
        dataloader_num_workers=config.data.workers,
        dataloader_persistent_workers=config.data.workers > 0,
        accelerator_config={"dispatch_batches": False, "use_seedable_sampler": True},
        ddp_find_unused_parameters=False,
        deepspeed=deepspeed,
    )
    if arguments.n_gpu > 1:  # several GPUs are for several processes: torch's DataParallel would cut lists of features
        arguments._n_gpu = 1  # noqa: SLF001 (the Trainer offers no other way)
    return arguments


def _reports(asked: tuple[str, ...] | None) -> list[str]:
    """TensorBoard always, and what else is asked for, or is installed and set up."""
    if asked is None:
        asked = tuple(
            name
            for name, variables in _SET_UP.items()
            if importlib.util.find_spec(name) is not None and any(variable in os.environ for variable in variables)
        )
    for name in asked:
        if importlib.util.find_spec(name) is None:
            raise ConfigError(f"train.report_to names {name}, which is not installed: pip install {name}")
    return ["tensorboard", *(name for name in asked if name != "tensorboard")]


def _optimizer(config: RunConfig) -> str:
    if config.train.optimizer == "adamw_8bit":
        return "adamw_8bit"
    return "adamw_torch_fused" if config.train.deepspeed is None else "adamw_torch"
