"""The loss on answers: a language model's head is asked about the tokens that are learnt, and about no others.

In: a language model of transformers, its inputs, and labels. Out: what the language model returns, with the loss that
it would compute itself and without logits. Knows nothing of audio, prompts or training loops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from mllm.prompt import IGNORE_INDEX

LOGITS_AT_ONCE = 2**25
"""Most logits that exist at the same time: 128 MiB in float32."""
MORE_THAN_A_HEAD = (
    "final_logit_softcapping",
    "logit_scale",
    "logits_scaling",
    "logits_soft_cap",
    "lm_head_multiplier",
    "ngram",
    "output_logit_soft_cap",
    "output_multiplier",
    "output_router_logits",
    "unpadded_vocab_size",
    "z_loss_coefficient",
)
"""Settings with which models of transformers do more to logits, or to the loss, than their head does."""


def has_plain_head(language_model: Any) -> bool:
    """Whether the logits are the head's output for the last hidden states, and the loss their cross-entropy.

    Gemma 2 (softcapping), Cohere and Granite (scaled logits), Mixtral with its router's loss and their kin are not
    plain; nor is what transformers does not have, as nobody can know what it does.
    """
    if not isinstance(language_model, PreTrainedModel):
        return False
    head: Any = language_model.get_output_embeddings()
    config = language_model.config.get_text_config()
    return (
        type(language_model).__module__.startswith("transformers.models.")
        and head is not None
        and getattr(language_model, "lm_head", None) is head
        and language_model.base_model is not language_model
        and not any(getattr(config, name, None) for name in MORE_THAN_A_HEAD)
    )


def output_with_loss(
    language_model: Any,
    labels: Int[Tensor, "batch text"],
    *,
    num_items_in_batch: Tensor | int | None = None,
    use_cache: bool = False,
    **inputs: Any,
) -> CausalLMOutputWithPast:
    """The output of a language model with the loss of its labels, without logits.

    Args:
        language_model: one that `has_plain_head`.
        labels: ids to learn, `IGNORE_INDEX` where nothing is learnt; each is predicted from the position before it.
        num_items_in_batch: divides the loss; None: the number of labels that are learnt here.
        use_cache: whether to fill a cache, which nothing in training reads.
        inputs: of the language model.
    """
    output = language_model.base_model(use_cache=use_cache, **inputs)
    loss: Any = answer_loss(
        output.last_hidden_state,
        labels,
        language_model.get_output_embeddings(),
        num_items_in_batch=num_items_in_batch,
        positions_at_once=max(1, LOGITS_AT_ONCE // language_model.config.get_text_config().vocab_size),
    )
    return CausalLMOutputWithPast(
        loss=loss,
        past_key_values=output.get("past_key_values"),
        hidden_states=output.get("hidden_states"),
        attentions=output.get("attentions"),
    )


def answer_loss(
    hidden: Float[Tensor, "batch text width"],
    labels: Int[Tensor, "batch text"],
    head: Callable[[Tensor], Tensor],
    *,
    positions_at_once: int,
    num_items_in_batch: Tensor | int | None = None,
) -> Float[Tensor, ""]:
    """Cross-entropy of the labels in float32, from the logits of the positions before them only.

    Args:
        hidden: last hidden states.
        labels: ids to learn, `IGNORE_INDEX` where nothing is learnt.
        head: hidden states (K, D) to logits (K, vocabulary).
        positions_at_once: most positions whose logits exist at the same time, at least 1. Where more are learnt, the
            logits are computed in parts, and once more in the backward pass (arXiv 1604.06174).
        num_items_in_batch: divides the sum over the labels; None gives their mean, 0 where nothing is learnt.
    """
    following = labels[:, 1:].to(hidden.device)
    is_learnt = following != IGNORE_INDEX
    states, wanted = hidden[:, :-1][is_learnt], following[is_learnt]  # (K, D), (K,)
    if len(states) <= positions_at_once:
        total = _summed_loss(states, wanted, head)
    else:
        parts = zip(torch.split(states, positions_at_once), torch.split(wanted, positions_at_once), strict=True)
        losses = [checkpoint(_summed_loss, part, ids, head, use_reentrant=False) for part, ids in parts]
        total = torch.stack(losses).sum()
    count = max(1, len(wanted)) if num_items_in_batch is None else num_items_in_batch
    return total / (count.to(total.device) if isinstance(count, Tensor) else count)


def _summed_loss(states: Tensor, wanted: Tensor, head: Callable[[Tensor], Tensor]) -> Tensor:
    logits = head(states)  # (K, vocabulary)
    return functional.cross_entropy(logits.float(), wanted.to(logits.device), reduction="sum")
