"""`mllm train` as processes of its own: killed at any moment, alone and several together, under both launchers.

Loss bounds: one process, with DeepSpeed or without, and two processes sum the same numbers in another order. Measured
over eight steps with the tiny model: at most 2e-6 of 8.7.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from mllm import checkpoint
from mllm.strict_io import content_hash
from mllm.train.whole_checkpoints import MARK
from tests.tiny_checkpoint import write_checkpoint, write_music
from tests.tiny_training import ROOT, command_words, conversations, environment, losses, train, write_lines

LOSS_TOLERANCE = 1e-4
LAYOUTS = ROOT / "scripts" / "configs" / "deepspeed"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"), reference_tokenizer)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    return write_lines(folder / "data.jsonl", conversations(write_music(folder / "music")))


@pytest.fixture(scope="module")
def alone(model: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes without an interruption."""
    out = tmp_path_factory.mktemp("alone") / "out"
    done = train(*command_words(model, data, out))  # in a process with as many threads as the others, for equal bits
    assert done.returncode == 0, done.stderr
    return out


def layout(tmp_path: Path, zero_stage: int) -> str:
    place = tmp_path / f"zero{zero_stage}.json"
    place.write_text(json.dumps({"zero_optimization": {"stage": zero_stage}}))
    return f"train.deepspeed={place}"


def assert_same_losses(out: Path, other: Path) -> None:
    found, expected = losses(out), losses(other)
    assert found.keys() == expected.keys()
    assert max(abs(found[step] - expected[step]) for step in found) < LOSS_TOLERANCE


def test_killed_while_it_writes_a_checkpoint_it_goes_on_to_the_bit(
    model: Path, data: Path, alone: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = command_words(model, data, out)
    for step in (2, 6):
        place = tmp_path / "out.training" / f"checkpoint-{step}"
        process = subprocess.Popen([sys.executable, "-m", "mllm", "train", *words], env=environment())
        while not place.exists() and process.poll() is None:
            time.sleep(0.0005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        (place / MARK).unlink(missing_ok=True)  # as if it had been killed just before, where it was quicker
        assert not out.exists()
    done = train(*words)
    assert done.returncode == 0, done.stderr
    assert "going on from step 4 of 8" in done.stderr
    assert losses(out) == losses(alone)
    name = "adapter_model.safetensors"
    assert (out / name).read_bytes() == (alone / name).read_bytes()


def test_two_processes_learn_what_one_does(model: Path, data: Path, alone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = train(*command_words(model, data, out), processes=2)
    assert done.returncode == 0, done.stderr
    assert_same_losses(out, alone)
    assert done.stdout.count(str(out)) == 1


@pytest.mark.parametrize("zero_stage", [2, 3])
def test_two_processes_with_deepspeed_learn_what_one_does_without_and_go_on_where_they_ended(
    model: Path, data: Path, alone: Path, tmp_path: Path, zero_stage: int
) -> None:
    out, work = tmp_path / "out", tmp_path / "out.training"
    words = [*command_words(model, data, out), layout(tmp_path, zero_stage), "train.keep=4"]
    done = train(*words, processes=2)
    assert done.returncode == 0, done.stderr
    assert_same_losses(out, alone)
    for part in ("backbone", "audio_encoder"):
        assert content_hash(out / part) == content_hash(model / part)
    states = work / "checkpoint-4" / "global_step4"
    assert (
        sum(file.stat().st_size for file in states.iterdir()) < 5 * (out / "adapter_model.safetensors").stat().st_size
    )
    shutil.rmtree(out)
    shutil.rmtree(work / "checkpoint-8")
    (work / "checkpoint-6" / MARK).unlink()
    again = train(*words, processes=2)
    assert again.returncode == 0, again.stderr
    assert "going on from step 4 of 8" in again.stderr
    assert_same_losses(out, alone)
    checkpoint.load(out)


def test_the_launcher_of_deepspeed(model: Path, data: Path, alone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    launcher = Path(sys.executable).parent / "deepspeed"
    words = [*command_words(model, data, out), layout(tmp_path, 1)]
    command = [sys.executable, str(launcher), "--num_gpus", "2", "--master_port", "29611", "--module", "mllm", "train"]
    done = subprocess.run(
        [*command, *words], capture_output=True, text=True, env=environment(), timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert_same_losses(out, alone)


def test_deepspeed_without_a_launcher(model: Path, data: Path, alone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = train(*command_words(model, data, out), layout(tmp_path, 2))
    assert done.returncode == 0, done.stderr
    assert_same_losses(out, alone)
