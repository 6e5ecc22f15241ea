"""Answers become figures: each with its interval, beside the lines of those that do not hear, and what hearing gains.

In: a task, its questions, and answers by model and condition. Out: a `TaskResult`. Asks nobody and opens no file.
"""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from mllm.eval import conditions, statistic
from mllm.eval.metrics import calibration
from mllm.eval.questions import Question, Said
from mllm.eval.results import FigureResult, Gain, TaskResult
from mllm.eval.statistic import Draws, Estimate, Statistic
from mllm.eval.task_about import About, Figure

SCORE = "score"
"""The only figure of a task that says none."""

CALIBRATION = {
    "ece": Figure(title="calibration error of the confidences (ECE)", better="lower"),
    "aurc": Figure(title="area under risk and coverage", better="lower"),
}
"""Figures of every task that a model answers with confidences."""

OfModel: TypeAlias = Mapping[str, Sequence[Said]]
"""By condition."""


def score(
    task: types.ModuleType,
    questions: Sequence[Question],
    said: Mapping[str, tuple[Sequence[Question], OfModel]],
    blind: Mapping[str, Sequence[Said]],
    *,
    not_asked: Mapping[str, str],
    seconds: Mapping[str, float],
    resamples: int,
    seed: int,
) -> TaskResult:
    """Score a task.

    Args:
        task: its file.
        questions: all of them.
        said: of each model the questions that it was asked, and its answers by condition, "heard" first.
        blind: answers of blind answerers to all questions.
        not_asked: models that were not asked, and why.
        seconds: that each model took.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    about: About = task.ABOUT
    scored = {
        model: _Scored(task, asked, answers, blind, questions, resamples, seed)
        for model, (asked, answers) in said.items()
    }
    draws = statistic.draw([question.unit for question in questions], resamples=resamples, seed=seed)
    lines = {name: figures(task, questions, answers) for name, answers in blind.items()}
    found = {}
    for name, figure in (dict(about.figures) | CALIBRATION).items():
        scores = {model: one.scores(name) for model, one in scored.items()}
        if name in CALIBRATION and not any(scores.values()):
            continue
        found[name] = FigureResult(
            title=figure.title,
            better=figure.better,
            headline=figure.headline,
            chance=figure.chance,
            scores=scores,
            blind={
                line: statistic.estimate(of_line[name], draws) for line, of_line in lines.items() if name in of_line
            },
            gains={model: gain for model, one in scored.items() if (gain := one.gain(name, figure)) is not None},
            groups=_groups(task, name, said, resamples, seed) if figure.headline else {},
        )
    return TaskResult(
        title=about.title,
        version=about.version,
        summary=about.summary,
        questions=len(questions),
        units=len({question.unit for question in questions}),
        answered={
            model: sum(one.error is None for one in answers[conditions.HEARD]) for model, (_, answers) in said.items()
        },
        not_asked=dict(not_asked),
        figures=found,
        seconds={model: round(taken, 1) for model, taken in seconds.items()},
        sha256=_sha256(questions),
    )


def figures(task: types.ModuleType, questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Every figure of a task over these questions, and those of the confidences where there are any."""
    earned = credits_of(task, questions, said)
    found: dict[str, Statistic] = (
        dict(task.figures(questions, said)) if hasattr(task, "figures") else {SCORE: statistic.share(earned)}
    )
    confidences = [one.confidence for one in said]
    judged = any(sure is not None and credit is not None for sure, credit in zip(confidences, earned, strict=True))
    if judged:
        found["ece"] = calibration.ece(confidences, earned)
        found["aurc"] = calibration.area_under_risk_coverage(confidences, earned)
    return found


def credits_of(task: types.ModuleType, questions: Sequence[Question], said: Sequence[Said]) -> list[float | None]:
    """How right each answer is."""
    return [task.credit(question, one) for question, one in zip(questions, said, strict=True)]


def _sha256(questions: Sequence[Question]) -> str:
    told = [[question.id, question.digest(), question.truth, list(question.references)] for question in questions]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


class _Scored:
    """The figures of one model and of the blind lines, over the questions that it was asked."""

    def __init__(
        self,
        task: types.ModuleType,
        asked: Sequence[Question],
        answers: OfModel,
        blind: Mapping[str, Sequence[Said]],
        questions: Sequence[Question],
        resamples: int,
        seed: int,
    ) -> None:
        self._draws: Draws = statistic.draw([question.unit for question in asked], resamples=resamples, seed=seed)
        self._own = {condition: figures(task, asked, of_condition) for condition, of_condition in answers.items()}
        places = {question.id: place for place, question in enumerate(questions)}
        kept = [places[question.id] for question in asked]
        listens = len(answers) > 1
        self._blind = {
            name: figures(task, asked, [of_line[place] for place in kept]) for name, of_line in blind.items() if listens
        }

    def scores(self, figure: str) -> dict[str, Estimate]:
        return {
            condition: statistic.estimate(found[figure], self._draws)
            for condition, found in self._own.items()
            if figure in found
        }

    def gain(self, name: str, figure: Figure) -> Gain | None:
        """Over the best of all that do not hear; none where nothing blind stands beside the model."""
        lines = {condition: found for condition, found in self._own.items() if condition in conditions.BLIND}
        lines |= self._blind
        heard = self._own[conditions.HEARD].get(name)
        if figure.better == "neither" or name in CALIBRATION or heard is None or not lines:
            return None
        sign = 1.0 if figure.better == "higher" else -1.0
        gains = {
            line: statistic.difference(heard, found[name], self._draws)
            for line, found in lines.items()
            if name in found
        }
        counted = {line: gain for line, gain in gains.items() if gain.value is not None}
        if not counted:
            return None
        over = min(counted, key=lambda line: sign * (counted[line].value or 0.0))
        shown = all(_outside(gain, sign) for gain in counted.values())
        return Gain(over=over, difference=counted[over], shown=shown)


def _outside(gain: Estimate, sign: float) -> bool:
    """Whether the interval of a gain lies on the better side of 0."""
    if gain.low is None or gain.high is None:
        return False
    return gain.low > 0 if sign > 0 else gain.high < 0


def _groups(
    task: types.ModuleType,
    figure: str,
    said: Mapping[str, tuple[Sequence[Question], OfModel]],
    resamples: int,
    seed: int,
) -> dict[str, dict[str, dict[str, Estimate]]]:
    """A figure for each group of questions, heard."""
    found: dict[str, dict[str, dict[str, Estimate]]] = {}
    for model, (asked, answers) in said.items():
        heard = answers[conditions.HEARD]
        members: dict[tuple[str, str], list[int]] = {}
        for place, question in enumerate(asked):
            for kind, group in question.groups.items():
                members.setdefault((kind, group), []).append(place)
        for (kind, group), places in members.items():
            of_group = [asked[place] for place in places]
            statistics = figures(task, of_group, [heard[place] for place in places])
            if figure in statistics:
                draws = statistic.draw([question.unit for question in of_group], resamples=resamples, seed=seed)
                value = statistic.estimate(statistics[figure], draws)
                found.setdefault(kind, {}).setdefault(group, {})[model] = value
    return found
