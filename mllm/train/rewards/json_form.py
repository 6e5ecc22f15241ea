"""The reward for the form of an answer in JSON: 1 if it is valid, 0 if not; its truth is for other rewards.

Valid is exactly one object of `describe.answer_schema()`, which admits what the published schema (mllm/schema) says of
the fields, and which states something where something is known. Asked for by "json" in the `asked` of a question. Knows
no audio.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import jsonschema
from jsonschema.protocols import Validator

from mllm import describe
from mllm.train.rewards import _reading


def reward(answer: str, facts: Mapping[str, Any]) -> float | None:
    """0 or 1; None where no JSON is asked for."""
    if "json" not in (facts.get("asked") or ()):
        return None
    try:
        stated = json.loads(_reading.readable(answer), object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        return 0.0
    if not _validator().is_valid(stated):
        return 0.0
    is_known = any(facts.get(name) is not None for name in describe.FIELDS)
    return float(not is_known or any(value is not None for value in stated.values()))


@functools.cache
def _validator() -> Validator:
    return jsonschema.Draft202012Validator(describe.answer_schema())


def _distinct(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these members; ValueError where a name stands twice."""
    if len({name for name, _ in members}) < len(members):
        raise ValueError("a name stands twice")
    return dict(members)
