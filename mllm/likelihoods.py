"""How likely several endings of one beginning are.

In: a model with what it heard, ids of the beginning and of each ending. Out: a log-probability an ending, as if each
had been asked for alone; the beginning is read once. Knows no messages and no tokenizer.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mllm.modeling import MusicLLMForConditionalGeneration

AT_ONCE = 16
"""Endings that are weighed at once."""


@torch.no_grad()
def log_probabilities(
    model: MusicLLMForConditionalGeneration,
    begun: Sequence[int],
    endings: Sequence[Sequence[int]],
    *,
    audio_embeds: Sequence[Float[Tensor, "tokens width"]] = (),
    item_features: Sequence[Float[Tensor, "rows item_width"]] = (),
) -> list[float]:
    """The natural logarithm of the probability of each ending, given the beginning.

    Args:
        model: in evaluation mode.
        begun: ids of the beginning, at least one.
        endings: ids, at least one each.
        audio_embeds: soft tokens of the beginning's recordings, one window an entry.
        item_features: of the beginning's items.
    """
    read = model(
        torch.tensor([list(begun)], device=model.language_model.device),
        audio_embeds=list(audio_embeds) or None,
        item_features=list(item_features) or None,
        use_cache=True,
        logits_to_keep=1,
    )
    found: list[float] = []
    for first in range(0, len(endings), AT_ONCE):
        some = endings[first : first + AT_ONCE]
        found += _weigh(model, some, read.logits, copy.deepcopy(read.past_key_values))
    return found


def _weigh(
    model: MusicLLMForConditionalGeneration,
    endings: Sequence[Sequence[int]],
    last: Float[Tensor, "1 1 words"],
    memory: Any,
) -> list[float]:
    """As `log_probabilities`, from the logits behind the beginning and the backbone's cache of it, which is used up."""
    begun = memory.get_seq_length()
    ids = _padded(endings, last.device)  # (A, S)
    said = _padded([[1] * len(one) for one in endings], last.device)
    logits = last.expand(len(endings), -1, -1)
    if ids.shape[1] > 1:
        memory.batch_repeat_interleave(len(endings))
        mask = torch.cat((said.new_ones(len(endings), begun), said[:, :-1]), 1)
        going_on = model(ids[:, :-1], attention_mask=mask, past_key_values=memory, use_cache=True)
        logits = torch.cat((logits, going_on.logits), 1)  # (A, S, V)
    never = [token for token in model.generation_config.suppress_tokens or () if token < logits.shape[-1]]
    # What is never generated has no share in what is.
    logits = logits.float().index_fill(-1, torch.tensor(never, dtype=torch.long, device=logits.device), -torch.inf)
    chosen = logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0]  # (A, S)
    totals: list[float] = chosen.where(said.bool(), 0.0).sum(-1).tolist()
    return totals


def _padded(rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Rows as one tensor (A, longest), padded on the right."""
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(list(row), device=device) for row in rows], batch_first=True)
