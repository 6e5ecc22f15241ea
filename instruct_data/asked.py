"""The wordings of questions about recordings, of training and held out, and how one of them is put.

In: `sentences/asked_<kind>.json`, which hold patterns for training and separately written sentences for the test by
intent, and a `Draw`. Out: `Phrasings`, and questions with their fields filled. The held-out sentences were written
after the patterns, in other constructions. Knows no facts and no answers.
"""

from __future__ import annotations

import functools
import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from mllm.instruct_data import in_words
from mllm.instruct_data.exchanges import Draw
from mllm.instruct_data.phrases import Phrasings

_FOLDER = Path(__file__).parent / "sentences"
_NO_QUESTION = re.compile(
    r"(?:I want|I need|I would like|I'd like|I wonder|(?:Please )?tell me|Let me|Help me)\b[^?.!]*\?", re.I
)
"""A request that the patterns end with a question mark."""
_Name = TypeVar("_Name")


@functools.cache
def phrasings(kind: str) -> Mapping[str, Phrasings]:
    """The wordings of one kind of question by intent; `kind` is the name of a file in `augment/`."""
    plain = json.loads((_FOLDER / f"asked_{kind}.json").read_bytes())
    return {
        intent: Phrasings(train=tuple(wordings["train"]), held_out=tuple(wordings["held_out"]))
        for intent, wordings in plain.items()
    }


def kinds() -> tuple[str, ...]:
    """The kinds of question that have wordings of their own."""
    return tuple(sorted(path.stem.removeprefix("asked_") for path in _FOLDER.glob("asked_*.json")))


def ask(draw: Draw, wordings: Phrasings, /, **fields: object) -> str:
    """A question in one of its wordings, its fields filled."""
    pattern = wordings.choose(draw.rng, held_out=draw.held_out)
    question = in_words.sentence(pattern.format(**fields))
    return f"{question[:-1]}." if _NO_QUESTION.fullmatch(question) else question


def weighted_order(rng: random.Random, weights: Mapping[_Name, float]) -> list[_Name]:
    """Names in random order; the larger its weight, the earlier one tends to stand. Those of weight 0 are left out."""
    return sorted(
        (name for name, weight in weights.items() if weight > 0),
        key=lambda name: rng.random() ** (1 / weights[name]),
        reverse=True,
    )


def pick(rng: random.Random, values: Sequence[_Name]) -> _Name | None:
    """One of the values, None of none."""
    return rng.choice(values) if values else None
