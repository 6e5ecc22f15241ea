"""What the model said, token by token, and how sure it was.

In: nothing but what generation found. Out: immutable `Answer` objects, which the command line prints, `mllm.describe`
reads as facts, and evaluation scores. Knows nothing of models, audio or files.
"""

from __future__ import annotations

import dataclasses
import math

MAX_NEW_TOKENS = 160
"""Longest answer in tokens, unless told otherwise."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Token:
    """One generated token and the piece of the answer that it spells."""

    start: int
    """Where its text begins in `Answer.text`."""
    end: int
    """Where it ends; equal to `start` for a token that writes nothing, such as the end of the answer."""
    probability: float
    """What the model gave it, given everything before it, in [0, 1]."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer of the model."""

    text: str
    """The answer, without white space around it."""
    seconds_heard: float
    """Seconds of sound heard, over all recordings of the conversation, overlaps counted once."""
    total_seconds: float
    """Length of these recordings together, in seconds."""
    tokens: tuple[Token, ...]
    """Every generated token, at least one, the end of the answer included."""
    complete: bool
    """Whether the model ended the answer itself; False where `max_new_tokens` cut it off."""

    @property
    def confidence(self) -> float:
        """Geometric mean of the tokens' probabilities, in [0, 1]."""
        if any(token.probability <= 0.0 for token in self.tokens):
            return 0.0
        return math.exp(sum(math.log(token.probability) for token in self.tokens) / len(self.tokens))

    def probability_of(self, start: int, end: int) -> float:
        """Probability, in [0, 1], of what stands at `start` to `end` (exclusive) of the text, given what precedes it.

        The product over the tokens that spell any of it; 1.0 where none does.
        """
        return math.prod(token.probability for token in self.tokens if self._touches(token, start, end))

    @staticmethod
    def _touches(token: Token, start: int, end: int) -> bool:
        return token.start < end and (token.end > start or token.start == token.end >= start)
