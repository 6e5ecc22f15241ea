"""What a training that runs out of something says: which memory or disk is full, and what would fit.

In: an error from anywhere below. Out: one sentence in a `TrainingError`; other errors pass through as they are.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
from collections.abc import Callable, Iterator

import torch
from safetensors import SafetensorError

from mllm.errors import TrainingError
from mllm.train import fitting, memory
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


@dataclasses.dataclass
class Situation:
    """How far a training has come; who trains fills it in."""

    held: int
    """Bytes that the process held before: libraries, which are there whatever is trained."""
    need: Callable[[], fitting.Need] | None = None
    """Tells what the training takes, once that can be told; called only where memory was not enough."""


@contextlib.contextmanager
def told(config: RunConfig) -> Iterator[Situation]:
    """Turn an error for want of memory or disk into a sentence.

    Raises:
        TrainingError: memory or disk are full.
    """
    situation = Situation(held=memory.held_bytes())
    try:
        yield situation
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TrainingError(_memory(config, situation)) from error
    except (OSError, RuntimeError, SafetensorError) as error:
        text, number = str(error), getattr(error, "errno", None)
        if number in _FULL or any(part in text for part in _NO_SPACE):
            raise TrainingError(
                f"the disk of {config.work} or of {config.out} is full; make room, and start the same command again: "
                "it goes on from the last whole checkpoint"
            ) from error
        if number == errno.ENOMEM or any(part in text for part in _NO_MEMORY):
            raise TrainingError(_memory(config, situation)) from error
        raise


def _memory(config: RunConfig, situation: Situation) -> str:
    """What to do about memory."""
    where = "the GPU" if torch.cuda.is_available() else "the machine"
    if situation.need is None:
        return (
            f"{where} has not enough memory to prepare this training; end other programs that use it, or give "
            "shorter recordings"
        )
    available = max(0, memory.available_bytes() - situation.held)
    found = fitting.advice(config, situation.need(), available)
    first = (
        f"{where} has not enough memory for this training: it takes about {found.needed / memory.GIB:.2f} GiB by "
        f"calculation, and {available / memory.GIB:.2f} are there"
    )
    words = " ".join(found.words)
    if not found.fits:
        rest = f"with {words} it would still take {found.least / memory.GIB:.2f}" if words else "no setting takes less"
        return f"{first}; {rest}: take a smaller backbone, more memory{_elsewhere(config)}, or shorter conversations"
    goes_on = (
        "start the same command with these settings: a run that was begun goes on"
        if found.goes_on
        else "that changes what is learnt, so a run that was begun needs another out and work"
    )
    return f"{first}; with {words} it takes {found.least / memory.GIB:.2f}; {goes_on}"


def _elsewhere(config: RunConfig) -> str:
    """DeepSpeed's offloading, where it is a way out."""
    if config.train.deepspeed is None and torch.cuda.is_available():
        return ", train.deepspeed=scripts/configs/deepspeed/offload.json"
    return ""
