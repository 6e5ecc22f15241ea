"""What an evaluation found, as JSON: `results.json`, which reports and comparisons read.

In: the parts of a run. Out: a checked `Results`, and the same from a file. Computes nothing.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mllm.errors import ConfigError
from mllm.eval.statistic import Estimate

FORMAT = 1
NAME = "results.json"
ANSWERS = "answers.jsonl"
BLIND_ANSWERER = "blind"
"""As which model the answers of `eval.blind` stand in the answers, with the name of the answerer as condition."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gain:
    """What a model gains by hearing, over the best line of those that do not."""

    over: str
    """Name of that line: a condition, or a blind answerer."""
    difference: Estimate
    """Paired: the same units drawn for both."""
    shown: bool
    """Whether the interval of the difference excludes 0 against every blind line: otherwise "not shown to listen"."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FigureResult:
    """One figure of a task."""

    title: str
    better: str
    headline: bool
    chance: float | None
    scores: Mapping[str, Mapping[str, Estimate]]
    """Model to condition to estimate; tools have "heard" only."""
    blind: Mapping[str, Estimate]
    """Blind answerer to estimate."""
    gains: Mapping[str, Gain]
    """Of each model that listens."""
    groups: Mapping[str, Mapping[str, Mapping[str, Estimate]]]
    """Kind of group to group to model to estimate, heard; of the headline figure only, where questions have groups."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskResult:
    """One task."""

    title: str
    version: str
    summary: str
    questions: int
    units: int
    answered: Mapping[str, int]
    """Model to how many of the questions it gave any answer to, heard."""
    not_asked: Mapping[str, str]
    """Model to why it was not asked."""
    figures: Mapping[str, FigureResult]
    seconds: Mapping[str, float]
    """Model to the seconds that its answers took, all conditions."""
    sha256: str = ""
    """Of all questions with their truth: equal where exactly the same was asked."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Results:
    """A whole run."""

    run: Mapping[str, Any]
    """command, when, seed, limit, resamples, size, versions, music (a hash of the facts of the rendered pieces; None
    where none was heard), data (folders by key), seconds, peak_memory_gib, machine."""
    models: Mapping[str, Mapping[str, Any]]
    """Name to description."""
    tasks: Mapping[str, TaskResult]
    skipped: Mapping[str, str]
    """Task to why it was not run."""


def write(results: Results, path: Path) -> None:
    """Write them whole or not at all."""
    plain = {"mllm_eval": FORMAT, **dataclasses.asdict(results)}
    beside = path.with_name(f"{path.name}.half")
    beside.write_text(json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    beside.replace(path)


def read(path: Path) -> Results:
    """The results in a file, or in the folder of a run.

    Raises:
        ConfigError: it is not there, or holds something else.
    """
    path = path / NAME if path.is_dir() else path
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        return _results(plain)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); give the folder of a finished run") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} holds no results of an evaluation ({error}); run mllm eval run again") from error


def _results(plain: Mapping[str, Any]) -> Results:
    if plain["mllm_eval"] != FORMAT:
        raise ValueError(f"its format is {plain['mllm_eval']!r}, this version reads {FORMAT}")
    return Results(
        run=plain["run"],
        models=plain["models"],
        tasks={name: _task(task) for name, task in plain["tasks"].items()},
        skipped=plain["skipped"],
    )


def _task(plain: Mapping[str, Any]) -> TaskResult:
    figures = {name: _figure(figure) for name, figure in plain["figures"].items()}
    return TaskResult(**{**plain, "figures": figures})


def _figure(plain: Mapping[str, Any]) -> FigureResult:
    scores = {model: _estimates(found) for model, found in plain["scores"].items()}
    gains = {
        model: Gain(over=gain["over"], difference=Estimate(**gain["difference"]), shown=gain["shown"])
        for model, gain in plain["gains"].items()
    }
    groups = {
        kind: {group: _estimates(found) for group, found in of_kind.items()}
        for kind, of_kind in plain["groups"].items()
    }
    blind = _estimates(plain["blind"])
    return FigureResult(**{**plain, "scores": scores, "gains": gains, "groups": groups, "blind": blind})


def _estimates(plain: Mapping[str, Any]) -> dict[str, Estimate]:
    return {name: Estimate(**one) for name, one in plain.items()}
