"""Runs tasks on models: every question under every condition, answers kept, figures with intervals and blind lines.

In: names of tasks, open models, music. Out: `Results`, and in the folder of the run `answers.jsonl` and `results.json`.
A run that was ended goes on when it is called again with the same settings. Knows neither how models answer nor how
tasks score.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import platform
import resource
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mllm import __version__, registry
from mllm.errors import ConfigError
from mllm.eval import answers, blind, conditions, results, scoring, statistic, suite, understood
from mllm.eval.answers import Answers
from mllm.eval.model import Model
from mllm.eval.music import AbsentError, Music
from mllm.eval.questions import Question, Said
from mllm.eval.results import Results, TaskResult

SETTINGS = "settings.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How a run is made."""

    out: Path
    """Its folder."""
    tasks: tuple[str, ...]
    """Files of eval/tasks."""
    command: str
    """What a reader types to measure the same."""
    seed: int = 0
    """Of everything that is drawn."""
    limit: int | None = None
    """At most about so many questions of each task: whole units from the beginning; None: all."""
    resamples: int = statistic.RESAMPLES


def run(
    settings: Settings,
    models: Sequence[Model],
    music: Music,
    tell: Callable[[str], object],
    say: Callable[[str], object] = lambda _: None,
) -> Results:
    """Ask everything and score it.

    Args:
        settings: how.
        models: whom.
        music: about what.
        tell: told what is done now.
        say: told, a sentence a task, what was done.

    Raises:
        ConfigError: the folder holds a run of other settings, or two models have one name.
    """
    names = [model.name for model in models]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"two models are called {', '.join(twice)}; give them different names")
    begun, began = datetime.datetime.now(datetime.UTC), time.perf_counter()
    settings.out.mkdir(parents=True, exist_ok=True)
    _claim(settings, models, music)
    kept = Answers(settings.out / results.ANSWERS)
    skipped: dict[str, str] = {}
    found: dict[str, TaskResult] = {}
    rendered = False
    lines: list[dict[str, Any]] = []
    for name in settings.tasks:
        task = registry.find("task", name)
        tell(f"{name}: gathering questions")
        try:
            questions = _limited(task.load(music), settings.limit)
        except AbsentError as error:
            skipped[name] = str(error)
            say(f"{name} is skipped: {error}")
            continue
        if not questions:
            skipped[name] = "there is nothing to ask"
            continue
        since = time.perf_counter()
        _check(name, questions)
        rendered = rendered or any(_is_rendered(question, music) for question in questions)
        asking = _Asking(name, task, questions, settings, kept, tell)
        material = task.material(music) if hasattr(task, "material") else None
        found[name] = asking.result(models, material)
        lines += asking.lines()
        say(f"{name}: {len(questions)} questions, {time.perf_counter() - since:.0f} s")
    final = Results(
        run={**_record(settings, music, begun, began), "music": suite.digest(music.short()) if rendered else None},
        models={model.name: dict(model.description) for model in models},
        tasks=found,
        skipped=skipped,
    )
    kept.finish(lines)
    results.write(final, settings.out / results.NAME)
    return final


class _Asking:
    """One task, asked of all models."""

    def __init__(
        self,
        name: str,
        task: types.ModuleType,
        questions: Sequence[Question],
        settings: Settings,
        kept: Answers,
        tell: Callable[[str], object],
    ) -> None:
        self._task, self._questions, self._settings, self._kept, self._tell = task, questions, settings, kept, tell
        self._name = name
        self._versioned = f"{name} {task.ABOUT.version}"
        self._said: dict[str, tuple[Sequence[Question], dict[str, list[Said]]]] = {}
        self._blind = blind.answers(questions) | (task.blind(questions) if hasattr(task, "blind") else {})

    def result(self, models: Sequence[Model], material: Any) -> TaskResult:
        """What all models say, scored."""
        not_asked, seconds = {}, {}
        for model in models:
            asked = [question for question in self._questions if model.answers(question)]
            if not asked:
                not_asked[model.name] = "it answers no such questions"
                continue
            began = time.perf_counter()
            model.prepare(self._name, asked, material)
            self._said[model.name] = (
                asked,
                {condition: self._answers(model, asked, condition) for condition in _conditions(model, asked)},
            )
            seconds[model.name] = time.perf_counter() - began
        return scoring.score(
            self._task,
            self._questions,
            self._said,
            self._blind,
            not_asked=not_asked,
            seconds=seconds,
            resamples=self._settings.resamples,
            seed=self._settings.seed,
        )

    def lines(self) -> Iterator[dict[str, Any]]:
        """Every answer with its credit."""
        everyone = [
            (model, condition, asked, said)
            for model, (asked, by_condition) in self._said.items()
            for condition, said in by_condition.items()
        ]
        everyone += [
            (results.BLIND_ANSWERER, answerer, self._questions, said) for answerer, said in self._blind.items()
        ]
        for model, condition, asked, said in everyone:
            put = self._put(condition, asked)
            earned = scoring.credits_of(self._task, asked, said)
            read = understood.read_each(self._task, asked, said, earned)
            for question, one, as_put, credit, meant in zip(asked, said, put, earned, read, strict=True):
                key = answers.key(self._versioned, model, condition, as_put)
                yield answers.line(key, question, one, credit, read=meant)

    def _answers(self, model: Model, asked: Sequence[Question], condition: str) -> list[Said]:
        """What is kept, and what is asked now."""
        put = self._put(condition, asked)
        keys = [answers.key(self._versioned, model.name, condition, question) for question in put]
        missing = [place for place, key in enumerate(keys) if self._kept.known(key) is None]
        said: dict[int, Said] = {}
        came = model.respond([put[place] for place in missing])
        for number, (place, answer) in enumerate(zip(missing, came, strict=True), start=1):
            one = _rounded(answer)
            self._kept.add(keys[place], one)
            said[place] = one
            self._tell(f"{self._name}, {model.name}, {condition}: {number} of {len(missing)}")
        return [said.get(place) or self._kept.known(key) or Said(error="unanswered") for place, key in enumerate(keys)]

    def _put(self, condition: str, asked: Sequence[Question]) -> Sequence[Question]:
        """The questions as they are asked under a condition; blind answerers are asked what they do not hear."""
        known = condition in conditions.CONDITIONS
        return conditions.put(condition, asked, seed=self._settings.seed) if known else asked


def _rounded(said: Said) -> Said:
    """The answer without the digits that depend on what was computed beside it."""
    likelihoods = said.likelihoods and tuple(round(one, 4) for one in said.likelihoods)
    confidence = None if said.confidence is None else round(said.confidence, 5)
    return dataclasses.replace(said, likelihoods=likelihoods, confidence=confidence)


def _conditions(model: Model, asked: Sequence[Question]) -> tuple[str, ...]:
    """Blind controls are for whoever listens, where there is anything to hear; nothing turns them off."""
    if not model.listens or not any(question.recordings for question in asked):
        return (conditions.HEARD,)
    told = all(question.told is not None for question in asked)
    return (conditions.HEARD, *conditions.BLIND, *((conditions.TOLD,) if told else ()))


def _limited(questions: Sequence[Question], limit: int | None) -> list[Question]:
    """Questions of whole units until there are enough."""
    if limit is None:
        return list(questions)
    units: set[str] = set()
    for number, question in enumerate(questions):
        if number >= limit and question.unit not in units:
            break
        units.add(question.unit)
    return [question for question in questions if question.unit in units]


def _check(name: str, questions: Sequence[Question]) -> None:
    identities = [question.id for question in questions]
    if len(set(identities)) != len(identities):
        raise ConfigError(f"task {name} has two questions of one id; every id stands once in a task")


def _claim(settings: Settings, models: Sequence[Model], music: Music) -> None:
    """Write down what the folder holds, or check that it is the same run that goes on."""
    now = {
        "seed": settings.seed,
        "limit": settings.limit,
        "size": music.size,
        "models": {model.name: dict(model.description) for model in models},
        "data": {key: str(place) for key, place in sorted(music.places.items())},
        "version": __version__,
    }
    path = settings.out / SETTINGS
    plain = json.loads(json.dumps(now, default=str))
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = [name for name, value in plain.items() if before.get(name) != value]
        if changed:
            told = "; ".join(f"{name} is {plain[name]!r} and was {before.get(name)!r}" for name in changed)
            raise ConfigError(f"{settings.out} holds a run of other settings: {told}; give another --out, or remove it")
        return
    if any(settings.out.iterdir()):
        raise ConfigError(f"{settings.out} holds something that no evaluation has begun; give another --out")
    beside = path.with_name(f"{path.name}.half")
    beside.write_text(json.dumps(plain, indent=1), encoding="utf-8")
    beside.replace(path)


def _is_rendered(question: Question, music: Music) -> bool:
    """Whether a piece of the suite is heard, or one that was made of them."""
    place = suite.place(music.folder).absolute()
    return any(isinstance(one.source, Path) and one.source.is_relative_to(place) for one in question.recordings)


def _record(settings: Settings, music: Music, begun: datetime.datetime, began: float) -> Mapping[str, Any]:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "command": settings.command,
        "when": begun.isoformat(timespec="seconds"),
        "seed": settings.seed,
        "limit": settings.limit,
        "resamples": settings.resamples,
        "size": music.size,
        "data": {key: str(place) for key, place in sorted(music.places.items())},
        "seconds": round(time.perf_counter() - began, 1),
        "peak_memory_gib": round(memory, 2),
        "machine": {"python": platform.python_version(), "system": platform.platform()},
        "versions": {
            "mllm": __version__,
            **{name: version(name) for name in ("numpy", "mir_eval", "scikit-learn")},
        },
    }
