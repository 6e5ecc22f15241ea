"""A build in several processes and on a local Ray cluster of two workers: the same files as in one process."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from mllm import cli
from mllm.errors import ConfigError
from mllm.instruct_data import data_set
from tests import building

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
# Ray leaves sockets and the pipes of its processes to the garbage collector, and announces changes of its defaults and
# of the option that keeps a dead worker from being started again (pyproject.toml).
rays_own_warnings = pytest.mark.filterwarnings(
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::FutureWarning:ray",
    "ignore::DeprecationWarning:ray",
    "ignore:`ray_remote_args` is deprecated",
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of recordings of one's own and rendered pieces."""
    folder = tmp_path_factory.mktemp("settings")
    music = building.write_music(folder / "music", count=30)
    fonts = building.write_fonts(folder / "fonts")
    return {
        "sources": [building.own(music)],
        "render": building.render(fonts, pieces=10, styles=["chorale"]),
        "split": {"validation": 0.2, "test": 0.2},
    }


@pytest.fixture(scope="module")
def alone(settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one process makes of them."""
    made = building.make(tmp_path_factory.mktemp("alone") / "set", settings)
    return building.contents(made.out)


@pytest.mark.slow
def test_processes_make_the_same(settings: dict[str, Any], alone: dict[str, str], tmp_path: Path) -> None:
    made = building.make(tmp_path / "set", settings | {"workers": 2})
    assert building.contents(made.out) == alone


@needs_ray
@rays_own_warnings
@pytest.mark.slow
def test_ray_makes_the_same(settings: dict[str, Any], alone: dict[str, str], tmp_path: Path) -> None:
    made = building.make(tmp_path / "set", settings | {"workers": 2, "engine": "ray"})
    assert building.contents(made.out) == alone
    assert len(alone) > 40


@needs_ray
@rays_own_warnings
@pytest.mark.slow
def test_a_ray_worker_that_is_killed_is_told_and_the_build_goes_on(
    settings: dict[str, Any], alone: dict[str, str], tmp_path: Path
) -> None:
    killed: list[int] = []
    over = threading.Event()

    def kill_the_first_worker() -> None:
        while not killed and not over.wait(0.01):
            for process in psutil.Process().children(recursive=True):
                try:
                    command = " ".join(process.cmdline())
                except psutil.Error:
                    continue
                if "MapWorker" in command:
                    os.kill(process.pid, signal.SIGKILL)
                    killed.append(process.pid)
                    return

    killer = threading.Thread(target=kill_the_first_worker)
    killer.start()
    out = tmp_path / "set"
    try:
        with pytest.raises(ConfigError, match=r"one of up to 1 workers died.*what was made is kept, so run this again"):
            building.make(out, settings | {"workers": 1, "engine": "ray"})
    finally:
        over.set()
        killer.join()
    assert killed
    assert not (out / data_set.MANIFEST).exists()
    assert building.contents(building.make(out, settings).out) == alone


def test_a_process_that_is_killed_is_told(settings: dict[str, Any], tmp_path: Path) -> None:
    killed: list[int] = []
    over = threading.Event()

    def kill_the_first_worker() -> None:
        while not killed and not over.wait(0.01):
            for process in psutil.Process().children(recursive=True):
                if "spawn_main" in " ".join(process.cmdline()):
                    os.kill(process.pid, signal.SIGKILL)
                    killed.append(process.pid)
                    return

    killer = threading.Thread(target=kill_the_first_worker)
    killer.start()
    try:
        with pytest.raises(ConfigError, match="one of up to 2 workers died"):
            building.make(tmp_path / "set", settings | {"workers": 2})
    finally:
        over.set()
        killer.join()
    assert killed


@needs_ray
@rays_own_warnings
def test_no_cluster_at_the_address(settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ConfigError, match="there is no Ray cluster at 'auto'; give host:port"):
        building.make(tmp_path / "set", settings | {"engine": "ray", "ray_address": "auto"})


def test_ray_that_is_not_installed_is_told(
    settings: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ray", "ray.data"):
        monkeypatch.setitem(sys.modules, name, None)
    folder = settings["sources"][0]["path"]
    words = ["--folder", folder, "--licence", "CC0-1.0", "--out", str(tmp_path / "set"), "--engine", "ray"]
    assert cli.main(["data", "build", *words]) == 2
    assert "engine=ray needs Ray Data, which is not installed: pip install" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()
