"""Charts of an evaluation: scores against blind lines, confusion matrices, reliability, risk and coverage.

In: rows of a table, counts, points. Out: HTML with SVG, for a page whose style sheet gives the colours. Every chart
says in words what it shows, for who cannot see it; texts of strangers are escaped. Computes no figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from mllm.eval import conditions, headlines
from mllm.eval.headlines import Row
from mllm.eval.metrics.calibration import Bin
from mllm.eval.statistic import Estimate

BEST_BLIND = "best blind answerer or chance"
_MARKS = {
    conditions.HEARD: "M-6 0A6 6 0 1 0 6 0A6 6 0 1 0-6 0Z",
    conditions.SILENCE: "M-4.5-4.5H4.5V4.5H-4.5Z",
    conditions.NOISE: "M0-5.5L5.5 4.5H-5.5Z",
    conditions.ANOTHER: "M0-6L6 0L0 6L-6 0Z",
    conditions.TOLD: "M0 5.5L5.5-4.5H-5.5Z",
    "blind": "M-1.5-9H1.5V9H-1.5Z",
    "tool": "M-1.5-6H1.5V-1.5H6V1.5H1.5V6H-1.5V1.5H-6V-1.5H-1.5Z",
}
_CLASSES = {conditions.ANOTHER: "another", conditions.TOLD: "told"}
_SIDE = 260
_MARGIN = 44
_MOST_LABELS = 14
_REST = "others"
_SHADES = 6
_LONGEST_LABEL = 28


def forest(rows: Sequence[Row], *, several_models: bool) -> str:
    """Every score with its interval against its blind lines; those between 0 and 1 share an axis."""
    shares = [row for row in rows if _bounds([row]) == (0.0, 1.0)]
    parts = [_plot(shares, (0.0, 1.0), several_models)] if shares else []
    parts += [_plot([row], _bounds([row]), several_models) for row in rows if row not in shares]
    return _key(rows) + "".join(parts) if parts else ""


def groups(title: str, found: Mapping[str, Mapping[str, Estimate]], models: Sequence[str]) -> str:
    """A figure in each group of questions, a row a group and model."""
    values = [end for of_group in found.values() for one in of_group.values() for end in _ends(one)]
    bounds = _axis(values)
    lines = []
    for group, of_group in found.items():
        for model in models:
            if (one := of_group.get(model)) is not None:
                name = group if len(models) == 1 else f"{group}, {model}"
                tool = "heard" if model == models[0] else "tool"
                lines.append(_line(name, "", _whisker(one, bounds, tool, f"{name}: {headlines.interval(one)}"), one))
    return (
        f'<figure class="forest"><figcaption>{escape(title)}</figcaption>'
        f"<ul>{_ruler(bounds)}{''.join(lines)}</ul></figure>"
    )


def reliability(bins: Sequence[Bin], *, error: float, count: int) -> str:
    """Confidence against credit."""
    filled = [
        (one.confidence, one.credit, one.count) for one in bins if one.confidence is not None and one.credit is not None
    ]
    most = max((number for _, _, number in filled), default=1)
    bars = "".join(
        f'<rect class="count" x="{_x(one.low):.1f}" y="{_y(0) - 30 * one.count / most:.1f}" '
        f'width="{_SIDE / len(bins) - 1:.1f}" height="{30 * one.count / most:.1f}"/>'
        for one in bins
        if one.count
    )
    path = " ".join(
        f"{'L' if place else 'M'}{_x(confidence):.1f} {_y(credit):.1f}"
        for place, (confidence, credit, _) in enumerate(filled)
    )
    dots = "".join(
        f'<circle class="dot" cx="{_x(confidence):.1f}" cy="{_y(credit):.1f}" '
        f'r="{3 + 5 * math.sqrt(number / most):.1f}">'
        f"<title>confidence {confidence:.2f}: credit {credit:.2f} ({number:,} answers)</title></circle>"
        for confidence, credit, number in filled
    )
    told = "; ".join(f"{confidence:.2f} earns {credit:.2f}" for confidence, credit, _ in filled)
    label = f"Reliability of {count:,} answers, calibration error {error:.3f}. Confidence {told}"
    diagonal = f'<path class="ideal" d="M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}"/>'
    drawn = f'{diagonal}{bars}<path class="curve" d="{path}"/>{dots}'
    caption = f"Expected calibration error {error:.3f}, {count:,} answers"
    return _square("Reliability", caption, label, drawn, "confidence", "credit")


def risk_coverage(points: Sequence[tuple[float, float]], *, area: float, risk: float) -> str:
    """What is lost when only the most confident answers are given.

    Args:
        points: coverage and risk.
        area: under the curve.
        risk: of answering everything.
    """
    path = " ".join(
        f"{'L' if place else 'M'}{_x(coverage):.1f} {_y(lost):.1f}" for place, (coverage, lost) in enumerate(points)
    )
    flat = f'<path class="ideal" d="M{_x(0)} {_y(risk):.1f}L{_x(1)} {_y(risk):.1f}"/>'
    dots = "".join(
        f'<circle class="dot" cx="{_x(coverage):.1f}" cy="{_y(lost):.1f}" r="3.5">'
        f"<title>the most confident {coverage:.0%}: {lost:.2f} lost</title></circle>"
        for coverage, lost in points
        if len(points) <= 40
    )
    told = "; ".join(f"{coverage:.0%} loses {lost:.2f}" for coverage, lost in points[:: max(1, len(points) // 8)])
    label = f"Risk and coverage, area {area:.3f}, everything loses {risk:.3f}. The most confident {told}"
    caption = f"Area {area:.3f}; answering everything loses {risk:.3f}"
    drawn = f'{flat}<path class="curve" d="{path}"/>{dots}'
    return _square("Risk and coverage", caption, label, drawn, "share that is answered", "1 - credit")


def confusion(title: str, counts: Mapping[tuple[str, str | None], int], unread: str) -> str:
    """What was true against what was understood.

    Args:
        title: of the task and the model.
        counts: by truth and what was understood; None: nothing.
        unread: what the column of None is called.
    """
    labels = _labels(counts)
    truths = [label for label in labels if any(_folded(true, labels) == label for true, _ in counts)]
    cells: dict[tuple[str, str | None], int] = {}
    for (true, read), number in counts.items():
        place = _folded(true, labels), None if read is None else _folded(read, labels)
        cells[place] = cells.get(place, 0) + number
    columns: list[str | None] = [*labels, *([None] if any(read is None for _, read in counts) else [])]
    head = "".join(
        f'<th scope="col" title="{escape(column or unread)}">{escape(_brief(column or unread))}</th>'
        for column in columns
    )
    body = "".join(_confusion_row(true, columns, cells, unread) for true in truths)
    return (
        f'<figure class="confusion"><figcaption>{escape(title)}</figcaption><div class="scrolls" tabindex="0" '
        f'role="region" aria-label="{escape(title)}"><table><thead><tr><th scope="col">true ↓ said →</th>{head}</tr>'
        f"</thead><tbody>{body}</tbody></table></div></figure>"
    )


def _confusion_row(
    true: str, columns: Sequence[str | None], cells: Mapping[tuple[str, str | None], int], unread: str
) -> str:
    total = sum(cells.get((true, column), 0) for column in columns)
    told = []
    for column in columns:
        number = cells.get((true, column), 0)
        share = number / total if total else 0.0
        right = " right" if column == true else ""
        shade = math.ceil(share * (_SHADES - 1))
        title = f"{true} understood as {column or unread}: {number:,} of {total:,} ({share:.0%})"
        told.append(f'<td class="shade-{shade}{right}" title="{escape(title)}">{number or ""}</td>')
    return f'<tr><th scope="row" title="{escape(true)}">{escape(_brief(true))}</th>{"".join(told)}</tr>'


def _labels(counts: Mapping[tuple[str, str | None], int]) -> list[str]:
    """The commonest labels, and one for all others where there are many."""
    totals: dict[str, int] = {}
    for (true, read), number in counts.items():
        totals[true] = totals.get(true, 0) + number
        if read is not None:
            totals.setdefault(read, 0)
    if len(totals) <= _MOST_LABELS:
        return sorted(totals)
    common = sorted(totals, key=lambda one: (-totals[one], one))[: _MOST_LABELS - 1]
    return [*sorted(common), _REST]


def _folded(label: str, labels: Sequence[str]) -> str:
    return label if label in labels else _REST


def _plot(rows: Sequence[Row], bounds: tuple[float, float], several_models: bool) -> str:
    lines = [_ruler(bounds)]
    for row in rows:
        name = f"{row.figure}, {row.model}" if several_models and row.model is not None else row.figure
        marks = [
            _mark(row.scores[condition], bounds, condition, condition)
            for condition in (*conditions.BLIND, conditions.TOLD)
            if condition in row.scores
        ]
        if row.blind is not None:
            marks.append(_mark(row.blind[1], bounds, "blind", row.blind[0]))
        marks += [
            _whisker(one, bounds, "tool", f"{tool}: {headlines.interval(one)}") for tool, one in row.others.items()
        ]
        heard = row.scores.get(conditions.HEARD)
        if heard is not None:
            marks.append(_whisker(heard, bounds, "heard", f"{row.model}: {headlines.interval(heard)}"))
        told = [f"{condition} {headlines.number(one.value)}" for condition, one in row.scores.items()]
        told += [] if row.blind is None else [f"{row.blind[0]} {headlines.number(row.blind[1].value)}"]
        told += [f"{tool} {headlines.number(one.value)}" for tool, one in row.others.items()]
        lines.append(_line(name, row.title, "".join(marks), heard, f"{name}: {', '.join(told)}", row.verdict))
    return f'<ul class="forest">{"".join(lines)}</ul>'


def _line(name: str, above: str, marks: str, value: Estimate | None, told: str = "", verdict: str = "") -> str:
    over = f'<span class="soft">{escape(above)}</span> ' if above else ""
    number = "" if value is None else headlines.interval(value)
    flag = f'<span class="flag">{escape(verdict)}</span>' if verdict == headlines.NOT_SHOWN else ""
    label = escape(told or f"{name}: {number}")
    return (
        f'<li><span class="of">{over}{escape(name)}</span><svg class="track" role="img" aria-label="{label}">'
        f'<line class="base" x1="0" x2="100%" y1="14" y2="14"/>{marks}</svg>'
        f'<span class="told">{escape(number)}{flag}</span></li>'
    )


def _key(rows: Sequence[Row]) -> str:
    """What the marks mean."""
    used = [condition for condition in conditions.CONDITIONS if any(condition in row.scores for row in rows)]
    entries = [(condition, condition) for condition in used]
    entries += [("blind", BEST_BLIND)] if any(row.blind is not None for row in rows) else []
    entries += [("tool", "tools and others")] if any(row.others for row in rows) else []
    told = "".join(
        f'<li><svg class="sign" viewBox="-9 -9 18 18" aria-hidden="true"><path class="{_class(kind)}" '
        f'd="{_MARKS[kind]}"/></svg>{escape(name)}</li>'
        for kind, name in entries
    )
    return f'<ul class="key">{told}</ul>'


def _ruler(bounds: tuple[float, float]) -> str:
    low, high = bounds
    marks = []
    for step in range(5):
        value = low + (high - low) * step / 4
        anchor = "start" if step == 0 else "end" if step == 4 else "middle"
        marks.append(
            f'<text x="{25 * step}%" y="12" class="{anchor}">{headlines.number(value) if value else "0"}</text>'
        )
    return (
        f'<li class="ruler" aria-hidden="true"><span></span><svg class="track">{"".join(marks)}</svg><span></span></li>'
    )


def _whisker(one: Estimate, bounds: tuple[float, float], kind: str, title: str) -> str:
    if one.value is None:
        return ""
    low, high = (one.value if end is None else end for end in (one.low, one.high))
    return (
        f'<line class="whisker {_class(kind)}" x1="{_percent(low, bounds)}" x2="{_percent(high, bounds)}" '
        f'y1="14" y2="14"/>{_mark(one, bounds, kind, title)}'
    )


def _mark(one: Estimate, bounds: tuple[float, float], kind: str, title: str) -> str:
    if one.value is None:
        return ""
    told = f"{title}: {headlines.number(one.value)}" if kind in (*conditions.BLIND, conditions.TOLD, "blind") else title
    return (
        f'<svg x="{_percent(one.value, bounds)}" y="14" overflow="visible"><path class="{_class(kind)}" '
        f'd="{_MARKS[kind]}"><title>{escape(told)}</title></path></svg>'
    )


def _class(kind: str) -> str:
    return f"mark-{_CLASSES.get(kind, kind)}"


def _percent(value: float, bounds: tuple[float, float]) -> str:
    low, high = bounds
    return f"{100 * min(max((value - low) / (high - low), 0.0), 1.0):.2f}%"


def _bounds(rows: Sequence[Row]) -> tuple[float, float]:
    found = []
    for row in rows:
        for one in (*row.scores.values(), *row.others.values(), *([row.blind[1]] if row.blind else [])):
            found += _ends(one)
    return _axis(found)


def _ends(one: Estimate) -> list[float]:
    return [end for end in (one.low, one.value, one.high) if end is not None]


def _axis(values: Sequence[float]) -> tuple[float, float]:
    """From 0 to 1 where everything lies there; otherwise from 0, or a round number below, to a round one above."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return (-_round_above(-low) if low < 0 else 0.0), (_round_above(high) if high > 0 else 0.0)


def _round_above(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= value * 0.999999)


def _x(share: float) -> float:
    return _MARGIN + _SIDE * share


def _y(share: float) -> float:
    return 8 + _SIDE * (1 - share)


def _square(title: str, caption: str, label: str, drawn: str, across: str, up: str) -> str:
    """A chart of two shares."""
    grid = "".join(
        f'<path class="grid" d="M{_x(0)} {_y(share):.1f}H{_x(1)}M{_x(share):.1f} {_y(0)}V{_y(1)}"/>'
        f'<text class="mark" x="{_x(share):.1f}" y="{_y(0) + 14}">{share:g}</text>'
        f'<text class="mark up" x="{_x(0) - 6}" y="{_y(share):.1f}">{share:g}</text>'
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    height, width = _SIDE + 54, _SIDE + _MARGIN + 14
    return (
        f'<figure class="square"><figcaption><b>{escape(title)}</b><br>{escape(caption)}</figcaption>'
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{grid}{drawn}'
        f'<text class="mark" x="{_x(0.5)}" y="{_y(0) + 34}">{escape(across)}</text>'
        f'<text class="mark" transform="rotate(-90)" x="{-_y(0.5)}" y="11">{escape(up)}</text></svg></figure>'
    )


def _brief(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"
