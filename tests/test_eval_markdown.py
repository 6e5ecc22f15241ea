"""Tests of the Markdown table of a run: what stands in it, and that it stays a table whatever texts hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from mllm.eval import markdown, results
from mllm.eval.results import FigureResult, Gain, Results, TaskResult
from mllm.eval.statistic import Estimate
from tests import small_evaluation


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> Estimate:
    return Estimate(value=value, low=low, high=high)


def figure(
    scores: Mapping[str, Mapping[str, Estimate]],
    *,
    title: str = "tempo within 4 %",
    better: str = "higher",
    blind: Mapping[str, Estimate] | None = None,
    gains: Mapping[str, Gain] | None = None,
    chance: float | None = None,
    headline: bool = True,
) -> FigureResult:
    return FigureResult(
        title=title,
        better=better,
        headline=headline,
        chance=chance,
        scores=scores,
        blind=blind or {},
        gains=gains or {},
        groups={},
    )


def task(*figures: FigureResult, title: str = "Tempo", **changes: object) -> TaskResult:
    made = TaskResult(
        title=title,
        version="1",
        summary="",
        questions=160,
        units=160,
        answered={},
        not_asked={},
        figures={str(place): one for place, one in enumerate(figures)},
        seconds={},
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def of(tasks: Mapping[str, TaskResult], models: tuple[str, ...], skipped: Mapping[str, str] | None = None) -> Results:
    run = {"command": "mllm eval run", "seed": 0, "resamples": 1000, "seconds": 61.2, "peak_memory_gib": 1.5}
    return Results(run=run, models={name: {} for name in models}, tasks=tasks, skipped=skipped or {})


def heard(value: float, low: float, high: float, blind: float = 0.0) -> dict[str, Estimate]:
    line = estimate(blind, blind, blind)
    return {"heard": estimate(value, low, high), "silence": line, "noise": line, "another recording": line}


def cells(text: str) -> list[list[str]]:
    """The cells of the table, without its rule; all lines of it are equally long."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert len({len(row) for row in rows}) == 1
    return [rows[0], *rows[2:]]


SHOWN = Gain(over="majority per template", difference=estimate(0.6, 0.52, 0.68), shown=True)
NOT_SHOWN = Gain(over="silence", difference=estimate(0.01, -0.02, 0.05), shown=False)


def test_a_model_that_listens_stands_beside_all_that_do_not() -> None:
    blind = {"majority per template": estimate(0.15, 0.1, 0.2), "another recording's answer": estimate(0.05, 0.0, 0.1)}
    one = figure(heard_by(mllm=heard(0.75, 0.70, 0.80, 0.02)), blind=blind, gains={"mllm": SHOWN}, chance=0.01)
    text = markdown.table(of({"tempo": task(one)}, ("mllm",), {"mmar": "its files are not here"}))
    head, row = cells(text)
    assert head == [
        *("task", "figure", "questions", "mllm", "silence", "noise", "another recording", "best blind answerer"),
        "gain by hearing",
    ]
    assert row == [
        *("Tempo", "tempo within 4 %", "160", "0.75 [0.70, 0.80]", "0.02", "0.02", "0.02"),
        *("0.15 majority per template", "+0.60 [0.52, 0.68]"),
    ]
    assert "- Skipped: mmar: its files are not here" in text
    assert "    mllm eval run\n" in text
    assert "Seed 0; 1000 resamples; 61 s; 1.50 GiB of memory at most." in text


def heard_by(**scores: Mapping[str, Estimate]) -> dict[str, Mapping[str, Estimate]]:
    return dict(scores)


def test_a_gain_that_is_not_shown_is_told_in_words() -> None:
    one = figure(heard_by(mllm=heard(0.5, 0.4, 0.6, 0.5)), gains={"mllm": NOT_SHOWN})
    text = markdown.table(of({"tempo": task(one)}, ("mllm",)))
    assert cells(text)[1][-1] == "not shown to listen"
    assert "+0.01" not in text


def test_several_models_have_rows_and_tools_stand_beside_the_first() -> None:
    scores = heard_by(
        ours=heard(0.75, 0.7, 0.8), theirs=heard(0.5, 0.4, 0.6), librosa={"heard": estimate(0.59, 0.5, 0.66)}
    )
    one = figure(scores, gains={"ours": SHOWN, "theirs": NOT_SHOWN})
    head, *rows = cells(markdown.table(of({"tempo": task(one)}, ("ours", "theirs", "librosa"))))
    assert head[3:5] == ["model", "heard"]
    assert [row[3] for row in rows] == ["ours", "theirs"]
    assert [row[head.index("others")] for row in rows] == ["librosa 0.59 [0.50, 0.66]", ""]
    assert [row[head.index("gain by hearing")] for row in rows] == ["+0.60 [0.52, 0.68]", "not shown to listen"]


def test_tasks_without_blind_lines_and_runs_of_tools_alone() -> None:
    ranked = figure(
        heard_by(ease={"heard": estimate(0.31, 0.3, 0.33)}, popularity={"heard": estimate(0.1, 0.09, 0.12)}),
        title="NDCG at 10",
    )
    rows = cells(markdown.table(of({"recommendation": task(ranked)}, ("ease", "popularity"))))[1:]
    assert [row[3:5] for row in rows] == [["ease", "0.31 [0.30, 0.33]"], ["popularity", "0.10 [0.09, 0.12]"]]
    assert {row[-1] for row in rows} == {"no blind line"}


def test_a_figure_that_only_tools_have_has_a_row() -> None:
    listening = figure(heard_by(mllm=heard(0.75, 0.7, 0.8)))
    ranked = figure(heard_by(ease={"heard": estimate(0.31, 0.3, 0.33)}), title="NDCG at 10")
    tasks = {"tempo": task(listening), "recommendation": task(ranked, title="Recommendation")}
    head, _, row = cells(markdown.table(of(tasks, ("mllm", "ease"))))
    assert row[head.index("others")] == "ease 0.31 [0.30, 0.33]"
    assert row[head.index("mllm")] == row[head.index("gain by hearing")] == ""


def test_of_lower_figures_the_lowest_blind_line_is_the_best() -> None:
    gain = Gain(over="chance", difference=estimate(-1.5, -2.0, -1.0), shown=True)
    one = figure(
        heard_by(mllm=heard(0.5, 0.4, 0.6, 3.0)),
        better="lower",
        blind={"majority per template": estimate(2.5), "another recording's answer": estimate(4.0)},
        chance=2.0,
        gains={"mllm": gain},
    )
    row = cells(markdown.table(of({"times": task(one)}, ("mllm",))))[1]
    assert row[-2:] == ["2.00 chance", "-1.50 [-2.00, -1.00]"]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.0, "0.00"),
        (-0.001, "0.00"),
        (3.2e-6, "3e-06"),
        (1234.5, "1,234"),
        (0.005, "0.01"),
        (1.0, "1.00"),
    ],
)
def test_numbers_are_short_and_nothing_that_is_not_zero_is_shown_as_zero(value: float, told: str) -> None:
    one = figure(heard_by(mllm={"heard": estimate(value)}))
    assert cells(markdown.table(of({"tempo": task(one)}, ("mllm",))))[1][3] == told


def test_what_counts_nothing_has_no_row_in_the_short_table() -> None:
    empty, counted = (figure(heard_by(mllm={"heard": estimate(value)}), title=str(value)) for value in (None, 0.5))
    found = of({"tempo": dataclasses.replace(task(empty), figures={"one": empty, "two": counted})}, ("mllm",))
    assert [row[1] for row in cells(markdown.table(found))[1:]] == ["0.5"]
    assert "None" in cells(markdown.full(found))[0]


def test_texts_of_strangers_stay_in_their_cells() -> None:
    name = "a|b\n<script>\x1b[2J [here](http://x)"
    one = figure({name: heard(0.5, 0.4, 0.6)}, title="within | 4 %")
    text = markdown.table(of({"tempo": task(one, title="Tem|po")}, (name,), {"x": "why | not\n\n| a | b |"}))
    rows = cells(text)
    assert rows[0][3] == r"a\|b \<script\> [2J [here\](http://x)"
    assert rows[1][:2] == [r"Tem\|po", r"within \| 4 %"]
    assert r"- Skipped: x: why \| not \| a \| b \|" in text
    assert "\x1b" not in text


def test_what_was_not_answered_or_not_asked_is_told() -> None:
    one = task(
        figure(heard_by(mllm=heard(0.5, 0.4, 0.6))),
        answered={"mllm": 157},
        not_asked={"librosa": "it answers no such questions"},
    )
    text = markdown.table(of({"tempo": one}, ("mllm", "librosa")))
    assert "Tempo: mllm answered 157 of 160 questions" in text
    assert "librosa was not asked Tempo: it answers no such questions." in text


def test_the_full_table_has_every_figure_and_every_interval(tmp_path: Path) -> None:
    found = results.read(small_evaluation.hand_written(tmp_path))
    assert [row[1] for row in cells(markdown.table(found))[1:]] == ["meter, exact", "beats off"]
    text = markdown.full(found)
    head, *rows = cells(text)
    assert head == [
        "who",
        "hears",
        "meter, exact",
        "beats off (lower is better)",
        "words in an answer (neither is better)",
        "calibration error of the confidences (ECE) (lower is better)",
        "area under risk and coverage (lower is better)",
    ]
    assert [row[:2] for row in rows[:5]] == [
        ["mine", "heard"],
        ["mine", "silence"],
        ["mine", "noise"],
        ["mine", "another recording"],
        ["mine", "told as text"],
    ]
    assert ["counter", "heard"] in [row[:2] for row in rows]
    assert ["always B", "nothing"] in [row[:2] for row in rows]
    assert rows[-1] == ["chance", "nothing", "0.33", "", "", "", ""]
    assert rows[1][2].startswith("0.33 [0.")
    assert r"Which of three meters: chosen \| among options. Task meter, version 3: 60 questions." in text


def test_a_run_of_nothing_is_told() -> None:
    text = markdown.table(of({}, ("mllm",), {"mmar": "its files are not here"}))
    assert text.startswith("No task was run.\n\n- Skipped: mmar")
