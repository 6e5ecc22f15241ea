"""Captions in the styles that are offered: what the model is asked for each, and what is taken of its answer.

In: answers. Out: texts, tags. Knows no models and no audio.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from mllm.describe import CAPTION_QUESTION

Style: TypeAlias = Literal["short", "long", "tags"]

STYLES: tuple[Style, ...] = ("short", "long", "tags")
TAGS_QUESTION = "Give tags for this."
"""In words of its training."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def question(style: Style) -> str:
    """What the model is asked."""
    return TAGS_QUESTION if style == "tags" else CAPTION_QUESTION


def text(style: Style, answer: str) -> str:
    """What is taken of the answer: its first sentence where a short caption is wanted, else all of it."""
    return _SENTENCE_END.split(answer, maxsplit=1)[0] if style == "short" else answer


def tags(answer: str) -> list[str]:
    """The tags that an answer to `TAGS_QUESTION` lists, in order, each once."""
    return list(dict.fromkeys(tag for tag in (part.strip(" .") for part in answer.split(",")) if tag))
