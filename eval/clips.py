"""A set of labelled recordings that a task gives to the evaluation.

In: a labels file, one JSON object a line. Out: its rows, and the types that tasks fill. Knows no particular data set.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from mllm.errors import ConfigError
from mllm.eval.metrics import Truth


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip:
    """One labelled recording."""

    id: str
    audio: Path
    truth: Truth


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipSet:
    """All recordings of a task, and what a reader of its figures must know."""

    clips: tuple[Clip, ...]
    synonyms_hold: bool
    """Whether a label also holds for the other names of the instrument that questions may use."""
    notes: tuple[str, ...] = ()
    """Sentences for the report: what is not labelled, which words were not understood."""


def read_rows(labels: Path, *, required: tuple[str, ...], limit: int | None = None) -> list[dict[str, Any]]:
    """The objects in a labels file.

    Args:
        labels: path of the file.
        required: fields that every object must have.
        limit: read that many from the beginning, at least 1; None for all.

    Raises:
        ConfigError: if the file is absent or empty, a line is not a JSON object, or a required field is missing.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"limit is {limit}; expected at least 1 clip")
    try:
        lines = labels.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"the labels {labels} cannot be read ({error}); give the path of a labels.jsonl") from error
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines[:limit], start=1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ConfigError(f"{labels}, line {number} is not JSON ({error}); write the file again") from error
        missing = [name for name in required if not isinstance(row, dict) or name not in row]
        if missing:
            raise ConfigError(f"{labels}, line {number} has no {' and no '.join(missing)}; is it of another task?")
        rows.append(row)
    if not rows:
        raise ConfigError(f"{labels} is empty; expected one JSON object a line")
    return rows
