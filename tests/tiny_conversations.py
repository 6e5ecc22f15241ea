"""Models over any tiny backbone, and random conversations with recordings, for tests of how training computes them."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from mllm import registry
from mllm.configuration import MusicLLMConfig
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.prompt import IGNORE_INDEX, Placeholder, Prompt
from mllm.train.adapter import Example

AUDIO = 50
VOCABULARY = 97
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
"""What LLaMA and its kin have in common, as tiny as it can be."""
_MERT = Path(__file__).parent / "data" / "mert" / "mert95-like"


def llama(attention: str = "sdpa") -> Any:
    torch.manual_seed(3)
    model: Any = LlamaForCausalLM(LlamaConfig(**SIZES))
    model.set_attn_implementation(attention)
    return model


def hearing(backbone: Any, **settings: Any) -> MusicLLMForConditionalGeneration:
    """A model on a backbone, with a small adapter of two soft tokens a second, in training mode.

    `settings` are further fields of its configuration.
    """
    torch.manual_seed(7)
    encoder: Any = registry.find("encoder", "mert").Encoder.from_pretrained(_MERT)
    config = MusicLLMConfig(
        text_config=backbone.config,
        audio_encoder={"name": "mert", **dataclasses.asdict(encoder.config)},
        audio_adapter={"name": "linear", "tokens_per_second": 2.0},
        audio_token="<audio>",
        audio_token_id=AUDIO,
        **settings,
    )
    return MusicLLMForConditionalGeneration(config, backbone, encoder).train()


def conversation(
    model: MusicLLMForConditionalGeneration, *, recordings: Sequence[int], text: int, seed: int
) -> Example:
    """Random features of recordings of so many frames, and `text` random tokens around them, half of them learnt."""
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    layers, width = model.audio_encoder.num_layers, model.audio_encoder.width
    ids, placeholders = [rng.randrange(51, VOCABULARY)], []
    for index, frames in enumerate(recordings):
        length = model.audio_adapter.num_tokens(frames)
        placeholders.append(Placeholder(kind="audio", index=index, start=len(ids), length=length))
        ids += [AUDIO] * length + [rng.randrange(51, VOCABULARY)]
    question = len(ids)
    ids += [rng.randrange(51, VOCABULARY) for _ in range(text)]
    labels = [token if position >= question + text // 2 else IGNORE_INDEX for position, token in enumerate(ids)]
    return Example(
        prompt=Prompt(input_ids=tuple(ids), labels=tuple(labels), placeholders=tuple(placeholders)),
        features=tuple(torch.randn(layers, frames, width, generator=generator) for frames in recordings),
        words=(),
    )


def mixed(model: MusicLLMForConditionalGeneration) -> list[Example]:
    """Seven conversations of one, several and no recordings; one of them learns its very first token."""
    shapes: list[tuple[tuple[int, ...], int]] = [
        ((150,), 6),
        ((75, 200, 110), 20),
        ((), 9),
        ((300,), 2),
        ((90, 90), 14),
        ((), 31),
        ((220,), 11),
    ]
    examples = [
        conversation(model, recordings=recordings, text=text, seed=seed)
        for seed, (recordings, text) in enumerate(shapes)
    ]
    learnt_first = dataclasses.replace(examples[2].prompt, labels=examples[2].prompt.input_ids)
    examples[2] = dataclasses.replace(examples[2], prompt=learnt_first)
    return examples


def gradients(model: MusicLLMForConditionalGeneration) -> list[torch.Tensor]:
    """Those of the trained parts, which are then forgotten."""
    found = []
    for parameter in model.trained_parts().parameters():
        assert parameter.grad is not None
        found.append(parameter.grad)
        parameter.grad = None
    return found
