"""The page of a run: one self-contained HTML file with the table, plots, and every case to be read and heard.

In: the folder of a finished run. Out: `report.html` in it, which any browser opens from disk, without a network;
recordings of the worst cases stand inside. All that comes from models and data is escaped or shown as text by the
script, and the page allows no script but its own. Asks nobody.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

import mllm.instruct_data
from mllm.eval import answers, headlines, page_cases, page_charts, page_clips, page_tables, results
from mllm.eval.metrics import calibration
from mllm.eval.page_cases import Case, Gathered
from mllm.eval.results import Results, TaskResult

NAME = "report.html"
_LEAST_ANSWERS = 10
"""Of a diagram of confidences."""
_MOST_ROWS_OF_CONFUSION = 60
"""Different right answers; more are no few answers any more."""
_GRADES = {"": "any", "wrong": "wrong (0)", "partly": "in between", "right": "right (1)", "none": "not judged alone"}


def write(out: Path) -> Path:
    """Write the page of a run whole or not at all, and say where it is.

    Raises:
        ConfigError: the folder holds no finished run.
    """
    found = results.read(out)
    gathered = page_cases.gather(answers.read_lines(out / results.ANSWERS))
    cases = page_cases.shown(gathered)
    clips = page_clips.embed(stretch for case in cases for stretch in case.asked.heard)
    style = _asset("mllm.instruct_data", "style.css") + _asset("mllm.eval", "style.css")
    script = _asset("mllm.eval", "script.js")
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; media-src data:; "
        f"style-src 'sha256-{_digest(style)}'; script-src 'sha256-{_digest(script)}'"
    )
    title = f"Evaluation of {', '.join(headlines.listeners(found)) or 'nothing'}"
    page = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>{style}</style>\n</head>\n<body>\n<header>\n<h1>{escape(title)}</h1>\n"
        f"{page_tables.tiles(found, headlines.rows(found))}\n</header>\n<main>\n{_overview(found)}\n"
        f"{_confidence(found, gathered)}\n{_tasks(found, gathered)}\n{_browser(found, gathered, cases)}\n</main>\n"
        f'<script type="application/json" id="cases">{_data(page_cases.as_json(gathered, cases, clips))}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )
    path = out / NAME
    beside = path.with_name(f"{path.name}.half")
    beside.write_text(page, encoding="utf-8", errors="replace")
    beside.replace(path)
    return path


def _overview(found: Results) -> str:
    rows = headlines.rows(found)
    several = len(headlines.listeners(found)) > 1
    table = page_tables.honest(found, rows) if rows else '<p class="soft">No task was run.</p>'
    plot = page_charts.forest(rows, several_models=several)
    drawn = f'<h2 id="plot">Scores against those that do not hear</h2>\n<div class="card">{plot}</div>' if plot else ""
    return (
        f"{page_tables.circumstances(found)}\n<h2>Headline figures</h2>\n{table}\n"
        '<p class="soft small">In brackets: 95 % bootstrap intervals over recordings. Gain by hearing: over the best '
        "of all lines that do not hear, the same recordings drawn for both; "
        f"“{headlines.NOT_SHOWN}” where its interval holds 0 against any of them. Nothing said counts as wrong.</p>\n"
        f"{page_tables.notes(found)}\n{drawn}"
    )


def _confidence(found: Results, gathered: Gathered) -> str:
    """Calibration over all tasks, a model each."""
    parts = []
    for model in found.models:
        diagrams = _diagrams([case for case in gathered.cases if case.model == model])
        if diagrams:
            parts.append(f'<section class="card"><h3 class="name">{escape(model)}, all tasks</h3>{diagrams}</section>')
    return f'<h2 id="confidence">Does it know when it is right?</h2>\n{"".join(parts)}' if parts else ""


def _diagrams(cases: Sequence[Case]) -> str:
    """Reliability, and risk against coverage, of what was heard; nothing where few confidences are known."""
    known = [
        (case.heard.confidence, case.heard.credit)
        for case in cases
        if case.heard.confidence is not None and case.heard.credit is not None and 0 <= case.heard.confidence <= 1
    ]
    if len(known) < _LEAST_ANSWERS:
        return ""
    confidences, earned = [one for one, _ in known], [credit for _, credit in known]
    once = np.ones((1, len(known)))
    told = calibration.evaluate(confidences, earned)
    reliability = page_charts.reliability(
        calibration.reliability(confidences, earned),
        error=float(calibration.ece(confidences, earned)(once)[0]),
        count=len(known),
    )
    curve = page_charts.risk_coverage(
        calibration.risk_coverage(confidences, earned), area=told["area_under_risk_coverage"], risk=told["risk"]
    )
    return f'<div class="diagrams">{reliability}{curve}</div>'


def _tasks(found: Results, gathered: Gathered) -> str:
    parts = [_task(name, task, found, gathered) for name, task in found.tasks.items()]
    return f'<h2 id="tasks">Task by task</h2>\n{"".join(parts)}' if parts else ""


def _task(name: str, task: TaskResult, found: Results, gathered: Gathered) -> str:
    headline = " · ".join(
        f"{figure.title} {headlines.number(scores['heard'].value)}"
        for figure in task.figures.values()
        for scores in list(figure.scores.values())[:1]
        if figure.headline and "heard" in scores
    )
    models = list(found.models)
    groups = "".join(
        page_charts.groups(f"{figure.title}, by {kind}", of_kind, models)
        for figure in task.figures.values()
        for kind, of_kind in figure.groups.items()
    )
    confusions = "".join(_confusion(task, model, gathered.of(name, model)) for model in models)
    diagrams = "".join(
        f"<h4>{escape(model)}</h4>{drawn}"
        for model in models
        if len(found.tasks) > 1 and (drawn := _diagrams(gathered.of(name, model)))
    )
    seconds = ", ".join(f"{model} {taken:,.1f} s" for model, taken in task.seconds.items())
    return (
        f'<details class="card task" data-task="{escape(name)}"><summary><b>{escape(task.title)}</b> '
        f'<span class="soft">{task.questions:,} questions · {escape(headline)}</span></summary>'
        f"<p>{escape(task.summary)}</p>"
        f'<p class="soft small">Task {escape(name)}, version {escape(task.version)}; {task.questions:,} questions '
        f"about {task.units:,} recordings or pairs of them. {escape(seconds)}</p>"
        f"{page_tables.of_task(task)}{groups}{confusions}{diagrams}"
        f'<p><a href="#browser" data-only="{escape(name)}">Its cases, the worst first</a></p></details>\n'
    )


def _confusion(task: TaskResult, model: str, cases: Sequence[Case]) -> str:
    counts: dict[tuple[str, str | None], int] = {}
    for case in cases:
        if case.asked.label is not None:
            key = case.asked.label, case.heard.read
            counts[key] = counts.get(key, 0) + 1
    truths = {true for true, _ in counts}
    if len(truths) < 2 or len(truths) > _MOST_ROWS_OF_CONFUSION:
        return ""
    return page_charts.confusion(
        f"{task.title}, {model}: what was true, and what was understood", counts, "nothing that can be read"
    )


def _browser(found: Results, gathered: Gathered, cases: Sequence[Case]) -> str:
    left_out = len(gathered.cases) - len(cases)
    kept = (
        f"Of each task and model the worst {page_cases.MOST_CASES}; {left_out:,} more are in {results.ANSWERS}. "
        if left_out
        else ""
    )
    tasks = "".join(_option(name, task.title) for name, task in found.tasks.items())
    models = "".join(_option(name, name) for name in found.models)
    grades = "".join(_option(value, name) for value, name in _GRADES.items())
    return (
        '<h2 id="browser">Every case, the worst first</h2>\n<noscript><p class="banner">The cases are shown by a '
        "script, which this browser does not run.</p></noscript>\n"
        '<form class="filter" id="filter" aria-label="Which cases">'
        f'<label>Task <select id="task">{_option("", "all")}{tasks}</select></label>'
        f'<label>Model <select id="model">{_option("", "all")}{models}</select></label>'
        '<label>Hearing <select id="condition"></select></label>'
        f'<label>Credit <select id="credit">{grades}</select></label>'
        '<label>Search <input id="search" type="search" autocomplete="off" placeholder="question, answer, truth">'
        '</label><label class="tick"><input id="playable" type="checkbox"> can be played</label>'
        '<span id="shown" class="soft" role="status"></span></form>\n'
        f'<p class="soft small">{kept}Of equally wrong answers the most confident come first. Recordings of the worst '
        f"cases are inside this page, at most {page_clips.MOST_CLIPS} and the first {page_clips.LONGEST_SECONDS:g} s "
        'of each; others are named.</p>\n<div id="list"></div>\n<nav class="pager" aria-label="Pages of cases">'
        '<button type="button" id="before">← worse</button><span id="place" role="status"></span>'
        '<button type="button" id="after">better →</button></nav>'
    )


def _option(value: str, text: str) -> str:
    return f'<option value="{escape(value)}">{escape(text)}</option>'


def _data(plain: dict[str, Any]) -> str:
    """JSON that cannot end the element in which it stands."""
    text = json.dumps(plain, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(package: str, name: str) -> str:
    folder = Path(__file__).parent if package == "mllm.eval" else Path(mllm.instruct_data.__path__[0])
    return (folder / "page" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
