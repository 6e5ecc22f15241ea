"""How a training is started: what DeepSpeed needs is told before a model is opened, and only where it is needed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from mllm import cli
from mllm.errors import ConfigError
from mllm.train import launch

SETTINGS = Path(__file__).parents[1] / "scripts" / "configs" / "deepspeed"
ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "CXX")


@pytest.fixture(autouse=True)
def started_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a launcher in the environment, and nothing of it left behind."""
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def write(path: Path, content: object) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def test_a_process_that_was_started_by_hand_is_the_first_and_alone() -> None:
    assert (launch.world_size(), launch.is_first()) == (1, True)
    assert launch.deepspeed_settings(None) is None
    assert not set(ENVIRONMENT) & set(os.environ)


def test_a_launcher_says_who_is_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    assert (launch.world_size(), launch.is_first()) == (4, False)


@pytest.mark.parametrize("path", sorted(SETTINGS.glob("*.json")), ids=lambda path: path.stem)
def test_our_settings_are_read(path: Path) -> None:
    """And the launcher's variables are set, without which DeepSpeed looks for MPI."""
    settings = launch.deepspeed_settings(str(path))
    assert settings is not None
    assert settings["zero_allow_untested_optimizer"] is True
    assert settings["train_batch_size"] == settings["gradient_clipping"] == "auto"
    assert settings["zero_optimization"] == json.loads(path.read_text())["zero_optimization"]
    assert launch.needs_compiler(settings) == (path.stem == "offload")
    assert {name: os.environ[name] for name in launch.ALONE} == launch.ALONE
    assert 0 < int(os.environ["MASTER_PORT"]) < 2**16


def test_what_a_launcher_or_a_file_says_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "29512"}.items():
        monkeypatch.setenv(name, value)
    own = {"gradient_clipping": 0.5, "zero_allow_untested_optimizer": False}
    settings = launch.deepspeed_settings(write(tmp_path / "own.json", own))
    assert settings is not None
    assert own.items() <= settings.items()
    assert (os.environ["RANK"], os.environ["WORLD_SIZE"], os.environ["MASTER_PORT"]) == ("1", "2", "29512")


@pytest.mark.parametrize(
    ("settings", "needs"),
    [
        ({}, False),
        ({"zero_optimization": None}, False),
        ({"zero_optimization": {"stage": 3, "offload_optimizer": {"device": "none"}}}, False),
        ({"zero_optimization": {"stage": 3, "offload_optimizer": {"device": "nvme"}}}, True),
        ({"optimizer": {"type": "AdamW"}}, True),
        ({"optimizer": {"type": "AdamW", "params": {"lr": 1e-3}}}, True),
        ({"optimizer": {"type": "AdamW", "params": {"torch_adam": True}}}, False),
    ],
)
def test_a_compiler_is_needed_for_optimisers_of_deepspeed_only(settings: dict[str, Any], needs: bool) -> None:
    assert launch.needs_compiler(settings) == needs


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("[]", "holds no object"),
        ({"zero_optimization": 3}, "zero_optimization is 3 in the settings of DeepSpeed; expected an object"),
        ({"zero_optimization": {"offload_optimizer": True}}, "offload_optimizer is True .*expected an object"),
        ({"optimizer": "AdamW"}, "optimizer is 'AdamW' .*expected an object"),
        ({"optimizer": {"params": [1]}}, r"params is \[1\] .*expected an object"),
    ],
)
def test_settings_that_are_none(content: object, expected: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=expected):
        launch.deepspeed_settings(write(tmp_path / "deepspeed.json", content))
    assert "RANK" not in os.environ


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe9"}')
    with pytest.raises(ConfigError, match=r"train.deepspeed names .*latin\.json, which cannot be read as JSON"):
        launch.deepspeed_settings(str(tmp_path / "latin.json"))
    with pytest.raises(
        ConfigError, match=r"train.deepspeed names .*absent\.json, which is not there; give a JSON file"
    ):
        launch.deepspeed_settings(str(tmp_path / "absent.json"))
    with pytest.raises(ConfigError, match=r"cannot be read as JSON: .*Is a directory"):
        launch.deepspeed_settings(str(tmp_path))


def test_deepspeed_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepspeed", None)  # so that no import finds it
    with pytest.raises(ConfigError, match=r"DeepSpeed is not installed: pip install 'mllm-music\[train\]'"):
        launch.deepspeed_settings(str(SETTINGS / "one-gpu.json"))


@pytest.mark.parametrize("compiler", ["/bin/false", "no-such-compiler", "env no-such-compiler", "'c++"])
def test_a_compiler_that_is_none_is_told(compiler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", compiler)
    with pytest.raises(ConfigError, match=r"needs a C.. compiler .CXX=.* is none.; install g.., or take") as error:
        launch.deepspeed_settings(str(SETTINGS / "offload.json"))
    assert compiler in str(error.value)


def test_without_any_compiler(no_compiler: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"needs a C.. compiler \(none of c\+\+, g\+\+, clang\+\+ is there\)"):
        launch.check_compiler()
    assert launch.deepspeed_settings(str(SETTINGS / "many-gpus.json")) is not None


@pytest.mark.skipif(shutil.which("c++") is None, reason="there is no compiler")
def test_a_compiler_may_be_several_words_and_ninja_is_needed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ninja = shutil.which("ninja")
    monkeypatch.setenv("CXX", f"{shutil.which('env')} {shutil.which('c++')}")
    if ninja is not None:
        launch.check_compiler()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "ninja", None)
    with pytest.raises(ConfigError, match="builds its optimiser with ninja, which is not installed: pip install ninja"):
        launch.check_compiler()


def test_a_compiler_is_asked_for_before_a_model_is_opened_and_only_where_it_is_needed(
    no_compiler: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "songs.jsonl").write_text("{}\n")
    words = ["train", "--data", str(tmp_path / "songs.jsonl"), "--out", str(tmp_path / "out"), "--model", "absent"]
    for dry in ([], ["--dry-run"]):
        assert cli.main([*words, *dry, f"train.deepspeed={SETTINGS / 'offload.json'}"]) == 2
        assert "DeepSpeed builds the optimiser that its settings ask for" in capsys.readouterr().err
    assert cli.main([*words, "--dry-run", f"train.deepspeed={SETTINGS / 'one-gpu.json'}"]) == 2
    assert "'absent'" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["songs.jsonl"]


def test_zero_3_keeps_the_largest_trained_tensor_whole() -> None:
    for stated, expected in (({}, 500), ({"stage3_param_persistence_threshold": "auto"}, 500)):
        settings: dict[str, Any] = {"zero_optimization": {"stage": 3, **stated}}
        launch.keep_whole(settings, 500)
        assert settings["zero_optimization"]["stage3_param_persistence_threshold"] == expected
    settings = {"zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 900}}
    launch.keep_whole(settings, 500)
    assert settings["zero_optimization"]["stage3_param_persistence_threshold"] == 900
    for other in ({}, {"zero_optimization": {"stage": 2}}):
        before = json.dumps(other)
        launch.keep_whole(other, 500)
        assert json.dumps(other) == before
