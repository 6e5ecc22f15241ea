"""Batches for the training of an adapter: prompts, features and soft-token targets about rendered clips.

In: clips as the frozen encoder hears them, a processor. Out: `mllm.train.adapter.Example`s, the same for the same step
and seed. Knows nothing of the training loop.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from mllm import messages
from mllm.encoders import cqt
from mllm.facts import Facts
from mllm.instruct_data import blocks, clips
from mllm.instruct_data.clips import HeardClip
from mllm.processing import MusicLLMProcessor
from mllm.prompt import build_prompt
from mllm.train.adapter import Example
from mllm.train.feature_store import FeatureStore

_READOUTS = ("tempo", "key", "meter", "instruments")


@torch.no_grad()
def hear(encoder: cqt.Encoder, store: Path, *, limit: int | None = None) -> Iterator[HeardClip]:
    """Every clip of a feature store as the frozen encoder hears it, with the facts that it names."""
    reader = FeatureStore(store)
    for clip in reader.clips[:limit]:
        levels, _, _ = reader.read(clip)
        features = torch.from_numpy(levels)[None]
        readout = {
            field: values[0].tolist() for field, values in encoder.readout(features).items() if field in _READOUTS
        }
        facts = clips.named_facts(readout)
        yield HeardClip(id=clip.id, features=encoder.encode(features).half(), facts=facts)


@torch.no_grad()
def hear_nothing(encoder: cqt.Encoder, *, count: int, seed: int) -> Iterator[HeardClip]:
    """Silence and noise of 5 to 30 seconds, of which nothing can be said."""
    generator = torch.Generator().manual_seed(seed)
    for index in range(count):
        seconds = float(torch.empty(1).uniform_(5.0, 30.0, generator=generator))
        level = 0.0 if index % 2 else float(10 ** torch.empty(1).uniform_(-5.0, -1.0, generator=generator))
        noise = torch.randn(1, int(seconds * encoder.sample_rate_hz), generator=generator)
        features = encoder(level * noise)[0]
        yield HeardClip(id=f"nothing-{index}", features=features.half(), facts=Facts())


@dataclasses.dataclass(frozen=True, kw_only=True)
class LessonConfig:
    """How the batches of an adapter's training are drawn."""

    rows: int = 12
    """Conversations in a step."""
    word_rows: int = 48
    """Clips in a step of which only the words of the soft tokens are learnt."""
    turns: int = 5
    """Questions in a conversation."""
    nothing: float = 0.05
    """Share of conversations about silence or noise."""
    seed: int = 1
    """Seed of the draw."""


class Lessons:
    """Draws batches: at first clips alone, for the words of their soft tokens, then conversations."""

    def __init__(
        self,
        config: LessonConfig,
        processor: MusicLLMProcessor,
        heard: Sequence[HeardClip],
        nothing: Sequence[HeardClip],
        *,
        word_steps: int,
    ) -> None:
        self._config = config
        self._processor = processor
        self._heard = heard
        self._nothing = nothing
        self._word_steps = word_steps

    def batch(self, step: int) -> list[Example]:
        """The examples of one step."""
        rng = random.Random(f"{self._config.seed}-{step}")
        if step < self._word_steps:
            return [self._example(rng, turns=1) for _ in range(self._config.word_rows)]
        return [self._example(rng, turns=self._config.turns) for _ in range(self._config.rows)]

    def _example(self, rng: random.Random, *, turns: int) -> Example:
        pool = self._nothing if self._nothing and rng.random() < self._config.nothing else self._heard
        lesson = clips.lesson(rng, pool, turns=turns)
        prompt = build_prompt(
            messages.parse(lesson.messages),
            self._processor.tokenizer,
            audio_tokens=[blocks.SLOTS] * len(lesson.clips),
            markers=self._processor.markers,
            add_generation_prompt=False,
        )
        return Example(
            prompt=prompt,
            features=tuple(clip.features for clip in lesson.clips),
            words=tuple(word for clip in lesson.clips for word in clips.targets(clip.facts)),
        )
