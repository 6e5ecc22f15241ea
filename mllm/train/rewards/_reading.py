"""What rewards have in common: which questions they apply to, and how an answer is read.

In: an answer, and the facts of its question. Out: whether a field was asked for, and the fields of an answer in JSON,
as `mllm describe` reads them. Knows no reward.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mllm import describe
from mllm.answer import Answer, Token
from mllm.describe import Description

LONGEST_ANSWER = 4000
"""Characters; what is longer says nothing that a reward reads, so that no answer takes long to judge."""


def is_asked(facts: Mapping[str, Any], field: str) -> bool:
    """Whether a question asks for a field whose truth is known; without `asked`, every field that is there."""
    asked = facts.get("asked")
    return facts.get(field) is not None and (asked is None or field in asked)


def readable(answer: str) -> str:
    """The answer without white space around it; nothing where it is longer than `LONGEST_ANSWER`."""
    return answer.strip() if len(answer) <= LONGEST_ANSWER else ""


def is_json(answer: str) -> bool:
    """Whether an answer means to be a JSON object."""
    return answer.lstrip().startswith("{")


def described(answer: str) -> Description:
    """What an answer in JSON states; an answer that is not exactly one object states nothing."""
    whole = Token(start=0, end=len(answer), probability=1.0)
    return describe.read(Answer(text=answer, seconds_heard=0.0, total_seconds=0.0, tokens=(whole,), complete=True))
