"""How much memory a training takes on one process, by calculation, and how much there is.

In: a model, or the settings of one, and the tokens of a batch. Out: bytes by what they are for. Counts what a backward
pass through a frozen transformer keeps; what allocators add is not in it.
"""

from __future__ import annotations

import dataclasses
import resource
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn

from mllm.absent_encoder import AbsentEncoder
from mllm.answer_loss import LOGITS_AT_ONCE
from mllm.configuration import MusicLLMConfig
from mllm.modeling import MusicLLMForConditionalGeneration

GIB = 2**30
ADAM_BYTES = 12
"""For each trained number: its gradient and two averages, in float32."""
LOGIT_BYTES = 12
"""For each logit: itself, its softmax and its gradient, in float32."""
BYTES_OF_QUANTISED = {"int8": 1.0, "nf4": 0.52}
"""For each weight of a linear layer of the backbone; nf4 with a scale in 8 bits for each 64 of them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """What decides how much memory a model takes."""

    linear: int
    """Weights of the backbone's linear layers, which can be quantised."""
    linear_bytes: int
    """What they take as they are."""
    frozen_bytes: int
    """What everything else takes that is frozen."""
    trained: int
    """Numbers that are trained."""
    item_bytes: int
    """Of a number that the backbone computes with."""
    width: int
    inner: int
    """Width between the two products of a layer's MLP."""
    layers: int
    vocabulary: int


def sizes(model: Any) -> Sizes:
    """The sizes of a model whose trained parts are set to learn; it may be on the meta device."""
    config = model.language_model.config.get_text_config()
    head = model.language_model.get_output_embeddings()
    weights = [
        module.weight
        for module in model.language_model.modules()
        if isinstance(module, nn.Linear) and module is not head
    ]
    linear = [one for one in weights if not one.requires_grad]
    frozen = sum(one.numel() * one.element_size() for one in model.parameters() if not one.requires_grad)
    linear_bytes = sum(one.numel() * one.element_size() for one in linear)
    return Sizes(
        linear=sum(one.numel() for one in linear),
        linear_bytes=linear_bytes,
        frozen_bytes=frozen - linear_bytes,
        trained=sum(one.numel() for one in model.parameters() if one.requires_grad),
        item_bytes=model.get_input_embeddings().weight.element_size(),
        width=config.hidden_size,
        inner=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        layers=config.num_hidden_layers,
        vocabulary=config.vocab_size,
    )


def sizes_on_paper(config: MusicLLMConfig, *, trained: Sequence[str], dtype: torch.dtype) -> Sizes:
    """The sizes of a model that is not opened: for one that memory has no room for.

    Args:
        config: of the checkpoint.
        trained: names of its parts that learn; those that it does not have are passed over.
        dtype: of the backbone in memory.
    """
    encoder = AbsentEncoder(config.encoder_module, config.encoder_config)
    with torch.device("meta"):
        model = MusicLLMForConditionalGeneration(config, audio_encoder=encoder)
    model.language_model.to(dtype)
    model.freeze(tuple(name for name in trained if name != "layer_mix" or model.layer_mix is not None))
    return sizes(model)


def quantised(of: Sizes, quantisation: str) -> Sizes:
    """The sizes with the backbone's linear layers brought into 8 or 4 bits."""
    return dataclasses.replace(of, linear_bytes=int(of.linear * BYTES_OF_QUANTISED[quantisation]))


def estimate(of: Sizes, *, row_tokens: int, rows: int, checkpointing: bool) -> dict[str, int]:
    """Bytes that a training takes.

    A decoder layer keeps, for each token, what the gradients of its inputs need: the inputs of its two norms (in
    float32), queries, keys, values and the output of attention, and three widths of the gated MLP; and for each row the
    mask that keeps its conversations apart. Weights are frozen, so inputs of linear layers are not kept for their sake.
    With checkpointing, a layer keeps its input, and one layer at a time the rest.

    Args:
        of: the model.
        row_tokens: of a row, padding included.
        rows: computed at once.
        checkpointing: whether activations are computed twice.
    """
    tokens = row_tokens * rows
    layer = tokens * (2 * of.width * 4 + (4 * of.width + 3 * of.inner + row_tokens) * of.item_bytes)
    activations = layer + of.layers * tokens * of.width * of.item_bytes if checkpointing else of.layers * layer
    return {
        "frozen weights": of.frozen_bytes + of.linear_bytes,
        "trained weights and AdamW": of.trained * (4 + ADAM_BYTES),
        "activations": activations,
        "logits": min(LOGITS_AT_ONCE, tokens * of.vocabulary) * LOGIT_BYTES,
    }


def told(parts: Mapping[str, int]) -> str:
    """The sum and its parts."""
    inner = ", ".join(f"{name} {size / GIB:.2f}" for name, size in parts.items())
    return f"{sum(parts.values()) / GIB:.2f} GiB ({inner})"


def available_bytes() -> int:
    """What this process has and what it could still get: on its GPU, or without one in the machine.

    In the machine the least of what is free, what the group of processes may have (cgroups), and `ulimit -v`.
    """
    if torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        return int(free + torch.cuda.memory_reserved())
    held = psutil.Process().memory_info()
    limits = [int(psutil.virtual_memory().available) + int(held.rss)]
    addresses, _ = resource.getrlimit(resource.RLIMIT_AS)
    if addresses != resource.RLIM_INFINITY:
        limits.append(addresses - int(held.vms) + int(held.rss))
    for place in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = Path(place).read_text(encoding="ascii").strip() if Path(place).is_file() else ""
        limits += [int(text)] if text.isdigit() else []
    return min(limits)


def held_bytes() -> int:
    """What this process holds now: on its GPU, or without one in the machine."""
    if torch.cuda.is_available():
        return int(torch.cuda.memory_allocated())
    return int(psutil.Process().memory_info().rss)


def measured_gib() -> float:
    """The most memory that this process had so far: on its GPU, or without one in the machine."""
    return measured_bytes() / GIB


def measured_bytes() -> int:
    """As `measured_gib`, in bytes."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
