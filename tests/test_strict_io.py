"""Strict reading and writing of settings and tensors."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import nn

from mllm import strict_io
from mllm.errors import CheckpointError, ConfigError
from mllm.settings import config_from_dict


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of every type that is admitted."""

    width: int
    rate: float = 1.0
    name: str = "a"
    exact: bool = False
    kind: Literal["group", "layer"] = "group"
    sizes: tuple[int, ...] = (1, 2)
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise ConfigError(f"rate is {self.rate}; expected more than 0")


def test_config_takes_json_forms() -> None:
    built = config_from_dict(Settings, {"width": 3, "rate": 2, "sizes": [4, 5], "limit": None})
    assert built == Settings(width=3, rate=2.0, sizes=(4, 5))
    assert isinstance(built.rate, float)


def test_config_tells_all_errors_at_once() -> None:
    given = {"widht": 3, "rate": -1, "name": 4, "exact": 1, "kind": "grup", "sizes": [1, "x"], "limit": 1.5}
    with pytest.raises(ConfigError) as caught:
        config_from_dict(Settings, given)
    message = str(caught.value)
    for words in (
        "widht is not a setting (did you mean 'width'?)",
        "width is missing",
        "name is 4; expected a text",
        "exact is 1; expected true or false",
        "kind is 'grup'; expected one of 'group', 'layer'",
        "sizes is [1, 'x']; expected a whole number",
        "limit is 1.5; expected a whole number",
    ):
        assert words in message


def test_config_adds_what_the_dataclass_refuses() -> None:
    with pytest.raises(ConfigError, match=r"nme is not a setting.*rate is -1.0; expected more than 0"):
        config_from_dict(Settings, {"width": 3, "nme": "b", "rate": -1})


@pytest.mark.parametrize("value", [True, "2", float("nan"), float("inf"), None])
def test_config_refuses_what_is_not_a_number(value: object) -> None:
    with pytest.raises(ConfigError, match=r"rate is .*expected a number"):
        config_from_dict(Settings, {"width": 3, "rate": value})


def test_required_setting_of_wrong_type() -> None:
    with pytest.raises(ConfigError, match="width is 'x'; expected a whole number"):
        config_from_dict(Settings, {"width": "x"})


def test_config_file_round_trip(tmp_path: Path) -> None:
    settings = Settings(width=2, sizes=(7,), limit=4)
    strict_io.write_config(settings, tmp_path / "config.json")
    assert strict_io.read_config(tmp_path / "config.json", Settings) == settings
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("text", "words"), [(None, "there is no config.json"), ("{", "cannot be read as JSON"), ("[]", "holds a list")]
)
def test_config_file_that_is_none(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "config.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(CheckpointError, match=words):
        strict_io.read_config(path, Settings)


def test_config_file_is_named_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"width": 1, "ratee": 2}))
    with pytest.raises(ConfigError, match=r"config\.json: ratee is not a setting \(did you mean 'rate'"):
        strict_io.read_config(path, Settings)


def test_tensors_round_trip_over_half_precision(tmp_path: Path) -> None:
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    path = tmp_path / "model.safetensors"
    strict_io.write_tensors({name: t.bfloat16() for name, t in first.state_dict().items()}, path)
    strict_io.read_tensors(second, path)
    assert second.weight.dtype == torch.float32
    torch.testing.assert_close(second.weight, first.weight.bfloat16().float(), rtol=0, atol=0)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bias": None}, "missing: bias"),
        ({"weigth": torch.zeros(1)}, r"not expected: weigth \(did you mean 'weight'"),
        ({"weight": torch.zeros(3, 2)}, r"weight is floating-point \(3, 2\) instead of floating-point \(2, 3\)"),
        ({"bias": torch.zeros(2, dtype=torch.int64)}, r"bias is whole-number \(2,\) instead of floating-point"),
    ],
)
def test_tensors_that_do_not_fit(tmp_path: Path, change: dict[str, torch.Tensor | None], words: str) -> None:
    module = nn.Linear(3, 2)
    before = module.weight.detach().clone()
    tensors = {name: t + 1 for name, t in module.state_dict().items()} | change
    strict_io.write_tensors({name: t for name, t in tensors.items() if t is not None}, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match=words):
        strict_io.read_tensors(module, tmp_path / "x.safetensors")
    assert torch.equal(module.weight, before)


def test_files_that_hold_no_tensors(tmp_path: Path) -> None:
    for load, name in ((strict_io.load_tensors, "x.safetensors"), (strict_io.load_torch_file, "x.bin")):
        with pytest.raises(CheckpointError, match=f"there is no {name}"):
            load(tmp_path / name)
        (tmp_path / name).write_bytes(b"not a checkpoint at all")
        with pytest.raises(CheckpointError, match=name):
            load(tmp_path / name)
    torch.save({"step": 3}, tmp_path / "x.bin")
    with pytest.raises(CheckpointError, match="more than named tensors"):
        strict_io.load_torch_file(tmp_path / "x.bin")
    torch.save({"model": {"a": torch.ones(2)}, "step": 3}, tmp_path / "x.bin")
    assert list(strict_io.load_torch_file(tmp_path / "x.bin", within="model")) == ["a"]
    with pytest.raises(CheckpointError, match="has no entry 'weights'; it holds: model, step"):
        strict_io.load_torch_file(tmp_path / "x.bin", within="weights")
    (tmp_path / "x.bin").write_bytes((tmp_path / "x.bin").read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"x\.bin cannot be read"):
        strict_io.load_torch_file(tmp_path / "x.bin")


def test_truncated_tensors(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    strict_io.write_tensors(nn.Linear(30, 20).state_dict(), path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        strict_io.load_tensors(path)


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    strict_io.write_json({"a": 1}, path)
    with pytest.raises(TypeError):
        strict_io.write_json({"a": object()}, path)
    assert strict_io.read_json(path) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_content_hash_sees_bytes_and_names_and_nothing_else(tmp_path: Path) -> None:
    def checkpoint(name: str, **files: str) -> str:
        directory = tmp_path / name
        directory.mkdir()
        for stem, text in files.items():
            (directory / stem.replace("_", ".")).write_text(text)
        return strict_io.content_hash(directory)

    base = checkpoint("base", model_safetensors="w", config_json="c")
    assert len(base) == 64
    assert base == checkpoint("with_readme", model_safetensors="w", config_json="c", README_md="r")
    assert base != checkpoint("bytes", model_safetensors="x", config_json="c")
    assert base != checkpoint("names", other_safetensors="w", config_json="c")
    assert base != checkpoint("moved", model_safetensors="", config_json="cw")


def test_content_hash_needs_weights(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a directory"):
        strict_io.content_hash(tmp_path / "absent")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="holds no weights"):
        strict_io.content_hash(tmp_path)


def test_written_tensors_may_be_read_by_whoever_may_read_other_files(tmp_path: Path) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text("")
    strict_io.write_tensors({"weight": torch.zeros(2)}, tmp_path / "model.safetensors")
    assert (tmp_path / "model.safetensors").stat().st_mode == plain.stat().st_mode
