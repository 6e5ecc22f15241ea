"""Batches of conversations: packed into rows whose conversations do not see each other, or padded.

In: prompts. Out: tensors for the model; the recordings go to it in the same order, row by row. Knows neither recordings
nor which conversations belong together (`mllm.train.grouping`).

Packed rows rest on what transformers makes of positions that restart: without a mask and without a cache, its masks for
sdpa, eager and flex attention end where the positions of a row restart. FlashAttention is told the borders themselves.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mllm.prompt import IGNORE_INDEX, Prompt


def padded(prompts: Sequence[Prompt], pad_id: int) -> dict[str, Tensor]:
    """One conversation a row, padded on the right.

    Returns:
        `input_ids`, `labels` and `attention_mask` (B, S).
    """
    return {
        "input_ids": _rows([prompt.input_ids for prompt in prompts], pad_id),
        "labels": _rows([prompt.labels for prompt in prompts], IGNORE_INDEX),
        "attention_mask": _rows([[1] * len(prompt.input_ids) for prompt in prompts], 0),
    }


def packed(rows: Sequence[Sequence[Prompt]], pad_id: int, *, borders: bool = False) -> dict[str, Any]:
    """Several conversations a row; what is left of a row is padded on the right, and stands by itself.

    Args:
        rows: the conversations of each row, in order.
        pad_id: token that fills up the shorter rows.
        borders: whether to tell where conversations begin as FlashAttention wants it (`needs_borders`).

    Returns:
        `input_ids`, `labels` and `position_ids` (B, S), `use_cache`, which is False, and with `borders` the keys
        `cu_seq_lens_q` and `cu_seq_lens_k`, places at which a conversation begins in all rows laid end to end, and
        `max_length_q` and `max_length_k`. The first label of a conversation is `IGNORE_INDEX`: what stands before it
        is another conversation.
    """
    width = max(sum(len(prompt.input_ids) for prompt in row) for row in rows)
    lengths = []  # of each stretch of a row that is seen by itself
    for row in rows:
        conversations = [len(prompt.input_ids) for prompt in row]
        rest = width - sum(conversations)
        lengths.append([*conversations, rest] if rest else conversations)
    batch: dict[str, Any] = {
        "input_ids": _rows([[token for prompt in row for token in prompt.input_ids] for row in rows], pad_id),
        "labels": _rows(
            [[label for prompt in row for label in (IGNORE_INDEX, *prompt.labels[1:])] for row in rows], IGNORE_INDEX
        ),
        "position_ids": torch.stack([torch.cat([torch.arange(length) for length in row]) for row in lengths]),
        "use_cache": False,
    }
    if borders:
        flat = [length for row in lengths for length in row]
        starts = torch.tensor([0, *itertools.accumulate(flat)], dtype=torch.int32)
        batch |= {"cu_seq_lens_q": starts, "cu_seq_lens_k": starts}
        batch |= {"max_length_q": max(flat), "max_length_k": max(flat)}
    return batch


def needs_borders(language_model: Any) -> bool:
    """Whether packed rows must say where conversations begin: FlashAttention sees no mask, and one row at a time."""
    return "flash" in language_model.config.get_text_config()._attn_implementation  # noqa: SLF001 (its only name)


def obstacle(language_model: Any) -> str | None:
    """Why a language model cannot take packed rows, in a sentence; None if it can.

    It is asked itself: two rows of two conversations are read, and no hidden state of the second of a row may depend,
    by its gradient, on an embedding of the first. State-space and recurrent models (Mamba, RWKV, RecurrentGemma) and
    those that count distances instead of positions (BLOOM, MPT) fail.
    """
    name = type(language_model).__name__
    body = language_model.base_model
    if "position_ids" not in inspect.signature(body.forward).parameters:
        return f"{name} takes no positions, which keep packed conversations apart, so conversations are padded."
    one, two = (Prompt(input_ids=tuple(range(length)), labels=(0,) * length, placeholders=()) for length in (5, 3))
    rows = [[one, two], [two, one]]
    batch = packed(rows, 0, borders=needs_borders(language_model))
    embedding = language_model.get_input_embeddings()
    place = embedding.weight.device
    embeds = embedding(batch.pop("input_ids").to(place)).detach()  # (B, S, D)
    # Any embeddings do, but not those of zeros, as padding has: their slope behind a norm is too steep for float16.
    embeds = torch.sin(torch.arange(embeds.numel())).reshape(embeds.shape).to(embeds).requires_grad_()
    del batch["labels"]
    inputs = {key: value.to(place) if isinstance(value, Tensor) else value for key, value in batch.items()}
    with torch.enable_grad():
        hidden = body(inputs_embeds=embeds, **inputs).last_hidden_state.float()  # (B, S, D)
        weights = torch.linspace(-1, 1, hidden.shape[-1], device=hidden.device)  # a sum alone has no slope after a norm
        borders = [len(row[0].input_ids) for row in rows]
        seconds = sum((hidden[index, border:] @ weights).sum() for index, border in enumerate(borders))
        (slope,) = torch.autograd.grad(seconds, embeds)
    if any(bool(slope[index, :border].any()) for index, border in enumerate(borders)):
        return f"{name} reads across the borders of a packed row, so conversations are padded."
    return None


def _rows(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=fill)
