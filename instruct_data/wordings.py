"""What is asked and stated, in the wordings of training and in those kept for the gate.

In: plain sentences from `sentences/train.json` and `sentences/held_out.json`, and the patterns of `question_patterns`,
`unanswerable_patterns` and `statement_patterns`. Most of the sentences were written, with a language model, by writers
who saw neither these patterns nor each other's; one of them wrote most of the held-out ones and the first 20 an intent
of the training. Out: `QUESTIONS[intent]`, `CANNOT_TELL[what]` and `STATEMENTS[field]`. Knows no facts: `{x}` fields are
filled by `dialogue` and `statements`.
"""

from __future__ import annotations

import json
from pathlib import Path

from mllm.instruct_data import question_patterns, statement_patterns, unanswerable_patterns
from mllm.instruct_data.phrases import Phrasings


def _phrasings(group: str, patterns: dict[str, tuple[str, ...]]) -> dict[str, Phrasings]:
    """Patterns and plain sentences for training, and the sentences kept from it."""
    folder = Path(__file__).parent / "sentences"
    train, held_out = (json.loads((folder / f"{name}.json").read_bytes())[group] for name in ("train", "held_out"))
    return {
        name: Phrasings(train=(*own, *train[name]), held_out=tuple(held_out[name])) for name, own in patterns.items()
    }


QUESTIONS = _phrasings("questions", question_patterns.QUESTIONS)
"""Questions by intent; see the patterns for their fields."""
CANNOT_TELL = _phrasings("cannot_tell", unanswerable_patterns.CANNOT_TELL)
"""What sound alone, to this model, does not tell; by the words used in the answer."""
STATEMENTS = _phrasings("statements", statement_patterns.STATEMENTS)
"""Sentences that state one field, `{x}`, of what is known; "instruments" states all of them."""
