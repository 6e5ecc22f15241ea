"""How much memory a training takes on one process, by calculation.

In: a model, or its sizes, and the tokens of a batch. Out: bytes by what they are for. Counts what a backward pass
through a frozen transformer keeps; what allocators add is not in it.
"""

from __future__ import annotations

import resource
from collections.abc import Mapping
from typing import Any

import torch

from mllm.answer_loss import LOGITS_AT_ONCE

GIB = 2**30
ADAM_BYTES = 12
"""For each trained number: its gradient and two averages, in float32."""
LOGIT_BYTES = 12
"""For each logit: itself, its softmax and its gradient, in float32."""


def estimate(model: Any, *, tokens: int, checkpointing: bool) -> dict[str, int]:
    """Bytes that a training takes.

    A decoder layer keeps, for each token, what the gradients of its inputs need: the inputs of its two norms, queries,
    keys, values and the output of attention, and three widths of the gated MLP. Weights are frozen, so inputs of linear
    layers are not kept for their sake. With checkpointing, a layer keeps its input, and one layer at a time the rest.

    Args:
        model: with `language_model` and trained parts.
        tokens: of a batch, padding included.
        checkpointing: whether activations are computed twice.
    """
    config = model.language_model.config.get_text_config()
    frozen = sum(one.numel() * one.element_size() for one in model.parameters() if not one.requires_grad)
    trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
    width = config.hidden_size
    inner = getattr(config, "intermediate_size", None) or 4 * width
    item = model.get_input_embeddings().weight.element_size()
    layer = tokens * item * (6 * width + 3 * inner)
    layers = config.num_hidden_layers
    activations = layer + layers * tokens * width * item if checkpointing else layers * layer
    logits = min(LOGITS_AT_ONCE, tokens * config.vocab_size) * LOGIT_BYTES
    return {
        "frozen weights": frozen,
        "trained weights and AdamW": trained * (4 + ADAM_BYTES),
        "activations": activations,
        "logits": logits,
    }


def told(parts: Mapping[str, int]) -> str:
    """The sum and its parts."""
    inner = ", ".join(f"{name} {size / GIB:.2f}" for name, size in parts.items())
    return f"{sum(parts.values()) / GIB:.2f} GiB ({inner})"


def measured_gib() -> float:
    """The most memory that this process had so far: on its GPU, or without one in the machine."""
    return measured_bytes() / GIB


def measured_bytes() -> int:
    """As `measured_gib`, in bytes."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
