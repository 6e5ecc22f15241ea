"""`mllm eval metrics`: score predictions that were made elsewhere, by any system.

In: parsed options. Out: every figure with its 95 % interval, as a table or as one JSON object on standard output, and
what was wrong with the files. Asks no model.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeInt, PositiveInt

from mllm import terminal
from mllm.errors import ConfigError
from mllm.eval import prediction_scores, predictions, statistic
from mllm.eval.metrics.words import plain_words, words
from mllm.eval.prediction_scores import TASKS, Settings
from mllm.eval.predictions import Problems
from mllm.eval.statistic import Draws, Estimate, Statistic

SUMMARY = "score predictions made elsewhere, with intervals"
USAGE = "--predictions FILE [--references FILE] [--task caption|choice|tags|tempo|key] [--json] [options]"
_MOST_PROCESSES = 8


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--predictions",
        required=True,
        metavar="FILE",
        help='JSON lines with "prediction", the truth beside it ("references", "choices" and "answer", or "reference") '
        'and, if there is one, "id"',
    )
    parser.add_argument(
        "--references", metavar="FILE", help='JSON lines with "id" and the truth, where it stands in a file of its own'
    )
    parser.add_argument("--task", choices=tuple(TASKS), default="caption", help="what was predicted (default: caption)")
    parser.add_argument("--compare", metavar="FILE", help="predictions of another system for the same items")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument(
        "--legacy", action="store_true", help="also the scorer that four public code bases share, which is broken"
    )
    parser.add_argument(
        "--vocabulary", metavar="FILE", help="words or texts known from training, as plain text: counts novelty"
    )
    parser.add_argument("--bert-model", metavar="DIR", help="a model on this machine: counts BERTScore")
    parser.add_argument("--bert-layer", type=PositiveInt, metavar="N", help="whose embeddings BERTScore compares")
    parser.add_argument(
        "--resamples",
        type=PositiveInt,
        default=statistic.RESAMPLES,
        metavar="N",
        help=f"of the bootstrap (default: {statistic.RESAMPLES})",
    )
    parser.add_argument("--seed", type=NonNegativeInt, default=0, help="of the bootstrap (default: 0)")
    parser.add_argument(
        "--processes",
        type=PositiveInt,
        default=min(os.cpu_count() or 1, _MOST_PROCESSES),
        metavar="N",
        help="that score at once (default: one a core)",
    )


def run(options: Namespace) -> int:
    """Read, score and print; 1 where something was wrong with the files."""
    problems = Problems()
    settings = Settings(
        legacy=options.legacy,
        known_words=None if options.vocabulary is None else _vocabulary(Path(options.vocabulary)),
        bert_model=None if options.bert_model is None else _folder(options.bert_model),
        bert_layer=options.bert_layer,
        processes=options.processes,
    )
    of_task = TASKS[options.task]
    with terminal.progress("reading and scoring") as progress:
        items = predictions.read(
            Path(options.predictions), None if options.references is None else Path(options.references), problems
        )
        found = of_task(items, problems, settings)
        other: dict[str, Statistic] = {}
        if options.compare is not None:
            progress.tell("scoring the other system")
            of_other = Problems()
            other = of_task(predictions.read_again(Path(options.compare), items, of_other), of_other, settings)
            problems.add_all(of_other)
        progress.tell("drawing")
        draws = statistic.draw([item.id for item in items], resamples=options.resamples, seed=options.seed)
        estimates = {name: statistic.estimate(one, draws) for name, one in found.items()}
        compared = _compared(found, other, draws)
    absent = prediction_scores.absent(options.task, settings)
    if options.json:
        report = _report(options, len(items), estimates, compared, problems, absent)
        print(json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print(_table(len(items), estimates, compared))
    for sentence in problems.sentences():
        terminal.say(sentence)
    for name, reason in absent.items():
        terminal.say(f"{name} is not counted: {reason}")
    return 1 if problems else 0


def _compared(
    found: Mapping[str, Statistic], other: Mapping[str, Statistic], draws: Draws
) -> dict[str, tuple[Estimate, Estimate]]:
    """Of each figure the other system's, and the first minus the other, paired."""
    return {
        name: (statistic.estimate(one, draws), statistic.difference(found[name], one, draws))
        for name, one in other.items()
    }


def _report(
    options: Namespace,
    count: int,
    estimates: Mapping[str, Estimate],
    compared: Mapping[str, tuple[Estimate, Estimate]],
    problems: Problems,
    absent: Mapping[str, str],
) -> dict[str, Any]:
    report: dict[str, Any] = {"task": options.task, "count": count}
    report |= {name: one.value for name, one in estimates.items()}
    report["intervals"] = {name: [one.low, one.high] for name, one in estimates.items()}
    if compared:
        report["compared"] = {
            name: {"other": other.value, "difference": gap.value, "interval": [gap.low, gap.high]}
            for name, (other, gap) in compared.items()
        }
    return {**report, "problems": problems.sentences(), "absent": dict(absent)}


def _table(count: int, estimates: Mapping[str, Estimate], compared: Mapping[str, tuple[Estimate, Estimate]]) -> str:
    heads = ["figure", f"of {count:,} items"] + (["of the other", "difference"] if compared else [])
    rows = [f"| {' | '.join(heads)} |", f"| :--- |{' ---: |' * (len(heads) - 1)}"]
    for name, one in estimates.items():
        cells = [name, _shown(one), *(map(_shown, compared[name]) if compared else ())]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _shown(one: Estimate) -> str:
    if one.value is None:
        return "–"
    interval = "" if one.low is None or one.high is None else f" [{one.low:.4f}, {one.high:.4f}]"
    return f"{one.value:.4f}{interval}"


def _vocabulary(path: Path) -> frozenset[str]:
    try:
        known = frozenset(plain_words(words(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError) as error:
        raise ConfigError(f"--vocabulary {path} cannot be read as UTF-8 text ({error})") from error
    if not known:
        raise ConfigError(f"--vocabulary {path} holds no words; give words or texts known from training")
    return known


def _folder(given: str) -> Path:
    folder = Path(given)
    if not (folder / "config.json").is_file():
        raise ConfigError(f"--bert-model {given} holds no config.json; give the directory of a model of transformers")
    return folder
