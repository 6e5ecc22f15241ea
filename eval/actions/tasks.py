"""`mllm eval tasks`: what can be asked, and of whom.

In: parsed options. Out: all tasks with what they measure and where their files come from, and all kinds of models, as
text or as JSON.
"""

from __future__ import annotations

import dataclasses
import json

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from mllm import registry
from mllm.eval.task_about import About
from mllm.instruct_data import shown

SUMMARY = "list the tasks, what they measure and where their files come from, and the models there are"
USAGE = "[--json]"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def run(options: Namespace) -> int:
    """List."""
    abouts: dict[str, About] = {name: registry.find("task", name).ABOUT for name in registry.names("task")}
    models = {name: registry.find("evaluated model", name) for name in registry.names("evaluated model")}
    if options.json:
        plain = {
            "tasks": {name: dataclasses.asdict(about) for name, about in abouts.items()},
            "models": {name: {"title": model.TITLE, "needs": model.NEEDS} for name, model in models.items()},
        }
        print(json.dumps(plain, indent=1, ensure_ascii=False))
        return 0
    console = shown.console()
    console.print(Text("tasks (mllm eval run --tasks A,B):", style="bold"))
    for name, about in abouts.items():
        _show(console, f"{name}: {about.title}, version {about.version}", _told(about))
    console.print(Text("\nmodels (mllm eval run --model NAME[=PLACE]):", style="bold"))
    for name, model in models.items():
        _show(console, f"{name}: {model.TITLE}", [f"Needs {model.NEEDS}"] if model.NEEDS else [])
    return 0


def _told(about: About) -> list[str]:
    figures = ", ".join(figure.title for figure in about.figures.values())
    told = [about.summary, f"Figures: {figures}."]
    if about.source is None:
        told.append("Asked about rendered music, which is made where it is absent.")
    else:
        told.append(f"Files: --data {about.source}=DIR.")
    if about.also:
        told.append(f"Also: {', '.join(f'--data {key}=DIR' for key in about.also)}.")
    if about.where:
        told.append(about.where)
    return [*told, f"Licence: {about.licence}."]


def _show(console: Console, head: str, told: list[str]) -> None:
    console.print(Text(f"\n{head}"))
    for line in told:
        console.print(Padding(Text(line), (0, 0, 0, 4)))
