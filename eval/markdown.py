"""The table of a run in Markdown: headline figures with intervals, blind lines and the gain over them beside each.

In: `Results`. Out: text that reads well as it is, too. Computes nothing.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from mllm.eval import conditions, headlines
from mllm.eval.headlines import Row
from mllm.eval.results import Results, TaskResult

_LONGEST_TEXT = 600
_WIDTH = 120
_SPECIAL = re.compile(r"[|\\`*<>]|\](?=\()")


def table(results: Results) -> str:
    """The headline figures, a row each, and how they were measured."""
    rows = headlines.rows(results)
    tables = [_table(results, rows), _legend(rows)] if rows else ["No task was run."]
    return "\n\n".join([*tables, *_circumstances(results)]) + "\n"


def full(results: Results) -> str:
    """All figures of all tasks: a table each, with a row for whoever answered, under every condition."""
    parts = []
    for name, task in results.tasks.items():
        parts.append(f"## {_plain(task.title)}")
        parts.append(_plain(f"{task.summary} Task {name}, version {task.version}: {task.questions:,} questions."))
        parts.append(_table_of_task(task))
    parts = parts or ["No task was run."]
    return "\n\n".join([*parts, *_circumstances(results)]) + "\n"


def _circumstances(results: Results) -> list[str]:
    notes = "\n".join(f"- {_plain(note)}" for note in headlines.notes(results))
    command = f"    {_one_line(str(results.run.get('command', 'mllm eval run')))}"
    told = "\n".join(f"- {_plain(line)}" for line in headlines.circumstances(results))
    return [*([notes] if notes else []), command, told]


def _legend(rows: Sequence[Row]) -> str:
    told = "In brackets: 95 % bootstrap intervals over recordings. "
    if any(row.gain is not None for row in rows):
        told += (
            "Gain by hearing: over the best of all lines that do not hear, the same recordings drawn for both; "
            f'"{headlines.NOT_SHOWN}" where its interval holds 0 against any of them. '
        )
    return textwrap.fill(f"{told}Nothing said counts as wrong.", _WIDTH, break_on_hyphens=False)


def _table(results: Results, rows: Sequence[Row]) -> str:
    listening = headlines.listeners(results)
    one_model = len(listening) == 1
    blind_conditions = [name for name in conditions.BLIND if any(name in row.scores for row in rows)]
    with_blind = any(row.blind is not None for row in rows)
    with_others = any(row.others for row in rows)
    head = ["task", "figure", "questions", *([] if one_model else ["model"])]
    head += [listening[0] if one_model else "heard", *blind_conditions]
    head += ["best blind answerer"] if with_blind else []
    head += ["gain by hearing", *(["others"] if with_others else [])]
    body = []
    for row in rows:
        cells = [row.title, row.figure, f"{row.questions:,}", *([] if one_model else [row.model or ""])]
        heard = row.scores.get(conditions.HEARD)
        cells.append("" if heard is None else headlines.interval(heard))
        cells += [headlines.number(row.scores[name].value) if name in row.scores else "" for name in blind_conditions]
        if with_blind:
            cells.append("" if row.blind is None else f"{headlines.number(row.blind[1].value)} {row.blind[0]}")
        cells.append(row.verdict)
        if with_others:
            cells.append("; ".join(f"{name} {headlines.interval(one)}" for name, one in row.others.items()))
        body.append(cells)
    left = {"task", "figure", "model", "best blind answerer", "others"}
    return _laid_out([head, *body], [name in left for name in head])


def _table_of_task(task: TaskResult) -> str:
    head = ["who", "hears", *(figure.title + headlines.arrow(figure.better) for figure in task.figures.values())]
    body = [
        [who, hears, *("" if one is None else headlines.interval(one) for one in figures)]
        for who, hears, figures in headlines.lines(task)
    ]
    return _laid_out([head, *body], [place < 2 for place in range(len(head))])


def _laid_out(cells: Sequence[Sequence[str]], left: Sequence[bool]) -> str:
    """Columns of equal width, which a terminal shows as a table too."""
    lines = [[_plain(cell) for cell in line] for line in cells]
    widths = [max(3, *(len(line[place]) for line in lines)) for place in range(len(left))]
    rule = [
        f":{'-' * (width - 1)}" if at_left else f"{'-' * (width - 1)}:"
        for width, at_left in zip(widths, left, strict=True)
    ]
    laid = [
        [
            cell.ljust(width) if at_left else cell.rjust(width)
            for cell, width, at_left in zip(line, widths, left, strict=True)
        ]
        for line in lines
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (laid[0], rule, *laid[1:]))


def _plain(text: str) -> str:
    """A text of a stranger on one line, of bearable length, without what moves a cursor or is Markdown."""
    one_line = _one_line(text)
    short = one_line if len(one_line) <= _LONGEST_TEXT else f"{one_line[: _LONGEST_TEXT - 1]}…"
    return _SPECIAL.sub(lambda match: f"\\{match[0]}", short)


def _one_line(text: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())
