"""Two runs side by side: the same questions, paired, and for each figure what one run has more than the other.

In: the folders of two finished runs. Out: a `Comparison`. Figures are computed anew from the answers, by the tasks as
they are now, over the questions that both were asked in the same words about the same recordings; an interval draws the
same recordings for both. Asks no model and opens no recording.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mllm import registry
from mllm.errors import ConfigError
from mllm.eval import answers, conditions, results, scoring, statistic
from mllm.eval.questions import Question, Said
from mllm.eval.results import Results
from mllm.eval.statistic import Estimate
from mllm.eval.task_about import About
from mllm.settings import near

RIGHT = 0.5
"""Credit from which on an answer is counted as right."""
LEFT_BETTER, RIGHT_BETTER, NO_DIFFERENCE = "A is better", "B is better", "no difference is shown"
NEITHER = "neither is better by this figure"
NOT_AGAIN = "not compared: its value does not come out again from the answers"
_AS_EQUAL = 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True)
class FigureDifference:
    """One figure of both runs over the paired questions."""

    title: str
    headline: bool
    left: Estimate
    right: Estimate
    difference: Estimate
    """A minus B."""
    verdict: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskComparison:
    """One task, one model of each run."""

    task: str
    version: str
    title: str
    models: tuple[str, str]
    """Of A and of B."""
    paired: int
    """Questions that both were asked."""
    units: int
    only_left: tuple[str, ...]
    """Ids of questions that only A was asked."""
    only_right: tuple[str, ...]
    changed: tuple[str, ...]
    """Ids of questions that were asked in other words, about another recording, or that had another truth."""
    right: Mapping[str, int]
    """How often "both", "only A", "only B" and "neither" was right, where answers are judged alone."""
    figures: Mapping[str, FigureDifference]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs."""

    left: str
    right: str
    resamples: int
    seed: int
    tasks: tuple[TaskComparison, ...]
    left_out: Mapping[str, str]
    """Task, or task and models, to why it was not compared."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Run:
    letter: str
    folder: Path
    results: Results
    heard: Mapping[tuple[str, str], Mapping[str, dict[str, Any]]]
    """By task and model: the lines of the answers by question id."""


def compare(
    left: Path,
    right: Path,
    *,
    models: Sequence[tuple[str, str]] = (),
    tasks: Sequence[str] = (),
    resamples: int = statistic.RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare two runs.

    Args:
        left: folder of run A.
        right: folder of run B.
        models: pairs of a model of A and one of B; without any, all that both have, or the only one of each.
        tasks: that are compared; without any, all that both have.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ConfigError: a folder holds no finished run, the runs have other versions of a task, or nothing to be paired.
    """
    runs = _opened("A", left), _opened("B", right)
    both, left_out = _tasks(runs, tasks)
    compared = []
    for name in both:
        for pair in models or _pairs(runs):
            sides = [run.heard.get((name, model)) for run, model in zip(runs, pair, strict=True)]
            if sides[0] is None or sides[1] is None:
                unasked = [
                    f"{model} of {run.letter}"
                    for run, model, side in zip(runs, pair, sides, strict=True)
                    if side is None
                ]
                left_out[_named(name, pair)] = f"{' and '.join(unasked)} was not asked it"
                continue
            pairing = _Pairing(runs, name, pair, sides[0], sides[1])
            if pairing.identities:
                compared.append(pairing.compared(resamples, seed))
            else:
                left_out[_named(name, pair)] = f"the runs have no question in common ({pairing.told()})"
    if not compared:
        reasons = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise ConfigError(
            f"there is nothing to compare in {left} and {right}: {reasons or 'they have no task in common'}; give two "
            "runs over the same questions (same --seed, --size and --data)"
        )
    return Comparison(
        left=str(left), right=str(right), resamples=resamples, seed=seed, tasks=tuple(compared), left_out=left_out
    )


class _Pairing:
    """The questions of a task that a model of each run was asked."""

    def __init__(
        self,
        runs: tuple[_Run, _Run],
        name: str,
        models: tuple[str, str],
        left: Mapping[str, dict[str, Any]],
        right: Mapping[str, dict[str, Any]],
    ) -> None:
        self._runs, self._name, self._models = runs, name, models
        self._task: types.ModuleType = registry.find("task", name)
        self._lines = left, right
        self.identities = [one for one in left if one in right and _same(left[one], right[one])]
        self._changed = tuple(one for one in left if one in right and not _same(left[one], right[one]))
        self._only = tuple(one for one in left if one not in right), tuple(one for one in right if one not in left)

    def told(self) -> str:
        """What could not be paired."""
        return (
            f"{len(self._only[0])} only in A, {len(self._only[1])} only in B, {len(self._changed)} asked otherwise or "
            "with another truth"
        )

    def compared(self, resamples: int, seed: int) -> TaskComparison:
        """All figures of both."""
        about: About = self._task.ABOUT
        questions = [answers.question_of(self._lines[0][one]) for one in self.identities]
        said = [[answers.said_of(lines[one]) for one in self.identities] for lines in self._lines]
        draws = statistic.draw([question.unit for question in questions], resamples=resamples, seed=seed)
        found = [scoring.figures(self._task, questions, one) for one in said]
        wrong = self._not_again()
        figures = {}
        for name, figure in about.figures.items():
            if name not in found[0] or name not in found[1]:
                continue
            difference = statistic.difference(found[0][name], found[1][name], draws)
            figures[name] = FigureDifference(
                title=figure.title,
                headline=figure.headline,
                left=statistic.estimate(found[0][name], draws),
                right=statistic.estimate(found[1][name], draws),
                difference=difference,
                verdict=NOT_AGAIN if name in wrong else _verdict(difference, figure.better),
            )
        return TaskComparison(
            task=self._name,
            version=about.version,
            title=about.title,
            models=self._models,
            paired=len(questions),
            units=len({question.unit for question in questions}),
            only_left=self._only[0],
            only_right=self._only[1],
            changed=self._changed,
            right=self._right(questions, said),
            figures=figures,
        )

    def _right(self, questions: Sequence[Question], said: Sequence[Sequence[Said]]) -> dict[str, int]:
        counts = dict.fromkeys(("both", "only A", "only B", "neither"), 0)
        earned = [scoring.credits_of(self._task, questions, one) for one in said]
        for left, right in zip(*earned, strict=True):
            if left is not None and right is not None:
                name = {(True, True): "both", (True, False): "only A", (False, True): "only B"}.get(
                    (left >= RIGHT, right >= RIGHT), "neither"
                )
                counts[name] += 1
        return counts

    def _not_again(self) -> set[str]:
        """Figures that are not, over all questions of a run, what its results say: the task or a file was altered."""
        wrong = set()
        for run, model, lines in zip(self._runs, self._models, self._lines, strict=True):
            questions = [answers.question_of(line) for line in lines.values()]
            found = scoring.figures(self._task, questions, [answers.said_of(line) for line in lines.values()])
            once = np.ones((1, len(questions)))
            for name, figure in run.results.tasks[self._name].figures.items():
                kept = figure.scores.get(model, {}).get(conditions.HEARD)
                if kept is None or name not in found:
                    continue
                value = float(found[name](once)[0])
                known = math.nan if kept.value is None else kept.value
                if not math.isclose(value, known, abs_tol=_AS_EQUAL) and not (math.isnan(value) and math.isnan(known)):
                    wrong.add(name)
        return wrong


def _opened(letter: str, folder: Path) -> _Run:
    found = results.read(folder)
    heard: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    path = folder / results.ANSWERS
    for line in answers.read_lines(path):
        if line["condition"] != conditions.HEARD or line["model"] not in found.models:
            continue
        lines = heard.setdefault((line["task"].rpartition(" ")[0], line["model"]), {})
        if line["id"] in lines:
            raise ConfigError(f"{path} holds two answers of {line['model']} to question {line['id']!r}; run it again")
        lines[line["id"]] = line
    return _Run(letter=letter, folder=folder, results=found, heard=heard)


def _tasks(runs: tuple[_Run, _Run], wanted: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The tasks that are compared, and why others are not."""
    left, right = (run.results.tasks for run in runs)
    every = {*left, *right}
    if unknown := [f"{name!r}{near(name, every)}" for name in wanted if name not in every]:
        raise ConfigError(f"neither run holds task {', '.join(unknown)}; expected some of {', '.join(sorted(every))}")
    considered = [name for name in dict.fromkeys((*left, *right)) if not wanted or name in wanted]
    left_out = {
        name: f"only {'A' if name in left else 'B'} holds it"
        for name in considered
        if name not in left or name not in right
    }
    both = [name for name in considered if name not in left_out]
    known = registry.names("task")
    problems = []
    for name in both:
        versions = left[name].version, right[name].version
        now = registry.find("task", name).ABOUT.version if name in known else None
        if versions[0] != versions[1]:
            problems.append(f"{name} is version {versions[0]} in A and {versions[1]} in B")
        elif versions[0] != now:
            problems.append(f"{name} is version {versions[0]} in both and {now or 'not there'} in this mllm")
    if problems:
        raise ConfigError(
            f"results of different versions cannot be compared: {'; '.join(problems)}; run both with one version of "
            "mllm, or name other tasks with --tasks"
        )
    return both, left_out


def _pairs(runs: tuple[_Run, _Run]) -> list[tuple[str, str]]:
    """Models of one name, or the only model of each run."""
    left, right = (list(run.results.models) for run in runs)
    common = [(model, model) for model in left if model in right]
    if common:
        return common
    if len(left) == len(right) == 1:
        return [(left[0], right[0])]
    raise ConfigError(
        f"A holds {', '.join(left)} and B holds {', '.join(right)}, no model of one name; say which are compared with "
        f"--model {left[0]}={right[0]}"
    )


def pair_of(text: str, left: Results, right: Results) -> tuple[str, str]:
    """The models that `NAME` or `NAME_OF_A=NAME_OF_B` names.

    Raises:
        ConfigError: a run does not hold one.
    """
    # A name may hold an equals sign itself.
    cuts = [place for place, sign in enumerate(text) if sign == "="]
    readings = [(text, text), *((text[:cut], text[cut + 1 :]) for cut in cuts)]
    for one, other in readings:
        if one in left.models and other in right.models:
            return one, other
    raise ConfigError(
        f"--model {text}: expected NAME or NAME_OF_A=NAME_OF_B; A holds {', '.join(left.models)}, B holds "
        f"{', '.join(right.models)}"
    )


def _same(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    return bool(left["digest"] == right["digest"] and left.get("truth") == right.get("truth"))


def _named(task: str, models: tuple[str, str]) -> str:
    return f"{task}, {models[0]}" if models[0] == models[1] else f"{task}, {models[0]} and {models[1]}"


def _verdict(difference: Estimate, better: str) -> str:
    if better == "neither":
        return NEITHER
    if difference.low is None or difference.high is None or difference.low <= 0 <= difference.high:
        return NO_DIFFERENCE
    return LEFT_BETTER if (difference.low > 0) == (better == "higher") else RIGHT_BETTER
