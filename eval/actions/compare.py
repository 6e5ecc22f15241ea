"""`mllm eval compare A B`: two runs over the same questions, paired.

In: parsed options. Out: tables or JSON on standard output.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeInt, PositiveInt
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mllm.eval import compare as comparing
from mllm.eval import headlines, results, statistic
from mllm.eval.compare import Comparison, TaskComparison
from mllm.instruct_data import shown

SUMMARY = "two runs over the same questions, paired: is one of them better?"
USAGE = "A B [--model NAME[=NAME_OF_B] ...] [--tasks A,B] [--json]"
_NAMES_SHOWN = 3


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("left", metavar="A", help="folder of a finished run")
    parser.add_argument("right", metavar="B", help="folder of another one, or the same for two models of it")
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME[=NAME_OF_B]",
        help="a model of both runs, or one of A and one of B; may be given several times (default: all of one name)",
    )
    parser.add_argument("--tasks", metavar="A,B", help="that are compared (default: all that both runs hold)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument(
        "--resamples",
        type=PositiveInt,
        default=statistic.RESAMPLES,
        metavar="N",
        help=f"of the bootstrap (default: {statistic.RESAMPLES})",
    )
    parser.add_argument("--seed", type=NonNegativeInt, default=0, help="of the bootstrap (default: 0)")


def run(options: Namespace) -> int:
    """Compare and print."""
    left, right = Path(options.left), Path(options.right)
    found = results.read(left), results.read(right)
    comparison = comparing.compare(
        left,
        right,
        models=[comparing.pair_of(text, *found) for text in options.model or ()],
        tasks=[name.strip() for name in (options.tasks or "").split(",") if name.strip()],
        resamples=options.resamples,
        seed=options.seed,
    )
    if options.json:
        print(json.dumps(dataclasses.asdict(comparison), indent=1))
    else:
        _show(comparison)
    return 0


def _show(comparison: Comparison) -> None:
    console = shown.console()
    console.print(Text(f"A: {shown.visible(comparison.left)}\nB: {shown.visible(comparison.right)}"))
    for task in comparison.tasks:
        _show_task(console, task)
    for name, why in comparison.left_out.items():
        console.print(Text(f"\nnot compared: {shown.visible(name)}: {shown.visible(why)}"))
    console.print(
        Text(
            f"\nIn brackets: 95 % intervals, {comparison.resamples} resamples, seed {comparison.seed}, the same "
            "recordings drawn for both."
        )
    )


def _show_task(console: Console, task: TaskComparison) -> None:
    one, other = (shown.visible(name) for name in task.models)
    models = one if one == other else f"A: {one}, B: {other}"
    console.print(
        Text(f"\n{task.title} (version {task.version}), {models}: {task.paired:,} questions, {task.units:,} units")
    )
    table = Table("figure", "A", "B", "A - B", "verdict", box=None, header_style="bold", pad_edge=False)
    for figure in task.figures.values():
        table.add_row(
            Text(figure.title),
            headlines.number(figure.left.value),
            headlines.number(figure.right.value),
            Text(headlines.signed(figure.difference)),
            figure.verdict,
        )
    console.print(table)
    if sum(task.right.values()):
        console.print(Text("right: " + ", ".join(f"{name} {count:,}" for name, count in task.right.items())))
    for what, names in (
        ("only in A", task.only_left),
        ("only in B", task.only_right),
        ("asked otherwise, or with another truth", task.changed),
    ):
        if names:
            first = ", ".join(shown.visible(name)[:60] for name in names[:_NAMES_SHOWN])
            more = f" and {len(names) - _NAMES_SHOWN:,} more" if len(names) > _NAMES_SHOWN else ""
            console.print(Text(f"{what}: {len(names):,} questions, {first}{more}"))
