"""What is learnt: answers that are empty, far too long, or hold what a program left in them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mllm.instruct_data import checking
from mllm.instruct_data.checking import Told
from mllm.instruct_data.findings import Finding

SUMMARY = "questions and answers are there, not over-long, and hold no unfilled fields"
_UNFILLED = re.compile(
    r"\{[a-z_]*\}|<(?:it|noun|this|that|of_it|in_it|name|instrument|key|tempo)>|\[[^\[\]|]+\|[^\[\]]*\]"
)
_OF_PROGRAMS = ("None", "null", "nan", "NaN", "undefined", "[]", "{}")
"""What programs write where they have nothing."""
_LEAST_REPEATED = 12
"""A shorter answer may well be the same as its question."""


class Check(checking.Check):
    """Looks at one record at a time."""

    def of_record(self, told: Told) -> Iterator[Finding]:
        """Of each record."""
        where = f"{told.place} (record {told.record.id!r})"
        longest = self.settings.longest_answer
        for number, (question, answer) in enumerate(told.turns, start=1):
            turn = f", turn {number}" if len(told.turns) > 1 else ""
            if not any(character.isalnum() for character in answer):
                yield self.found(
                    "error", "empty answer", where + turn, f"the answer is {answer[:20]!r}", "write it or take it out"
                )
            elif not any(character.isalnum() for character in question):
                yield self.found(
                    "error", "empty question", where + turn, "nothing is asked", "write the question or take it out"
                )
            elif len(answer) > _LEAST_REPEATED and told.words[number - 1][0] == told.words[number - 1][1]:
                yield self.found(
                    "error", "answer that repeats the question", where + turn, "says what was asked", "write an answer"
                )
            if len(answer) > longest:
                yield self.found(
                    "warning",
                    "over-long answer",
                    where + turn,
                    f"the answer has {len(answer):,} characters, more than {longest:,}",
                    "shorten it, or training cuts it off (--longest-answer sets the bound)",
                )
            for name, text in (("question", question), ("answer", answer)):
                if unfilled := _unfilled(text):
                    yield self.found(
                        "error",
                        "unfilled field",
                        where + turn,
                        f"the {name} holds {unfilled!r}",
                        "fill it in, or take the record out",
                    )


def _unfilled(text: str) -> str:
    """What was left in a text; empty: nothing."""
    if text.strip(" .") in _OF_PROGRAMS:
        return text
    if "{" not in text and "<" not in text and "[" not in text:
        return ""
    there = _UNFILLED.search(text)
    return there[0] if there else ""
