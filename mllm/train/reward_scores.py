"""What answers earn: questions and rewards in, greedy answers and their scores out.

The measure by which a reward training is judged, before it and behind it; the training itself samples its own answers.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mllm import registry
from mllm.errors import ConfigError
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.processing import MusicLLMProcessor
from mllm.train.reward_data import RewardExample

BATCH_SIZE = 32
"""Questions that are answered at once."""


def scores(answer: str, facts: Mapping[str, Any], rewards: Sequence[str]) -> dict[str, float]:
    """Every reward that applies to a question, by name, in [0, 1].

    Args:
        answer: of the model.
        facts: what is true of the question.
        rewards: file names in mllm/train/rewards.

    Raises:
        ConfigError: there is no such reward.
    """
    earned = {name: registry.find("reward", name).reward(answer, facts) for name in rewards}
    return {name: float(value) for name, value in earned.items() if value is not None}


def check_rewards(examples: Sequence[RewardExample], rewards: Sequence[str]) -> None:
    """Make sure that there is something to earn for every question.

    Raises:
        ConfigError: no reward, an unknown or a repeated one is given, or none applies to one of the questions.
    """
    if not rewards or len(set(rewards)) < len(rewards):
        raise ConfigError(f"rewards is {list(rewards)}; expected one or several, all different")
    if not examples:
        raise ConfigError("there are no questions; give at least one")
    for index, example in enumerate(examples):
        if not scores("", example.facts, rewards):
            raise ConfigError(
                f"none of the rewards {', '.join(rewards)} applies to question {index} with the facts "
                f"{dict(example.facts)}; state what it asks for (docs/rewards.md)"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """What a model answered to questions, and what it earned."""

    answers: tuple[str, ...]
    """One a question."""
    earned: tuple[float, ...]
    """One a question: the mean, in [0, 1], of the rewards that apply to it."""
    each: Mapping[str, tuple[float | None, ...]]
    """By reward, one a question; None where it does not apply."""


def measure(
    model: MusicLLMForConditionalGeneration,
    processor: MusicLLMProcessor,
    examples: Sequence[RewardExample],
    rewards: Sequence[str],
    *,
    max_new_tokens: int,
) -> Measured:
    """What the greedy answers of a model earn.

    Args:
        model: that answers.
        processor: that belongs to it.
        examples: the questions.
        rewards: file names in mllm/train/rewards.
        max_new_tokens: longest answer.

    Raises:
        ConfigError: as `check_rewards`.
    """
    check_rewards(examples, rewards)
    answers = greedy_answers(model, processor, examples, max_new_tokens=max_new_tokens)
    found = [scores(answer, example.facts, rewards) for answer, example in zip(answers, examples, strict=True)]
    return Measured(
        answers=tuple(answers),
        earned=tuple(statistics.fmean(one.values()) for one in found),
        each={name: tuple(one.get(name) for one in found) for name in rewards},
    )


def by_clip(examples: Sequence[RewardExample], values: Sequence[float | None]) -> tuple[list[float], list[float]]:
    """Sum of the values of each clip's questions, and their number; clips in the order of their first questions."""
    sums: dict[str, float] = {}
    counts: dict[str, float] = {}
    for example, value in zip(examples, values, strict=True):
        sums[example.clip] = sums.get(example.clip, 0.0) + (value or 0.0)
        counts[example.clip] = counts.get(example.clip, 0.0) + (value is not None)
    return list(sums.values()), list(counts.values())


@torch.no_grad()
def greedy_answers(
    model: MusicLLMForConditionalGeneration,
    processor: MusicLLMProcessor,
    examples: Sequence[RewardExample],
    *,
    max_new_tokens: int,
    batch_size: int = BATCH_SIZE,
) -> list[str]:
    """The most probable answer to each question, token by token, in the order of the questions."""
    was_training = model.training
    model.train(False)
    answers: list[str] = []
    for first in range(0, len(examples), batch_size):
        part = examples[first : first + batch_size]
        prompts = [
            processor.prompt_of(one.messages, one.num_tokens, add_generation_prompt=True).input_ids for one in part
        ]
        inputs = padded(prompts, _pad_id(processor), model.device)
        windows = [window for one in part for window in one.features]
        audio: dict[str, Any] = {"audio_features": windows} if windows else {}
        generated = model.generate(**inputs, **audio, do_sample=False, max_new_tokens=max_new_tokens)
        answers += processor.batch_decode(generated[:, inputs["input_ids"].shape[1] :])
    model.train(was_training)
    return answers


def padded(prompts: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> dict[str, Tensor]:
    """`input_ids` and `attention_mask` (batch, text) of prompts, padded on the left."""
    longest = max(map(len, prompts))
    rows = [[pad_id] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    masks = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return {
        "input_ids": torch.tensor(rows, device=device),
        "attention_mask": torch.tensor(masks, device=device),
    }


def _pad_id(processor: MusicLLMProcessor) -> int:
    tokenizer = processor.tokenizer
    return int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)
