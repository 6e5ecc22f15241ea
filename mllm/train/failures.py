"""What a training that runs out of something says: which memory or disk is full, and what would fit.

In: an error from anywhere below. Out: one sentence in a `TrainingError`; other errors pass through as they are.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

import torch
from safetensors import SafetensorError

from mllm.errors import TrainingError
from mllm.train.run_config import RunConfig

_NO_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "Cannot allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
_NO_SPACE = (
    "No space left on device",
    "PytorchStreamWriter failed writing file",
    "file write failed",
    "iostream error",
    "unexpected pos ",
)
"""What libraries say that lose the number of the error; the last four are torch.save's, which knows no reason."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def told(config: RunConfig) -> Iterator[None]:
    """Turn an error for want of memory or disk into a sentence.

    Raises:
        TrainingError: memory or disk are full.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TrainingError(_memory(config)) from error
    except (OSError, RuntimeError, SafetensorError) as error:
        text, number = str(error), getattr(error, "errno", None)
        if number in _FULL or any(part in text for part in _NO_SPACE):
            raise TrainingError(
                f"the disk of {config.work} or of {config.out} is full; make room, and start the same command again: "
                "it goes on from the last whole checkpoint"
            ) from error
        if number == errno.ENOMEM or any(part in text for part in _NO_MEMORY):
            raise TrainingError(_memory(config)) from error
        raise


def _memory(config: RunConfig) -> str:
    """What to do about memory, in the order in which it costs least."""
    advice = []
    if config.train.rows_at_once > 1:
        advice.append(f"train.rows_at_once={config.train.rows_at_once // 2}")
    if not config.train.gradient_checkpointing:
        advice.append("train.gradient_checkpointing=true")
    if config.model.quantisation is None:
        advice.append("model.quantisation=nf4")
    if config.train.rows_at_once == 1:
        tokens = config.data.max_tokens or 2048
        advice.append(f"data.max_tokens={max(1, tokens // 2)}")
    if config.train.deepspeed is None and torch.cuda.is_available():  # it moves from the GPU to the machine
        advice.append("train.deepspeed=scripts/configs/deepspeed/offload.json")
    where = "the GPU" if torch.cuda.is_available() else "the machine"
    return (
        f"{where} has not enough memory for this training; these settings take less, the first ones cost least: "
        f"{' '.join(advice)}; mllm train --dry-run tells what each takes"
    )
