"""The last stage of encoder training: a trained encoder and stores in, the encoder with fitted instruments out.

Both timbre branches read mel levels only, so they are fitted apart from the rest of the encoder, which stays as it is:
on mixtures of stems (`mllm.train.stem_mixing`) and on pieces of whole clips. How sure they must be of an instrument is
chosen on clips whose tunes and sound font training never heard, and folded into the last bias. Goes on where it
stopped; knows nothing of tempo and key.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mllm import strict_io
from mllm.encoders import _cqt_frontend as frontend
from mllm.encoders import cqt
from mllm.encoders._cqt_timbre import PatchBranch, TimbreBranch
from mllm.errors import ConfigError
from mllm.facts import INSTRUMENTS
from mllm.train import encoder_metrics
from mllm.train.encoder import evaluate, is_validation
from mllm.train.feature_augment import Augmentation, example
from mllm.train.feature_store import CachedClip, FeatureStore
from mllm.train.stem_mixing import Mixing, mixed
from mllm.train.stem_store import Stems, StemStore

_WARMUP_STEPS = 100
_LOG_STEPS = 50
_PIECE_STEP_SECONDS = frontend.SLOTS_PER_FRAME / frontend.SLOTS_PER_SECOND


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimbreConfig:
    """Settings of the last stage of encoder training."""

    encoder: str
    """Folder of the trained encoder."""
    stores: tuple[str, ...]
    """Feature stores of whole clips to train on."""
    output: str
    """Folder of the finished encoder; `metrics.json` is written beside its weights."""
    stems: tuple[str, ...] = ()
    """Stem stores to train on; without any there are whole clips only."""
    dev: tuple[str, ...] = ()
    """Feature stores to choose thresholds on; without any the kept clips of `stores` serve."""
    held_out: tuple[str, ...] = ()
    """Feature stores to evaluate on, each under its folder's name."""
    thresholds_of: str | None = None
    """Folder of an encoder that this command finished: its thresholds are taken instead of being chosen."""
    without_font: str | None = None
    """Name of a sound font; clips that it plays in are left out of training."""
    go_on: bool = False
    """Whether the branches go on from their weights in `encoder`, if it has any, instead of from random ones."""
    steps: int = 3000
    """Steps of the learning-rate schedule."""
    minutes: float = 0.0
    """Wall-clock budget: the schedule is at its end then, if `steps` were not reached before; 0 for none."""
    save_minutes: float = 5.0
    """Minutes between the states from which a stopped run goes on."""
    eval_steps: int = 500
    """Steps between evaluations on the clips that thresholds are chosen on."""
    batch_size: int = 32
    """Examples a step."""
    shortest_seconds: float = 5.0
    """Shortest piece; all pieces of one step are equally long."""
    longest_seconds: float = 10.0
    """Longest piece."""
    stem_share: float = 0.75
    """Share of examples that are mixtures of stems."""
    learning_rate: float = 2e-3
    """Highest learning rate."""
    weight_decay: float = 0.02
    """AdamW's weight decay."""
    dropout: float = 0.3
    """Share of inner channels that are silenced."""
    patch_channels: int = 16
    """Channels of the first convolution of the patch branch."""
    seed: int = 0
    """Seed of pieces, order and noise."""
    mixing: Mixing = dataclasses.field(default_factory=Mixing)
    """How far mixtures may be from the rendered clips."""
    augmentation: Augmentation = dataclasses.field(
        default_factory=lambda: Augmentation(semitones=0, detune_bins=0.0, stretch=1.1, tilt_db_per_octave=1.5)
    )
    """How far pieces of whole clips may be from the rendered clips."""


class Branches(nn.Module):
    """What is fitted: both timbre branches, whose logits add up; a head about each moment exists only here."""

    def __init__(self, config: cqt.Config) -> None:
        super().__init__()
        self.instruments = TimbreBranch(config.timbre_width)
        self.patches = PatchBranch(config.patch_channels)
        self.moments = nn.Linear(self.patches.width, len(INSTRUMENTS))

    def forward(self, mel: Tensor, dropout: float = 0.0) -> tuple[Tensor, Tensor]:
        """Logits (B, 17) of the whole piece and (B, frames / 8, 17) of each moment from levels (B, frames, 64).

        A share of inner channels is silenced while it trains.
        """
        heard = functional.dropout1d(self.patches.listen(mel), dropout, self.training)
        logits: Tensor = self.patches.judge(heard) + self.instruments(mel)
        return logits, self.moments(heard.transpose(1, 2))


class Examples:
    """Batch number i is fully determined by the settings and i."""

    def __init__(self, settings: TimbreConfig) -> None:
        self.settings = settings
        self.whole: list[tuple[FeatureStore, CachedClip]] = []
        for store in map(FeatureStore, settings.stores):
            left_out = _ids_with_font(settings, store)
            self.whole += [
                (store, clip) for clip in store.clips if not is_validation(clip.id) and clip.id not in left_out
            ]
        self.stems: list[tuple[StemStore, Stems]] = []
        for stems in map(StemStore, settings.stems):
            kept = [
                clip
                for clip in stems.clips
                if not is_validation(clip.id) and settings.without_font not in clip.fonts.split("+")
            ]
            stems.clips = kept
            self.stems += [(stems, clip) for clip in kept]
        if not self.whole and not self.stems:
            raise ConfigError(f"no clips are cached in {', '.join(settings.stores)}; run the cache command first")

    def batch(self, number: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mel levels (B, frames, 64), instruments (B, 17), weights (B, 17), shares of moments (B, frames / 8, 17)."""
        settings = self.settings
        rng = np.random.default_rng((settings.seed, number))
        seconds = rng.uniform(settings.shortest_seconds, settings.longest_seconds)
        slots = frontend.SLOTS_PER_FRAME * max(1, round(seconds / _PIECE_STEP_SECONDS))
        rows = [self._example(slots, rng) for _ in range(settings.batch_size)]
        mel, labels, weights, moments = (torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True))
        return mel, labels, weights, moments

    def _example(self, slots: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        if self.stems and (not self.whole or rng.random() < self.settings.stem_share):
            stems, clip = self.stems[int(rng.integers(len(self.stems)))]
            return mixed(stems, clip, frames=slots * frontend.MEL_PER_SLOT, rng=rng, mixing=self.settings.mixing)
        store, whole = self.whole[int(rng.integers(len(self.whole)))]
        made = example(store, whole, slots=slots, rng=rng, augmentation=self.settings.augmentation)
        mel = made["features"][:, frontend.CQT_BINS :].reshape(-1, frontend.MEL_BANDS)
        return mel, made["instruments"], np.ones(len(INSTRUMENTS), np.float32), made["frame_instruments"]


def _ids_with_font(settings: TimbreConfig, store: FeatureStore) -> set[str]:
    """Clips of `store` that the left-out font plays in; stem stores know of their fonts, and their ids are the same."""
    if settings.without_font is None:
        return set()
    known = {clip.id: clip.fonts.split("+") for stems in map(StemStore, settings.stems) for clip in stems.clips}
    unknown = [clip.id for clip in store.clips if clip.id not in known]
    return {*unknown, *(name for name, fonts in known.items() if settings.without_font in fonts)}


def fit(branches: Branches, examples: Examples, settings: TimbreConfig, assess: Callable[[], dict[str, float]]) -> None:
    """Train `branches` in place, from the last saved state on if there is one in the output folder."""
    optimizer = torch.optim.AdamW(branches.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    progress = _Progress(Path(settings.output) / "progress", branches, optimizer)
    step, before = progress.restore()
    started = saved = time.monotonic()
    torch.manual_seed(settings.seed + step)
    branches.train()
    losses: list[float] = []
    while True:
        minutes = before + (time.monotonic() - started) / 60.0
        share = max(step / settings.steps, minutes / settings.minutes if settings.minutes else 0.0)
        if share >= 1.0:
            break
        warm = min(1.0, (step + 1) / _WARMUP_STEPS)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * share))
        mel, labels, weights, moments = examples.batch(step)
        logits, moment_logits = branches(mel, settings.dropout)
        loss = functional.binary_cross_entropy_with_logits(logits, labels, weights)
        loss = loss + functional.binary_cross_entropy_with_logits(moment_logits, moments, weights[:, None])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(branches.parameters(), 5.0)
        optimizer.step()
        step += 1
        losses.append(loss.item())
        if step % _LOG_STEPS == 0:
            print(f"step {step}, {minutes:.1f} minutes, loss {np.mean(losses[-_LOG_STEPS:]):.4f}", flush=True)
        if step % settings.eval_steps == 0:
            branches.eval()
            print(json.dumps({name: round(value, 4) for name, value in assess().items()}), flush=True)
            branches.train()
        if time.monotonic() - saved >= 60.0 * settings.save_minutes:
            saved = time.monotonic()
            progress.save(step, before + (saved - started) / 60.0)
    branches.eval()
    progress.save(step, before + (time.monotonic() - started) / 60.0)


class _Progress:
    """State of a run on disk: weights, the optimiser's moments, steps and minutes."""

    def __init__(self, folder: Path, branches: Branches, optimizer: torch.optim.Optimizer) -> None:
        self._file = folder / "state.safetensors"
        self._clock = folder / "state.json"
        self._branches = branches
        self._optimizer = optimizer

    def save(self, step: int, minutes: float) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        tensors = {f"weights.{name}": tensor for name, tensor in self._branches.state_dict().items()}
        for index, state in self._optimizer.state_dict()["state"].items():
            tensors |= {f"moments.{index}.{name}": tensor for name, tensor in state.items()}
        strict_io.write_tensors({name: tensor.contiguous() for name, tensor in tensors.items()}, self._file)
        strict_io.write_json({"step": step, "minutes": minutes}, self._clock)

    def restore(self) -> tuple[int, float]:
        """Steps and minutes that are behind."""
        if not self._clock.is_file():
            return 0, 0.0
        tensors = strict_io.load_tensors(self._file)
        weights = {name.partition(".")[2]: tensor for name, tensor in tensors.items() if name.startswith("weights.")}
        self._branches.load_state_dict(weights)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("moments."):
                _, index, kind = name.split(".")
                moments.setdefault(int(index), {})[kind] = tensor
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        clock = strict_io.read_json(self._clock)
        return int(clock["step"]), float(clock["minutes"])


def finish(settings: TimbreConfig) -> dict[str, float]:
    """Fit both timbre branches, fold in the thresholds, and write the finished encoder to `output`.

    Returns:
        The scores of the whole encoder on the clips that thresholds were chosen on and all held-out clips.
    """
    torch.manual_seed(settings.seed)
    encoder = _with_patches(cqt.Encoder.from_pretrained(settings.encoder), settings.patch_channels)
    assert encoder.patches is not None
    branches = Branches(encoder.config)
    if settings.go_on:
        branches.instruments.load_state_dict(encoder.instruments.state_dict())
        branches.patches.load_state_dict(encoder.patches.state_dict())
    examples = Examples(settings)
    chosen_on = _chosen_on(settings)
    fit(branches, examples, settings, lambda: assess(branches, chosen_on))
    encoder.instruments.load_state_dict(branches.instruments.state_dict())
    encoder.patches.load_state_dict(branches.patches.state_dict())
    if settings.thresholds_of is None:
        thresholds = encoder_metrics.choose_thresholds(encoder_metrics.predict(encoder, chosen_on))
    else:
        thresholds = tuple(strict_io.read_json(Path(settings.thresholds_of) / "thresholds.json")["thresholds"])
    with torch.no_grad():
        encoder.patches.score.bias.sub_(torch.logit(torch.tensor(thresholds)))
    even = (0.5,) * len(INSTRUMENTS)
    encoder.config = dataclasses.replace(encoder.config, instrument_thresholds=even)
    held_out = [FeatureStore(directory) for directory in settings.held_out]
    metrics, _ = evaluate(encoder, chosen_on, held_out, None, thresholds=even)
    encoder.save_pretrained(settings.output, dtype=torch.bfloat16)
    strict_io.write_json({"thresholds": list(thresholds)}, Path(settings.output) / "thresholds.json")
    (Path(settings.output) / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    return metrics


def _with_patches(encoder: cqt.Encoder, channels: int) -> cqt.Encoder:
    """The same encoder with a patch branch of so many channels, a fresh one where it has none or another."""
    if encoder.config.patch_channels == channels:
        return encoder
    wider = cqt.Encoder(dataclasses.replace(encoder.config, patch_channels=channels)).eval()
    missing, unexpected = wider.load_state_dict(
        {name: tensor for name, tensor in encoder.state_dict().items() if not name.startswith("patches.")}, strict=False
    )
    assert not unexpected
    assert all(name.startswith("patches.") for name in missing)
    return wider


def _chosen_on(settings: TimbreConfig) -> list[tuple[FeatureStore, CachedClip]]:
    if settings.dev:
        return [(store, clip) for store in map(FeatureStore, settings.dev) for clip in store.clips]
    stores = map(FeatureStore, settings.stores)
    return [(store, clip) for store in stores for clip in store.clips if is_validation(clip.id)]


@torch.inference_mode()
def assess(branches: Branches, sources: Sequence[tuple[FeatureStore, CachedClip]]) -> dict[str, float]:
    """Micro-F1 at the best common threshold, that threshold, and the mean average precision of the instruments."""
    window = int(30.0 * frontend.SLOTS_PER_SECOND)
    rows = [branches(levels[None])[0][0].sigmoid().numpy() for levels in _mel_of(sources, window)]
    return encoder_metrics.instrument_scores(np.array(rows), encoder_metrics.labels_of([clip for _, clip in sources]))


def _mel_of(sources: Sequence[tuple[FeatureStore, CachedClip]], slots: int) -> Iterator[Tensor]:
    for store, clip in sources:
        levels, _, _ = store.read(clip, 0, slots)
        yield torch.from_numpy(levels[:, frontend.CQT_BINS :].reshape(-1, frontend.MEL_BANDS).copy())
