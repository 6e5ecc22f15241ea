"""A whole checkpoint of tiny random parts, and recordings to hear, for tests of everything that stands on a model."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mllm import checkpoint
from mllm.encoders import mert
from mllm.items import Catalogue, ItemSpace
from mllm.processing import MusicLLMProcessor
from mllm.settings import config_from_dict

RATE_HZ = 24_000
CONTEXT_TOKENS = 400
WINDOW_SECONDS = 5.0
ITEM_SPACE = ItemSpace(name="tiny", rows=2, width=6)
_ENCODER = Path(__file__).parent / "data" / "tiny" / "encoder_mert.json"


def write_checkpoint(
    directory: Path,
    tokenizer: PreTrainedTokenizerFast,
    *,
    seed: int = 3,
    audio_token_id: int | None = None,
    head_dim: int = 8,
    takes_items: bool = False,
) -> Path:
    """Two soft tokens a second, windows of 5 s, 3 windows at most; the answers mean nothing.

    `audio_token_id` may lie past the vocabulary, as for a backbone that knows no audio; None: the tokenizer's own. With
    `takes_items`, an item of `ITEM_SPACE` takes two soft tokens.
    """
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        head_dim=head_dim,
        max_position_embeddings=CONTEXT_TOKENS,
        initializer_range=0.4,  # so that the answer depends on what is heard
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    backbone: Any = LlamaForCausalLM(config)
    backbone.save_pretrained(directory / "parts")
    settings = json.loads(_ENCODER.read_text(encoding="utf-8"))
    encoder = mert.Encoder(config_from_dict(mert.Config, {**settings, "window_seconds": WINDOW_SECONDS}))
    encoder.save_pretrained(directory / "encoder")
    vocabulary = tokenizer.get_vocab()
    model = checkpoint.assemble(
        backbone=directory / "parts",
        audio_encoder=directory / "encoder",
        encoder_name="mert",
        adapter={"name": "mlp", "tokens_per_second": 2.0},
        seed=seed,
        audio_token="<|audio_token|>",
        audio_token_id=vocabulary["<|audio_token|>"] if audio_token_id is None else audio_token_id,
        audio_start="<|audio|>",
        audio_end="<|/audio|>",
        item_token="<|item|>",
        item_token_id=vocabulary["<|item|>"],
        item_adapter={"name": "mlp", "hidden_width": 16} if takes_items else None,
        item_space=dataclasses.asdict(ITEM_SPACE) if takes_items else None,
        max_windows=3,
    )
    processor = MusicLLMProcessor.from_config(model.config, tokenizer)
    place = directory / "checkpoint"
    parts = {"backbone": "backbone", "audio_encoder": "audio_encoder"}
    checkpoint.save(model, processor, place, card="# Tiny\n", run={"seed": seed}, frozen=parts)
    return place


def write_catalogue(directory: Path) -> Path:
    """Five items, `song-0` to `song-4`, whose features differ."""
    features = torch.randn(5, ITEM_SPACE.rows, ITEM_SPACE.width, generator=torch.Generator().manual_seed(5))
    names = {f"song-{number}": f"Song number {number}" for number in range(5)}
    Catalogue.write(directory, names, features, space=ITEM_SPACE.name)
    return directory


def item(number: int) -> dict[str, Any]:
    """A part of a message that names an item of `write_catalogue`."""
    return {"type": "item", "item": f"song-{number}"}


def user(*content: str | dict[str, Any]) -> list[Any]:
    """A conversation of one message, whose parts are texts and others."""
    parts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in content]
    return [{"role": "user", "content": parts}]


def tone(seconds: float, pitch_hz: float, level: float = 0.3) -> npt.NDArray[np.float32]:
    """Mono samples at `RATE_HZ`."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (level * np.sin(2 * np.pi * pitch_hz * time)).astype(np.float32)


def write_music(directory: Path) -> Path:
    """`one.wav` (2 s), `two.wav` (3 s), `long.wav` (30 s, more than the tiny model hears) and `silent.wav`."""
    directory.mkdir(parents=True, exist_ok=True)
    soundfile.write(directory / "one.wav", tone(2.0, 220.0), RATE_HZ)
    soundfile.write(directory / "two.wav", tone(3.0, 1870.0), RATE_HZ)
    soundfile.write(directory / "long.wav", tone(30.0, 330.0), RATE_HZ)
    soundfile.write(directory / "silent.wav", tone(2.0, 220.0, level=0.0), RATE_HZ)
    return directory
