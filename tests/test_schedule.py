"""How long a training is: steps and batches from settings and rows, for one process and for several."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mllm.errors import ConfigError
from mllm.train import schedule
from mllm.train.run_config import RunConfig, read


def config(*words: str) -> RunConfig:
    return read(None, ["out=made", "data.train=songs.jsonl", *words])


@pytest.fixture
def two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")


@pytest.mark.parametrize(("rows", "expected"), [(1, 1), (9, 1), (19, 1), (20, 2), (79, 7), (80, 8), (100_000, 8)])
def test_a_step_learns_from_eight_rows_but_no_more_than_a_tenth(rows: int, expected: int) -> None:
    assert schedule.rows_of_step(config(), rows) == expected
    assert schedule.accumulation(config(), rows) == expected


def test_rows_of_a_step_are_shared_out(two_processes: None) -> None:
    chosen = config("train.rows_per_step=12", "train.rows_at_once=3")
    assert schedule.accumulation(chosen, 5) == 2
    assert schedule.rows_of_step(chosen, 5) == 12
    assert schedule.accumulation(config(), 1000) == 4
    assert schedule.rows_of_step(config(), 1) == 2
    for wrong in ("train.rows_per_step=9", "train.rows_per_step=3", "train.rows_per_step=16"):
        with pytest.raises(
            ConfigError, match=r"which 2 processes with train\.rows_at_once=3 cannot share; expected a mult"
        ):
            schedule.accumulation(config(wrong, "train.rows_at_once=3"), 100)


@pytest.mark.parametrize(
    ("words", "rows", "expected"),
    [
        ((), 10, 300),  # three epochs would be 30 steps
        ((), 79, 300),
        ((), 8000, 3000),
        (("train.epochs=2",), 79, 24),
        (("train.epochs=0.5",), 79, 6),
        (("train.epochs=0.001",), 79, 1),
        (("train.epochs=1", "train.rows_per_step=4"), 9, 3),
        (("train.steps=7", "train.epochs=2"), 79, 7),
    ],
)
def test_steps(words: tuple[str, ...], rows: int, expected: int) -> None:
    assert schedule.steps_of_run(config(*words), rows) == expected


@settings(max_examples=60, deadline=None, derandomize=True)
@given(rows=st.integers(1, 500), per_step=st.none() | st.integers(1, 12), epochs=st.sampled_from([0.3, 1, 2.5]))
def test_steps_take_all_rows_of_an_epoch_once(rows: int, per_step: int | None, epochs: float) -> None:
    """The rows are filled up with empty ones to whole steps (`Rows.multiple`); a step never holds more than it may."""
    words = [f"train.epochs={epochs}"] + ([] if per_step is None else [f"train.rows_per_step={per_step}"])
    of_step = schedule.rows_of_step(config(*words), rows)
    filled = -(-rows // of_step) * of_step
    assert filled - rows < of_step
    assert schedule.steps_of_run(config(*words), rows) == math.ceil(epochs * filled / of_step)


def test_what_the_trainer_is_told(tmp_path: Path) -> None:
    chosen = config("train.epochs=2", "train.warmup_share=0.1", "train.seed=7", "train.keep=3", "train.save_every=11")
    told = schedule.arguments(chosen, 79, tmp_path, None, evaluates=True)
    assert (told.max_steps, told.gradient_accumulation_steps, told.per_device_train_batch_size) == (24, 7, 1)
    assert (told.warmup_steps, told.eval_steps, told.save_steps, told.save_total_limit) == (2, 2, 11, 3)
    assert (told.seed, told.data_seed, told.output_dir) == (7, 7, str(tmp_path))
    assert (told.learning_rate, told.lr_scheduler_type, told.optim) == (1e-3, "cosine", "adamw_torch_fused")
    silent = schedule.arguments(config("train.evaluate_every=5"), 79, tmp_path, None, evaluates=False)
    assert silent.eval_strategy == "no"
    checkpointed = schedule.arguments(config("train.gradient_checkpointing=true"), 9, tmp_path, None, evaluates=False)
    assert checkpointed.gradient_checkpointing_kwargs == {"use_reentrant": False}


@pytest.mark.parametrize(("precision", "flags"), [("float32", (False, False)), ("bfloat16", (True, False))])
def test_precision(precision: str, flags: tuple[bool, bool], tmp_path: Path) -> None:
    told = schedule.arguments(config(f"train.precision={precision}"), 9, tmp_path, None, evaluates=False)
    assert (told.bf16, told.fp16) == flags


def test_figures_go_to_tensorboard_and_nowhere_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT", "TRACKIO_PROJECT", "TRACKIO_SPACE_ID", "TRACKIO_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert schedule.arguments(config(), 9, tmp_path, None, evaluates=False).report_to == ["tensorboard"]
    for asked in ("[]", "tensorboard"):
        told = schedule.arguments(config(f"train.report_to={asked}"), 9, tmp_path, None, evaluates=False)
        assert told.report_to == ["tensorboard"]
    (tmp_path / "wandb.py").write_text("")
    if importlib.util.find_spec("wandb") is None:
        with pytest.raises(
            ConfigError, match=r"train\.report_to names wandb, which is not installed: pip install wandb"
        ):
            schedule.arguments(config("train.report_to=wandb"), 9, tmp_path, None, evaluates=False)
    monkeypatch.syspath_prepend(tmp_path)  # it is installed now, as far as can be told without importing it
    assert schedule.arguments(config(), 9, tmp_path, None, evaluates=False).report_to == ["tensorboard"]
    monkeypatch.setenv("WANDB_API_KEY", "0")
    assert schedule.arguments(config(), 9, tmp_path, None, evaluates=False).report_to == ["tensorboard", "wandb"]
    told = schedule.arguments(config("train.report_to=[]"), 9, tmp_path, None, evaluates=False)
    assert told.report_to == ["tensorboard"]
