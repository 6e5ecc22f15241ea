"""Pre-trains the compact reference backbone on text and reads its gate.

    python scripts/train_backbone.py --train_settings.output runs/backbone --text.prose books.jsonl.gz

Resumes from the last checkpoint in `--train_settings.output`; `--train_settings.start DIR` goes on from a finished
backbone with a new schedule and, with `--text.curriculum`, what it has not learnt yet. Exit
status 1 if the gate is not passed.
"""

from __future__ import annotations

import dataclasses
import sys

from jsonargparse import auto_cli
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from mllm.instruct_data import backbone_text
from mllm.instruct_data.backbone_gate import GateReading, passes
from mllm.instruct_data.backbone_text import Conversations, TextConfig
from mllm.train.backbone import BackboneConfig, train


def run(train_settings: BackboneConfig, text: TextConfig = TextConfig(), gate_questions: int = 3000) -> int:  # noqa: B008
    """Trains the backbone and reads the gate.

    Args:
        train_settings: sizes and schedule.
        text: what it is trained on.
        gate_questions: questions of the final gate.
    """
    text = dataclasses.replace(text, steps=train_settings.steps)
    prose = backbone_text.read_prose(text.prose) if text.prose is not None else ""
    saved = train_settings.output / "tokenizer"
    if train_settings.start is not None:
        PreTrainedTokenizerFast.from_pretrained(train_settings.start).save_pretrained(saved)
    elif not saved.exists():
        backbone_text.train_tokenizer(text, prose).save_pretrained(saved)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(saved)
    pad_id = int(tokenizer.pad_token_id)

    def prepare(model: LlamaForCausalLM) -> None:
        if train_settings.start is None:
            backbone_text.prepare_lookups(model, tokenizer, seed=train_settings.seed)
        elif text.curriculum == "comparisons":
            backbone_text.tell_meters_apart(model, tokenizer)

    train(
        train_settings,
        tokenizer,
        Conversations(text, tokenizer, prose),
        lambda rows: backbone_text.pad(rows, pad_id),
        [GateReading(tokenizer)],
        prepare,
    )
    return 0 if passes(train_settings.output / "final", questions=gate_questions) else 1


if __name__ == "__main__":
    sys.exit(auto_cli(run, as_positional=False))
