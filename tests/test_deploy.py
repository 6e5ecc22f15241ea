"""The Compose file and the systemd unit: they parse, they are hardened, and every option in them exists."""

from __future__ import annotations

import configparser
import importlib.util
import re
import shlex
import shutil
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mllm import cli

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "deploy"
UNIT = FOLDER / "mllm.service"


def environment() -> dict[str, str]:
    lines = (FOLDER / "mllm.env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def unit() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)  # of a directive that stands several times, the last counts
    parser.read_string(UNIT.read_text())
    return parser


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    (one,) = compose["services"].values()
    assert set(one["secrets"]) == set(compose["secrets"])
    assert isinstance(one, dict)
    return one


def commands() -> dict[str, list[str]]:
    """What stands behind `mllm serve` in each file, with the settings of the example."""
    (line,) = [one for one in UNIT.read_text().splitlines() if one.startswith("ExecStart=")]
    line = string.Template(line).substitute(environment())  # systemd spells variables in the same way
    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return {
        "mllm.service": shlex.split(line.partition(" serve ")[2]),
        "compose.yaml": compose["services"]["serve"]["command"],
    }


def options(words: list[str]) -> list[str]:
    return [word.partition("=")[0] for word in words if re.fullmatch(r"--[a-z].*", word)]


@pytest.mark.parametrize("file", ["mllm.service", "compose.yaml"])
def test_every_option_is_one_of_mllm_serve(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "--help"]) == 0
    known = set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))
    words = commands()[file]
    ours = options(words[: words.index("--")])
    assert {"--host", "--port", "--api-key-file"} <= set(ours) <= known


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed (make install-serve)")
@pytest.mark.parametrize("file", ["mllm.service", "compose.yaml"])
def test_every_option_behind_the_dashes_is_one_of_vllm(file: str) -> None:
    from vllm.entrypoints.openai.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    known = make_arg_parser(FlexibleArgumentParser())._option_string_actions
    words = commands()[file]
    theirs = options(words[words.index("--") :])
    assert theirs
    assert set(theirs) <= set(known)


def test_the_container_is_hardened(service: dict[str, Any]) -> None:
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert service["restart"] == "unless-stopped"
    resources = service["deploy"]["resources"]
    assert set(resources["limits"]) == {"memory", "pids"}
    assert resources["reservations"]["devices"] == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]
    assert all(one.endswith(":ro") for one in service["volumes"] if one.startswith("$"))
    compile(service["healthcheck"]["test"][-1], "healthcheck", "exec")
    assert {"health", "ready"} <= set(re.findall(r'"(\w+)"', service["healthcheck"]["test"][-1]))


def test_the_image_has_no_root_and_its_files_are_there() -> None:
    lines = (FOLDER / "Dockerfile").read_text().splitlines()
    assert "USER 10001:10001" in lines
    kept = [one[1:] for one in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if one.startswith("!")]
    assert all((ROOT / one).exists() for one in kept)
    assert {"pyproject.toml", "mllm", "adapters", "eval", "instruct_data"} <= set(kept)


def test_the_unit_is_hardened(unit: configparser.RawConfigParser) -> None:
    service = unit["Service"]
    for name in ("NoNewPrivileges", "DynamicUser", "ProtectHome", "PrivateTmp", "RestrictNamespaces"):
        assert service[name] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert service["Restart"] == "on-failure"
    assert service["MemoryMax"]
    assert "/ready" in service["ExecStartPost"]
    assert service["DevicePolicy"] == "closed"


@pytest.mark.parametrize("file", ["mllm.service", "compose.yaml", "mllm.env.example", "Dockerfile"])
def test_no_key_stands_anywhere(file: str) -> None:
    text = (FOLDER / file).read_text()
    assert not re.search(r"--api-key[ =]|API_KEY=(?!/)|API_KEY:", text.replace("MLLM_API_KEY_FILE", ""))


def test_settings_of_the_example_are_used() -> None:
    used = UNIT.read_text() + (FOLDER / "compose.yaml").read_text()
    assert all(f"${{{name}" in used or f"${name}" in used for name in environment())


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    # The program need not be there to read the unit; systemd says so of one that is missing.
    text = UNIT.read_text().replace("/opt/mllm/venv/bin/mllm", sys.executable)
    (tmp_path / UNIT.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / UNIT.name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if UNIT.name in line]) == (0, [])
