"""The table of a run in Markdown: headline figures with intervals, blind lines and the gain over them beside each.

In: `Results`. Out: text that reads well as it is, too. Computes nothing.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from mllm.eval import conditions, headlines
from mllm.eval.headlines import Row
from mllm.eval.results import Results
from mllm.eval.statistic import Estimate

_LONGEST_CELL = 160
_WIDTH = 120
_SPECIAL = re.compile(r"[|\\`*<>]|\](?=\()")


def table(results: Results) -> str:
    """The headline figures, a row each, and how they were measured."""
    return _told(results, headlines.rows(results), short=True)


def full(results: Results) -> str:
    """All figures, with the interval of every line."""
    return _told(results, headlines.rows(results, everything=True), short=False)


def _told(results: Results, rows: Sequence[Row], *, short: bool) -> str:
    parts = [_table(results, rows, short=short)] if rows else ["No task was run."]
    if rows:
        parts.append(_legend(rows))
    notes = headlines.notes(results)
    if notes:
        parts.append("\n".join(f"- {_plain(note)}" for note in notes))
    parts.append(f"    {_plain(str(results.run.get('command', 'mllm eval run')), escape=False)}")
    parts.append("\n".join(f"- {_plain(line)}" for line in headlines.circumstances(results)))
    return "\n\n".join(parts) + "\n"


def _legend(rows: Sequence[Row]) -> str:
    told = "In brackets: 95 % bootstrap intervals over recordings. "
    if any(row.gain is not None for row in rows):
        told += (
            "Gain by hearing: over the best of all lines that do not hear, the same recordings drawn for both; "
            f'"{headlines.NOT_SHOWN}" where its interval holds 0 against any of them. '
        )
    return textwrap.fill(f"{told}Nothing said counts as wrong.", _WIDTH, break_on_hyphens=False)


def _table(results: Results, rows: Sequence[Row], *, short: bool) -> str:
    listening = headlines.listeners(results)
    one_model = len(listening) == 1
    blind_conditions = [name for name in conditions.BLIND if any(name in row.scores for row in rows)]
    head = ["task", "figure", "questions", *([] if one_model else ["model"])]
    head += [listening[0] if one_model else "heard", *blind_conditions]
    with_blind = any(row.blind_lines for row in rows)
    with_others = any(row.others for row in rows)
    head += ["best blind answerer"] if with_blind else []
    head += ["others"] if with_others else []
    head += ["gain by hearing"]
    body = []
    for row in rows:
        cells = [row.title, row.figure, f"{row.questions:,}", *([] if one_model else [row.model or ""])]
        heard = row.scores.get(conditions.HEARD)
        cells.append("" if heard is None else headlines.interval(heard))
        cells += [_line(row.scores.get(name), short=short) for name in blind_conditions]
        if with_blind:
            cells.append(_blind(row, short=short))
        if with_others:
            cells.append("; ".join(f"{name} {headlines.interval(one)}" for name, one in row.others.items()))
        body.append([*cells, row.verdict])
    left = {"task", "figure", "model", "best blind answerer", "others"}
    return _laid_out([[_plain(cell) for cell in line] for line in (head, *body)], [name in left for name in head])


def _line(estimate: Estimate | None, *, short: bool) -> str:
    if estimate is None:
        return ""
    return headlines.number(estimate.value) if short else headlines.interval(estimate)


def _blind(row: Row, *, short: bool) -> str:
    if short:
        return "" if row.blind is None else f"{headlines.number(row.blind[1].value)} {row.blind[0]}"
    return "; ".join(f"{name} {headlines.interval(line)}" for name, line in row.blind_lines.items())


def _laid_out(lines: Sequence[Sequence[str]], left: Sequence[bool]) -> str:
    """Columns of equal width, which a terminal shows as a table too."""
    widths = [min(_LONGEST_CELL, max(3, *(len(line[place]) for line in lines))) for place in range(len(left))]
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
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (laid[0], rule, *laid[1:]))


def _plain(text: str, *, escape: bool = True) -> str:
    """A text of a stranger on one line, without what moves a cursor or is Markdown."""
    one_line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return _SPECIAL.sub(lambda match: f"\\{match[0]}", one_line) if escape else one_line
