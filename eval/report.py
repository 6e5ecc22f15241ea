"""Files of an evaluation: report.json with every number, report.md with the table, answers.jsonl to read.

In: the `Results` of a run. Out: the files, written whole or not at all. Computes nothing.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mllm.eval.intervals import Estimate

ROWS: dict[str, str] = {
    "key_exact": "key, exact",
    "key_mirex": "key, MIREX weighted",
    "tempo_acc1": "tempo within 4 %",
    "tempo_acc2": "tempo within 4 %, octave errors allowed",
    "meter": "meter",
    "instruments_f1": "instruments, micro-F1",
    "instruments_precision": "instruments, precision",
    "instruments_recall": "instruments, recall",
    "yes_no": "yes/no questions about instruments",
    "yes_no_plain": "… asked plainly",
    "yes_no_negated": "… asked with a negation",
    "yes_share": "… share answered with yes (half would be right)",
    "answered_key": "key answered",
    "answered_tempo_bpm": "tempo answered",
    "answered_meter": "meter answered",
    "answered_instruments": "instruments answered",
    "answered_yes_no": "yes or no answered",
}
"""Figures and how the table calls them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that an evaluation found."""

    run: Mapping[str, Any]
    """How it was measured: task, command, model and its hash, labels and their hash, seeds, versions, seconds."""
    counts: Mapping[str, int]
    """Clips, questions, and clips for which each field is known."""
    figures: Mapping[str, Mapping[str, Estimate]]
    """Condition to figure to estimate; a condition that does not apply is absent."""
    differences: Mapping[str, Mapping[str, Estimate]]
    """Blind condition to figure to (heard - blind), the same clips drawn for both."""
    conditions: Mapping[str, str]
    """Each condition in a sentence."""
    notes: Sequence[str]
    """What a reader of the figures must know."""
    answers: Sequence[Mapping[str, Any]]
    """Each question of each condition with the model's text and the truth."""


def write(results: Results, out: Path) -> None:
    """Write the three files into `out`, which is made where it is absent."""
    out.mkdir(parents=True, exist_ok=True)
    summary = {
        name: value for name, value in dataclasses.asdict(results).items() if name not in ("answers", "conditions")
    }
    summary["conditions"] = dict(results.conditions)
    lines = "".join(json.dumps(dict(answer), ensure_ascii=False) + "\n" for answer in results.answers)
    _write(out / "answers.jsonl", lines)
    _write(out / "report.md", markdown(results))
    _write(out / "report.json", json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def markdown(results: Results) -> str:
    """A table of figures by condition with their intervals, ready for README, and the notes below it."""
    columns = list(results.figures)
    lines = [
        f"| {results.counts['clips']} clips ({results.run['task']}) | {' | '.join(columns)} |",
        f"| :--- | {' | '.join('---:' for _ in columns)} |",
    ]
    for figure, title in ROWS.items():
        cells = [cell(results.figures[column][figure]) for column in columns]
        if any(one != NOTHING for one in cells):
            lines.append(f"| {title} | {' | '.join(cells)} |")
    level = "In brackets: 95 % bootstrap intervals"
    lines += ["", f"{level}, {results.run['resamples']} resamples of whole clips. Measured with", ""]
    lines += [f"    {results.run['command']}", ""]
    lines += [f"- {name}: {sentence}" for name, sentence in results.conditions.items()]
    lines += [f"- {note}" for note in results.notes]
    return "\n".join(lines) + "\n"


def examples(results: Results, count: int) -> str:
    """`count` questions about heard clips with their answers and the truth, spread over the set, for reading aloud."""
    heard = [answer for answer in results.answers if answer["condition"] == next(iter(results.figures))]
    count = min(count, len(heard))
    chosen = [heard[place * len(heard) // count] for place in range(count)]
    return "".join(
        f"\n{one['clip']}\n  question: {one['question']}\n  answer:   {one['answer']}\n"
        f"  truth:    {_one_line(one['truth'])}\n"
        for one in chosen
    )


def _one_line(truth: Any) -> str:
    return truth if isinstance(truth, str) else json.dumps(truth, ensure_ascii=False)


NOTHING = "–"
"""Cell of a figure that could not be counted."""


def cell(estimate: Estimate) -> str:
    """A figure with its interval: "0.82 [0.78, 0.86]"."""
    if estimate.value is None:
        return NOTHING
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
