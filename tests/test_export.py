"""`mllm export`: what lies in the directory, that it answers as the checkpoint does, and what is refused."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from mllm import checkpoint, cli
from mllm.strict_io import content_hash
from tests.tiny_checkpoint import tone, write_checkpoint

PARTS = ("backbone", "audio_encoder")
MERGE_BOUND = 5e-5
"""Of the difference of a logit, of 9 at most: in float32 the sums are taken in another order. Measured worst: 7e-6."""


@pytest.fixture(scope="module")
def tokenizer(reference_tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    return reference_tokenizer


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A checkpoint without a LoRA whose frozen parts lie elsewhere."""
    folder = tmp_path_factory.mktemp("plain")
    model, processor = checkpoint.load(write_checkpoint(folder, tokenizer))
    checkpoint.save(model, processor, folder / "apart", card="# Tiny\n", run={"seed": 3})
    return folder / "apart"


@pytest.fixture(scope="module")
def with_lora(tmp_path_factory: pytest.TempPathFactory, plain: Path) -> Path:
    """The same with a LoRA that has learnt something."""
    model, processor = checkpoint.load(plain)
    checkpoint.with_parts(model, lora={"rank": 2})
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, tensor in model.trained_parts().named_parameters():
            if "lora_B" in name:
                tensor.copy_(0.05 * torch.randn(tensor.shape, generator=generator))
    place = tmp_path_factory.mktemp("lora") / "checkpoint"
    checkpoint.save(model, processor, place, card="# With a LoRA\n", run={"seed": 4})
    return place


def logits(model: Any) -> torch.Tensor:
    places = [model.config.audio_token_id] * model.config.num_soft_tokens(24000)
    ids = torch.tensor([[30, *places, 40, 41]])
    with torch.no_grad():
        found: torch.Tensor = model(ids, audio_waveforms=[torch.from_numpy(tone(1.0, 300.0))]).logits
    return found


def settings(directory: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    return parsed


def size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def test_everything_lies_in_one_directory_and_frozen_files_are_links(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["export", str(plain), "--out", str(tmp_path / "whole")]) == 0
    whole = tmp_path / "whole"
    frozen = {part: Path(settings(plain)["frozen"][part]["id_or_path"]) for part in PARTS}
    linked = 0
    for part, original in frozen.items():
        assert {path.name for path in (whole / part).iterdir()} == {path.name for path in original.iterdir()}
        for path in original.iterdir():
            assert (whole / part / path.name).samefile(path)
            linked += path.stat().st_size
    said = capsys.readouterr().out
    assert said == f"checkpoint: {whole}; linked: {linked} bytes; written: {size(whole) - linked} bytes\n"
    stated = settings(plain)
    for part in PARTS:
        stated["frozen"][part]["id_or_path"] = part
    assert settings(whole) == stated
    for path in plain.iterdir():
        if path.name != "config.json":
            assert (whole / path.name).read_bytes() == path.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]
    model, _ = checkpoint.load(whole)
    assert torch.equal(logits(model), logits(checkpoint.load(plain)[0]))
    opened: Any = AutoModelForCausalLM.from_pretrained(whole)
    assert torch.equal(logits(opened), logits(model))


def test_the_reference_checkpoint_is_exported_by_default(tmp_path: Path) -> None:
    assert cli.main(["export", "--out", str(tmp_path / "whole")]) == 0
    weights = Path("audio_encoder") / "model.safetensors"
    assert (tmp_path / "whole" / weights).samefile(checkpoint.reference_directory() / weights)
    checkpoint.load(tmp_path / "whole")


def test_symbolic_links_take_the_place_of_hard_ones(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", refuse)
    assert cli.main(["export", str(plain), "--out", str(tmp_path / "whole")]) == 0
    weights = tmp_path / "whole" / "backbone" / "model.safetensors"
    assert weights.is_symlink()
    assert weights.readlink().is_absolute()
    assert torch.equal(logits(checkpoint.load(tmp_path / "whole")[0]), logits(checkpoint.load(plain)[0]))


def test_a_copy_needs_nothing_of_the_original(
    with_lora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["export", str(with_lora), "--out", str(tmp_path / "whole"), "--copy"]) == 0
    assert "linked: 0 bytes" in capsys.readouterr().out
    shutil.move(tmp_path / "whole", tmp_path / "moved")
    assert not any(
        path.is_symlink() or path.stat().st_nlink > 1 for path in (tmp_path / "moved" / "backbone").iterdir()
    )
    assert torch.equal(logits(checkpoint.load(tmp_path / "moved")[0]), logits(checkpoint.load(with_lora)[0]))


def test_no_weights_are_loaded_to_link_them(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any, **options: Any) -> None:
        raise AssertionError("weights were loaded")

    monkeypatch.setattr("safetensors.torch.load_file", refuse)
    monkeypatch.setattr("safetensors.safe_open", refuse)
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", refuse)
    assert cli.main(["export", str(plain), "--out", str(tmp_path / "whole")]) == 0


def test_a_merged_backbone_answers_as_the_lora_did(
    with_lora: Path, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["export", str(with_lora), "--out", str(tmp_path / "whole"), "--merge"]) == 0
    whole = tmp_path / "whole"
    linked = size(whole / "audio_encoder")
    said = capsys.readouterr().out
    assert said == f"checkpoint: {whole}; linked: {linked} bytes; written: {size(whole) - linked} bytes\n"
    stated = settings(whole)
    assert stated["lora"] is None
    assert stated["frozen"]["backbone"]["sha256"] == content_hash(whole / "backbone")
    assert stated["frozen"]["backbone"]["sha256"] != settings(plain)["frozen"]["backbone"]["sha256"]
    assert stated["frozen"]["audio_encoder"]["sha256"] == settings(plain)["frozen"]["audio_encoder"]["sha256"]
    assert not any("lora" in name for name in load_file(whole / "adapter_model.safetensors"))
    assert set(load_file(whole / "adapter_model.safetensors")) == set(load_file(plain / "adapter_model.safetensors"))
    merged, _ = checkpoint.load(whole)
    expected = logits(checkpoint.load(with_lora)[0])
    torch.testing.assert_close(logits(merged), expected, atol=MERGE_BOUND, rtol=0)
    assert (logits(checkpoint.load(plain)[0]) - expected).abs().max() > 100 * MERGE_BOUND
    text = torch.tensor([[30, 31, 32]])
    alone: Any = AutoModelForCausalLM.from_pretrained(whole / "backbone")
    assert torch.equal(alone(text).logits, merged(text).logits)
    assert AutoTokenizer.from_pretrained(whole / "backbone").get_vocab()


def test_a_merged_backbone_is_stored_as_the_original_was(
    with_lora: Path, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Sums are computed in float32 and rounded to bfloat16 once; defaults that transformers would not write stay."""
    original = Path(settings(with_lora)["frozen"]["backbone"]["id_or_path"])
    model: Any = AutoModelForCausalLM.from_pretrained(original, dtype=torch.bfloat16)
    model.save_pretrained(tmp_path / "half")
    defaults = json.loads((tmp_path / "half" / "generation_config.json").read_text(encoding="utf-8"))
    (tmp_path / "half" / "generation_config.json").write_text(json.dumps({**defaults, "temperature": 0.9}))
    trained, processor = checkpoint.load(with_lora)
    stated = settings(with_lora)
    half = checkpoint.assemble(
        backbone=tmp_path / "half",
        audio_encoder=stated["frozen"]["audio_encoder"]["id_or_path"],
        encoder_name="mert",
        adapter=stated["audio_adapter"],
        lora=stated["lora"],
        **{
            key: stated[key] for key in stated if key.startswith(("audio_token", "audio_start", "audio_end", "item_to"))
        },
        max_windows=stated["max_windows"],
    )
    half.trained_parts().load_state_dict(trained.trained_parts().state_dict())
    checkpoint.save(half, processor, tmp_path / "checkpoint", card="", run={})
    assert cli.main(["export", str(tmp_path / "checkpoint"), "--out", str(tmp_path / "whole"), "--merge"]) == 0
    stored = load_file(tmp_path / "whole" / "backbone" / "model.safetensors")
    before = load_file(tmp_path / "half" / "model.safetensors")
    assert {name: tensor.dtype for name, tensor in stored.items()} == dict.fromkeys(before, torch.bfloat16)
    name = "model.layers.1.mlp.down_proj"
    learnt = half.trained_parts().state_dict()
    low, high = (learnt[f"language_model.{name}.lora_{which}.default.weight"] for which in "AB")
    expected = before[f"{name}.weight"].float() + 16 / 2 * high @ low
    assert torch.equal(stored[f"{name}.weight"], expected.to(torch.bfloat16))
    assert json.loads((tmp_path / "whole" / "backbone" / "generation_config.json").read_text())["temperature"] == 0.9


def test_what_cannot_be_exported_is_one_sentence(
    plain: Path, with_lora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "dear.txt").write_text("friend")
    backbone = tmp_path / "llama"
    shutil.copytree(settings(plain)["frozen"]["backbone"]["id_or_path"], backbone)
    absent = tmp_path / "absent"
    for words, sentence in (
        ([], "--out is missing"),
        ([plain, "--model", with_lora, "--out", absent], "were given; expected one checkpoint"),
        ([plain, "--out", letters], "holds something that is not a checkpoint"),
        ([plain, "--out", backbone], "holds something that is not a checkpoint"),
        ([plain, "--out", letters / "dear.txt"], "holds something that is not a checkpoint"),
        ([plain, "--out", plain], "which is exported; give another place"),
        ([plain, "--out", plain.parent], "which is exported; give another place"),
        ([plain, "--out", plain / "inside"], "which is exported; give another place"),
        ([plain, "--out", absent, "--merge"], "has no LoRA to merge; leave --merge out"),
        ([tmp_path / "nothing", "--out", absent], "there is no model at"),
    ):
        assert cli.main(["export", *map(str, words)]) == 2
        said = capsys.readouterr().err
        assert sentence in said
        assert said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letters", "llama"]
    assert [path.name for path in letters.iterdir()] == ["dear.txt"]


def test_an_older_export_is_replaced_and_a_failure_leaves_it(
    plain: Path, with_lora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tmp_path / "whole"
    assert cli.main(["export", str(plain), "--out", str(whole)]) == 0
    assert cli.main(["export", str(with_lora), "--out", str(whole)]) == 0
    assert settings(whole)["lora"]["rank"] == 2
    broken = Path(shutil.copytree(plain, tmp_path / "broken"))
    (broken / "adapter_model.safetensors").unlink()
    assert cli.main(["export", str(broken), "--out", str(whole)]) == 2
    assert "there is no adapter_model.safetensors" in capsys.readouterr().err
    assert settings(whole)["lora"]["rank"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "whole"]
