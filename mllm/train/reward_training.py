"""Reward training: the trained parts of a model learn from what its own sampled answers earn, with trl's GRPO.

In: a model that answers, questions with encoder features and facts, the names of rewards. Out: the model, its trained
parts changed in place, the frozen ones untouched. Each question is answered several times; answers that earn more than
the mean of their group become more probable (arXiv 2402.03300). Knows no data files and no reward by name.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from jaxtyping import Float, Int
from torch import Tensor
from transformers.trainer_utils import get_last_checkpoint
from trl import GRPOConfig, GRPOTrainer
from trl.models import unwrap_model_for_generation

from mllm import registry
from mllm.errors import ConfigError
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.processing import MusicLLMProcessor
from mllm.train.reward_data import RewardExample
from mllm.train.reward_scores import check_rewards, padded


@dataclasses.dataclass(frozen=True, kw_only=True)
class RewardTrainingConfig:
    """Settings of a reward training."""

    output: Path
    """Directory for checkpoints."""
    rewards: tuple[str, ...]
    """File names in mllm/train/rewards; what an answer earns is their sum, over those that apply to its question."""
    steps: int = 100
    """Optimiser steps."""
    prompts_per_step: int = 8
    """Questions of one step, in each process."""
    answers_per_prompt: int = 8
    """Sampled answers to each question, at least 2."""
    parts_per_step: int = 1
    """Parts in which the gradient of a step is computed, to save memory; divides the answers of a step."""
    temperature: float = 1.0
    """Of the sampling, above 0."""
    max_new_tokens: int = 64
    """Longest sampled answer, in tokens."""
    learning_rate: float = 2e-5
    """Learning rate, the same in every step after the first ones."""
    warmup_steps: int = 20
    """First steps, in which the learning rate rises to that."""
    beta: float = 0.0
    """Weight of the divergence from the model at the start; 0 leaves it out."""
    seed: int = 1
    """Seed of the order of the questions and of the sampling."""
    save_every: int = 25
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        """Raise a ConfigError that names every setting out of range."""
        least = {
            "steps": 1,
            "prompts_per_step": 1,
            "answers_per_prompt": 2,
            "parts_per_step": 1,
            "warmup_steps": 0,
            "max_new_tokens": 1,
            "save_every": 1,
        }
        problems = [
            f"{name} is {getattr(self, name)}; expected {bound} or more"
            for name, bound in least.items()
            if getattr(self, name) < bound
        ]
        problems += [
            f"{name} is {getattr(self, name):g}; expected a number above 0"
            for name in ("temperature", "learning_rate")
            if not getattr(self, name) > 0
        ]
        if not self.beta >= 0:
            problems.append(f"beta is {self.beta:g}; expected 0 or more")
        answers = self.prompts_per_step * self.answers_per_prompt
        if self.parts_per_step > 0 and answers % self.parts_per_step:
            problems.append(f"parts_per_step is {self.parts_per_step}; expected a divisor of {answers} answers")
        if problems:
            raise ConfigError("; ".join(problems))


class RewardTrainer(GRPOTrainer):  # type: ignore[misc]  # mypy does not follow trl
    """trl's trainer, for a model whose prompts have recordings in them.

    trl carries images along by names that it knows. Here every row of a batch carries the number of its question
    instead, and what the model hears is looked up where answers are sampled and where their probabilities are computed.

    Args:
        model: in which the trained parts learn.
        processor: that belongs to it.
        examples: the questions.
        config: the schedule.
        settings: for trl, of the same schedule.
    """

    def __init__(
        self,
        model: MusicLLMForConditionalGeneration,
        processor: MusicLLMProcessor,
        examples: Sequence[RewardExample],
        config: RewardTrainingConfig,
        settings: GRPOConfig,
    ) -> None:
        frozen = (model.language_model, model.audio_encoder)
        start = copy.deepcopy(model, {id(part): part for part in frozen}) if config.beta else None
        order = itertools.islice(
            question_order(len(examples), config.seed),
            config.steps * config.prompts_per_step * settings.world_size,
        )
        super().__init__(
            model=model,
            args=settings,
            processing_class=processor.tokenizer,
            reward_funcs=[_reward_function(name, examples) for name in config.rewards],
            train_dataset=Dataset.from_list([{"prompt": f"question {row}", "row": row} for row in order]),
        )
        self._examples = examples
        self._processor = processor
        self._prompts = [
            list(processor.prompt_of(one.messages, one.num_tokens, add_generation_prompt=True).input_ids)
            for one in examples
        ]
        self._rows: list[int] = []  # the question of each row that is being computed
        if start is not None:  # trl would open it by the name of a class of transformers
            self.beta = config.beta
            self.ref_model = start.to(self.accelerator.device).eval().requires_grad_(False)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Nothing: `checkpoint.save` writes the card."""

    def _send_telemetry(self) -> None:
        """Nothing: no training of ours reports to others."""

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log a step, without the rewards that apply to none of its questions."""
        metrics = self._metrics["train"]
        for name in [name for name, values in metrics.items() if all(map(math.isnan, values))]:
            del metrics[name]
        super().log(logs, start_time)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._rows = [row["row"] for row in inputs]
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        return {**batch, "rows": torch.tensor([row["row"] for row in inputs])}

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, Any]]:  # noqa: ARG002
        return [self._prompts[row] for row in self._rows], None, {}

    def _generate_single_turn(self, prompt_ids: list[list[int]], *_: Any, **__: Any) -> tuple[list[list[int]], None]:
        """A sampled answer to each prompt, its end included; no probabilities, as they are computed in the step."""
        with (
            torch.no_grad(),
            unwrap_model_for_generation(
                self.model_wrapped, self.accelerator, generation_kwargs=self.generation_kwargs
            ) as model,
        ):
            inputs = padded(prompt_ids, self._tokenizer.pad_token_id, model.device)
            generated = model.generate(
                **inputs, audio_embeds=self._hear(model, self._rows), generation_config=self.generation_config
            )
        answers = generated[:, inputs["input_ids"].shape[1] :].tolist()
        return [self._up_to_end(answer) for answer in answers], None

    def _up_to_end(self, answer: list[int]) -> list[int]:
        ends = [place for place, token in enumerate(answer) if token in self.eos_token_ids]
        return answer[: ends[0] + 1] if ends else answer

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        self._rows = inputs["rows"].tolist()
        loss: Tensor = super()._compute_loss(model, inputs)
        return loss

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Int[Tensor, "batch text"],
        attention_mask: Int[Tensor, "batch text"],
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **_: Any,
    ) -> tuple[Float[Tensor, "batch answer"], Float[Tensor, "batch answer"] | None, None]:
        """Log-probabilities of the last `logits_to_keep` tokens at the temperature of the sampling, and entropies."""
        size = batch_size or len(input_ids)
        found, entropies = [], []
        for first in range(0, len(input_ids), size):
            part = slice(first, first + size)
            logits = model(
                input_ids=input_ids[part],
                attention_mask=attention_mask[part],
                audio_embeds=self._hear(self.accelerator.unwrap_model(model), self._rows[part]),
                logits_to_keep=logits_to_keep + 1,
            ).logits[:, :-1]  # (B, C, vocabulary)
            chances = (logits.float() / self.temperature).log_softmax(-1)
            found.append(chances.gather(-1, input_ids[part, -logits_to_keep:, None])[..., 0])
            if compute_entropy:
                entropies.append(-(chances.exp() * chances).sum(-1).detach())
        return torch.cat(found), torch.cat(entropies) if entropies else None, None

    def _hear(self, model: MusicLLMForConditionalGeneration, rows: Sequence[int]) -> list[Tensor]:
        """Soft tokens of the recordings of each row in order; those of one question are computed once."""
        questions = list(dict.fromkeys(rows))
        features = [window for row in questions for window in self._examples[row].features]
        soft = iter(model.soft_tokens(features) if features else ())
        windows = {row: [next(soft) for _ in self._examples[row].features] for row in questions}
        return [window for row in rows for window in windows[row]]


def question_order(count: int, seed: int) -> Iterator[int]:
    """Questions by their number, without end: all of them in one random order, then in another, and so on."""
    for round_number in itertools.count():
        order = list(range(count))
        random.Random(f"{seed}-{round_number}").shuffle(order)
        yield from order


def train(
    model: MusicLLMForConditionalGeneration,
    processor: MusicLLMProcessor,
    examples: Sequence[RewardExample],
    config: RewardTrainingConfig,
) -> Mapping[str, float]:
    """Trains in place, or resumes from the last checkpoint in `config.output`.

    Every step logs `reward` (the mean of the sums that answers earned), `rewards/<name>/mean` over the answers
    to which that reward applies, and `kl` where `beta` is above 0: to TensorBoard, and to `log_history` in the
    trainer_state.json of each checkpoint.

    Args:
        model: as it was before the training, also where a training is resumed.
        processor: that belongs to it.
        examples: the questions, at least one.
        config: the schedule and the rewards.

    Returns:
        The Trainer's metrics, `train_runtime` among them.

    Raises:
        ConfigError: a reward is unknown, or a question has none that applies.
        PromptError: a question is longer than the context.
    """
    check_rewards(examples, config.rewards)
    settings = _settings(model, processor, config)
    settings_before = set(vars(model.config))
    padding_before = model.config.get_text_config().pad_token_id
    generation_before = copy.deepcopy(model.generation_config)
    trainer = RewardTrainer(model, processor, examples, config, settings)
    try:
        result = trainer.train(resume_from_checkpoint=get_last_checkpoint(str(config.output)))
    finally:
        vars(model).pop("forward", None)  # trl put its own there
        for name in set(vars(model.config)) - settings_before:
            delattr(model.config, name)
        model.config.get_text_config().pad_token_id = padding_before
        model.generation_config = generation_before
    metrics: Mapping[str, float] = result.metrics
    return metrics


def _settings(
    model: MusicLLMForConditionalGeneration, processor: MusicLLMProcessor, config: RewardTrainingConfig
) -> GRPOConfig:
    # A sampled placeholder would be a place without a soft token.
    placeholders = [i for i in (processor.audio_token_id, processor.item_token_id) if i is not None]
    vocabulary_size = model.config.get_text_config().vocab_size
    return GRPOConfig(
        output_dir=str(config.output),
        max_steps=config.steps,
        per_device_train_batch_size=config.prompts_per_step * config.answers_per_prompt // config.parts_per_step,
        gradient_accumulation_steps=config.parts_per_step,
        num_generations=config.answers_per_prompt,
        max_completion_length=config.max_new_tokens,
        temperature=config.temperature,
        generation_kwargs={"suppress_tokens": sorted(i for i in placeholders if i < vocabulary_size)},
        learning_rate=config.learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=config.warmup_steps,
        max_grad_norm=1.0,
        beta=0.0,
        shuffle_dataset=False,  # the order is ours, one pass for the whole run, which a resumed run finds again
        gradient_checkpointing=False,
        bf16=False,
        logging_steps=1,
        save_steps=config.save_every,
        save_total_limit=2,
        report_to=["tensorboard"],
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
        seed=config.seed,
        disable_tqdm=True,
    )


def _reward_function(name: str, examples: Sequence[RewardExample]) -> Callable[..., list[float | None]]:
    """A reward as trl calls it: over a list of answers, with the number of each one's question."""
    judge = registry.find("reward", name).reward

    def rewards(completions: Sequence[str], row: Sequence[int], **_: Any) -> list[float | None]:
        return [judge(text.strip(), examples[i].facts) for text, i in zip(completions, row, strict=True)]

    rewards.__name__ = name
    return rewards
