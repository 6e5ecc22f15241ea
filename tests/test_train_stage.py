"""`mllm train` from settings to a checkpoint: what learns and what not, what is written, where it stops and why."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import PreTrainedTokenizerFast

from mllm import checkpoint
from mllm.absent_encoder import AbsentEncoder
from mllm.cli import main
from mllm.errors import ConfigError, EncodingError, TrainingError
from mllm.listener import Listener
from mllm.strict_io import content_hash
from mllm.train import stage
from mllm.train.encoding_store import EncodingStore
from tests.tiny_checkpoint import item, user, write_catalogue, write_checkpoint, write_music
from tests.tiny_training import conversations, losses, settings, spoil_share, write_lines


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"), reference_tokenizer)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_music(tmp_path_factory.mktemp("music"))


@pytest.fixture
def data(tmp_path: Path, music: Path) -> Path:
    return write_lines(tmp_path / "data.jsonl", conversations(music))


@pytest.fixture
def held_out(tmp_path: Path, music: Path) -> str:
    """The setting that names conversations for validation."""
    return f"data.validation={write_lines(tmp_path / 'held_out.jsonl', conversations(music, count=4))}"


def run(model: Path, data: Path, out: Path, *words: str) -> stage.Finished:
    return stage.run(settings(model, data, out, *words), print)


def trained(directory: Path) -> dict[str, torch.Tensor]:
    return load_file(directory / "adapter_model.safetensors")


def test_a_run_learns_writes_a_checkpoint_that_answers_and_changes_nothing_that_is_frozen(
    model: Path, data: Path, music: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    finished = run(model, data, out, "train.steps=30")
    found = losses(out)
    assert min(found[step] for step in range(26, 31)) < found[1] - 0.5
    assert finished.metrics["loss"] == found[30]
    for part in ("backbone", "audio_encoder"):
        assert content_hash(out / part) == content_hash(model / part)
    before, after = trained(model), trained(out)
    assert {name for name in before if torch.equal(before[name], after[name])} == set()
    assert "audio adapter" in (out / "README.md").read_text()
    record = yaml.safe_load((out / "run.yaml").read_text())
    assert record["data"]["train"]["conversations"] == 10
    assert Listener.load(out).ask([music / "one.wav"], "What do you hear?").seconds_heard == pytest.approx(2.0)


def test_a_run_that_is_finished_is_not_done_again_and_nothing_foreign_is_overwritten(
    model: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(model, data, out, "train.steps=2")
    stamp = (out / "adapter_model.safetensors").stat().st_mtime_ns
    assert run(model, data, out, "train.steps=2").metrics == {}
    assert (out / "adapter_model.safetensors").stat().st_mtime_ns == stamp
    with pytest.raises(ConfigError, match="is there already"):
        run(model, data, out, "train.steps=3")
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("mine")
    (taken / "checkpoint-500").mkdir()
    with pytest.raises(ConfigError, match="is there already"):
        run(model, data, taken)
    with pytest.raises(ConfigError, match="no run of a training"):
        run(model, data, tmp_path / "new", f"work={taken}")
    assert sorted(path.name for path in taken.iterdir()) == ["checkpoint-500", "thesis.txt"]


def test_training_reads_the_store_and_needs_neither_recordings_nor_encoder(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    music = write_music(tmp_path / "music")
    data = write_lines(tmp_path / "data.jsonl", conversations(music))
    store = f"data.store={tmp_path / 'store'}"
    run(model, data, tmp_path / "first", store, "train.steps=2")
    shutil.rmtree(music)
    run(model, data, tmp_path / "second", store, "train.steps=2")
    assert losses(tmp_path / "first") == losses(tmp_path / "second")
    assert "windows made" not in capsys.readouterr().out.partition("opening the model")[2]


def test_the_model_is_opened_without_its_encoder(model: Path, data: Path, tmp_path: Path) -> None:
    from mllm.train import opening

    config = settings(model, data, tmp_path / "out")
    opened, _ = opening.open_model(model, config, torch.device("cpu"))
    assert isinstance(opened.audio_encoder, AbsentEncoder)


def test_an_interrupted_run_refuses_other_settings_and_other_data(
    model: Path, data: Path, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    interrupt(monkeypatch, after=4)
    with pytest.raises(KeyboardInterrupt):
        run(model, data, out)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match=r"other settings: train\.learning_rate is 0\.02 now and was 0\.01"):
        run(model, data, out, "train.learning_rate=0.02")
    write_lines(data, conversations(music)[1:])
    with pytest.raises(ConfigError, match="the data is not what"):
        run(model, data, out)
    write_lines(data, conversations(music))
    run(model, data, out, "train.log_every=1", "train.keep=3")
    assert sorted(losses(out)) == list(range(1, 9))


def press_control_c() -> None:
    raise KeyboardInterrupt


def interrupt(monkeypatch: pytest.MonkeyPatch, *, after: int, end: Callable[[], object] = press_control_c) -> None:
    """End a training behind a step."""
    from mllm.train.stage_trainer import StageTrainer

    step = StageTrainer.training_step

    def interrupted(self: StageTrainer, *arguments: object) -> torch.Tensor:
        if self.state.global_step == after:
            end()
        return step(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(StageTrainer, "training_step", interrupted)


@pytest.mark.parametrize("words", [("train.optimizer=adamw_8bit",), ("stage=lora", "lora.dropout=0.3"), ()])
def test_a_run_that_was_ended_goes_on_to_the_bit(
    model: Path, data: Path, held_out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    whole, ended = tmp_path / "whole", tmp_path / "ended"
    evaluated = (held_out, "train.evaluate_every=3", "train.samples=1", "train.sample_tokens=4", *words)
    run(model, data, whole, *evaluated)
    for step in (3, 5):
        interrupt(monkeypatch, after=step)
        with pytest.raises(KeyboardInterrupt):
            run(model, data, ended, *evaluated)
        monkeypatch.undo()
    run(model, data, ended, *evaluated)
    assert losses(ended) == losses(whole)
    first, second = trained(whole), trained(ended)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_that_memory_was_too_small_for_goes_on_with_the_settings_that_are_named(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows at once are two here, so a step of two rows is one batch; with the advice it becomes two batches."""
    whole, ended = tmp_path / "whole", tmp_path / "ended"
    begun = ("train.rows_per_step=null", "train.rows_at_once=2", "data.max_tokens=40", "train.save_every=2")
    run(model, data, whole, *begun)
    run_out_of_memory(monkeypatch, after=5)
    with pytest.raises(TrainingError, match="not enough memory for this training") as error:
        run(model, data, ended, *begun)
    monkeypatch.undo()
    words = re.findall(r"\w+\.\w+=\w+", str(error.value))
    assert words == ["train.rows_at_once=1"]
    run(model, data, ended, *begun, *words, "train.gradient_checkpointing=true", "data.workers=1")
    found, expected = losses(ended), losses(whole)
    assert found.keys() == expected.keys()
    assert all(found[step] == pytest.approx(expected[step], abs=1e-4) for step in expected)
    with pytest.raises(ConfigError, match="is there already"):
        run(model, data, ended, *begun, *words, "train.rows_per_step=4")


def test_another_number_of_rows_in_a_step_is_refused(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    interrupt(monkeypatch, after=4)
    with pytest.raises(KeyboardInterrupt):
        run(model, data, out)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match=r"train\.rows_per_step is 4 now and was 2"):
        run(model, data, out, "train.rows_per_step=4")
    run(model, data, out, "train.rows_per_step=null", "train.rows_at_once=2")
    assert sorted(losses(out)) == list(range(1, 9))


def run_out_of_memory(monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    """Ask for more memory than there is behind a step."""
    interrupt(monkeypatch, after=after, end=lambda: torch.empty(2**60, dtype=torch.uint8))


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_batch_and_the_last_good_checkpoint(
    model: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(TrainingError, match=r"(loss|gradient) of step \d+ is not a finite number.*checkpoint-\d+"):
        run(model, data, out, "train.learning_rate=1e30", "train.warmup_share=0.9", "train.save_every=1")
    record = json.loads((tmp_path / "out.training" / "diverged.json").read_text())
    assert record["conversations"]
    assert all(str(data) in place for place in record["conversations"])
    assert not out.exists()


def test_a_damaged_encoding_is_told_by_name(model: Path, data: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    run(model, data, tmp_path / "first", f"data.store={store}", "train.steps=1")
    shard = max((store / "shards").rglob("*.safetensors"), key=lambda path: path.stat().st_size)
    content = bytearray(shard.read_bytes())
    content[-40:] = bytes(40)
    shard.write_bytes(content)
    with pytest.raises(EncodingError, match=shard.name):
        run(model, data, tmp_path / "second", f"data.store={store}")
    assert not (tmp_path / "second").exists()


def test_evaluation_measures_the_loss_and_shows_answers(model: Path, data: Path, held_out: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    finished = run(model, data, out, held_out, "train.evaluate_every=4", "train.samples=2")
    assert finished.metrics["eval_loss"] > 0
    work = tmp_path / "out.training"
    said = [json.loads(line) for line in (work / "samples.jsonl").read_text().splitlines()]
    assert [one["step"] for one in said] == [4, 4, 8, 8]
    assert all(one["expected"].startswith(("It is", "The piano", "No, there", "At 120")) for one in said)
    events = EventAccumulator(str(next((work / "runs").iterdir())))
    events.Reload()
    scalars = events.Tags()["scalars"]
    wanted = ("loss", "tokens_per_second", "audio_seconds_per_second", "seconds_left", "memory_gib", "learning_rate")
    assert {f"train/{name}" for name in wanted} <= set(scalars)
    assert any(tag.startswith("samples/") for tag in events.Tags()["tensors"])


@pytest.mark.parametrize("quantisation", ["nf4", "int8"])
def test_a_quantised_backbone_teaches_the_adapter_after_an_evaluation_too(
    model: Path, data: Path, held_out: str, tmp_path: Path, quantisation: str
) -> None:
    out = tmp_path / "out"
    words = (f"model.quantisation={quantisation}", "train.gradient_checkpointing=true", "train.save_every=16")
    run(model, data, out, *words, held_out, "train.evaluate_every=1", "train.samples=0", "train.steps=16")
    found = losses(out)
    assert min(found[step] for step in range(12, 17)) < min(found[1], found[2]) - 0.2
    assert content_hash(out / "backbone") == content_hash(model / "backbone")
    checkpoint.load(out)


def test_the_stage_lora_trains_a_lora_and_the_next_stage_goes_on_from_it(
    model: Path, data: Path, music: Path, tmp_path: Path
) -> None:
    run(model, data, tmp_path / "lora", "stage=lora", "lora.rank=2")
    first = trained(tmp_path / "lora")
    assert any(".lora_B." in name and bool(tensor.any()) for name, tensor in first.items())
    run(tmp_path / "lora", data, tmp_path / "more", "stage=instruct")
    second = trained(tmp_path / "more")
    assert all(torch.equal(first[name], second[name]) for name in first if ".lora_" in name)
    assert main(["export", str(tmp_path / "lora"), "--out", str(tmp_path / "merged"), "--merge"]) == 0
    assert main(["ask", "--model", str(tmp_path / "merged"), str(music / "one.wav"), "What do you hear?"]) == 0


def test_the_stage_items_trains_the_item_adapter_alone(model: Path, music: Path, tmp_path: Path) -> None:
    catalogue = write_catalogue(tmp_path / "catalogue")
    lines = [
        [*user(item(number % 5), "What do you hear?"), {"role": "assistant", "content": "The piano and the flute."}]
        for number in range(9)
    ]
    data = write_lines(tmp_path / "data.jsonl", [*lines, *conversations(music, count=2)])
    out = tmp_path / "out"
    run(model, data, out, "stage=items", f"data.catalog={catalogue}", "item_adapter={name: mlp, hidden_width: 16}")
    before, after = trained(model), trained(out)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert {name.partition(".")[0] for name in after.keys() - before.keys()} == {"item_adapter"}
    assert losses(out)[8] < losses(out)[1]
    with pytest.raises(ConfigError, match=r"data\.catalog is missing"):
        settings(model, data, out, "stage=items")


def test_a_recording_that_cannot_be_heard_ends_the_run_before_it_begins_or_is_left_out(
    model: Path, music: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF but no more")
    bad = [*user({"type": "audio", "path": str(broken)}, "What?"), {"role": "assistant", "content": "Nothing."}]
    data = write_lines(tmp_path / "data.jsonl", [*conversations(music), bad])
    with pytest.raises(ConfigError, match=r"1 conversation cannot be used: .*data\.jsonl line 11: .*broken\.wav"):
        run(model, data, tmp_path / "out")
    finished = run(model, data, tmp_path / "out", "data.leave_out_bad=true", "train.steps=1")
    record = yaml.safe_load((finished.out / "run.yaml").read_text())
    assert record["data"]["train"]["left_out"] == 1
    assert EncodingStore(tmp_path / "out.training" / "encodings").measure() > 0


def test_a_share_of_which_nothing_can_be_used_is_not_held_out(model: Path, tmp_path: Path) -> None:
    data = spoil_share(write_music(tmp_path / "music"), tmp_path, share=0.3)
    words = ("data.validation_share=0.3", "data.leave_out_bad=true", "train.steps=1")
    said: list[str] = []
    stage.run(settings(model, data, tmp_path / "out", *words), said.append)
    assert "validation: nothing is held out, as no conversation of the share for it can be used" in said
    assert not (tmp_path / "out.training" / "validation").exists()


def test_rows_of_a_step_must_be_shared_evenly(model: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"rows_per_step is 3.*multiple of 2"):
        run(model, data, tmp_path / "out", "train.rows_per_step=3", "train.rows_at_once=2")
