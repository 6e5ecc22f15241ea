"""The shipped configurations: all are read, name what is there and follow each other; those of the reference train."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from mllm import checkpoint, cli, registry, templates
from mllm.instruct_data import build_config
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.train import run_config, setting_files
from mllm.train.run_config import RunConfig
from tests import tiny_checkpoint

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "scripts" / "configs"
PARTS = CONFIGS / "parts"
DATA = CONFIGS / "data"
BUILDS = sorted(DATA.glob("*.yaml"))
ALL = sorted(set(CONFIGS.rglob("*.yaml")) - set(BUILDS))
STAGES = [path for path in ALL if path.parent != PARTS]
FOLDERS = sorted({path.parent for path in STAGES})
ORDER = ("align", "instruct", "lora", "items")
BEFORE = {"instruct": "align", "lora": "instruct", "items": "instruct"}
HEAD_OF_BUILDS = ("Needs:", "Licences:", "Run,", "Disk:", "Time:")
HEAD = ("Needs:", "Licences:", "Run,", "Layout:", "Encoder:", "Memory:", "Time:", "Result:")


def named(path: Path) -> str:
    """A file in a message of pytest."""
    return str(path.relative_to(CONFIGS))


def read(path: Path) -> RunConfig:
    """The settings of a file; a part gets what it needs to be read without the stage that includes it."""
    if path in STAGES:
        return run_config.read(path)
    backbone = ("model.backbone=x",) if path.name.startswith("mert") else ()
    return run_config.read(path, ("out=x", "data.train=x.jsonl", "data.catalog=x", *backbone))


def head(path: Path) -> str:
    """The comment at the beginning of a file, as one line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return " ".join(line.removeprefix("#").strip() for line in lines[:end])


def included(path: Path) -> Iterator[Path]:
    """Files that a file includes, and those that they include."""
    names = yaml.safe_load(path.read_text(encoding="utf-8")).get(setting_files.INCLUDE, [])
    for name in [names] if isinstance(names, str) else names:
        one = (path.parent / name).resolve()
        yield one
        yield from included(one)


def test_there_are_configurations() -> None:
    assert [folder.name for folder in FOLDERS] == ["llama-2-7b", "llama-3-8b", "qwen3-8b", "reference", "vicuna-7b"]
    assert all(sorted(path.stem for path in folder.glob("*.yaml")) == sorted(ORDER) for folder in FOLDERS)


@pytest.mark.parametrize("path", ALL, ids=named)
def test_each_is_read_and_names_what_is_there(path: Path) -> None:
    config = read(path)
    assert config.model.chat_template in (None, *templates.names())
    assert config.model.encoder in registry.names("encoder")
    for adapter in (config.adapter, config.item_adapter):
        if adapter is not None:
            settings = {key: value for key, value in adapter.items() if key != "name"}
            registry.find("adapter", adapter["name"]).Config(**settings)
    if config.train.deepspeed is not None:
        assert "zero_optimization" in json.loads((ROOT / config.train.deepspeed).read_text(encoding="utf-8"))


def test_every_part_and_every_layout_is_used_or_told() -> None:
    used = {one for path in ALL for one in included(path)}
    page = (CONFIGS / "README.md").read_text(encoding="utf-8")
    assert {one for one in PARTS.glob("*.yaml") if one not in used} == {
        PARTS / "mert-330m.yaml",
        PARTS / "many-gpus.yaml",
    }
    assert all(f"`{one.name}`" in page for one in (*PARTS.glob("*.yaml"), *(CONFIGS / "deepspeed").iterdir()))
    assert all(f"`{folder.name}/`" in page for folder in FOLDERS)


@pytest.mark.parametrize("path", STAGES, ids=named)
def test_each_head_says_what_a_reader_must_know(path: Path) -> None:
    text, name = head(path), path.relative_to(ROOT).as_posix()
    assert [label for label in HEAD if label not in text] == []
    assert sorted(HEAD, key=text.index) == list(HEAD)
    assert f" mllm train {name} " in text
    assert re.search(rf" torchrun --nproc_per_node \d -m mllm train {name} ", text)
    assert re.search(rf" deepspeed --num_gpus \d --module mllm train {name} ", text)
    assert ("Calculated, not run" in text) == ("measured" not in text)
    assert path.stem in text
    config = read(path)
    assert all(source in text for source in config.data.train)
    for weights in (config.model.backbone, config.model.audio_encoder):
        assert weights is None or weights.startswith("mllm/reference") or weights in text


@pytest.mark.parametrize("path", BUILDS, ids=named)
def test_each_build_is_read_and_says_what_a_reader_must_know(path: Path) -> None:
    config = build_config.read(path)
    assert config.render.wanted or config.sources
    text, name = head(path), path.relative_to(ROOT).as_posix()
    assert [label for label in HEAD_OF_BUILDS if label not in text] == []
    assert sorted(HEAD_OF_BUILDS, key=text.index) == list(HEAD_OF_BUILDS)
    assert f" mllm data build {name} " in text
    assert f"`{path.name}`" in (CONFIGS / "README.md").read_text(encoding="utf-8")


def test_builds_cover_every_source() -> None:
    used = {source.name for path in BUILDS for source in build_config.read(path).sources}
    assert used == set(registry.names("source"))


@pytest.mark.parametrize("path", sorted(PARTS.glob("*.yaml")), ids=named)
def test_each_part_says_how_it_is_included(path: Path) -> None:
    assert "How to include it:" in head(path)


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_stages_follow_each_other(folder: Path) -> None:
    found = {stage: read(folder / f"{stage}.yaml") for stage in ORDER}
    assert [found[stage].stage for stage in ORDER] == list(ORDER)
    assert [found[stage].out for stage in ORDER] == [f"runs/{folder.name}/{stage}" for stage in ORDER]
    assert found["align"].model.backbone is not None
    assert {stage: found[stage].model.start for stage in BEFORE} == {
        stage: found[before].out for stage, before in BEFORE.items()
    }
    assert len({config.data.store for config in found.values()}) == 1
    assert found["align"].data.store is not None


def test_encoder_and_layout_change_by_one_key_or_one_include(tmp_path: Path) -> None:
    align = CONFIGS / "vicuna-7b" / "align.yaml"
    keys = ["model.audio_encoder=m-a-p/MERT-v1-330M", "train.deepspeed=scripts/configs/deepspeed/many-gpus.json"]
    text = align.read_text(encoding="utf-8").replace("../parts", str(PARTS))
    for old, new in (("mert-95m.yaml,", "mert-330m.yaml,"), ("one-gpu.yaml,", "many-gpus.yaml,")):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (tmp_path / "align.yaml").write_text(text, encoding="utf-8")
    assert read(align) != run_config.read(align, keys) == run_config.read(tmp_path / "align.yaml")


def write_conversations(path: Path, *parts: dict[str, Any]) -> Path:
    """A JSONL file with a question about each of the parts."""
    asked = [
        [*tiny_checkpoint.user(part, "How fast is it?"), {"role": "assistant", "content": "It is slow."}]
        for part in parts
    ]
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in asked), encoding="utf-8")
    return path


def test_the_reference_configurations_train_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    music = tiny_checkpoint.write_music(tmp_path / "music")
    heard = write_conversations(
        tmp_path / "heard.jsonl", *({"type": "audio", "path": str(music / name)} for name in ("one.wav", "two.wav"))
    )
    named_items = write_conversations(tmp_path / "items.jsonl", *(tiny_checkpoint.item(number) for number in range(5)))
    catalogue = tiny_checkpoint.write_catalogue(tmp_path / "catalogue")
    own = {"items": [f"data.train={named_items}", f"data.catalog={catalogue}"]}
    for stage in ORDER:
        words = [f"out={tmp_path / stage}", f"data.store={tmp_path / 'store'}", "train.steps=2", "train.report_to=[]"]
        words += own.get(stage, [f"data.train={heard}"])
        words += [f"model.start={tmp_path / BEFORE[stage]}"] if stage in BEFORE else []
        status = cli.main(["train", str(CONFIGS / "reference" / f"{stage}.yaml"), *words])
        assert status == 0, capsys.readouterr().err
        model, _ = checkpoint.load(tmp_path / stage)
        before = None if stage not in BEFORE else checkpoint.load(tmp_path / BEFORE[stage])[0]
        assert changed(model, before) == set(run_config.TRAINED[stage]) - {"layer_mix"}
    assert "steps 2" in capsys.readouterr().out


def changed(model: MusicLLMForConditionalGeneration, before: MusicLLMForConditionalGeneration | None) -> set[str]:
    """Trained parts of a model that are others, or were not there, before."""
    old = {} if before is None else before.trained_parts().state_dict()
    new = model.trained_parts().state_dict()
    names = {name for name, tensor in new.items() if name not in old or not torch.equal(tensor, old[name])}
    return {"lora" if name.startswith("language_model") else name.partition(".")[0] for name in names}
