"""Text pre-training of the compact reference backbone, a LLaMA, with transformers.Trainer.

In: a `BackboneConfig`, a tokenizer, batches of ids and labels. Out: a directory with `LlamaForCausalLM` weights (bf16),
tokenizer and chat template. Knows neither audio nor what the text says.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
)
from transformers.trainer_utils import get_last_checkpoint

from mllm.errors import ConfigError
from mllm.prompt import IGNORE_INDEX
from mllm.strict_io import written_beside
from mllm.train import arguments


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """Settings of the text pre-training of the reference backbone."""

    output: Path
    """Directory for checkpoints and, in `final/`, the result."""
    start: Path | None = None
    """Directory of a backbone (`final/` of an earlier run) to go on from; sizes and tokenizer are then its own."""
    hidden_size: int = 128
    """Model width."""
    layers: int = 4
    """Transformer layers."""
    heads: int = 4
    """Attention heads."""
    intermediate_size: int = 352
    """Width of the gated feed-forward."""
    context: int = 2048
    """Longest prompt in tokens."""
    steps: int = 13000
    """Optimiser steps."""
    learning_rate: float = 2e-3
    """Peak learning rate, reached after 150 steps, then cosine."""
    save_every: int = 1000
    """Steps between checkpoints."""
    seed: int = 1
    """Seed of the weights."""

    def __post_init__(self) -> None:
        if self.hidden_size % self.heads:
            raise ConfigError(
                f"hidden_size {self.hidden_size} is not a multiple of heads {self.heads}; change one of them"
            )


_LENGTHS = 3
"""Groups of rows of like length that a batch is computed in: a quarter fewer places to compute than in one group."""


class _AnswerTrainer(Trainer):
    """Computes the vocabulary's logits only where something is to be learnt, rows of like length together."""

    def compute_loss(  # type: ignore[override]  # the model is always the one given to `train`
        self,
        model: LlamaForCausalLM,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,  # noqa: ARG002
    ) -> Any:
        """Mean cross-entropy over all labelled tokens of the batch."""
        mask, labels = inputs["attention_mask"], inputs["labels"]
        lengths = mask.sum(1)
        learnt = int((labels[:, 1:] != IGNORE_INDEX).sum())
        loss = torch.zeros((), device=labels.device)
        for rows in lengths.argsort().chunk(_LENGTHS):
            longest = int(lengths[rows].max())
            ids, wanted = inputs["input_ids"][rows, :longest], labels[rows, 1:longest]
            hidden = model.model(input_ids=ids, attention_mask=mask[rows, :longest]).last_hidden_state[:, :-1]
            chosen = wanted != IGNORE_INDEX
            logits = model.lm_head(hidden[chosen])
            loss = loss + nn.functional.cross_entropy(logits.float(), wanted[chosen], reduction="sum")
        loss = loss / max(1, learnt)
        return (loss, {}) if return_outputs else loss


def _new_model(config: BackboneConfig, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            max_position_embeddings=config.context,
            tie_word_embeddings=True,
            initializer_range=0.5 * config.hidden_size**-0.5,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def train(
    config: BackboneConfig,
    tokenizer: PreTrainedTokenizerFast,
    batches: torch.utils.data.IterableDataset[Any],
    collate: Callable[[list[Any]], dict[str, torch.Tensor]],
    callbacks: Sequence[TrainerCallback] = (),
    prepare: Callable[[LlamaForCausalLM], None] | None = None,
) -> None:
    """Trains, or resumes from the last checkpoint in `config.output`, and writes `final/`.

    Args:
        config: sizes and schedule.
        tokenizer: saved beside the weights; its length is the vocabulary.
        batches: yields one ready batch an item.
        collate: turns a list of one item into tensors `input_ids`, `labels`, `attention_mask`, each (B, S).
        callbacks: added to the Trainer.
        prepare: changes the first weights, random ones or those of `config.start`, before training.
    """
    config.output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    if config.start is not None:
        model = LlamaForCausalLM.from_pretrained(config.start, dtype=torch.float32)
    else:
        model = _new_model(config, tokenizer)
    if prepare is not None:
        prepare(model)
    settings = arguments.for_ready_batches(
        config.output,
        steps=config.steps,
        learning_rate=config.learning_rate,
        warmup_steps=150,
        save_every=config.save_every,
        seed=config.seed,
        weight_decay=0.05,
        adam_beta2=0.98,
    )
    trainer = _AnswerTrainer(
        model=model,
        args=settings,
        train_dataset=batches,
        data_collator=collate,
        callbacks=list(callbacks),
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(config.output)))
    final = config.output / "final"
    module: nn.Module = model
    module.to(torch.bfloat16)
    model.save_pretrained(final)
    tokenizer.save_pretrained(final)


def average(directories: Sequence[Path], output: Path) -> None:
    """The mean of the weights of backbones of equal sizes, as bfloat16 (a uniform soup, arXiv 2203.05482).

    It is worth something only where all of them went on from the same weights.

    Args:
        directories: of the backbones, two or more.
        output: directory of the mean, which gets no tokenizer.

    Raises:
        ConfigError: if there are fewer than two, or their tensors differ in name or shape.
    """
    if len(directories) < 2:
        raise ConfigError(f"{len(directories)} backbones were given; a mean takes two or more")
    mean, *others = [LlamaForCausalLM.from_pretrained(one, dtype=torch.float32) for one in directories]
    weights = dict(mean.named_parameters())  # tied ones once
    with torch.no_grad():
        for directory, other in zip(directories[1:], others, strict=True):
            found = dict(other.named_parameters())
            shapes, wanted = ({name: one.shape for name, one in each.items()} for each in (found, weights))
            if shapes != wanted:
                differing = sorted(name for name in shapes.keys() | wanted if shapes.get(name) != wanted.get(name))
                raise ConfigError(
                    f"{directory} differs from {directories[0]} in {differing[:3]}; give backbones of one size"
                )
            for name, weight in weights.items():
                weight.add_(found[name])
        for weight in weights.values():
            weight.div_(len(directories))
    module: nn.Module = mean
    module.to(torch.bfloat16)
    with written_beside(output) as work:
        mean.save_pretrained(work)
