"""The line that tells how a training goes: loss, speed, time left, memory; also into the Trainer's log.

In: the Trainer's calls and its counts. Out: lines on standard error, and figures beside the loss, which TensorBoard and
its kin show. Knows nothing of models.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from transformers import TrainerCallback

from mllm.train import memory
from mllm.train.stage_trainer import StageTrainer


class Progress(TrainerCallback):
    """Adds speed and memory to each log, and prints a line for it.

    Args:
        trainer: whose counts are read; of this process, all of which have as much to do.
    """

    def __init__(self, trainer: StageTrainer) -> None:
        self._trainer = trainer
        self._began = self._logged = 0.0
        self._first_step = 0
        self._last = (0, 0.0)
        self._is_terminal = sys.stderr.isatty()

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:  # noqa: ARG002
        """The clock starts."""
        self._began = self._logged = time.perf_counter()
        self._first_step = state.global_step
        if state.is_world_process_zero and state.global_step:
            _say(f"going on from step {state.global_step} of {state.max_steps}")

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:  # noqa: ARG002
        """A log goes with every checkpoint, so that a run that goes on from it logs the same losses."""
        if control.should_save:
            control.should_log = True
        if self._is_terminal and state.is_world_process_zero:
            print(f"\rstep {state.global_step}/{state.max_steps}\033[K", end="", file=sys.stderr, flush=True)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **others: Any) -> None:  # noqa: ARG002
        """Print the line of a log of the training."""
        if not state.is_world_process_zero or logs is None or "tokens_per_second" not in logs:
            return
        print("\r\033[K" if self._is_terminal else "", end="", file=sys.stderr)
        _say(
            f"step {state.global_step}/{state.max_steps}  loss {logs['loss']:.4f}  lr {logs['learning_rate']:.1e}  "
            f"{logs['tokens_per_second']:,.0f} tokens/s  {logs['audio_seconds_per_second']:,.0f} s of audio/s  "
            f"{_told(logs['seconds_left'])} left  {logs['memory_gib']:.1f} GiB"
        )

    def figures(self, step: int, steps: int) -> dict[str, float]:
        """Speed since the last call over all processes, seconds left, and memory of this process."""
        now, counts = time.perf_counter(), self._trainer.counts
        passed = max(now - self._logged, 1e-9)
        tokens, seconds = counts.tokens - self._last[0], counts.seconds - self._last[1]
        self._logged, self._last = now, (counts.tokens, counts.seconds)
        done = max(1, step - self._first_step)
        processes = self._trainer.args.world_size
        return {
            "tokens_per_second": processes * tokens / passed,
            "audio_seconds_per_second": processes * seconds / passed,
            "seconds_left": (now - self._began) / done * (steps - step),
            "memory_gib": memory.measured_gib(),
        }


def _told(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
