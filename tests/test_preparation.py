"""What is made before a training: rows, items, and what processes share, however they were started."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from mllm.errors import CatalogueError, ConfigError
from mllm.train import opening, preparation, prepared, stage
from mllm.train.launch import device
from mllm.train.run_config import RunConfig, read
from tests.tiny_checkpoint import item, user, write_catalogue, write_checkpoint

ONE_PROCESS = """
import datetime, sys, time
from pathlib import Path
from torch import distributed
from mllm.train import preparation

def make():
    return preparation.Prepared(
        start=Path("start"), store=Path("store"), train=Path("train"), validation=None, max_tokens=17
    )

if sys.argv[1] == "1":
    time.sleep(2)  # the first one has long had its own by then
made = preparation.together(make)
distributed.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))
distributed.barrier()
print(made)
distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"), reference_tokenizer, takes_items=True)


def write(path: Path, *asked: list[Any]) -> Path:
    lines = [{"messages": [*user(*content), {"role": "assistant", "content": "Yes."}]} for content in asked]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def config(model: Path, tmp_path: Path, *words: str) -> RunConfig:
    given = [f"model.start={model}", f"data.train={tmp_path / 'songs.jsonl'}", f"out={tmp_path / 'out'}"]
    return read(None, [*given, "train.report_to=[]", *words])


def test_rows_hold_the_longest_conversation_of_validation_too(model: Path, tmp_path: Path) -> None:
    write(tmp_path / "songs.jsonl", *([f"Question {number}?"] for number in range(12)))
    validation = write(tmp_path / "kept.jsonl", ["Is there a guitar in it? " * 9], ["Why?"])
    run = config(model, tmp_path, f"data.validation={validation}")
    ready = preparation.prepare(run, tmp_path / "work", lambda _: None)
    assert ready.validation is not None
    longest = prepared.read_summary(ready.validation).longest
    assert ready.max_tokens == longest > prepared.read_summary(ready.train).longest
    made, processor = opening.open_model(ready.start, run, device())
    trainer, _ = stage.make_trainer(run, ready, made, processor, tmp_path / "work", None)
    assert trainer.eval_dataset is not None


@pytest.mark.parametrize("rows_at_once", [1, 2])
def test_every_step_takes_as_many_rows_as_any_other(rows_at_once: int, model: Path, tmp_path: Path) -> None:
    """79 rows are seven a step, and the empty ones that fill up the last step must not make it eight."""
    write(tmp_path / "songs.jsonl", *([f"Question {number:04}?"] for number in range(79)))
    run = config(
        model, tmp_path, "data.validation_share=0", "train.epochs=2", f"train.rows_at_once={rows_at_once}",
        "data.max_tokens=30",
    )  # fmt: skip
    ready = preparation.prepare(run, tmp_path / "work", lambda _: None)
    made, processor = opening.open_model(ready.start, run, device())
    trainer, rows = stage.make_trainer(run, ready, made, processor, tmp_path / "work", None)
    of_step = trainer.args.gradient_accumulation_steps * rows_at_once
    assert sum(map(bool, rows.groups)) == 79
    assert of_step == 7 // rows_at_once * rows_at_once
    assert len(rows) % of_step == 0
    assert trainer.args.max_steps == 2 * len(rows) // of_step


def test_items_are_looked_up_before_the_training(model: Path, tmp_path: Path) -> None:
    write(tmp_path / "songs.jsonl", [item(1), "Why?"], [{"type": "item", "item": "song-77"}, "Why?"])
    catalogue = write_catalogue(tmp_path / "catalogue")
    with pytest.raises(ConfigError, match="line 1: it names catalogue items, but no catalogue was given"):
        preparation.prepare(config(model, tmp_path), tmp_path / "work", lambda _: None)
    with pytest.raises(ConfigError, match=r"1 conversation cannot be used: .*line 2: there is no item 'song-77'"):
        preparation.prepare(config(model, tmp_path, f"data.catalog={catalogue}"), tmp_path / "work", lambda _: None)
    with pytest.raises(CatalogueError, match="there is no catalogue"):
        preparation.prepare(config(model, tmp_path, f"data.catalog={tmp_path}"), tmp_path / "work", lambda _: None)


def test_processes_without_an_agent_get_what_the_first_one_made() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    root = Path(__file__).parents[1]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", ONE_PROCESS, str(rank)],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        ended = [process.communicate(timeout=120) for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], ended[1][1]
    assert ended[0][0] == ended[1][0]
    assert "max_tokens=17" in ended[1][0]
