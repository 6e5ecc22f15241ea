"""Measures how many conversations a second are trained on, one way beside another, in one run.

    python scripts/bench_training.py --measures "[padding,loss]"

Without `--measures`, all are made: `padding` compares batches padded in the order of the data with batches of like
lengths and with packed rows, `loss` the logits of all positions with those of the answers only. The model is a LLaMA of
random weights with a frozen encoder in front. Prints one JSON object; ratios are to the first side named. On a CPU,
seconds are those of the processor, so that other work on the machine counts little.
"""

from __future__ import annotations

import dataclasses
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from jsonargparse import auto_cli
from transformers import LlamaConfig, LlamaForCausalLM

from mllm.configuration import MusicLLMConfig
from mllm.encoders import cqt
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.prompt import IGNORE_INDEX, Prompt
from mllm.train import packing
from mllm.train.adapter import Example
from mllm.train.grouping import Grouping, GroupingConfig, Rule, fill_row, like_lengths

Measure = Literal["padding", "loss"]
AUDIO_TOKEN_ID = 3
PROMPT_TOKENS = 40
"""System message and what the chat template writes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """What is trained on, and how often."""

    conversations: int = 64
    """Conversations that each side computes once a round."""
    rounds: int = 3
    """Rounds, in each of which every side has its turn; the medians are reported."""
    batch: int = 8
    """Conversations in a batch that is padded in the order of the data."""
    row_tokens: int | None = None
    """Most tokens of a packed row; None: those of the longest conversation, as attention by sdpa costs the square."""
    batch_tokens: int = 2048
    """Most tokens of a batch of like lengths, padding included."""
    vocabulary: int = 32_000
    """Tokens that the backbone knows."""
    hidden_size: int = 512
    """Width of the backbone."""
    layers: int = 6
    """Layers of the backbone."""
    seed: int = 1
    """Seed of weights and conversations."""


class Bench:
    """A model and its conversations.

    Args:
        config: of the run.
    """

    def __init__(self, config: BenchConfig) -> None:
        self.config = config
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(config.seed)
        backbone: Any = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=config.vocabulary,
                hidden_size=config.hidden_size,
                intermediate_size=8 * config.hidden_size // 3 // 32 * 32,
                num_hidden_layers=config.layers,
                num_attention_heads=config.hidden_size // 64,
                max_position_embeddings=4096,
            )
        )
        encoder = cqt.Encoder(cqt.Config(width=64, depth=1, heads=2, feed_forward=64))
        settings = MusicLLMConfig(
            text_config=backbone.config,
            audio_encoder={"name": "cqt", **dataclasses.asdict(encoder.config)},
            audio_adapter={"name": "mlp", "tokens_per_second": 2.0},
            audio_token="<audio>",  # noqa: S106 (no password)
            audio_token_id=AUDIO_TOKEN_ID,
        )
        model: Any = MusicLLMForConditionalGeneration(settings, backbone, encoder)
        self.model = model.to(self.device).train()
        rng, generator = random.Random(config.seed), torch.Generator().manual_seed(config.seed)
        self.conversations = [self._conversation(rng, generator) for _ in range(config.conversations)]
        self.lengths = [len(one.prompt.input_ids) for one in self.conversations]

    def _conversation(self, rng: random.Random, generator: torch.Generator) -> Example:
        """A question, a caption or a dialogue, as five, three and two in ten, about recordings of 5 to 30 seconds."""
        (kind,) = rng.choices(("question", "caption", "dialogue"), weights=(5, 3, 2))
        turns, answer_tokens = {"question": (1, 12), "caption": (1, 70), "dialogue": (rng.randint(3, 10), 40)}[kind]
        encoder = self.model.audio_encoder
        ids, labels, features = [5] * PROMPT_TOKENS, [IGNORE_INDEX] * PROMPT_TOKENS, []
        for _ in range(rng.randint(1, 3) if kind == "dialogue" else 1):
            frames = round(rng.uniform(5, 30) * encoder.frames_per_second)
            features.append(torch.randn(encoder.num_layers, frames, encoder.width, generator=generator))
            ids += [AUDIO_TOKEN_ID] * self.model.audio_adapter.num_tokens(frames)
        for _ in range(turns):
            ids += [rng.randrange(10, self.config.vocabulary) for _ in range(rng.randint(10, 30))]
            labels += [IGNORE_INDEX] * (len(ids) - len(labels))
            length = min(300, max(3, round(answer_tokens * rng.lognormvariate(0, 0.6))))
            labels += [rng.randrange(10, self.config.vocabulary) for _ in range(length)]
            ids += labels[-length:]
        return Example(
            prompt=Prompt(input_ids=tuple(ids), labels=tuple(labels), placeholders=()),
            features=tuple(features),
            words=(),
        )

    def padded(self, groups: Iterable[Sequence[Example]]) -> list[dict[str, Any]]:
        """A batch for each group, with a row for each conversation."""
        return [self._with_audio(packing.padded([one.prompt for one in group], 0), group) for group in groups]

    def packed(self) -> list[dict[str, Any]]:
        """A batch of one row for each group that fills a row."""
        borders = packing.needs_borders(self.model.language_model)
        return [
            self._with_audio(packing.packed([[one.prompt for one in group]], 0, borders=borders), group)
            for group in self.groups(fill_row, self.config.row_tokens or max(self.lengths))
        ]

    def groups(self, rule: Rule, max_tokens: int) -> list[list[Example]]:
        """All conversations, grouped by a rule."""
        sizes = GroupingConfig(max_tokens=max_tokens)
        return list(Grouping[Example](sizes, rule, lambda one: len(one.prompt.input_ids)).groups(self.conversations))

    def compare(self, sides: Mapping[str, Sequence[dict[str, Any]]]) -> dict[str, float]:
        """Conversations a second of each side, forward and backward, and their ratios to the first side."""
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        self._seconds(next(iter(sides.values()))[:1])  # what is made on first use is made now
        for _ in range(self.config.rounds):
            for name, batches in sides.items():
                seconds[name].append(self._seconds(batches))
        rates = {name: self.config.conversations / statistics.median(taken) for name, taken in seconds.items()}
        first, *others = rates
        return {
            **{f"{name}_samples_per_second": round(rate, 3) for name, rate in rates.items()},
            **{f"{name}_over_{first}": round(rates[name] / rates[first], 2) for name in others},
        }

    def _with_audio(self, tensors: dict[str, Any], group: Sequence[Example]) -> dict[str, Any]:
        placed = {name: one.to(self.device) if hasattr(one, "to") else one for name, one in tensors.items()}
        return {**placed, "audio_features": [window.to(self.device) for one in group for window in one.features]}

    def _seconds(self, batches: Sequence[dict[str, Any]]) -> float:
        clock = time.process_time if self.device.type == "cpu" else time.perf_counter
        start = clock()
        for batch in batches:
            self.model(**batch).loss.backward()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        taken = clock() - start
        self.model.zero_grad()
        return taken


def padding(bench: Bench) -> dict[str, float]:
    """Padded batches, batches of like lengths, packed rows; and the share of places that are padding in each."""
    step = bench.config.batch
    in_order = [bench.conversations[first : first + step] for first in range(0, len(bench.conversations), step)]
    sides = {
        "padded": bench.padded(in_order),
        "like_lengths": bench.padded(bench.groups(like_lengths, bench.config.batch_tokens)),
        "packed": bench.packed(),
    }
    tokens = sum(bench.lengths)
    shares = {
        f"{name}_padding_share": round(1 - tokens / sum(batch["input_ids"].numel() for batch in batches), 3)
        for name, batches in sides.items()
    }
    return {**bench.compare(sides), **shares}


def loss(bench: Bench) -> dict[str, float]:
    """Logits of all positions, and of the answers only, on packed rows; and the share of tokens that are learnt."""
    batches = bench.packed()
    sides = {
        "full_logits": [{**batch, "skip_logits": False} for batch in batches],
        "answers_only": batches,
    }
    learnt = sum(label != IGNORE_INDEX for one in bench.conversations for label in one.prompt.labels)
    return {**bench.compare(sides), "learnt_share": round(learnt / sum(bench.lengths), 3)}


MEASURES: dict[Measure, Callable[[Bench], dict[str, float]]] = {"padding": padding, "loss": loss}


def run(measures: list[Measure] | None = None, bench: BenchConfig = BenchConfig()) -> int:
    """Measures and prints.

    Args:
        measures: what is measured; all by default.
        bench: sizes.
    """
    made = Bench(bench)
    lengths = made.lengths
    figures: dict[str, Any] = {
        "backbone_parameters": sum(parameter.numel() for parameter in made.model.language_model.parameters()),
        "conversation_tokens": {
            "median": statistics.median(lengths),
            "shortest": min(lengths),
            "longest": max(lengths),
        },
        "device": str(made.device),
        "threads": torch.get_num_threads(),
        **{measure: MEASURES[measure](made) for measure in measures or get_args(Measure)},
    }
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(auto_cli(run, as_positional=False))
