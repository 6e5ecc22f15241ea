"""Listening in on `generate`: how probable each token was, and its text as it comes.

In: what transformers' `generate` hands to a logits processor and a streamer. Out: probabilities, pieces of text, and
the place of each token in the text. Knows nothing of audio, prompts or files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase
from transformers.generation.logits_process import LogitsProcessor
from transformers.generation.streamers import BaseStreamer

from mllm.answer import Answer, Token

UNFINISHED = "\ufffd"
"""What a tokenizer writes for a character of which some bytes are still to come."""


class ProbabilityRecorder(LogitsProcessor):
    """Notes what the model gave each token that was then chosen; keeps one step of logits, not all of them."""

    def __init__(self) -> None:
        self._chosen: list[Tensor] = []
        self._offered: Tensor | None = None

    def __call__(
        self, input_ids: Int[Tensor, "batch text"], scores: Float[Tensor, "batch vocabulary"]
    ) -> Float[Tensor, "batch vocabulary"]:
        """The scores unchanged; the last of `input_ids` was chosen from the scores of the call before."""
        self._note(input_ids[:, -1])
        self._offered = scores.float().log_softmax(-1)
        return scores

    def finish(self, sequences: Int[Tensor, "batch text"]) -> Float[Tensor, "batch tokens"]:
        """Probability, in [0, 1], of each generated token of the finished sequences."""
        self._note(sequences[:, -1])
        self._offered = None
        return torch.stack(self._chosen, dim=1).exp()

    def _note(self, chosen: Tensor) -> None:
        if self._offered is not None:
            self._chosen.append(self._offered.gather(1, chosen[:, None])[:, 0])


class TextStream(BaseStreamer):  # type: ignore[no-untyped-call,unused-ignore]
    """Hands out the text of one answer as it grows; joined, the pieces are the answer without white space around it."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, write: Callable[[str], object]) -> None:
        self._tokenizer = tokenizer
        self._write = write
        self._ids: list[int] = []
        self._prompt_seen = False
        self._written = 0

    def put(self, value: Tensor) -> None:
        """One step's token; the first call brings the prompt."""
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        self._ids += value.flatten().tolist()
        self._grow_to(plain_text(self._tokenizer, self._ids).strip().rstrip(UNFINISHED).rstrip())

    def end(self) -> None:
        """The answer is complete."""
        self._grow_to(plain_text(self._tokenizer, self._ids).strip())

    def _grow_to(self, text: str) -> None:
        if len(text) > self._written:
            self._write(text[self._written :])
            self._written = len(text)


def answer_of(
    tokenizer: PreTrainedTokenizerBase,
    ids: Sequence[int],
    probabilities: Sequence[float],
    *,
    complete: bool,
    seconds_heard: float,
    total_seconds: float,
) -> Answer:
    """The answer that generated ids spell.

    Args:
        tokenizer: of the model.
        ids: all that was generated, the end of the answer included, at least one.
        probabilities: of each id, in [0, 1] but for rounding.
        complete: whether the model ended the answer itself.
        seconds_heard: of all recordings of the conversation.
        total_seconds: length of these recordings together.
    """
    return Answer(
        text=plain_text(tokenizer, ids).strip(),
        seconds_heard=seconds_heard,
        total_seconds=total_seconds,
        tokens=tuple(
            Token(start=start, end=end, probability=min(1.0, probability))
            for (start, end), probability in zip(token_spans(tokenizer, ids), probabilities, strict=True)
        ),
        complete=complete,
    )


def plain_text(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of generated ids, without special tokens; placeholders past the vocabulary write nothing."""
    known = [i for i in ids if i < len(tokenizer)]
    return str(tokenizer.decode(known, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def token_spans(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[tuple[int, int]]:
    """Where each generated token stands in the answer, which is `plain_text` without white space around it.

    Returns:
        (start, end) for each id; what writes nothing, or only white space around the answer, is empty.
    """
    whole = plain_text(tokenizer, ids)
    answer = whole.strip()
    before = len(whole) - len(whole.lstrip())
    ends = [len(plain_text(tokenizer, ids[: i + 1]).rstrip(UNFINISHED)) - before for i in range(len(ids))]
    ends[-1:] = [len(answer)]  # the answer may end in the middle of a character
    spans, start = [], 0
    for given in ends:
        end = min(max(given, start), len(answer))
        spans.append((start, end))
        start = end
    return spans
