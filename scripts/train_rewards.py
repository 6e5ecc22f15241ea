"""Trains a checkpoint on rewards, and measures what its answers about unseen clips earn, before and after.

    python scripts/train_rewards.py --data.questions train.jsonl --data.held_out test.jsonl \
        --data.checkpoint runs/rewarded --train.output runs/rewards --train.rewards '[tempo, instruments]'

Lines are {"messages": [...], "facts": {...}} (docs/rewards.md). Prints one JSON object: the mean reward of greedy
answers to the held-out questions, and to the same questions with another clip's audio, with 95 % bootstrap intervals
over clips.
Resumes from the last checkpoint in `--train.output`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jsonargparse import auto_cli

from mllm import checkpoint
from mllm.errors import MllmError
from mllm.eval import statistic
from mllm.eval.statistic import Ratio
from mllm.train import reward_data, reward_scores, reward_training
from mllm.train.reward_data import RewardExample
from mllm.train.reward_scores import Measured
from mllm.train.reward_training import RewardTrainingConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """What is trained from and measured on, and where the result goes."""

    questions: Path
    """JSONL file of the questions to train on."""
    held_out: Path
    """JSONL file of the questions to measure on; their clips must not be trained on."""
    checkpoint: Path
    """Where the finished checkpoint goes."""
    model: Path | None = None
    """Directory of the checkpoint to start from; by default the one that is shipped."""
    answers: Path | None = None
    """Write the held-out answers there, one JSON object a question."""


def compare(
    examples: list[RewardExample], before: Measured, after: Measured, seed: int
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Mean reward before and after, and their paired difference, in total and of each reward."""
    pairs: dict[str, tuple[Sequence[float | None], ...]] = {"reward": (before.earned, after.earned)}
    pairs |= {name: (before.each[name], after.each[name]) for name in before.each}
    found = {}
    for name, both in pairs.items():
        ratios = []
        for values in both:
            sums, counts = reward_scores.by_clip(examples, values)
            ratios.append(Ratio(numerators=np.array(sums), denominators=np.array(counts)))
        clips = [str(number) for number in range(len(ratios[0].numerators))]
        draws = statistic.draw(clips, seed=seed)
        figures = {"before": statistic.estimate(ratios[0], draws), "after": statistic.estimate(ratios[1], draws)}
        figures["difference"] = statistic.difference(ratios[1], ratios[0], draws)
        found[name] = {figure: dataclasses.asdict(value) for figure, value in figures.items()}
    return found


def run(train: RewardTrainingConfig, data: Data) -> int:
    """Measures, trains, measures again, writes the checkpoint and prints the figures.

    Args:
        train: the schedule and the rewards.
        data: questions and the place of the result.
    """
    model, processor = checkpoint.load(data.model or checkpoint.reference_directory())
    questions = reward_data.read_examples(data.questions, model, processor)
    held_out = reward_data.read_examples(data.held_out, model, processor)
    reward_scores.check_rewards(questions, train.rewards)
    conditions = {"heard": held_out, "another_clip": reward_data.with_other_audio(held_out)}

    def measure() -> dict[str, Measured]:
        return {
            name: reward_scores.measure(model, processor, examples, train.rewards, max_new_tokens=train.max_new_tokens)
            for name, examples in conditions.items()
        }

    before = measure()
    metrics = reward_training.train(model, processor, questions, train)
    after = measure()
    figures = {name: compare(held_out, before[name], after[name], train.seed) for name in conditions}
    settings = {"train": dataclasses.asdict(train), "data": dataclasses.asdict(data)}
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in _files(data).items()}
    result = {
        "questions": len(questions),
        "held_out_questions": len(held_out),
        "held_out_clips": len({example.clip for example in held_out}),
        "figures": figures,
        "metrics": dict(metrics),
        "sha256": hashes,
    }
    checkpoint.save(
        model,
        processor,
        data.checkpoint,
        card=f"# Trained on rewards\n\nStarted from {data.model or 'the reference checkpoint'}; "
        f"rewards: {', '.join(train.rewards)}.\n\n```json\n{json.dumps(figures, indent=2)}\n```\n",
        run=json.loads(json.dumps({**settings, **result}, default=str)),
    )
    if data.answers is not None:
        rows = zip(held_out, before["heard"].answers, after["heard"].answers, strict=True)
        lines = [json.dumps({"facts": dict(one.facts), "before": first, "after": last}) for one, first, last in rows]
        data.answers.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(json.dumps(result))
    return 0


def _files(data: Data) -> dict[str, Path]:
    return {"questions": data.questions, "held_out": data.held_out}


def main() -> int:
    """Parses the settings and runs; returns the exit status."""
    try:
        return int(auto_cli(run, as_positional=False))
    except MllmError as error:
        print(f"train_rewards: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
