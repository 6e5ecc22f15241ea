"""The tables of an evaluation's page: what was measured how, headline figures, and all lines of each task.

In: `Results`. Out: HTML; texts of strangers are escaped. Computes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mllm.eval import conditions, headlines
from mllm.eval.headlines import Row
from mllm.eval.results import Results, TaskResult
from mllm.eval.statistic import Estimate

_CONDITION_TITLES = {name: f"{name}: {what}" for name, what in conditions.CONDITIONS.items()}


def tiles(results: Results, rows: Sequence[Row]) -> str:
    """The run in five numbers."""
    judged = [row for row in rows if row.gain is not None]
    shown = sum(row.gain.shown for row in judged if row.gain is not None)
    figures = [
        (f"{len(results.models):,}", "model" if len(results.models) == 1 else "models"),
        (f"{len(results.tasks):,}", "task" if len(results.tasks) == 1 else "tasks"),
        (f"{sum(task.questions for task in results.tasks.values()):,}", "questions"),
        *([(f"{shown} of {len(judged)}", "headline figures shown to listen")] if judged else []),
        (f"{results.run.get('seconds', 0):,.0f} s", "for everything"),
    ]
    return f'<ul class="tiles">{"".join(f"<li><b>{number}</b>{escape(name)}</li>" for number, name in figures)}</ul>'


def circumstances(results: Results) -> str:
    """The command and what it ran with."""
    told = "".join(f"<li>{escape(line)}</li>" for line in headlines.circumstances(results))
    command = escape(str(results.run.get("command", "")))
    return (
        f'<div class="card"><p>Measured by</p><pre tabindex="0">{command}</pre><ul class="soft small">{told}</ul></div>'
    )


def honest(results: Results, rows: Sequence[Row]) -> str:
    """Headline figures with blind lines, as the table in Markdown has them."""
    listening = headlines.listeners(results)
    several = len(listening) > 1
    blind_conditions = [name for name in conditions.BLIND if any(name in row.scores for row in rows)]
    with_blind = any(row.blind is not None for row in rows)
    with_others = any(row.others for row in rows)
    head = ["task", "figure", *(["model"] if several else [])]
    head += ["heard" if several else listening[0] if listening else "heard", "gain by hearing", *blind_conditions]
    head += ["best blind answerer"] if with_blind else []
    head += ["others"] if with_others else []
    body = []
    for row in rows:
        asked = f"<br><small>{row.questions:,} questions</small>"
        cells = [escape(row.title) + asked, escape(row.figure)]
        cells += [escape(row.model or "")] if several else []
        cells.append(_estimate(row.scores.get(conditions.HEARD), strong=True))
        cells.append(_verdict(row))
        cells += [_brief(row.scores.get(name)) for name in blind_conditions]
        if with_blind:
            best = "" if row.blind is None else f"{_brief(row.blind[1])}<br><small>{escape(row.blind[0])}</small>"
            cells.append(best)
        if with_others:
            others = (f"<div><small>{escape(name)}</small> {_brief(one)}</div>" for name, one in row.others.items())
            cells.append("".join(others))
        body.append(cells)
    return _table("Headline figures", head, body, texts=2 + several)


def of_task(task: TaskResult) -> str:
    """All figures of a task: a row for every model and condition and every blind answerer."""
    head = ["who", "hears", *(figure.title + headlines.arrow(figure.better) for figure in task.figures.values())]
    body = [
        [escape(who), escape(hears), *(_estimate(one, strong=hears == conditions.HEARD) for one in figures)]
        for who, hears, figures in headlines.lines(task)
    ]
    return _table(f"{task.title}: all figures", head, body, texts=2)


def notes(results: Results) -> str:
    """What was not asked, not answered and not run."""
    told = "".join(f"<li>{escape(note)}</li>" for note in headlines.notes(results))
    return f'<ul class="notes soft">{told}</ul>' if told else ""


def _verdict(row: Row) -> str:
    kind = "flag" if row.verdict == headlines.NOT_SHOWN else "gain" if row.gain is not None else "soft"
    over = f' title="over {escape(row.gain.over)}"' if row.gain is not None else ""
    return f'<span class="{kind}"{over}>{escape(row.verdict)}</span>'


def _estimate(one: Estimate | None, *, strong: bool = False) -> str:
    if one is None:
        return ""
    value = headlines.number(one.value)
    value = f"<b>{value}</b>" if strong else value
    if one.low is None or one.high is None:
        return value
    return f'{value} <span class="interval">[{headlines.number(one.low)}, {headlines.number(one.high)}]</span>'


def _brief(one: Estimate | None) -> str:
    """The number alone; the interval where a pointer rests on it."""
    return "" if one is None else f'<span title="{headlines.interval(one)}">{headlines.number(one.value)}</span>'


def _table(name: str, head: Sequence[str], body: Sequence[Sequence[str]], *, texts: int) -> str:
    """A table; the cells of `body` are HTML already.

    Args:
        name: for who cannot see it.
        head: titles of columns.
        body: rows.
        texts: how many columns from the left hold texts.
    """
    columns = "".join(
        f'<th scope="col"{_side(place, texts)} title="{escape(_CONDITION_TITLES.get(title, ""))}">{escape(title)}</th>'
        for place, title in enumerate(head)
    )
    rows = "".join(
        f'<tr><th scope="row">{cells[0]}</th>'
        + "".join(f"<td{_side(place, texts)}>{cell}</td>" for place, cell in enumerate(cells[1:], start=1))
        + "</tr>"
        for cells in body
    )
    return (
        f'<div class="card scrolls" tabindex="0" role="region" aria-label="{escape(name)}"><table>'
        f"<thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _side(place: int, texts: int) -> str:
    return ' class="text"' if place < texts else ""
