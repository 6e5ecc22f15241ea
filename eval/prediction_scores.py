"""Figures of predictions that were made elsewhere: one function a kind of task.

In: items as they were read. Out: statistics by name. An item whose prediction or truth is missing or cannot be read
counts as wrong and stays in the denominator; what was wrong is added to the problems. Opens no file of predictions.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mllm.errors import ConfigError
from mllm.eval import predictions, statistic
from mllm.eval.metrics import bert, classification, legacy, meteor, text
from mllm.eval.predictions import Item, Problems
from mllm.eval.reading import key as key_reader
from mllm.eval.reading import letter as letter_reader
from mllm.eval.reading import tempo as tempo_reader
from mllm.eval.statistic import Ratio, Statistic

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What is counted besides the usual; only captions look at these."""

    legacy: bool = False
    """Also the field's broken scorer."""
    known_words: frozenset[str] | None = None
    """For novelty."""
    bert_model: Path | None = None
    bert_layer: int | None = None
    processes: int = 1


def caption(items: Sequence[Item], problems: Problems, settings: Settings) -> dict[str, Statistic]:
    """Figures of texts: lines {"prediction": text, "references": [text, ...]}.

    Raises:
        ConfigError: no item has references.
    """
    references = [predictions.references_of(item, problems) for item in items]
    if not any(references):
        raise ConfigError('no line has "references", a list of texts; nothing can be scored')
    said = [predictions.text_of(item.prediction, item.id, problems) for item in items]
    # Without a reference there is nothing to be near to: nothing was said about nothing, which scores 0.
    said = [one if right else "" for one, right in zip(said, references, strict=True)]
    right = [of_item or [""] for of_item in references]
    found = text.statistics(said, right, known_words=settings.known_words, processes=settings.processes)
    if settings.legacy:
        found |= legacy.statistics(said, right)
    if settings.bert_model is not None and bert.absent(settings.bert_model) is None:
        scores = bert.bert_scores(said, right, settings.bert_model, layer=settings.bert_layer)
        found["bertscore_f1"] = _mean(scores.f1)
        if settings.legacy:
            found["legacy_bertscore_recall"] = _mean(scores.recall)
    return found


def absent(task: str, settings: Settings) -> dict[str, str]:
    """Figures that cannot be counted here, and why."""
    if task != "caption":
        return {}
    found = {}
    if meteor.name() != meteor.NAME:
        found[meteor.NAME] = "there is no WordNet in /usr/share/wordnet: apt-get install wordnet-base"
    reason = bert.absent(settings.bert_model)
    return found if reason is None else {**found, "bertscore_f1": reason}


def choice(items: Sequence[Item], problems: Problems, _: Settings) -> dict[str, Statistic]:
    """Multiple choice: lines {"prediction": text, "choices": [text, ...], "answer": letter, number from 0, or text}.

    `answered` is the share of predictions that name one option; `chance` is the mean of one over the number of options;
    `longest_option` is what somebody scores who always takes the longest (the first of several).

    Raises:
        ConfigError: no item has choices and an answer.
    """
    truths = [_choices(item, problems) for item in items]
    if not any(truths):
        raise ConfigError('no line has "choices" and "answer"; nothing can be scored')
    read = [
        None if truth is None else letter_reader.read(_text(item, problems), truth[0])
        for item, truth in zip(items, truths, strict=True)
    ]
    return {
        "accuracy": statistic.share(
            [float(truth is not None and one == truth[1]) for one, truth in zip(read, truths, strict=True)]
        ),
        "answered": statistic.share([float(one is not None) for one in read]),
        "chance": statistic.share([None if truth is None else 1 / len(truth[0]) for truth in truths]),
        "longest_option": statistic.share(
            [None if truth is None else float(_longest(truth[0]) == truth[1]) for truth in truths]
        ),
    }


def tags(items: Sequence[Item], problems: Problems, _: Settings) -> dict[str, Statistic]:
    """Labels: lines {"prediction": [text, ...], "references": [text, ...]}, compared in lower case.

    Raises:
        ConfigError: no item has references.
    """
    truths = [{one.strip().lower() for one in predictions.references_of(item, problems)} for item in items]
    if not any(truths):
        raise ConfigError('no line has "references", a list of labels; nothing can be scored')
    said = [_labels(item, problems) for item in items]
    return {
        "micro_f1": classification.micro_f1(truths, said),
        "macro_f1": classification.macro_f1(truths, said),
        "precision": classification.precision(truths, said),
        "recall": classification.recall(truths, said),
        "exact": statistic.share([float(bool(true) and true == one) for true, one in zip(truths, said, strict=True)]),
    }


def tempo(items: Sequence[Item], problems: Problems, _: Settings) -> dict[str, Statistic]:
    """Tempi: lines {"prediction": number or text, "reference": number}, in beats a minute.

    Raises:
        ConfigError: no item has a reference above 0.
    """
    # Only this task needs it.
    from mllm.eval.metrics import tempo as metric

    truths = [_number_of_truth(item, problems) for item in items]
    if not any(truths):
        raise ConfigError('no line has "reference", a number above 0; nothing can be scored')
    said = [_number(item, problems) for item in items]
    pairs = list(zip(truths, said, strict=True))
    return {
        "acc1": statistic.share([float(true is not None and metric.acc1(true, one)) for true, one in pairs]),
        "acc2": statistic.share([float(true is not None and metric.acc2(true, one)) for true, one in pairs]),
        "answered": statistic.share([float(one is not None) for one in said]),
    }


def key(items: Sequence[Item], problems: Problems, _: Settings) -> dict[str, Statistic]:
    """Keys: lines {"prediction": text, "reference": text such as "F# minor"}.

    Raises:
        ConfigError: no item has a key as its reference.
    """
    # Only this task needs it, and it imports mir_eval.
    from mllm.eval.metrics import key as metric

    truths = [_key_of_truth(item, problems) for item in items]
    if not any(truths):
        raise ConfigError('no line has "reference", a key such as "F# minor"; nothing can be scored')
    said = [key_reader.read(_text(item, problems)) for item in items]
    pairs = list(zip(truths, said, strict=True))
    return {
        "exact": statistic.share([float(true is not None and metric.exact(true, one)) for true, one in pairs]),
        "mirex": statistic.share([0.0 if true is None else metric.mirex(true, one) for true, one in pairs]),
        "answered": statistic.share([float(one is not None) for one in said]),
    }


TASKS: Mapping[str, Callable[[Sequence[Item], Problems, Settings], dict[str, Statistic]]] = {
    "caption": caption,
    "choice": choice,
    "key": key,
    "tags": tags,
    "tempo": tempo,
}
"""By the name that `--task` takes."""


def _text(item: Item, problems: Problems) -> str:
    return predictions.text_of(item.prediction, item.id, problems)


def _choices(item: Item, problems: Problems) -> tuple[list[str], int] | None:
    """The options and which is right."""
    if item.truth is None:
        return None
    given, answer = item.truth.get("choices"), item.truth.get("answer")
    if isinstance(given, list) and len(given) > 1 and all(isinstance(one, str) for one in given):
        right = _place(given, answer)
        if right is not None:
            return given, right
    problems.add('items without two "choices" and an "answer" among them, which count as wrong', item.id)
    return None


def _place(choices: Sequence[str], answer: Any) -> int | None:
    if isinstance(answer, int) and not isinstance(answer, bool):
        return answer if 0 <= answer < len(choices) else None
    if not isinstance(answer, str):
        return None
    if answer in choices:
        return choices.index(answer)
    letter = answer.strip().strip("().").upper()
    place = _LETTERS.find(letter) if len(letter) == 1 else -1
    return place if 0 <= place < len(choices) else None


def _longest(choices: Sequence[str]) -> int:
    return max(range(len(choices)), key=lambda place: len(choices[place]))


def _labels(item: Item, problems: Problems) -> set[str]:
    if item.prediction is None:
        return set()
    if not isinstance(item.prediction, list) or not all(isinstance(one, str) for one in item.prediction):
        problems.add("predictions that are no list of texts, which count as empty", item.id)
        return set()
    return {label for one in item.prediction if (label := one.strip().lower())}


def _number_of_truth(item: Item, problems: Problems) -> float | None:
    value = None if item.truth is None else _finite(item.truth.get("reference"))
    if value is not None and value > 0:
        return value
    if item.truth is not None:
        problems.add('items without "reference", a number above 0, which count as wrong', item.id)
    return None


def _number(item: Item, problems: Problems) -> float | None:
    if isinstance(item.prediction, int | float) and not isinstance(item.prediction, bool):
        value = _finite(item.prediction)
        if value is None:
            problems.add("predictions that are no finite number, which count as empty", item.id)
        return value
    return tempo_reader.read(_text(item, problems))


def _finite(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _key_of_truth(item: Item, problems: Problems) -> str | None:
    given = None if item.truth is None else item.truth.get("reference")
    found = key_reader.read(given) if isinstance(given, str) else None
    if found is None and item.truth is not None:
        problems.add('items without "reference", a key such as "F# minor", which count as wrong', item.id)
    return found


def _mean(values: Sequence[float]) -> Ratio:
    return Ratio(numerators=np.array(values, dtype=np.float64), denominators=np.ones(len(values)))
