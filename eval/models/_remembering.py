"""The same question is asked once: silence in place of a hundred recordings makes a hundred equal questions.

In: questions, and somebody who answers several at a time. Out: an answer each, in their order. Errors are not
remembered. Knows no model.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

from mllm.eval.questions import Question, Said
from mllm.messages import Audio, Part


class Remembering:
    """Answers of one model.

    Args:
        answer: gives one answer a question, in order.
        at_once: different questions that `answer` is given at a time.
    """

    def __init__(self, answer: Callable[[Sequence[Question]], Sequence[Said]], *, at_once: int) -> None:
        self._answer = answer
        self._at_once = at_once
        self._known: dict[Hashable, Said] = {}

    def respond(self, questions: Sequence[Question]) -> Iterator[Said]:
        """One answer a question, in order."""
        waiting: list[Hashable] = []
        fresh: dict[Hashable, Question] = {}
        for question in questions:
            key = _key(question)
            waiting.append(key)
            if key not in self._known:
                fresh.setdefault(key, question)
            if len(fresh) == self._at_once:
                yield from self._settle(waiting, fresh)
                waiting, fresh = [], {}
        yield from self._settle(waiting, fresh)

    def _settle(self, waiting: Sequence[Hashable], fresh: Mapping[Hashable, Question]) -> Iterator[Said]:
        came = self._answer(list(fresh.values())) if fresh else []
        now = dict(zip(fresh, came, strict=True))
        self._known.update({key: said for key, said in now.items() if said.error is None})
        for key in waiting:
            yield now[key] if key in now else self._known[key]


def _key(question: Question) -> Hashable:
    """Equal for questions that tell a model the same."""
    spoken = tuple((message.role, tuple(_told(part) for part in message.parts)) for message in question.messages)
    given = json.dumps(dict(question.given), sort_keys=True, default=str)
    return question.kind, spoken, question.choices, given, question.max_new_tokens


def _told(part: Part) -> Hashable:
    if isinstance(part, Audio) and isinstance(part.source, bytes):
        return _hash(part.source), part.start, part.end
    return part


@functools.lru_cache(maxsize=8)
def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
