"""`mllm eval run` on the command line: the shipped checkpoint on rendered music, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mllm import cli
from mllm.eval import results


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = cli.main(["eval", *map(str, words)])
    told = capsys.readouterr()
    return status, told.out, told.err


def test_one_command_prints_the_table_of_the_shipped_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "out"
    words = ("run", "--tasks", "tempo", "--size", "0.02", "--resamples", "100", "--out", out, "--threads", "1")
    status, table, err = run(capsys, *words)
    assert status == 0, err
    assert "tempo within 4 %" in table
    assert (out / "report.md").read_text() == table.removesuffix("\n")
    assert (out / "report.html").stat().st_size > 1000
    found = results.read(out)
    assert set(found.tasks["tempo"].figures["acc1"].scores["mllm"]) >= {
        "heard",
        "silence",
        "noise",
        "another recording",
    }
    assert len(found.run["music"]) == 16
    before = found.tasks["tempo"].figures
    status, _, err = run(capsys, *words)
    assert (status, results.read(out).tasks["tempo"].figures) == (0, before), err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("run", "--tasks", "tempi"), "'tempi' is no task (did you mean 'tempo'"),
        (("run", "--tasks", ","), "--tasks: none was given"),
        (("run", "--model", "librsa"), "'librsa' is neither a directory nor one of the models there are"),
        (("run", "--model", "mllm="), "nothing stands behind '='"),
        (("run", "--model", "mllm=/nowhere"), "/nowhere"),
        (("run", "--data", "musiccaps"), "expected KEY=DIR, such as musiccaps=data/musiccaps"),
        (("run", "--data", "musicaps=/tmp"), "no task reads 'musicaps' (did you mean 'musiccaps'"),
        (("run", "--data", "musiccaps=/nowhere"), "/nowhere is not there; give the folder of its files"),
        (("run", "--size", "0"), "--size is 0; expected more than 0 and at most 1"),
        (("run", "--size", "1.5"), "--size is 1.5"),
        (("runs",), "'runs' is nothing that mllm eval does (did you mean 'run'"),
    ],
)
def test_bad_words_are_one_sentence(
    words: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--out", str(tmp_path / "out"), "--tasks", "tempo") if words[0] == "run" and "--tasks" not in words else ()
    status, out, err = run(capsys, *words, *more)
    assert (status, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_actions_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys)
    assert status == 0
    assert "run" in out
    assert "ask models the questions of tasks" in out


def test_a_damaged_settings_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "settings.json").write_text(json.dumps({"seed": 3}))
    status, _, err = run(capsys, "run", "--tasks", "tempo", "--out", out)
    assert status == 2
    assert "holds a run of other settings" in err
