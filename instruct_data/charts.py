"""Small charts as SVG: bars, and what plays when in a recording.

In: names and numbers. Out: SVG as text, for a page whose style sheet gives the colours. Every chart says in words what
it shows, for who cannot see it; texts of strangers are escaped. Knows no data set.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

_ROW = 24
_LABEL_WIDTH = 190
_BAR_WIDTH = 300
_COUNT_WIDTH = 90
_MOST_ROWS = 24
_LONGEST_LABEL = 26
_LANE = 20
_TIMELINE_WIDTH = 640
_TIMELINE_LABEL = 120


def bars(title: str, counts: Sequence[tuple[str, float]], unit: str = "") -> str:
    """A bar for each count.

    Args:
        title: what is counted.
        counts: names and numbers, in the order in which they stand; many are cut off.
        unit: stands behind the numbers.
    """
    shown = list(counts[:_MOST_ROWS])
    total = sum(count for _, count in counts)
    rest = len(counts) - len(shown)
    if rest > 0:
        shown.append((f"{rest} more", sum(count for _, count in counts[_MOST_ROWS:])))
    most = max((count for _, count in shown), default=0) or 1
    rows = [_bar(number, name, count, most, total, unit) for number, (name, count) in enumerate(shown)]
    width, height = _LABEL_WIDTH + _BAR_WIDTH + _COUNT_WIDTH, _ROW * len(shown)
    told = ", ".join(f"{name}: {_number(count)}{unit}" for name, count in shown)
    return (
        f'<svg class="bars" viewBox="0 0 {width} {height}" role="img" aria-label="{_escaped(f"{title}. {told}")}">'
        f"{''.join(rows)}</svg>"
    )


def timeline(
    seconds: float,
    lanes: Mapping[str, Sequence[tuple[float, float]]],
    blocks: Mapping[str, Sequence[tuple[float, float, str]]],
) -> str:
    """What happens when in a recording.

    Args:
        seconds: how long it is, > 0.
        lanes: names of instruments, and when each sounds.
        blocks: names of rows such as "sections", and their stretches with names.
    """
    rows = [
        *(_block_row(number, name, spans, seconds) for number, (name, spans) in enumerate(blocks.items())),
        *(_lane_row(len(blocks) + number, name, spans, seconds) for number, (name, spans) in enumerate(lanes.items())),
    ]
    height = _LANE * (len(lanes) + len(blocks))
    told = "; ".join(
        f"{name} {', '.join(f'{begin:.1f} to {end:.1f} s' for begin, end in spans)}" for name, spans in lanes.items()
    )
    return (
        f'<svg class="timeline" viewBox="0 0 {_TIMELINE_LABEL + _TIMELINE_WIDTH} {height + 18}" role="img" '
        f'aria-label="{_escaped(f"What plays when. {told}")}">{_seconds_axis(seconds, height)}{"".join(rows)}'
        f'<line class="now" x1="{_TIMELINE_LABEL}" x2="{_TIMELINE_LABEL}" y1="0" y2="{height}"/></svg>'
    )


def _bar(number: int, name: str, count: float, most: float, total: float, unit: str) -> str:
    middle = number * _ROW + _ROW / 2
    width = max(1.0, _BAR_WIDTH * count / most)
    share = f" · {100 * count / total:.0f} %" if total else ""
    return (
        f"<g><title>{_escaped(name)}: {_number(count)}{unit}{share}</title>"
        f'<text class="name" x="{_LABEL_WIDTH - 10}" y="{middle}">{_escaped(_short(name))}</text>'
        f'<rect class="bar" x="{_LABEL_WIDTH}" y="{number * _ROW + 4}" width="{width:.1f}" height="{_ROW - 8}" rx="3"/>'
        f'<text class="count" x="{_LABEL_WIDTH + width + 8:.1f}" y="{middle}">{_number(count)}{unit}</text></g>'
    )


def _lane_row(number: int, name: str, spans: Sequence[tuple[float, float]], seconds: float) -> str:
    top = number * _LANE
    rectangles = [
        f'<rect class="sounds lane-{number % 6}" x="{_x(begin, seconds):.1f}" y="{top + 4}" '
        f'width="{max(1.0, _x(end, seconds) - _x(begin, seconds)):.1f}" height="{_LANE - 8}" rx="3">'
        f"<title>{_escaped(name)}: {begin:.1f} to {end:.1f} s</title></rect>"
        for begin, end in spans
    ]
    return f"{_row_name(name, top)}{''.join(rectangles)}"


def _block_row(number: int, name: str, spans: Sequence[tuple[float, float, str]], seconds: float) -> str:
    top = number * _LANE
    pieces = []
    for place, (begin, end, word) in enumerate(spans):
        left, width = _x(begin, seconds), max(1.0, _x(end, seconds) - _x(begin, seconds))
        text = f'<text class="word" x="{left + width / 2:.1f}" y="{top + _LANE / 2}">{_escaped(word)}</text>'
        pieces.append(
            f'<rect class="block shade-{place % 2}" x="{left:.1f}" y="{top + 2}" width="{width:.1f}" '
            f'height="{_LANE - 4}"><title>{_escaped(word)}: {begin:.1f} to {end:.1f} s</title></rect>'
            + (text if width >= 7 * len(word) else "")
        )
    return f"{_row_name(name, top)}{''.join(pieces)}"


def _row_name(name: str, top: float) -> str:
    return f'<text class="name" x="{_TIMELINE_LABEL - 8}" y="{top + _LANE / 2}">{_escaped(_short(name))}</text>'


def _seconds_axis(seconds: float, top: float) -> str:
    step = next((step for step in (1, 2, 5, 10, 20, 30, 60, 120, 300) if seconds / step <= 10), 600)
    marks = []
    for number in range(int(seconds / step) + 1):
        x = _x(number * step, seconds)
        label = f"{number * step // 60}:{number * step % 60:02d}"
        marks.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{top}"/>'
            f'<text class="mark" x="{x:.1f}" y="{top + 12}">{label}</text>'
        )
    return "".join(marks)


def _x(time: float, seconds: float) -> float:
    return _TIMELINE_LABEL + _TIMELINE_WIDTH * 0.98 * min(max(time / seconds, 0.0), 1.0)


def _number(count: float) -> str:
    return f"{count:,}" if isinstance(count, int) else f"{count:,.1f}"


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_LABEL else f"{name[: _LONGEST_LABEL - 1]}…"


def _escaped(text: str) -> str:
    return html.escape(text, quote=True)
