"""What the files of `augment/` that ask about recordings give and are given.

In: nothing. Out: the two types that join questions with the records made of them. A file of `augment/` that asks about
recordings has `SUMMARY` (a sentence), `TRACKS` (1 or 2: how many recordings one question is about) and
`exchanges(tracks, draw) -> Iterator[Exchange]`: any number of true exchanges about these tracks, none where what would
have to be known is None. Other files of `augment/` have functions of their own. Knows nothing of files.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

from mllm.instruct_data.tracks import Track


@dataclasses.dataclass(frozen=True, kw_only=True)
class Draw:
    """Where an exchange takes its chances from."""

    rng: random.Random
    """The only source of chance."""
    held_out: bool
    """Whether the wordings are those that training never uses: for the test split."""
    others: Sequence[Track] = ()
    """Other recordings of the same split: what is true of them and not here makes distractors. Drawn from them, a wrong
    option is as common among right ones as a right one, so that nothing is gained by knowing what is common."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exchange:
    """Questions with true answers, one conversation."""

    turns: tuple[tuple[str, str], ...]
    """Question and answer; the recordings stand before the first question."""
    template: str
    """As in `Record`."""
    choices: tuple[str, ...] = ()
    correct: int | None = None
    label: str | None = None
    """As in `Record`."""
