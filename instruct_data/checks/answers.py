"""What is learnt: answers that are empty, far too long, or hold what a program left in them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mllm.instruct_data import checking
from mllm.instruct_data.checking import Told
from mllm.instruct_data.checks._texts import plain
from mllm.instruct_data.findings import Finding

SUMMARY = "questions and answers are there, not over-long, and hold no unfilled fields"
_UNFILLED = re.compile(
    r"\{[a-z_]*\}|<(?:it|noun|this|that|of_it|in_it|name|instrument|key|tempo)>|\[[^\[\]|]+\|[^\[\]]*\]|\bNaN\b"
    r"|\bundefined\b|^None$|^null$|^nan$"
)
_LEAST_REPEATED = 12


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
            elif len(answer) >= 8 and len(answer) > _LEAST_REPEATED and plain(answer) == plain(question):
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
                if unfilled := _UNFILLED.search(text):
                    yield self.found(
                        "error",
                        "unfilled field",
                        where + turn,
                        f"the {name} holds {unfilled[0]!r}",
                        "fill it in, or take the record out",
                    )
