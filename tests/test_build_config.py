"""Settings of a build: what is read from YAML and words, and that every mistake is told at once."""

from __future__ import annotations

import ast
import inspect
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from mllm.errors import ConfigError
from mllm.instruct_data import build_config
from mllm.instruct_data.build_config import BuildConfig, options_of, read

LEAST: dict[str, Any] = {"out": "made", "render": {"hours": 2}}


def write(path: Path, content: Any) -> Path:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def told(content: Any, tmp_path: Path, *words: str) -> str:
    """What is said of settings that are wrong."""
    with pytest.raises(ConfigError) as error:
        read(write(tmp_path / "build.yaml", content), words)
    return str(error.value)


def test_the_least_that_is_needed_and_what_is_taken_for_the_rest(tmp_path: Path) -> None:
    config = read(write(tmp_path / "build.yaml", LEAST))
    assert (config.out, config.seed, config.engine, config.workers) == ("made", 0, "local", os.cpu_count())
    assert (config.render.hours, config.render.seconds, config.render.format) == (2.0, (20.0, 60.0), "flac")
    assert (config.conversations.per_track, config.conversations.weights) == (6, None)
    assert (config.split.validation, config.split.test) == (0.05, 0.05)
    assert config.scores.music21
    assert read(None, ["out=made", "render.hours=2"]) == config
    assert read(None, given=LEAST) == config


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    content = {
        "out": "made",
        "seed": 3,
        "workers": 2,
        "engine": "ray",
        "ray_address": "head:6379",
        "render": {
            "pieces": 10,
            "seconds": [10, 20],
            "styles": ["rock"],
            "composed": 0.7,
            "fonts": "a.sf2",
            "held_out_fonts": ["b.sf2"],
            "format": "opus",
            "effects": False,
            "validation": 0.1,
            "test": 0.2,
            "scores": {"music21": False, "folders": "tunes", "licence": "CC0-1.0", "cache": "kept"},
        },
        "sources": [
            {"name": "folder", "path": "mine", "licence": "CC0-1.0", "audio": "link", "most": 5},
            {"name": "muchomusic", "path": "bench", "evaluation": True},
        ],
        "conversations": {"per_track": 3, "weights": {"when": 2, "caption": 0}},
        "split": {"validation": 0.1, "test": 0},
    }
    config = read(write(tmp_path / "build.yaml", content))
    assert config.render.fonts == ("a.sf2",)
    assert config.scores.folders == ("tunes",)
    assert config.sources[0].options == {"licence": "CC0-1.0"}
    assert config.sources[0].audio == "link"
    assert config.conversations.weights == {"when": 2, "caption": 0}
    assert config.plain()["render"]["scores"] == {
        "music21": False,
        "folders": ["tunes"],
        "licence": "CC0-1.0",
        "pop909": None,
        "openewld": None,
    }


def test_where_it_is_made_does_not_decide_what_is_made() -> None:
    one = read(None, given=LEAST | {"workers": 1})
    other = read(None, given=LEAST | {"out": "there", "workers": 7, "engine": "ray", "ray_address": "auto"})
    cached = read(None, given={"out": "made", "render": {"hours": 2, "scores": {"cache": "kept"}}})
    assert one.plain() == other.plain() == cached.plain()
    assert one.plain() != read(None, given=LEAST | {"seed": 1}).plain()


def test_mistakes_of_all_sections_are_told_in_one_sentence(tmp_path: Path) -> None:
    wrong = {
        "seed": -1,
        "workers": 0,
        "engine": "cloud",
        "hours": 3,
        "rendr": {},
        "render": {
            "hours": 0,
            "pieces": 3,
            "seconds": [60, 20],
            "styles": ["rok"],
            "scores": {"folders": ["x"], "pop": 1},
        },
        "sources": [
            {"name": "musiccap", "path": "x"},
            {"name": "folder", "license": "CC0-1.0", "path": "x"},
            {"name": "folder", "audio": "move", "path": ""},
            "folder",
        ],
        "conversations": {"per_track": 0, "weights": {"wen": 1, "when": -1}},
        "split": {"test": 0.9},
    }
    sentence = told(wrong, tmp_path, "split.validation=no", "nonsense")
    for mistake in (
        f"{tmp_path / 'build.yaml'}: ",
        "'nonsense' is no setting; expected key.sub=value",
        "hours is not a setting (did you mean 'render.hours'?)",
        "rendr is not a setting (did you mean 'render'?)",
        "out is missing",
        "seed is -1; expected a whole number, 0 or more",
        "workers is 0; expected a whole number, 1 or more",
        "engine is 'cloud'; expected local or ray",
        "render.hours and pieces were both given; give one of them",
        "render.hours is 0.0; expected more than 0",
        "render.seconds is [60.0, 20.0]; expected the shortest and the longest, such as [20, 60], 5 to 600",
        "render.styles names 'rok', which there is not (did you mean 'rock'?)",
        "render.scores.licence is missing; say under which licence the scores in folders are",
        "render.scores.pop is not a setting (did you mean 'pop909'?)",
        "sources[0].name is 'musiccap', which there is not (did you mean 'musiccaps'",
        "sources[1].license is not a setting of this source (did you mean 'licence'",
        "sources[2].audio is 'move'; expected one of 'copy', 'link', 'reference'",
        "sources[3] is 'folder'; expected name and path",
        "conversations.per_track is 0; expected 1 or more",
        "split.validation is False; expected a number",
    ):
        assert mistake in sentence, mistake
    assert "nothing to build" not in sentence


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"render": None}, "nothing to build was given; give render.hours, render.pieces or sources"),
        ({"out": ""}, "out is ''; expected a folder"),
        ({"out": ["x"]}, "out is ['x']; expected a folder"),
        ({"render": 5}, "render is 5; expected settings"),
        ({"render": {"hours": 1, "scores": 5}}, "render.scores is 5; expected settings"),
        ({"sources": {"name": "folder"}}, "sources is {'name': 'folder'}; expected a list"),
        ({"conversations": {"weights": [1]}}, "conversations.weights is [1]; expected numbers by kind"),
        ({"conversations": {"weights": {"wen": 1}}}, "weights names 'wen', which there is not (did you mean 'when'"),
        ({"conversations": {"weights": {"when": "x"}}}, "weights.when is 'x'; expected 0 or more"),
        ({"split": {"test": 0.9}}, "split.test is 0.9; expected 0 to 0.5"),
        ({"seed": True}, "seed is True; expected a whole number"),
    ],
)
def test_a_wrong_setting_is_told(change: dict[str, Any], expected: str, tmp_path: Path) -> None:
    assert expected in told(LEAST | change, tmp_path)


def test_files_that_are_included_come_first(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", LEAST | {"seed": 7})
    config = read(write(tmp_path / "build.yaml", {"include": "base.yaml", "render": {"test": 0.3}}), ["seed=8"])
    assert (config.seed, config.render.hours, config.render.test) == (8, 2.0, 0.3)


def test_a_source_says_what_it_takes() -> None:
    assert {"licence", "table", "largest_bytes"} <= set(options_of("folder"))
    assert not {"seed", "per_track"} & set(options_of("folder"))


def test_every_setting_is_explained() -> None:
    tree = ast.parse(inspect.getsource(build_config))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name != BuildConfig.__name__:
            fields = [one for one in node.body if isinstance(one, ast.AnnAssign)]
            explained = [
                before
                for before, after in zip(node.body, node.body[1:], strict=False)
                if isinstance(before, ast.AnnAssign)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            ]
            assert fields == explained, node.name
