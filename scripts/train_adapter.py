"""Trains the adapter of the reference checkpoint under its frozen backbone and writes the checkpoint.

    python scripts/train_adapter.py --train.output runs/adapter --parts.backbone runs/backbone/final \
        --parts.encoder runs/encoder/encoder --parts.stores '[runs/features/train]' --parts.checkpoint runs/reference

Resumes from the last checkpoint in `--train.output`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

from jsonargparse import auto_cli
from transformers import PreTrainedTokenizerFast

from mllm import checkpoint
from mllm.encoders import cqt
from mllm.instruct_data import blocks, lessons
from mllm.instruct_data.backbone_text import MARKERS, token_id
from mllm.instruct_data.lessons import LessonConfig, Lessons
from mllm.processing import MusicLLMProcessor
from mllm.train import adapter as adapter_training
from mllm.train.adapter import AdapterTrainingConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """What the checkpoint is put together from, and where it goes."""

    backbone: Path
    """Directory of the frozen backbone."""
    encoder: Path
    """Directory of the frozen encoder."""
    stores: list[Path]
    """Feature stores of rendered clips."""
    checkpoint: Path
    """Where the finished checkpoint goes."""
    card: Path
    """Model card (Markdown)."""
    hidden_size: int = 192
    """Width of the adapter."""
    layers: int = 2
    """Layers of the adapter."""
    limit: int | None = None
    """At most that many clips of each store."""


def run(train: AdapterTrainingConfig, parts: Parts, lesson: LessonConfig = LessonConfig()) -> int:  # noqa: B008
    """Trains and writes the checkpoint.

    Args:
        train: the schedule.
        parts: frozen parts, data and the place of the result.
        lesson: how conversations are drawn.
    """
    tokenizer = PreTrainedTokenizerFast.from_pretrained(parts.backbone)
    encoder = cqt.Encoder.from_pretrained(parts.encoder)
    lexicon = [tokenizer.encode(word, add_special_tokens=False)[0] for word in blocks.lexicon()]
    model = checkpoint.assemble(
        backbone=parts.backbone,
        audio_encoder=parts.encoder,
        encoder_name="cqt",
        adapter={
            "name": "align",
            "lexicon_token_ids": lexicon,
            "queries": blocks.SLOTS,
            "chunk_seconds": encoder.window_seconds,
            "hidden_size": parts.hidden_size,
            "num_layers": parts.layers,
        },
        seed=train.seed,
        **MARKERS,
        audio_token_id=token_id(tokenizer, MARKERS["audio_token"]),
        item_token_id=token_id(tokenizer, MARKERS["item_token"]),
    )
    processor = MusicLLMProcessor.from_config(model.config, tokenizer)
    heard = [clip for store in parts.stores for clip in lessons.hear(encoder, store, limit=parts.limit)]
    nothing = list(lessons.hear_nothing(encoder, count=60, seed=train.seed))
    print(f"{len(heard)} clips heard", flush=True)
    examples = Lessons(lesson, processor, heard, nothing, word_steps=train.word_steps)
    metrics = adapter_training.train(model, train, examples, pad_id=int(tokenizer.pad_token_id))
    print(json.dumps(dict(metrics)), flush=True)
    settings = {
        "train": dataclasses.asdict(train),
        "parts": dataclasses.asdict(parts),
        "lesson": dataclasses.asdict(lesson),
        "clips": len(heard),
    }
    checkpoint.save(
        model,
        processor,
        parts.checkpoint,
        card=parts.card.read_text(encoding="utf-8"),
        run=json.loads(json.dumps(settings, default=str)),
        frozen={"backbone": "backbone", "audio_encoder": "audio_encoder"},
    )
    return 0


if __name__ == "__main__":
    sys.exit(auto_cli(run, as_positional=False))
