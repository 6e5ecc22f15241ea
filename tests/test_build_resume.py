"""A build that is killed at random moments goes on, and makes the same files as one that was not."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import yaml

from mllm.errors import ConfigError
from mllm.instruct_data import build_parts, data_set, manifest
from mllm.train import conversations
from tests import building

KILLS = 4
LONGEST_SECONDS = 240.0


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a build of recordings of one's own and of rendered pieces, in units of every kind."""
    folder = tmp_path_factory.mktemp("settings")
    music = building.write_music(folder / "music", count=300)
    fonts = building.write_fonts(folder / "fonts")
    plain = {
        "sources": [building.own(music)],
        "render": building.render(fonts, pieces=12, effects=True, format="opus", styles=["chorale"]),
        "split": {"validation": 0.1, "test": 0.1},
    }
    path = folder / "build.yaml"
    path.write_text(yaml.safe_dump(plain), encoding="utf-8")
    return path


def killed(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kill a process with SIGKILL after so many seconds; whether it was still there. Its own processes must end too."""
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(children, timeout=20)
        assert not alive, "workers outlived the build"
        return True


@pytest.mark.slow
def test_a_killed_build_goes_on_and_makes_the_same_files(settings: Path, tmp_path: Path) -> None:
    whole, often = tmp_path / "whole" / "set", tmp_path / "often" / "set"
    begun = time.monotonic()
    subprocess.run(
        building.command(settings, "--out", whole, "--workers", 1),
        check=True,
        capture_output=True,
        env=building.environment(),
        timeout=LONGEST_SECONDS,
    )
    lasted = time.monotonic() - begun
    rng = random.Random(5)
    kills = 0
    for _ in range(100):
        process = subprocess.Popen(
            building.command(settings, "--out", often, "--workers", 2),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=building.environment(),
        )
        seconds = rng.uniform(0.15, 0.6) * lasted if kills < KILLS else LONGEST_SECONDS
        if not killed(process, seconds):
            assert process.returncode == 0
            break
        kills += 1
        assert not (often / data_set.MANIFEST).exists()
    assert kills >= 3
    assert building.contents(often) == building.contents(whole)
    assert len(building.contents(whole)) > 315
    assert not (often / build_parts.PARTS).exists()


def test_an_end_in_the_worst_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet files are in their places, the manifest is not; half a unit and half a recording lie there."""
    music = building.write_music(tmp_path / "music", count=12)
    given = {"sources": [building.own(music)]}
    whole, ended = tmp_path / "whole" / "set", tmp_path / "ended" / "set"
    expected = building.contents(building.make(whole, given).out)

    def end(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(manifest, "card", end)
        with pytest.raises(KeyboardInterrupt):
            building.make(ended, given)
    assert (ended / data_set.RECORDS).is_dir()
    with pytest.raises(ConfigError, match="no finished data set"):
        list(data_set.read_records(ended))
    with pytest.raises(ConfigError, match="is not finished; run its mllm data build again"):
        conversations.read([ended])
    half = ended / build_parts.PARTS / "making" / "source-000-records-train-000000-abc"
    half.mkdir(parents=True)
    (half / build_parts.RECORDS).write_bytes(b"PAR1")
    (ended / data_set.RECORDS / "train-0").write_bytes(b"PAR1")
    done = ended / build_parts.PARTS / "done"
    for folder in sorted(done.iterdir())[1::2]:
        shutil.rmtree(folder)
    assert building.contents(building.make(ended, given).out) == expected


def test_a_whole_data_set_whose_parts_were_not_removed(tmp_path: Path) -> None:
    music = building.write_music(tmp_path / "music", count=3)
    made = building.make(tmp_path / "set", {"sources": [building.own(music)]})
    expected = building.contents(made.out)
    (made.out / build_parts.PARTS / "done").mkdir(parents=True)
    assert building.make(made.out, {"sources": [building.own(music)]}).found
    assert building.contents(made.out) == expected
    assert not (made.out / build_parts.PARTS).exists()
