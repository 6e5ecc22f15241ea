"""What the reference backbone is pre-trained on and gated by: tokenizer, made conversations, prose, the gate.

In: seeds and, optionally, public-domain prose. Out: a tokenizer, endless batches of token ids, and the share of gate
questions answered right. Facts stand in the prompt as words, in the very place where soft tokens will stand later.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from mllm.errors import ConfigError
from mllm.instruct_data import blocks, dialogue, statements
from mllm.instruct_data.dialogue import Turn
from mllm.prompt import IGNORE_INDEX

SPECIAL_TOKENS: tuple[str, ...] = (
    "<|pad|>",
    "<|end|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|audio|>",
    "<|/audio|>",
    "<|audio_token|>",
    "<|item|>",
    "<|/item|>",
    "<|item_token|>",
)
MARKERS = {
    "audio_token": "<|audio_token|>",
    "audio_start": "<|audio|>",
    "audio_end": "<|/audio|>",
    "item_token": "<|item_token|>",
}
"""How soft tokens are written for the reference backbone; see `mllm.prompt.Markers`."""
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_SPLIT = r" ?[A-G][#b](?![A-Za-z])|\d|'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
GATE_PASS = 0.98
"""Share of gate questions that must be answered exactly right, in every part of the gate."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Settings of the text that the reference backbone is trained on."""

    prose: Path | None = None
    """`books.jsonl.gz`, one {"title", "text"} a line, public domain; None trains on made text alone."""
    vocab_size: int = 2048
    """Tokens, special ones included."""
    row_tokens: int = 256
    """Tokens in a row; rows with several windows take twice as many."""
    rows: int = 12
    """Rows in a step."""
    steps: int = 2800
    """Batches before the data ends."""
    seed: int = 1
    """Seed of the text."""


def read_prose(path: Path, *, characters: int = 6_000_000) -> str:
    """The first pages of many books, `characters` in all, headings removed."""
    texts: list[str] = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            body = re.sub(r"^#.*$|^-+$", "", json.loads(line)["text"], flags=re.MULTILINE)
            texts.append(re.sub(r"\s+", " ", body))
    share = characters // max(1, len(texts))
    return "\n".join(text[2000 : 2000 + share] for text in texts)


def questions_in(prose: str) -> tuple[str, ...]:
    """Questions found in prose, 15 to 90 characters long: things nobody can answer from a recording."""
    found = re.findall(r"[A-Z][^.?!\"“”]{14,88}\?", prose)
    return tuple(dict.fromkeys(q for q in found if not re.search(r"music|song|play|sing|instrument", q)))


def train_tokenizer(config: TextConfig, prose: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE in which digits, key names and every word of an audio block are single tokens."""
    rng = random.Random(config.seed)
    made: list[str] = []
    for _ in range(4000):
        context = statements.text_context(rng)
        turns = [dialogue.random_turn(rng, context.known[0]) for _ in range(6)]
        made.append(context.text + "\n".join(f"{t.question}\n{t.answer}" for t in turns))
    made += [" ".join(blocks.lexicon())] * 50 + ["".join(blocks.lexicon())] * 4000
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*made, prose[:1_500_000]], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=SPECIAL_TOKENS[0],
        eos_token=SPECIAL_TOKENS[1],
        additional_special_tokens=list(SPECIAL_TOKENS[2:]),
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    for word in blocks.lexicon():
        if len(fast.encode(word, add_special_tokens=False)) != 1:
            raise ConfigError(f"{word!r} is not one token with vocab_size={config.vocab_size}; use a larger vocab_size")
    return fast


class Conversations(torch.utils.data.IterableDataset[list[dict[str, list[int]]]]):
    """Endless batches of made conversations and prose; a resumed run skips what it has seen."""

    def __init__(self, config: TextConfig, tokenizer: PreTrainedTokenizerFast, prose: str) -> None:
        self._config = config
        self._tokenizer = tokenizer
        self._prose = prose
        self._asides = questions_in(prose)
        self._ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}

    def __iter__(self) -> Iterator[list[dict[str, list[int]]]]:
        for step in range(self._config.steps + 1):
            rng = random.Random(f"{self._config.seed}-{step}")
            yield self.batch(rng)

    def batch(self, rng: random.Random) -> list[dict[str, list[int]]]:
        """One step's rows, all of one kind of length."""
        long = rng.random() < 0.12
        count = max(1, self._config.rows // 2) if long else self._config.rows
        return [self.row(rng, long=long) for _ in range(count)]

    def row(self, rng: random.Random, *, long: bool) -> dict[str, list[int]]:
        """One conversation (or a piece of prose) that fills a row: ids, and labels on what is to be learnt."""
        if not long and self._prose and rng.random() < 0.1:
            start = rng.randrange(max(1, len(self._prose) - 6 * self._config.row_tokens))
            ids = self._encode(self._prose[start : start + 6 * self._config.row_tokens])[: self._config.row_tokens]
            return {"input_ids": ids, "labels": ids}
        kind = rng.random()
        if long:
            context = statements.audio_context(rng, windows=rng.choice((2, 3, 4, 6, 8)))
        elif kind < 0.1:
            context = statements.audio_context(rng, windows=1, recordings=2)
        elif kind < 0.72:
            context = statements.audio_context(rng, windows=1)
        else:
            context = statements.text_context(rng)
        limit = self._config.row_tokens * (2 if long else 1)
        return self._conversation(rng, context, limit)

    def _conversation(self, rng: random.Random, context: statements.Context, limit: int) -> dict[str, list[int]]:
        ids: list[int] = []
        labels: list[int] = []
        before = rng.random() < 0.1
        while True:
            turn = self._turn(rng, context)
            stated = context.text if not ids else ""
            text = turn.question + stated if before else stated + turn.question
            question = [self._ids["<|user|>"], *self._encode(text), self._ids["<|end|>"], self._ids["<|assistant|>"]]
            answer = [*self._encode(turn.answer), self._ids["<|end|>"]]
            if ids and len(ids) + len(question) + len(answer) > limit:
                return {"input_ids": ids, "labels": labels}
            ids += question + answer
            labels += [IGNORE_INDEX] * len(question) + answer

    def _turn(self, rng: random.Random, context: statements.Context) -> Turn:
        if len(context.known) == 2:
            return dialogue.two_recordings_turn(rng, (context.known[0], context.known[1]))
        if self._asides and rng.random() < 0.03:
            return Turn(question=rng.choice(self._asides), answer=dialogue.cannot_tell("that"), intent="aside")
        turn = dialogue.random_turn(rng, context.known[0])
        return dataclasses.replace(turn, question=_disguise(rng, turn.question))

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))


def _disguise(rng: random.Random, question: str) -> str:
    """The question as people type it: sometimes without capitals, without its mark, or with a word before it."""
    kind = rng.random()
    if kind < 0.1:
        question = question.lower()
    elif kind < 0.25:
        lead = rng.choice(("Please tell me: ", "Hello. ", "Listen to this. ", "Now, ", "And ", "OK, ", "Tell me, "))
        question = lead + question
    if rng.random() < 0.08:
        question = question.rstrip("?.")
    return question


def pad(rows: list[list[dict[str, list[int]]]], pad_id: int) -> dict[str, torch.Tensor]:
    """Collates one ready batch: right padding, labels ignored there."""
    batch = rows[0]
    width = max(len(row["input_ids"]) for row in batch)
    return {
        "input_ids": torch.tensor([row["input_ids"] + [pad_id] * (width - len(row["input_ids"])) for row in batch]),
        "labels": torch.tensor([row["labels"] + [IGNORE_INDEX] * (width - len(row["labels"])) for row in batch]),
        "attention_mask": torch.tensor(
            [[1] * len(row["input_ids"]) + [0] * (width - len(row["input_ids"])) for row in batch]
        ),
    }


GATE_PARTS = ("audio block", "several windows", "text")


@torch.no_grad()
def gate(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, *, questions: int, seed: int = 99
) -> dict[str, Any]:
    """Asks held-out wordings about facts stated in blocks and in held-out English; counts exactly right answers.

    An answer counts where every one of its tokens is the most probable one, so that greedy decoding gives that answer.

    Returns:
        {"parts": {part: share right}, "intents": {intent: share right}, "wrong": examples}, shares in [0, 1].
    """
    rng = random.Random(seed)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    rows, described = [], []
    for index in range(questions):
        part = GATE_PARTS[index % len(GATE_PARTS)]
        if part == "text":
            context = statements.text_context(rng, held_out=True)
        else:
            context = statements.audio_context(rng, windows=1 if part == "audio block" else rng.choice((2, 3, 5)))
        turn = dialogue.random_turn(rng, context.known[0], held_out=True)
        asked = tokenizer.encode(context.text + turn.question, add_special_tokens=False)
        prompt = [ids["<|user|>"], *asked, ids["<|end|>"], ids["<|assistant|>"]]
        answer = [*tokenizer.encode(turn.answer, add_special_tokens=False), ids["<|end|>"]]
        rows.append({"input_ids": prompt + answer, "labels": [IGNORE_INDEX] * len(prompt) + answer})
        described.append((part, context.text, turn))
    right = [False] * len(rows)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]["input_ids"]))
    was_training = model.training
    model.eval()
    for start in range(0, len(order), 32):
        chosen = order[start : start + 32]
        batch = pad([[rows[i] for i in chosen]], ids["<|pad|>"])
        guesses = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1].argmax(-1)
        labels = batch["labels"][:, 1:]
        exact = ((guesses == labels) | (labels == IGNORE_INDEX)).all(dim=1)
        for i, good in zip(chosen, exact.tolist(), strict=True):
            right[i] = bool(good)
    model.train(was_training)

    def share(keys: list[str]) -> dict[str, float]:
        return {
            key: sum(r for r, k in zip(right, keys, strict=True) if k == key) / keys.count(key)
            for key in dict.fromkeys(keys)
        }

    wrong = [f"{c}{t.question} -> {t.answer}" for r, (_, c, t) in zip(right, described, strict=True) if not r]
    return {
        "questions": len(rows),
        "parts": share([part for part, _, _ in described]),
        "intents": share([turn.intent for _, _, turn in described]),
        "wrong": wrong[:20],
    }


class GateReading(TrainerCallback):  # type: ignore[misc]
    """Reads a short gate whenever a checkpoint is written, and prints it."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer

    def on_save(
        self, _args: TrainingArguments, state: TrainerState, control: TrainerControl, **parts: Any
    ) -> TrainerControl:
        """Prints shares right by part and by intent."""
        reading = gate(parts["model"], self._tokenizer, questions=450)
        rounded = {k: {n: round(v, 3) for n, v in reading[k].items()} for k in ("parts", "intents")}
        print(f"gate at step {state.global_step}: {json.dumps(rounded)}", flush=True)
        return control
