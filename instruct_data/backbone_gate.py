"""The gate of the reference backbone: questions in held-out wordings, about facts that stand in the prompt.

In: a backbone and its tokenizer. Out: the share of questions that it answers exactly right, by part and by intent, and
whether that is enough; for a training, a callback that reads a short gate. Knows no audio.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import torch
from transformers import (
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from mllm.instruct_data import dialogue, statements
from mllm.instruct_data.backbone_text import SPECIAL_TOKENS, pad, token_id
from mllm.prompt import IGNORE_INDEX

GATE_PASS = 0.98
"""Share of gate questions that must be answered exactly right, in every part of the gate."""
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
    ids = {token: token_id(tokenizer, token) for token in SPECIAL_TOKENS}
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


def passes(directory: Path, *, questions: int) -> bool:
    """Reads the gate of a stored backbone, writes `gate.json` beside it and prints the shares right by part.

    Args:
        directory: of the backbone and its tokenizer.
        questions: of the gate.
    """
    stored = LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32)
    reading = gate(stored, PreTrainedTokenizerFast.from_pretrained(directory), questions=questions)
    (directory / "gate.json").write_text(json.dumps(reading, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(reading["parts"], indent=1))
    return bool(min(reading["parts"].values()) >= GATE_PASS)


class GateReading(TrainerCallback):
    """Reads a short gate whenever a checkpoint is written, and prints it."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer

    def on_save(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,
        **parts: Any,
    ) -> TrainerControl:
        """Prints shares right by part and by intent."""
        reading = gate(parts["model"], self._tokenizer, questions=450)
        rounded = {k: {n: round(v, 3) for n, v in reading[k].items()} for k in ("parts", "intents")}
        print(f"gate at step {state.global_step}: {json.dumps(rounded)}", flush=True)
        return control
