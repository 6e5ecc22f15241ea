"""Training of an adapter under a frozen backbone, with transformers.Trainer.

In: a model from `checkpoint.assemble`, and batches of prompts with encoder features. Out: the model, its adapter
trained. Two losses: the answers' (through the frozen backbone), and, for an adapter that speaks in the backbone's words
(`align`), a cross-entropy that says which word each soft token should be. Knows nothing of data sets or labels.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Trainer
from transformers.trainer_utils import get_last_checkpoint

from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.prompt import IGNORE_INDEX, Prompt
from mllm.train import arguments, packing
from mllm.train.grouping import even_rows

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdapterTrainingConfig:
    """Settings of the training of an adapter."""

    output: Path
    """Directory for checkpoints."""
    steps: int = 2400
    """Optimiser steps, those of `word_steps` among them."""
    word_steps: int = 800
    """First steps, in which only the words of the soft tokens are learnt, without the backbone."""
    learning_rate: float = 1e-3
    """Peak learning rate, reached after 100 steps, then cosine."""
    word_weight: float = 0.5
    """Weight of the loss on words after `word_steps`, beside the answers' (weight 1)."""
    save_every: int = 300
    """Steps between checkpoints."""
    seed: int = 1
    """Seed of the order of the data."""
    max_tokens: int | None = None
    """Pack the conversations of a step into rows of at most so many tokens, if the backbone can; None: pad them."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One conversation with its audio as encoder features."""

    prompt: Prompt
    features: tuple[Tensor, ...]
    """(L, T, D) of each window, in prompt order."""
    words: tuple[int, ...]
    """What each soft token should say, as an index into the adapter's lexicon; -100 where it is left open."""


class Examples(Protocol):
    """Where batches come from."""

    def batch(self, step: int) -> Sequence[Example]:
        """The batch of one step; the same step always gives the same batch."""


class _Steps(torch.utils.data.IterableDataset[Sequence[Example]]):
    def __init__(self, examples: Examples, steps: int) -> None:
        self._examples = examples
        self._steps = steps

    def __iter__(self) -> Iterator[Sequence[Example]]:
        for step in range(self._steps + 1):
            yield self._examples.batch(step)


def collate(
    batches: Sequence[Sequence[Example]], pad_id: int, *, max_tokens: int | None = None, borders: bool = False
) -> dict[str, Any]:
    """Makes the tensors of one batch.

    Args:
        batches: the batch, alone.
        pad_id: token that fills up rows.
        max_tokens: most tokens of a row of several conversations; None: one conversation a row, padded on the right.
        borders: as in `packing.packed`.

    Returns:
        What `packing.padded` or `packing.packed` gives, `audio_features`, and `words` (N,) over all soft tokens.

    Raises:
        PromptError: if a conversation is longer than `max_tokens`.
    """
    (batch,) = batches
    if max_tokens is None:
        tensors: dict[str, Any] = packing.padded([example.prompt for example in batch], pad_id)
    else:
        rows = even_rows(batch, max_tokens, lambda example: len(example.prompt.input_ids))
        tensors = packing.packed([[example.prompt for example in row] for row in rows], pad_id, borders=borders)
        batch = [example for row in rows for example in row]
    return {
        **tensors,
        "audio_features": [window for example in batch for window in example.features],
        "words": torch.tensor([word for example in batch for word in example.words]),
    }


class AdapterTrainer(Trainer):
    """`Trainer` with the loss on words beside the answers'."""

    def __init__(self, config: AdapterTrainingConfig, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._config = config

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The loss of one batch, as `Trainer` wants it."""
        words = inputs.pop("words")
        assert isinstance(model, MusicLLMForConditionalGeneration)
        if not hasattr(model.audio_adapter, "token_logits"):
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        logits = word_logits(model, inputs.pop("audio_features"))
        loss = functional.cross_entropy(torch.cat(logits).float(), words, ignore_index=IGNORE_INDEX)
        if self.state.global_step < self._config.word_steps:
            return (loss, {}) if return_outputs else loss
        anchors = model.audio_adapter.anchors
        embeds = [window.float().softmax(-1).to(anchors.dtype) @ anchors for window in logits]
        outputs = model(**inputs, audio_embeds=embeds, num_items_in_batch=num_items_in_batch)
        loss = outputs.loss + self._config.word_weight * loss
        return (loss, outputs) if return_outputs else loss


def word_logits(model: MusicLLMForConditionalGeneration, features: Sequence[Tensor]) -> list[Tensor]:
    """What each soft token says over the adapter's lexicon, (N, K) for each window, in order."""
    groups: dict[int, list[int]] = {}
    for index, window in enumerate(features):
        groups.setdefault(window.shape[1], []).append(index)
    logits: dict[int, Tensor] = {}
    for indices in groups.values():
        states = torch.stack([features[i].float() for i in indices])  # (B, L, T, D)
        frames = states[:, -1] if model.layer_mix is None else model.layer_mix(states)
        logits.update(zip(indices, model.audio_adapter.token_logits(frames), strict=True))
    return [logits[index] for index in range(len(features))]


def train(
    model: MusicLLMForConditionalGeneration,
    config: AdapterTrainingConfig,
    examples: Examples,
    *,
    pad_id: int,
) -> Mapping[str, float]:
    """Trains the adapter in place, or resumes from the last checkpoint in `config.output`.

    Args:
        model: from `checkpoint.assemble`.
        config: the schedule.
        examples: gives the batch of each step.
        pad_id: token that fills up prompts.

    Returns:
        The Trainer's metrics, `train_loss` and `train_runtime` among them.
    """
    settings = arguments.for_ready_batches(
        config.output,
        steps=config.steps,
        learning_rate=config.learning_rate,
        warmup_steps=100,
        save_every=config.save_every,
        seed=config.seed,
        weight_decay=0.01,
    )
    settings_before = set(vars(model.config))
    trainer = AdapterTrainer(
        config,
        model=model,
        args=settings,
        train_dataset=_Steps(examples, config.steps),
    )
    max_tokens = config.max_tokens  # what the backbone can take is asked where Trainer has put it
    if max_tokens is not None and (obstacle := packing.obstacle(model.language_model)):
        _logger.warning("%s", obstacle)
        max_tokens = None
    borders = packing.needs_borders(model.language_model)
    trainer.data_collator = lambda batches: collate(batches, pad_id, max_tokens=max_tokens, borders=borders)
    result = trainer.train(resume_from_checkpoint=get_last_checkpoint(str(config.output)))
    for name in set(vars(model.config)) - settings_before:
        delattr(model.config, name)  # Trainer leaves use_cache there, which is no setting of ours
    metrics: Mapping[str, float] = result.metrics
    return metrics
