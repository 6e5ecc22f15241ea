"""Results laid out as rows: each figure of a model beside what those say that do not hear, and the verdict in words.

In: `Results`. Out: rows of estimates and of short texts, for Markdown, pages and terminals. Computes no figure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from mllm.eval import conditions
from mllm.eval.results import FigureResult, Gain, Results, TaskResult
from mllm.eval.statistic import Estimate

NOT_SHOWN = "not shown to listen"
CHANCE = "chance"
NO_BLIND_LINE = "no blind line"
_NOTHING = "nothing"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A figure of a model; of tools alone where no model that listens was asked."""

    task: str
    """Name of its file."""
    title: str
    """Of the task."""
    figure: str
    """Title of the figure."""
    better: str
    questions: int
    model: str | None
    scores: Mapping[str, Estimate]
    """Of the model, by condition."""
    blind: tuple[str, Estimate] | None
    """The best blind answerer, or chance, by name."""
    others: Mapping[str, Estimate]
    """Tools and recommenders that were asked the same, by name; in the first row of a figure only."""
    gain: Gain | None

    @property
    def verdict(self) -> str:
        """The gain by hearing, in words where it is not shown."""
        if self.model is None or self.better == "neither":
            return ""
        if self.gain is None:
            return NO_BLIND_LINE
        return signed(self.gain.difference) if self.gain.shown else NOT_SHOWN


def listeners(results: Results) -> tuple[str, ...]:
    """The models that have rows of their own: those that were asked under blind conditions too; without any, all."""
    listening = [
        model
        for model in results.models
        if any(
            len(figure.scores.get(model, {})) > 1 for task in results.tasks.values() for figure in task.figures.values()
        )
    ]
    return tuple(listening or results.models)


def rows(results: Results, *, everything: bool = False) -> list[Row]:
    """A row for each figure and listening model.

    Args:
        results: of a run.
        everything: all figures; otherwise those that stand in a short table.
    """
    return [
        row
        for name, task in results.tasks.items()
        for figure in task.figures.values()
        if (everything or figure.headline) and _is_counted(figure)
        for row in _rows(name, task, figure, listeners(results))
    ]


def _is_counted(figure: FigureResult) -> bool:
    """Whether there is anything that it counts: a task may have questions of one kind only."""
    return any(one.value is not None for scores in figure.scores.values() for one in scores.values())


def lines(task: TaskResult) -> list[tuple[str, str, list[Estimate | None]]]:
    """All that is known of a task: who, what he hears, and every figure; models, then blind answerers, then chance."""
    figures = list(task.figures.values())
    models = dict.fromkeys(
        (model, condition) for one in figures for model, scores in one.scores.items() for condition in scores
    )
    answerers = dict.fromkeys(name for one in figures for name in one.blind)
    found: list[tuple[str, str, list[Estimate | None]]] = [
        (model, condition, [one.scores.get(model, {}).get(condition) for one in figures]) for model, condition in models
    ]
    found += [(name, _NOTHING, [one.blind.get(name) for one in figures]) for name in answerers]
    if any(one.chance is not None for one in figures):
        found.append((CHANCE, _NOTHING, [_chance(one) for one in figures]))
    return found


def _chance(figure: FigureResult) -> Estimate | None:
    return None if figure.chance is None else Estimate(value=figure.chance, low=None, high=None)


def _rows(name: str, task: TaskResult, figure: FigureResult, listening: tuple[str, ...]) -> list[Row]:
    models: list[str | None] = [model for model in listening if model in figure.scores]
    others = {
        model: scores[conditions.HEARD]
        for model, scores in figure.scores.items()
        if model not in listening and conditions.HEARD in scores
    }
    known = dict(figure.blind)
    if (chance := _chance(figure)) is not None:
        known[CHANCE] = chance
    return [
        Row(
            task=name,
            title=task.title,
            figure=figure.title,
            better=figure.better,
            questions=task.questions,
            model=model,
            scores=figure.scores[model] if model is not None else {},
            blind=_best(known, figure.better),
            others=others if number == 0 else {},
            gain=figure.gains.get(model) if model is not None else None,
        )
        for number, model in enumerate(models or ([None] if others else []))
    ]


def _best(known: Mapping[str, Estimate], better: str) -> tuple[str, Estimate] | None:
    counted = {name: line.value for name, line in known.items() if line.value is not None}
    if not counted or better == "neither":
        return None
    name = (min if better == "lower" else max)(counted, key=lambda one: counted[one])
    return name, known[name]


def number(value: float | None) -> str:
    """Two digits behind the point; more of what is next to nothing, less of what is large."""
    if value is None:
        return "–"
    if 0 < abs(value) < 0.0005:
        return f"{value:.0e}"
    digits = 2 if abs(value) < 100 else 0
    return f"{round(value, digits) + 0.0:,.{digits}f}"


def interval(estimate: Estimate) -> str:
    """Such as "0.75 [0.70, 0.80]"."""
    if estimate.low is None or estimate.high is None:
        return number(estimate.value)
    return f"{number(estimate.value)} [{number(estimate.low)}, {number(estimate.high)}]"


def arrow(better: str) -> str:
    """What stands behind the title of a figure of which more is not better."""
    return {"lower": " (lower is better)", "neither": " (neither is better)"}.get(better, "")


def signed(estimate: Estimate) -> str:
    """Such as "+0.60 [0.52, 0.68]"."""
    plus = "+" if estimate.value is not None and estimate.value > 0 else ""
    return plus + interval(estimate)


def notes(results: Results) -> list[str]:
    """What a reader of a table must know: what was not asked, not answered, and not run."""
    found = []
    not_asked: dict[tuple[str, str], list[str]] = {}
    for task in results.tasks.values():
        for model, why in task.not_asked.items():
            not_asked.setdefault((model, why), []).append(task.title)
    for task in results.tasks.values():
        for model, answered in task.answered.items():
            missing = task.questions - answered
            if missing > 0:
                found.append(
                    f"{task.title}: {model} answered {answered:,} of {task.questions:,} questions; of those that it "
                    "was asked, what is missing counts as wrong."
                )
    found += [f"{model} was not asked {', '.join(titles)}: {why}." for (model, why), titles in not_asked.items()]
    found += [f"Skipped: {name}: {why}" for name, why in results.skipped.items()]
    return found


def circumstances(results: Results) -> list[str]:
    """Seed, resamples, time, memory and versions, a sentence each."""
    run = results.run
    told = [f"Seed {run.get('seed')}", f"{run.get('resamples')} resamples"]
    if run.get("size") not in (None, 1.0):
        told.append(f"{run['size']:g} of the usual rendered questions")
    if run.get("limit"):
        told.append(f"at most about {run['limit']:,} questions a task")
    if run.get("seconds") is not None:
        told.append(f"{run['seconds']:,.0f} s")
    if run.get("peak_memory_gib") is not None:
        told.append(f"{run['peak_memory_gib']:.2f} GiB of memory at most")
    versions = ", ".join(f"{name} {version}" for name, version in run.get("versions", {}).items())
    machine = ", ".join(str(value) for value in run.get("machine", {}).values())
    models = [
        f"{name}: " + ", ".join(f"{key} {value}" for key, value in description.items() if isinstance(value, str | int))
        for name, description in results.models.items()
    ]
    when = [f"Begun {run['when']}."] if run.get("when") else []
    with_what = [f"{name}: {text}." for name, text in (("Versions", versions), ("Machine", machine)) if text]
    return [*when, f"{'; '.join(told)}.", *with_what, *models]
