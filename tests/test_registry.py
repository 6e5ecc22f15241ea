"""Tests of `mllm.registry`: the files of a folder are its plug-ins; an unknown name is answered with the near ones."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from mllm import registry
from mllm.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "adapter": ROOT / "adapters",
    "augmentation": ROOT / "instruct_data" / "augment",
    "check": ROOT / "instruct_data" / "checks",
    "data action": ROOT / "instruct_data" / "actions",
    "encoder": ROOT / "mllm" / "encoders",
    "reward": ROOT / "mllm" / "train" / "rewards",
    "source": ROOT / "instruct_data" / "sources",
    "style": ROOT / "instruct_data" / "styles",
    "task": ROOT / "eval" / "tasks",
}
PLUG_INS = [(kind, name) for kind in FOLDERS for name in registry.names(kind)]


@pytest.mark.parametrize("kind", FOLDERS)
def test_names_are_the_files_of_the_folder(kind: str) -> None:
    files = {path.stem for path in FOLDERS[kind].glob("*.py")}
    folders = {path.parent.name for path in FOLDERS[kind].glob("*/__init__.py")}
    assert registry.names(kind) == tuple(sorted(name for name in files | folders if not name.startswith("_")))


def test_there_are_encoders_and_adapters() -> None:
    assert registry.names("encoder")
    assert registry.names("adapter")


@pytest.mark.parametrize(("kind", "name"), PLUG_INS)
def test_every_plug_in_is_found(kind: str, name: str) -> None:
    assert Path(str(registry.find(kind, name).__file__)).resolve().is_relative_to(FOLDERS[kind])


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, name in PLUG_INS if kind in ("encoder", "adapter")])
def test_every_part_of_the_model_has_a_config_and_a_module(kind: str, name: str) -> None:
    file = registry.find(kind, name)
    assert hasattr(file, "Config")
    assert hasattr(file, kind.capitalize())


def test_a_new_file_is_a_new_plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mllm.adapters

    (tmp_path / "brand_new.py").write_text("ANSWER = 42\n")
    (tmp_path / "_helper.py").write_text("")
    (tmp_path / "notes.txt").write_text("")
    monkeypatch.setattr(mllm.adapters, "__path__", [*mllm.adapters.__path__, str(tmp_path)])
    monkeypatch.setattr(mllm.adapters.__spec__, "submodule_search_locations", mllm.adapters.__path__)
    importlib.invalidate_caches()
    try:
        assert "brand_new" in registry.names("adapter")
        assert "_helper" not in registry.names("adapter")
        assert registry.find("adapter", "brand_new").ANSWER == 42
    finally:
        sys.modules.pop("mllm.adapters.brand_new", None)


def test_an_unknown_name_is_answered_with_the_near_ones() -> None:
    with pytest.raises(ConfigError, match="no adapter named 'liner'; did you mean 'linear'"):
        registry.find("adapter", "liner")
    with pytest.raises(ConfigError, match=r"no encoder named 'xyzzy'; expected one of: .*cqt"):
        registry.find("encoder", "xyzzy")
    with pytest.raises(ConfigError, match="no kind of plug-in named 'encoders'; did you mean 'encoder'"):
        registry.names("encoders")


@pytest.mark.parametrize("name", ["_pool", "__init__", "../errors", "", "linear.Adapter"])
def test_what_is_no_plug_in_is_not_imported(name: str) -> None:
    with pytest.raises(ConfigError, match="there is no adapter named"):
        registry.find("adapter", name)
