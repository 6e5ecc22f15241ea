"""The last stage of encoder training: a trained encoder and feature stores in, the encoder with fitted instruments out.

The timbre branch reads statistics of mel levels only, so its inputs are computed once and it is fitted in a minute, to
the end, apart from the rest of the encoder, which stays as it is. Thresholds are chosen on clips kept from training.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mllm.encoders import _cqt_frontend as frontend
from mllm.encoders import cqt
from mllm.encoders._cqt_timbre import LEVEL_SCALE, LEVEL_STATISTICS, STATISTICS, TimbreBranch, statistics
from mllm.errors import ConfigError
from mllm.facts import INSTRUMENTS
from mllm.train.encoder import evaluate, is_validation
from mllm.train.feature_augment import Augmentation, example
from mllm.train.feature_store import CachedClip, FeatureStore

_CURVES = 7
"""Level, slope and five cosines: the random equalisation of an example."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimbreConfig:
    """Settings of the last stage of encoder training."""

    encoder: str
    """Folder of the trained encoder."""
    stores: tuple[str, ...]
    """Feature stores to train on."""
    output: str
    """Folder of the finished encoder; `metrics.json` is written beside its weights."""
    held_out: tuple[str, ...] = ()
    """Feature stores to evaluate on, each under its folder's name."""
    pieces: int = 3
    """Random pieces of each clip, besides its first window."""
    epochs: int = 14
    """Passes over all examples."""
    batch_size: int = 64
    """Examples a step."""
    learning_rate: float = 1e-3
    """Highest learning rate."""
    weight_decay: float = 0.05
    """AdamW's weight decay."""
    dropout: float = 0.3
    """Share of inner channels that are silenced."""
    equalisation_db: float = 1.3
    """Standard deviation of each of seven random curves over the bands."""
    noise: float = 0.1
    """Standard deviation of noise on each statistic, relative to its own."""
    band_dropout: float = 0.0
    """Share of bands that are silenced."""
    seed: int = 0
    """Seed of pieces, order and noise."""
    augmentation: Augmentation = dataclasses.field(
        default_factory=lambda: Augmentation(semitones=0, detune_bins=0.0, stretch=1.1, tilt_db_per_octave=1.0)
    )
    """How far random pieces may be from the rendered clips."""


def gather(settings: TimbreConfig) -> tuple[Tensor, Tensor]:
    """Statistics (n, `STATISTICS` * 64) and instruments (n, 17) of all training clips, kept ones left out."""
    rng = np.random.default_rng(settings.seed)
    inputs: list[Tensor] = []
    labels: list[Tensor] = []
    for store in map(FeatureStore, settings.stores):
        for clip in store.clips:
            if is_validation(clip.id):
                continue
            for levels, instruments in _pieces(store, clip, settings, rng):
                mel = levels[:, frontend.CQT_BINS :].reshape(1, -1, frontend.MEL_BANDS)
                inputs.append(statistics(torch.from_numpy(mel))[0])
                labels.append(torch.from_numpy(instruments))
    if not inputs:
        raise ConfigError(f"no clips are cached in {', '.join(settings.stores)}; run the cache command first")
    return torch.stack(inputs), torch.stack(labels)


def _pieces(
    store: FeatureStore, clip: CachedClip, settings: TimbreConfig, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    whole = np.zeros(len(INSTRUMENTS), np.float32)
    whole[list(clip.instruments)] = 1.0
    pieces = [(store.read(clip)[0], whole)]
    shortest = min(clip.slots, int(8.0 * frontend.SLOTS_PER_SECOND)) // frontend.SLOTS_PER_FRAME
    for _ in range(settings.pieces):
        frames = int(rng.integers(shortest, clip.slots // frontend.SLOTS_PER_FRAME + 1))
        slots = frames * frontend.SLOTS_PER_FRAME
        made = example(store, clip, slots=slots, rng=rng, augmentation=settings.augmentation)
        pieces.append((made["features"], made["instruments"]))
    return pieces


def fit(branch: TimbreBranch, inputs: Tensor, labels: Tensor, settings: TimbreConfig) -> None:
    """Train `branch` in place on statistics and instruments; inputs are normalised on the way, folded in at the end."""
    generator = torch.Generator().manual_seed(settings.seed)
    mean, spread = inputs.mean(0), inputs.std(0) + 1e-3
    optimizer = torch.optim.AdamW(branch.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    batches = max(1, len(inputs) // settings.batch_size)
    total = settings.epochs * batches
    curves = _curves()
    for step in range(total):
        if step % batches == 0:
            order = torch.randperm(len(inputs), generator=generator)
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / 50)
            group["lr"] = settings.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * step / total))
        chosen = order[step % batches * settings.batch_size :][: settings.batch_size]
        batch = _equalised(inputs[chosen], curves, settings.equalisation_db, generator)
        batch = (batch - mean) / spread
        batch = batch + settings.noise * torch.randn(batch.shape, generator=generator)
        heard = torch.rand((len(batch), 1, frontend.MEL_BANDS), generator=generator) >= settings.band_dropout
        batch = (batch.reshape(len(batch), STATISTICS, -1) * heard).flatten(1)
        logits = _with_dropout(branch, batch, settings.dropout)
        loss = functional.binary_cross_entropy_with_logits(logits, labels[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    first = branch.layers[0]
    assert isinstance(first, torch.nn.Linear)
    with torch.no_grad():
        first.weight.div_(spread)
        first.bias.sub_(first.weight @ mean)


def _with_dropout(branch: TimbreBranch, batch: Tensor, share: float) -> Tensor:
    """The branch with some inner channels silenced; here, because its own forward is never random."""
    for layer in branch.layers:
        batch = layer(batch)
        if isinstance(layer, torch.nn.GELU):
            batch = functional.dropout(batch, share)
    return batch


def _curves() -> Tensor:
    """Smooth curves over the bands, (`_CURVES`, 64)."""
    position = torch.arange(frontend.MEL_BANDS) / frontend.MEL_BANDS
    waves = [torch.cos(math.pi * count * position) for count in (1, 2, 3, 4, 6)]
    return torch.stack([torch.ones_like(position), 2.0 * position - 1.0, *waves])


def _equalised(inputs: Tensor, curves: Tensor, spread_db: float, generator: torch.Generator) -> Tensor:
    """Statistics as they would be after a smooth random equalisation."""
    scale = LEVEL_SCALE * spread_db / (frontend.HIGHEST_DB - frontend.LOWEST_DB)
    shift = scale * torch.randn((len(inputs), len(curves)), generator=generator) @ curves
    shifted = inputs.reshape(len(inputs), STATISTICS, -1).clone()
    shifted[:, list(LEVEL_STATISTICS)] += shift[:, None]
    return shifted.flatten(1)


def finish(settings: TimbreConfig) -> dict[str, float]:
    """Fit the timbre branch, choose thresholds, and write the finished encoder to `output`.

    Returns:
        The scores of the whole encoder on kept training clips and all held-out clips.
    """
    torch.manual_seed(settings.seed)
    encoder = cqt.Encoder.from_pretrained(settings.encoder)
    branch = TimbreBranch(encoder.config.timbre_width)
    fit(branch, *gather(settings), settings)
    encoder.instruments.load_state_dict(branch.state_dict())
    stores = [FeatureStore(directory) for directory in settings.stores]
    kept = [(store, clip) for store in stores for clip in store.clips if is_validation(clip.id)]
    metrics, thresholds = evaluate(encoder, kept, [FeatureStore(directory) for directory in settings.held_out], None)
    encoder.config = dataclasses.replace(encoder.config, instrument_thresholds=thresholds)
    encoder.save_pretrained(settings.output, dtype=torch.bfloat16)
    (Path(settings.output) / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    return metrics
