"""What the trainings that are given ready batches have in common: the arguments of transformers.Trainer.

In: where to write and how long. Out: `TrainingArguments`. Knows no model and no data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments


def for_ready_batches(
    output: Path, *, steps: int, learning_rate: float, warmup_steps: int, save_every: int, seed: int, **others: Any
) -> TrainingArguments:
    """Arguments for a data set whose items are whole batches: cosine schedule, clipping, TensorBoard, two checkpoints.

    Args:
        output: directory of the checkpoints.
        steps: optimiser steps.
        learning_rate: highest learning rate.
        warmup_steps: steps until then.
        save_every: steps between checkpoints.
        seed: of the Trainer.
        others: further fields of `TrainingArguments`.
    """
    return TrainingArguments(
        output_dir=str(output),
        max_steps=steps,
        per_device_train_batch_size=1,
        learning_rate=learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=warmup_steps,
        max_grad_norm=1.0,
        logging_steps=50,
        save_steps=save_every,
        save_total_limit=2,
        report_to=["tensorboard"],
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
        seed=seed,
        disable_tqdm=True,
        accelerator_config={"dispatch_batches": False},  # it would cut every tensor to the rows of the first one
        **others,
    )
