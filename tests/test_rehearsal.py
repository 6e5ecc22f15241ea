"""`mllm train --dry-run`: it says what a training would be, as the training then finds it, and writes nothing."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from transformers import PreTrainedTokenizerFast

from mllm import checkpoint, cli, contract
from mllm.items import Catalogue
from mllm.train import opening, preparation, prepared, schedule
from mllm.train.encodings import Encodings
from mllm.train.prepared import Summary
from mllm.train.rows import Rows
from mllm.train.run_config import RunConfig, read
from tests.tiny_checkpoint import RATE_HZ, item, tone, user, write_catalogue, write_checkpoint, write_music
from tests.tiny_training import spoil_share


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"), reference_tokenizer, takes_items=True)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_music(tmp_path / "music")


@pytest.fixture(autouse=True)
def begun_by_hand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What commands set for themselves is gone afterwards."""
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.chdir(tmp_path)


def song(path: Path, **bounds: float) -> dict[str, Any]:
    return {"type": "audio", "path": str(path), **bounds}


def write(path: Path, *asked: list[Any], answer: str = "It is in D minor.") -> Path:
    lines = [{"messages": [*user(*content), {"role": "assistant", "content": answer}]} for content in asked]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def tree(directory: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(directory.rglob("*"))}


def words(model: Path, data: Path, out: Path, *others: str) -> list[str]:
    return [f"model.start={model}", f"data.train={data}", f"out={out}", *others]


def rehearsed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    status = cli.main(["train", "--dry-run", *words])
    told = capsys.readouterr()
    assert status == 0, told.err
    return told.out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(["train", "--dry-run", *words]) == 2
    told = capsys.readouterr()
    assert not told.out
    return told.err


def figures(text: str) -> dict[str, float]:
    """The numbers of a rehearsal by what they count."""
    patterns = {
        "conversations": r"data: (\d+) conversations",
        "seconds": r" (\d+) s of audio",
        "tokens": r"tokens: (\d+)",
        "learnt_tokens": r"of which (\d+) are learnt",
        "longest": r"a conversation has \d+ to (\d+)",
        "rows": r"rows: (\d+) of",
        "max_tokens": r"of at most (\d+) tokens",
        "of_step": r"tokens, (\d+) a step",
        "steps": r"a step; (\d+) steps",
    }
    return {name: float(re.findall(pattern, text)[0]) for name, pattern in patterns.items()}


def really(config: RunConfig, tmp_path: Path) -> tuple[Summary, preparation.Prepared, Rows]:
    """What a training makes of the same."""
    ready = preparation.prepare(config, tmp_path / "work", lambda _: None)
    settings = contract.read_config(ready.start)
    encodings = Encodings(ready.store, settings, checkpoint.open_processor(ready.start, settings))
    catalogue = None if config.data.catalog is None else Catalogue.open(config.data.catalog)
    rows = Rows(
        prepared.open_prepared(ready.train),
        encodings,
        catalogue,
        max_tokens=ready.max_tokens,
        packed=config.data.packing,
        seed=config.train.seed,
    )
    return prepared.read_summary(ready.train), ready, rows


def conversations(music: Path, tmp_path: Path) -> list[list[Any]]:
    """About recordings shorter and longer than a window, than all windows, at other rates, and stretches of them."""
    lengths = {"five": 5 * RATE_HZ, "more": 5 * RATE_HZ + 1, "ten": 10 * RATE_HZ, "all": 15 * RATE_HZ}
    for name, samples in lengths.items():
        soundfile.write(music / f"{name}.wav", tone(16.0, 330.0)[:samples], RATE_HZ)
    for rate in (44_100, 22_050, 8_000):
        soundfile.write(music / f"{rate}.flac", tone(16.0, 330.0)[: rate * 4 + 3331], rate)
    files = [music / f"{name}.wav" for name in ("one", "two", "long", *lengths)] + sorted(music.glob("*.flac"))
    long = music / "long.wav"
    stretches = [
        song(long, start=3.0, end=9.5),
        song(long, start=29.0),
        song(long, start=0.3333, end=1.4),
        song(long, end=99),
    ]
    return [
        *([song(path), "What do you hear?"] for path in files),
        *([stretch, "And here? " * 3] for stretch in stretches),
        [song(files[0]), "or", song(long), "Which?"],
        ["What is the key of this piece?"],
    ]


@pytest.mark.parametrize("settings", [(), ("data.packing=false", "data.validation_share=0"), ("data.max_tokens=150",)])
def test_what_it_says_is_what_the_training_finds(
    settings: tuple[str, ...], model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "songs.jsonl", *conversations(music, tmp_path))
    chosen = words(model, data, tmp_path / "out", "data.validation_share=0.2", "train.epochs=2", *settings)
    before = tree(tmp_path)
    text = rehearsed(capsys, *chosen)
    assert tree(tmp_path) == before
    config = read(None, chosen)
    summary, ready, rows = really(config, tmp_path)
    assert figures(text) == {
        "conversations": summary.conversations,
        "seconds": round(summary.seconds),
        "tokens": summary.tokens,
        "learnt_tokens": summary.learnt_tokens,
        "longest": summary.longest,
        "rows": len(rows),
        "max_tokens": ready.max_tokens,
        "of_step": schedule.rows_of_step(config, len(rows)),
        "steps": schedule.steps_of_run(config, len(rows)),
    }
    if ready.validation is not None:
        assert f", {prepared.read_summary(ready.validation).conversations} kept for validation" in text
    else:
        assert "validation" not in text
    numbers = [float(number) for number in re.findall(r"\d+\.?\d*", text)]
    assert numbers
    assert all(math.isfinite(number) for number in numbers)
    assert not re.search(r"\b(nan|inf|-\d+ s)\b", text)


def test_prompts_are_shown_with_what_is_learnt(
    model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[Any]] = [
        [song(music / "one.wav"), "What is the key of this piece?"],
        [song(music / "long.wav"), item(2), "Why?"],
        *([f"Question {number}?"] for number in range(4)),
    ]
    data = write(tmp_path / "songs.jsonl", *asked)
    catalogue = write_catalogue(tmp_path / "catalogue")
    text = rehearsed(capsys, *words(model, data, tmp_path / "out", f"data.catalog={catalogue}"))
    shown = text[text.index("--- prompt 1") :].splitlines()
    assert [line for line in shown if line.startswith("---")] == [
        f"--- prompt {number}: what stands between >>> and <<< is learnt" for number in (1, 2, 3)
    ]
    assert "<|audio|>[4 soft tokens of audio]<|/audio|>" in shown[1]
    assert "What is the key of this piece?<|end|><|assistant|>>>>It is in D minor.<|end|><<<" in shown[1]
    assert "[30 soft tokens of audio]" in shown[3]
    assert "[2 soft tokens of item]" in shown[3]
    assert "Question 0?" in shown[5]
    assert len(shown) == 6


def test_bad_data_is_named_before_anything_begins(
    model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (music / "text.wav").write_text("no sound")
    (music / "cut.wav").write_bytes((music / "long.wav").read_bytes()[:5000])
    soundfile.write(music / "short.wav", tone(0.5, 220.0), RATE_HZ)
    asked: list[list[Any]] = [
        [song(music / "one.wav"), "Good?"],
        [song(music / "absent.wav"), "What?"],
        [song(music / "text.wav"), "What?"],
        [song(music / "cut.wav"), "What?"],
        [song(music / "short.wav"), "What?"],
        [song(music / "one.wav", start=1.5), "What?"],
        [song(music), "What?"],
        ["xyzq" * 200],
        [item(1), "What?"],
    ]
    data = write(tmp_path / "songs.jsonl", *asked)
    with data.open("a") as file:
        file.write("{\n")
    before = tree(tmp_path)
    options = (*words(model, data, tmp_path / "out"), "data.validation_share=0")
    told = refused(capsys, *options)
    assert f"9 conversations cannot be used: {data} line 2: " in told
    for number in range(2, 11):
        assert f"{data} line {number}: " in told
    assert f"{data} line 1: " not in told
    assert "has 0.50 s of sound there" in told
    assert "data.catalog" in told
    text = rehearsed(capsys, *options, "data.leave_out_bad=true")
    assert "9 conversations cannot be used" in text
    assert "data: 1 conversations" in text
    assert tree(tmp_path) == before
    told = refused(capsys, *words(model, write(tmp_path / "empty.jsonl"), tmp_path / "out"))
    assert "no conversation can be used; the data is empty" in told


def test_a_share_of_which_nothing_can_be_used_is_not_held_out(
    model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("data.validation_share=0.3", "data.leave_out_bad=true")
    data = spoil_share(music, tmp_path, share=0.3)
    text = rehearsed(capsys, *words(model, data, tmp_path / "out", *settings))
    assert "conversations cannot be used" in text
    assert "kept for validation" not in text
    given = write(tmp_path / "given.jsonl", [song(music / "absent.wav"), "What?"])
    told = refused(capsys, *words(model, data, tmp_path / "out", f"data.validation={given}", *settings))
    assert "no conversation can be used" in told


def test_what_stands_in_the_way_is_told(
    model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "songs.jsonl", [song(music / "one.wav"), "What?"])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    assert "is there already and is not what these settings make" in refused(
        capsys, *words(model, data, tmp_path / "out")
    )
    assert "there is no catalogue in" in refused(
        capsys, *words(model, data, tmp_path / "made", f"data.catalog={tmp_path}")
    )
    told = refused(capsys, *words(model, data, tmp_path / "made", "data.max_tokens=5"))
    assert "tokens, but a row takes 5; raise data.max_tokens" in told


@pytest.mark.parametrize(
    ("settings", "learns"),
    [
        ((), "audio_adapter, layer_mix"),
        (("stage=lora", "train.gradient_checkpointing=true"), "audio_adapter, layer_mix, lora"),
        (("stage=items", "data.catalog=catalogue"), "item_adapter"),
    ],
)
def test_each_stage_says_what_learns(
    settings: tuple[str, ...],
    learns: str,
    model: Path,
    music: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_catalogue(tmp_path / "catalogue")
    data = write(tmp_path / "songs.jsonl", [song(music / "one.wav"), "What?"], ["Why?"])
    before = tree(tmp_path)
    text = rehearsed(capsys, *words(model, data, tmp_path / "out", *settings))
    assert text.startswith(f"stage {'instruct' if not settings else settings[0][6:]}: {learns} learn, everything else")
    assert tree(tmp_path) == before


def test_new_parts_are_put_together_in_memory(
    model: Path,
    music: Path,
    tmp_path: Path,
    reference_tokenizer: PreTrainedTokenizerFast,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = write(tmp_path / "songs.jsonl", [song(music / "one.wav"), "What?"])
    backbone = tmp_path / "backbone"
    shutil.copytree(model / "backbone", backbone)
    reference_tokenizer.save_pretrained(backbone)
    chosen = [
        f"model.backbone={backbone}",
        f"model.audio_encoder={model / 'audio_encoder'}",
        "adapter={name: linear, tokens_per_second: 3}",
        "model.audio_token=<|audio_token|>",
        f"data.train={data}",
        f"out={tmp_path / 'out'}",
    ]
    before = tree(tmp_path)
    assert "[6 soft tokens of audio]" in rehearsed(capsys, *chosen)
    assert tree(tmp_path) == before


def frozen_gib(text: str) -> float:
    return float(re.findall(r"frozen weights ([\d.]+)", text)[0])


def test_memory_is_that_of_the_form_in_which_the_backbone_is_trained(
    model: Path, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mllm.train.memory.GIB", 1)  # in bytes, as the model is tiny
    data = write(tmp_path / "songs.jsonl", [song(music / "one.wav"), "What?"])
    for settings in ((), ("model.dtype=bfloat16",), ("model.dtype=float16",), ("model.attention=eager",)):
        chosen = words(model, data, tmp_path / "out", *settings)
        trained, _ = opening.open_model(model, read(None, chosen), torch.device("cpu"))
        frozen = [one for one in trained.parameters() if not one.requires_grad]
        assert frozen_gib(rehearsed(capsys, *chosen)) == sum(one.numel() * one.element_size() for one in frozen)
