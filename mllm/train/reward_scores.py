"""What answers earn: questions and rewards in, greedy answers and their scores out.

The measure by which a reward training is judged, before it and behind it; the training itself samples its own answers.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import torch

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


def mean_scores(
    answers: Sequence[str], examples: Sequence[RewardExample], rewards: Sequence[str]
) -> tuple[list[float], dict[str, list[float | None]]]:
    """What each answer earns: the mean, in [0, 1], of the rewards that apply, and each of them (None where it does not).

    Raises:
        ConfigError: as `check_rewards`.
    """
    check_rewards(examples, rewards)
    each = [scores(answer, example.facts, rewards) for answer, example in zip(answers, examples, strict=True)]
    totals = [statistics.fmean(earned.values()) for earned in each]
    return totals, {name: [earned.get(name) for earned in each] for name in rewards}


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
    model.eval()
    answers: list[str] = []
    for first in range(0, len(examples), batch_size):
        part = examples[first : first + batch_size]
        prompts = [
            processor.prompt_of(one.messages, one.num_tokens, add_generation_prompt=True).input_ids for one in part
        ]
        longest = max(map(len, prompts))
        pad = _pad_id(processor)
        ids = torch.tensor([(pad,) * (longest - len(prompt)) + prompt for prompt in prompts], device=model.device)
        mask = torch.tensor([(0,) * (longest - len(p)) + (1,) * len(p) for p in prompts], device=model.device)
        windows = [window for one in part for window in one.features]
        audio: dict[str, Any] = {"audio_features": windows} if windows else {}
        generated = model.generate(
            input_ids=ids, attention_mask=mask, **audio, do_sample=False, max_new_tokens=max_new_tokens
        )
        answers += processor.batch_decode(generated[:, longest:])
    model.train(was_training)
    return answers


def _pad_id(processor: MusicLLMProcessor) -> int:
    tokenizer = processor.tokenizer
    return int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)
