"""Rankings by likelihood: captions for a recording, and recordings for a caption.

In: a question of kind "rank" that has `texts`. Out: what must be weighed for it, and of the weights a ranking. What is
compared is how much more likely a text is with the recording than with silence, log p(text | recording) -
log p(text | silence), so that a text which is likely whatever is heard comes first nowhere. Knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from mllm.errors import MllmError
from mllm.eval import conditions
from mllm.eval.questions import Question, Said, asked
from mllm.messages import Audio, Message

Weighed: TypeAlias = tuple[tuple[Message, ...], Sequence[str]]
"""A conversation, and texts whose likelihood as its answer is wanted."""


def to_weigh(question: Question) -> list[Weighed]:
    """What the ranking needs: its texts after each recording, and after silence."""
    texts: Sequence[str] = question.given["texts"]
    silence = Audio(source=conditions.silence())
    return [(asked(question.asked, [recording]), texts) for recording in (*question.recordings, silence)]


def ranked(question: Question, chances: Sequence[tuple[float, ...] | MllmError]) -> Said:
    """The candidates, the best first; equally good ones in the order in which they were given.

    Args:
        question: whose `texts` are as many as its candidates, or one, with as many recordings as candidates.
        chances: of what `to_weigh` gave.
    """
    candidates: Sequence[str] = question.given["candidates"]
    known = []
    for one in chances:
        if isinstance(one, MllmError):
            return Said(error=str(one))
        known.append(one)
    *heard, silent = known
    if len(heard) == 1:
        gains = [with_sound - without for with_sound, without in zip(heard[0], silent, strict=True)]
    else:
        gains = [with_sound[0] - silent[0] for with_sound in heard]
    order = sorted(range(len(candidates)), key=lambda place: -gains[place])
    return Said(ranking=tuple(candidates[place] for place in order))
