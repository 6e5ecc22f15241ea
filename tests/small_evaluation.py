"""Small finished runs of evaluations, for tests of tables, pages and comparisons.

In: a folder. Out: runs as `mllm eval run` leaves them: of models that say what a test decides about rendered pieces,
and one whose every answer was written by hand, hostile ones among them. Knows no test.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import soundfile

from mllm.eval import answers, blind, conditions, results, run, scoring, statistic, understood
from mllm.eval.answers import Answers
from mllm.eval.model import Model
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said, asked
from mllm.eval.results import Results
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.messages import Audio
from tests.tiny_checkpoint import RATE_HZ, tone

TASK = "tempo"
HOSTILE = '</script><script>document.title = "taken"</script><img src=x onerror="document.title = 1">'
HUGE = 10 * 1024 * 1024
METERS = ("3/4", "4/4", "6/8")
COMMAND = "mllm eval run --tasks meter,tempo --out runs/eval"


@dataclasses.dataclass(kw_only=True)
class Scripted:
    """A model that says the right answer to whatever it hears, but where it is told to say something else."""

    name: str
    right: Mapping[str, str]
    """By the path of a recording."""
    instead: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """By id of a question."""
    listens: bool = True
    description: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {"kind": "scripted"})

    def answers(self, question: Question) -> bool:
        return True

    def prepare(self, task: str, questions: Sequence[Question], material: Any) -> None:
        """Nothing is learnt."""

    def respond(self, questions: Sequence[Question]) -> Iterator[Said]:
        for question in questions:
            heard = str(question.recordings[0].source) if question.recordings else ""
            yield Said(text=self.instead.get(question.id, self.right.get(heard, "")))


def evaluate(out: Path, music: Music, models: Sequence[Model], *, limit: int | None = None) -> Results:
    """A run of one small task."""
    settings = run.Settings(out=out, tasks=(TASK,), command=COMMAND, limit=limit, resamples=200)
    return run.run(settings, models, music, lambda what: None)


def right_answers(questions: Sequence[Question]) -> dict[str, str]:
    """What is right of each recording."""
    return {str(question.recordings[0].source): question.references[0] for question in questions}


ABOUT = About(
    title="Meter",
    version="3",
    summary="Which of three meters: chosen | among options.",
    figures={
        "accuracy": Figure(title="meter, exact", headline=True, chance=1 / 3),
        "beats_off": Figure(title="beats off", better="lower", headline=True),
        "words": Figure(title="words in an answer", better="neither"),
    },
)


def _task() -> types.ModuleType:
    def credit(question: Question, said: Said) -> float | None:
        return float(question.label is not None and question.label in said.text)

    def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
        earned = [credit(question, one) for question, one in zip(questions, said, strict=True)]
        off = statistic.share([None if one is None else 1 - one for one in earned])
        lost = statistic.Ratio(numerators=3 * off.numerators, denominators=off.denominators)
        words = statistic.share([float(len(one.text[:100].split())) for one in said])
        return {"accuracy": statistic.share(earned), "beats_off": lost, "words": words}

    task = types.ModuleType("meter")
    vars(task).update(ABOUT=ABOUT, credit=credit, figures=figures)
    return task


def questions(folder: Path, count: int = 60) -> list[Question]:
    """About the meter of recordings: the first four are there, one of them 40 s long."""
    found = []
    for number in range(count):
        path = folder / f"piece {number}.wav"
        if number < 4 and not path.is_file():
            soundfile.write(path, tone(40.0 if number == 1 else 3.0, 220.0 + 20 * number), RATE_HZ)
        meter = METERS[number % 3]
        found.append(
            Question(
                id=f"piece {number}/meter",
                messages=asked(f"What is the meter of piece {number}?", [Audio(source=path)]),
                kind="choice",
                truth=meter,
                references=(meter,),
                unit=f"piece {number}",
                template="meter",
                label=meter,
                choices=METERS,
                correct=METERS.index(meter),
                groups={"noise": "10 dB" if number % 2 else "none"},
            )
        )
    return found


def _heard(number: int, question: Question) -> Said:
    """Right with the confidence that it has, about four times of five; and what strangers may say."""
    if number == 0:
        return Said(text=f"It is {HOSTILE}", confidence=1.0)
    if number == 1:
        return Said(text="<b>9/8</b> " + "la " * (HUGE // 3), confidence=0.99)
    if number == 2:
        return Said(error="the model is gone")
    confidence = 0.4 + 0.6 * (number % 11) / 10
    right = (number * 7) % 10 < 10 * confidence
    said = question.label if right else METERS[(METERS.index(str(question.label)) + 1) % 3]
    return Said(text=f"I hear {said}.", confidence=confidence)


def hand_written(
    folder: Path, *, model: str = "mine", says: Callable[[int, Question], Said] = _heard, tool: bool = True
) -> Path:
    """A finished run of a task that is nowhere but here; its folder."""
    (folder / "music").mkdir(parents=True, exist_ok=True)
    task, given = _task(), questions(folder / "music")
    heard = [says(number, question) for number, question in enumerate(given)]
    constant = [Said(text="4/4", confidence=0.7) for _ in given]
    said: dict[str, tuple[Sequence[Question], dict[str, list[Said]]]] = {
        model: (given, {name: heard if name == conditions.HEARD else constant for name in conditions.CONDITIONS})
    }
    if tool:
        said["counter"] = (given, {conditions.HEARD: [Said(text=f"{METERS[n % 2]}") for n in range(len(given))]})
    lines = blind.answers(given)
    found = scoring.score(
        task, given, said, lines, not_asked={}, seconds=dict.fromkeys(said, 1.5), resamples=200, seed=0
    )
    final = Results(
        run={"command": COMMAND, "seed": 0, "resamples": 200, "seconds": 12.3, "versions": {"mllm": "0.1.0"}},
        models={name: {"kind": "scripted"} for name in said},
        tasks={"meter": found},
        skipped={"muchomusic": "its files are not here; give them with --data muchomusic=DIR"},
    )
    everyone = [(name, condition, one) for name, (_, by) in said.items() for condition, one in by.items()]
    everyone += [(results.BLIND_ANSWERER, name, one) for name, one in lines.items()]
    written = []
    for name, condition, of_condition in everyone:
        earned = scoring.credits_of(task, given, of_condition)
        read = understood.read_each(task, given, of_condition, earned)
        for question, one, credit, meant in zip(given, of_condition, earned, read, strict=True):
            key = answers.key(f"meter {ABOUT.version}", name, condition, question)
            written.append(answers.line(key, question, one, credit, read=meant))
    Answers(folder / results.ANSWERS).finish(written)
    results.write(final, folder / results.NAME)
    return folder
