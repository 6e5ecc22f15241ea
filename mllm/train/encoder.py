"""Training of the compact encoder with `transformers.Trainer`: feature stores in, an encoder directory out.

Examples are drawn from all clips that are cached at the time, so that training may begin while clips are still being
rendered. Resumes from the last checkpoint in the output folder. Knows nothing of language models.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from mllm.encoders import _cqt_frontend as frontend
from mllm.encoders import cqt
from mllm.errors import ConfigError
from mllm.train import encoder_metrics
from mllm.train.feature_augment import IGNORE, Augmentation, example
from mllm.train.feature_store import CachedClip, FeatureStore

_CLOCK_FILE = "clock.json"
_VALIDATION_SHARE = 25
"""One training clip in so many is kept for choosing thresholds and never trained on."""
_RESCAN_BATCHES = 50


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderTrainingConfig:
    """Settings of one training run of the compact encoder."""

    stores: tuple[str, ...]
    """Feature stores to train on (`mllm.train.feature_store`); they may still be growing."""
    output: str
    """Folder for checkpoints, logs and, in `encoder/`, the result."""
    held_out: tuple[str, ...] = ()
    """Feature stores to evaluate on, each under its folder's name."""
    max_steps: int = 1800
    """Steps of the learning-rate schedule."""
    minutes: float = 0.0
    """Wall-clock budget: the schedule is at its end then, if `max_steps` were not reached before; 0 for none."""
    batch_size: int = 16
    """Pieces a step."""
    shortest_seconds: float = 8.0
    """Shortest piece; all pieces of one step are equally long."""
    longest_seconds: float = 30.0
    """Longest piece."""
    learning_rate: float = 1e-3
    """Highest learning rate."""
    warmup_steps: int = 100
    """Steps until the highest learning rate."""
    weight_decay: float = 0.03
    """AdamW's weight decay."""
    eval_steps: int = 200
    """Steps between evaluations."""
    eval_clips: int = 150
    """Clips of each held-out store that are evaluated during training; all of them at the end."""
    save_minutes: float = 8.0
    """Minutes between checkpoints."""
    start_from: str | None = None
    """Folder of a saved encoder of the same shape whose weights training begins with; None for random weights."""
    seed: int = 0
    """Seed of weights, order and augmentation."""
    augmentation: Augmentation = dataclasses.field(default_factory=Augmentation)
    """How far training examples may be from the rendered clips."""
    encoder: cqt.Config = dataclasses.field(default_factory=cqt.Config)
    """Shape of the encoder."""

    def __post_init__(self) -> None:
        if not 1.0 <= self.shortest_seconds <= self.longest_seconds:
            raise ConfigError(
                f"shortest_seconds {self.shortest_seconds} and longest_seconds {self.longest_seconds} "
                "must rise and be at least 1"
            )


class EncoderTraining(nn.Module):
    """The encoder with the losses that teach it; two small heads about pitch exist only here."""

    def __init__(self, encoder: cqt.Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.pitch_head = nn.Linear(encoder.config.chroma_channels, 2)

    def forward(
        self,
        features: Tensor,
        tempo: Tensor,
        key: Tensor,
        meter: Tensor,
        instruments: Tensor,
        frame_instruments: Tensor,
        pitch_classes: Tensor,
        bass: Tensor,
        notes: Tensor,
    ) -> dict[str, Tensor]:
        """The weighted sum `loss` and its parts, of a batch of `mllm.train.feature_augment.example`."""
        outputs = self.encoder.compute(features)
        pitch, lowest = self.pitch_head(outputs.chroma.permute(0, 2, 3, 1)).unbind(-1)  # (B, T, 12)
        parts = {
            "tempo": -(tempo * outputs.tempo.log_softmax(-1)).sum(-1).mean(),
            "key": _cross_entropy(outputs.key, key),
            "meter": _cross_entropy(outputs.meter, meter),
            "instruments": functional.binary_cross_entropy_with_logits(outputs.instruments, instruments),
            "frame_instruments": functional.binary_cross_entropy_with_logits(
                outputs.frame_instruments, frame_instruments
            ),
            "pitch_classes": functional.binary_cross_entropy_with_logits(pitch, pitch_classes),
            "bass": _cross_entropy(lowest.flatten(0, 1), bass.flatten()),
            "notes": _note_loss(outputs.notes, notes),
        }
        loss = torch.stack([weight * parts[name] for name, weight in _WEIGHTS.items()]).sum()
        return {"loss": loss, **{name: part.detach() for name, part in parts.items()}}


_WEIGHTS = {
    "tempo": 1.0,
    "key": 1.0,
    "meter": 0.5,
    "instruments": 12.0,
    "frame_instruments": 6.0,
    "pitch_classes": 3.0,
    "bass": 0.3,
    "notes": 0.5,
}


def _note_loss(logits: Tensor, sets: Tensor) -> Tensor:
    """Binary cross-entropy of (B, 17, T, 84) against sets of instruments (B, T, 84), per sounding note."""
    members = torch.arange(logits.shape[1], device=sets.device)[:, None, None]
    sounding = ((sets[:, None] >> members) & 1).to(logits.dtype)
    total = functional.binary_cross_entropy_with_logits(logits, sounding, reduction="sum")
    return total / (sounding.sum() + 1.0)


def _cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Mean over the classes that are known; 0 where none is."""
    total = functional.cross_entropy(logits, classes, ignore_index=IGNORE, reduction="sum")
    return total / (classes != IGNORE).sum().clamp_min(1)


def is_validation(clip_id: str) -> bool:
    """Whether a training clip is kept for choosing thresholds."""
    return zlib.crc32(clip_id.encode()) % _VALIDATION_SHARE == 0


class TrainingStream(Dataset[dict[str, np.ndarray]]):
    """Example number i is fully determined by the seed, i and the clips there are; stores are re-read now and then.

    All examples of one batch have the same length.
    """

    def __init__(self, config: EncoderTrainingConfig) -> None:
        self.config = config
        self.stores = [FeatureStore(directory) for directory in config.stores]
        self._clips: list[tuple[FeatureStore, CachedClip]] = []
        self._find_clips()
        if not self._clips:
            raise ConfigError(f"no clips are cached in {', '.join(config.stores)}; run the cache command first")

    def __len__(self) -> int:
        return self.config.max_steps * self.config.batch_size

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        batch = index // self.config.batch_size
        if index % (_RESCAN_BATCHES * self.config.batch_size) == 0:
            for store in self.stores:
                store.refresh()
            self._find_clips()
        shortest, longest = (
            seconds * frontend.SLOTS_PER_SECOND / frontend.SLOTS_PER_FRAME
            for seconds in (self.config.shortest_seconds, self.config.longest_seconds)
        )
        frames = np.random.default_rng((self.config.seed, 1, batch)).integers(int(shortest), int(longest) + 1)
        rng = np.random.default_rng((self.config.seed, 2, index))
        store, clip = self._clips[int(rng.integers(len(self._clips)))]
        slots = int(frames) * frontend.SLOTS_PER_FRAME
        return example(store, clip, slots=slots, rng=rng, augmentation=self.config.augmentation)

    def validation(self) -> list[tuple[FeatureStore, CachedClip]]:
        """Clips of the training stores that are never trained on."""
        return [(store, clip) for store in self.stores for clip in store.clips if is_validation(clip.id)]

    def _find_clips(self) -> None:
        self._clips = [(store, clip) for store in self.stores for clip in store.clips if not is_validation(clip.id)]


class _Clock(TrainerCallback):
    """Time trained so far, over resumptions; checkpoints by the clock, and stops when the budget is spent."""

    def __init__(self, config: EncoderTrainingConfig) -> None:
        self.config = config
        self.before = 0.0
        self.started = time.monotonic()
        self.saved = self.started

    def elapsed_minutes(self) -> float:
        return self.before + (time.monotonic() - self.started) / 60.0

    def progress(self, step: int) -> float:
        """Share of the schedule that is behind, in [0, 1]."""
        spent = self.elapsed_minutes() / self.config.minutes if self.config.minutes else 0.0
        return min(1.0, max(step / self.config.max_steps, spent))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        del args, kwargs
        finished = self.progress(state.global_step) >= 1.0
        if finished:
            control.should_training_stop = True
        if finished or time.monotonic() - self.saved >= 60.0 * self.config.save_minutes:
            control.should_save = True
            self.saved = time.monotonic()
        return control

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        del args, control, kwargs
        folder = Path(self.config.output) / f"checkpoint-{state.global_step}"
        (folder / _CLOCK_FILE).write_text(json.dumps({"minutes": self.elapsed_minutes()}))


class _EncoderTrainer(Trainer):
    """Trainer whose schedule follows `_Clock` and whose evaluation scores what the encoder names."""

    def __init__(self, config: EncoderTrainingConfig, clock: _Clock, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.clock = clock
        self.held_out = [FeatureStore(directory) for directory in config.held_out]

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        del num_training_steps  # the clock knows

        def share(step: int) -> float:
            warm = min(1.0, (step + 1) / max(1, self.config.warmup_steps))
            return warm * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * self.clock.progress(step))))

        chosen = optimizer or self.optimizer
        assert chosen is not None
        schedule = torch.optim.lr_scheduler.LambdaLR(chosen, share)
        self.lr_scheduler = schedule
        return schedule

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        del eval_dataset, ignore_keys  # Trainer's way of calling; what is evaluated stands in the config
        assert isinstance(self.model, EncoderTraining)
        assert isinstance(self.train_dataset, TrainingStream)
        metrics, _ = evaluate(
            self.model.encoder, self.train_dataset.validation(), self.held_out, self.config.eval_clips
        )
        logged = {f"{metric_key_prefix}_{name}": value for name, value in metrics.items()}
        logged["minutes"] = round(self.clock.elapsed_minutes(), 2)
        logged["clips"] = float(sum(len(store.clips) for store in self.train_dataset.stores))
        self.log(logged)
        return logged


def evaluate(
    encoder: cqt.Encoder,
    validation: Sequence[tuple[FeatureStore, CachedClip]],
    held_out: Sequence[FeatureStore],
    clips: int | None,
    *,
    thresholds: tuple[float, ...] | None = None,
) -> tuple[dict[str, float], tuple[float, ...]]:
    """Scores on kept training clips and on each held-out store, and the thresholds chosen on the former.

    Args:
        encoder: left in the mode (training or evaluation) that it had.
        validation: clips that were not trained on.
        held_out: stores to evaluate on.
        clips: at most that many clips each, evenly spread; None for all.
        thresholds: one an instrument, if they are not to be chosen.

    Returns:
        Scores of `encoder_metrics.scores`, named `<store>_<score>`, and one threshold an instrument.
    """
    was_training = encoder.training
    encoder.eval()
    predictions = encoder_metrics.predict(encoder, _spread(validation, clips))
    if thresholds is None:
        thresholds = encoder_metrics.choose_thresholds(predictions)
    metrics = {f"kept_{name}": score for name, score in encoder_metrics.scores(predictions, thresholds).items()}
    for store in held_out:
        store.refresh()
        predictions = encoder_metrics.predict(encoder, _spread([(store, clip) for clip in store.clips], clips))
        for name, score in encoder_metrics.scores(predictions, thresholds).items():
            metrics[f"{store.directory.name}_{name}"] = score
    encoder.train(was_training)
    return metrics, thresholds


def _spread(
    sources: Sequence[tuple[FeatureStore, CachedClip]], count: int | None
) -> list[tuple[FeatureStore, CachedClip]]:
    if count is None or len(sources) <= count:
        return list(sources)
    return [sources[int(index)] for index in np.linspace(0, len(sources) - 1, count)]


def train(settings: EncoderTrainingConfig) -> dict[str, float]:
    """Train, or go on training, and write `output/encoder` and `output/metrics.json`.

    Returns:
        The scores at the end, on all held-out clips.
    """
    set_seed(settings.seed)
    output = Path(settings.output)
    output.mkdir(parents=True, exist_ok=True)
    stream = TrainingStream(settings)
    start = settings.start_from
    model = EncoderTraining(cqt.Encoder(settings.encoder) if start is None else cqt.Encoder.from_pretrained(start))
    clock = _Clock(settings)
    last: str | None = get_last_checkpoint(str(output))
    if last is not None and (Path(last) / _CLOCK_FILE).is_file():
        clock.before = json.loads((Path(last) / _CLOCK_FILE).read_text())["minutes"]
    trainer = _EncoderTrainer(
        settings,
        clock,
        model=model,
        args=_arguments(settings),
        train_dataset=stream,
        eval_dataset=stream,
        callbacks=[clock],
    )
    trainer.train(resume_from_checkpoint=last)
    encoder = model.encoder.eval()
    metrics, thresholds = evaluate(encoder, stream.validation(), trainer.held_out, None)
    encoder.config = dataclasses.replace(encoder.config, instrument_thresholds=thresholds)
    encoder.save_pretrained(output / "encoder", dtype=torch.bfloat16)
    report = {**metrics, "minutes": clock.elapsed_minutes(), "steps": float(trainer.state.global_step)}
    (output / "metrics.json").write_text(json.dumps(report, indent=2) + "\n")
    return report


def _arguments(config: EncoderTrainingConfig) -> TrainingArguments:
    return TrainingArguments(
        output_dir=config.output,
        max_steps=config.max_steps,
        per_device_train_batch_size=config.batch_size,
        train_sampling_strategy="sequential",
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        adam_beta2=0.98,
        max_grad_norm=1.0,
        eval_strategy="steps",
        eval_steps=config.eval_steps,
        save_strategy="steps",
        save_steps=10**9,
        save_total_limit=2,
        logging_steps=20,
        logging_first_step=True,
        report_to=["tensorboard"],
        seed=config.seed,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        label_names=[],
    )
