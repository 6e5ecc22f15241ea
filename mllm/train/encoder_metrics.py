"""What the compact encoder names right on cached clips: predictions and labels in, scores in [0, 1] out.

Knows nothing of training. Key scores follow MIREX; tempo counts as right within 4 %.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from mllm.encoders import _cqt_frontend as frontend
from mllm.encoders.cqt import Encoder
from mllm.facts import INSTRUMENTS, TEMPO_CLASSES_BPM
from mllm.train.feature_store import CachedClip, FeatureStore

TEMPO_TOLERANCE = 0.04
_COMMON_WEIGHT = 100.0
"""Clips with an instrument at which its own best threshold weighs as much as the common one: what is best for one sound
font is little better than chance for the next."""
_OCTAVES = (1.0, 2.0, 3.0, 1 / 2, 1 / 3)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predictions:
    """Readouts and labels of n clips, in the same order."""

    tempo_bpm: np.ndarray
    """(n,) most probable class, beats per minute."""
    key: np.ndarray
    """(n,) most probable index into `facts.KEYS`."""
    meter: np.ndarray
    """(n,) most probable index into `facts.METERS`."""
    instruments: np.ndarray
    """(n, 17) probabilities."""
    clips: tuple[CachedClip, ...]

    @property
    def instrument_labels(self) -> np.ndarray:
        """(n, 17) booleans."""
        return labels_of(self.clips)


def labels_of(clips: Sequence[CachedClip]) -> np.ndarray:
    """Which instruments play, (n, 17) booleans."""
    labels = np.zeros((len(clips), len(INSTRUMENTS)), bool)
    for row, clip in enumerate(clips):
        labels[row, list(clip.instruments)] = True
    return labels


def instrument_scores(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Scores of (n, 17) probabilities that need no chosen thresholds.

    Returns:
        `f1` (micro-averaged, at the best common threshold), `threshold` (that one), `precision` (mean average
        precision of the instruments that play somewhere) and `balanced` (mean over them of the best balanced accuracy
        of a yes or no, as optimistic as `f1`).
    """
    candidates = np.arange(0.1, 0.8, 0.02)
    named = probabilities[..., None] >= candidates
    hits = (named & labels[..., None]).sum((0, 1))
    f1 = 2 * hits / np.maximum(1, named.sum((0, 1)) + labels.sum())
    precisions, balanced = [], []
    for column in np.flatnonzero(labels.any(0)):
        ranked = labels[np.argsort(-probabilities[:, column], kind="stable"), column]
        found = np.cumsum(ranked)
        precisions.append(float((found / np.arange(1, len(ranked) + 1))[ranked].mean()))
        missed = np.cumsum(~ranked) / max(1, int((~ranked).sum()))
        balanced.append(float((0.5 * (found / ranked.sum() + 1.0 - missed)).max()))
    best = int(f1.argmax())
    return {
        "f1": float(f1[best]),
        "threshold": float(candidates[best]),
        "precision": float(np.mean(precisions)) if precisions else 0.0,
        "balanced": float(np.mean(balanced)) if balanced else 0.0,
    }


@torch.inference_mode()
def predict(encoder: Encoder, sources: Sequence[tuple[FeatureStore, CachedClip]]) -> Predictions:
    """Readouts of the first window of each clip; the encoder must be in evaluation mode."""
    window = int(encoder.window_seconds * frontend.SLOTS_PER_SECOND) // frontend.SLOTS_PER_FRAME
    tempo, key, meter, instruments = [], [], [], []
    for store, clip in sources:
        levels, _, _ = store.read(clip, 0, window * frontend.SLOTS_PER_FRAME)
        readout = encoder.readout(torch.from_numpy(levels)[None])
        tempo.append(TEMPO_CLASSES_BPM[int(readout["tempo"][0].argmax())])
        key.append(int(readout["key"][0].argmax()))
        meter.append(int(readout["meter"][0].argmax()))
        instruments.append(readout["instruments"][0].float().numpy())
    return Predictions(
        tempo_bpm=np.array(tempo, float),
        key=np.array(key),
        meter=np.array(meter),
        instruments=np.array(instruments).reshape(-1, len(INSTRUMENTS)),
        clips=tuple(clip for _, clip in sources),
    )


def choose_thresholds(predictions: Predictions) -> tuple[float, ...]:
    """The threshold of each instrument that is best for micro-F1, drawn towards the common one where clips are few.

    Naming an instrument once more pays where the share of right names gained is above half the F1 that is reached.
    """
    candidates = np.round(np.arange(0.06, 0.91, 0.02), 2)
    labels = predictions.instrument_labels
    if not labels.any():
        return (0.5,) * len(INSTRUMENTS)
    heard = predictions.instruments[..., None] >= candidates  # (n, 17, candidates)
    hits, named, true = (heard & labels[..., None]).sum(0), heard.sum(0), labels.sum(0)
    reached = 2 * hits.sum(0) / (named.sum(0) + true.sum())
    common = _best(candidates, reached)
    own = [_best(candidates, hits[column] - 0.5 * reached.max() * named[column]) for column in range(len(true))]
    weight = true / (true + _COMMON_WEIGHT)
    return tuple(float(value) for value in np.round(weight * np.array(own) + (1.0 - weight) * common, 3))


def _best(candidates: np.ndarray, score: np.ndarray) -> float:
    """The middle of the candidates with the highest score."""
    return float(candidates[int(np.flatnonzero(score == score.max()).mean())])


def scores(predictions: Predictions, thresholds: Sequence[float]) -> dict[str, float]:
    """Scores of the clips whose label is known; a score without any such clip is left out.

    Returns:
        `key` (exact), `key_mirex`, `tempo` (within 4 %), `tempo_octave` (also at 2, 3, 1/2 or 1/3 of it), `meter`
        and `instruments_f1` (micro-averaged).
    """
    result: dict[str, float] = {}
    true_key = np.array([clip.key for clip in predictions.clips])
    if (true_key >= 0).any():
        known = true_key >= 0
        values = [mirex_key_score(int(t), int(p)) for t, p in zip(true_key[known], predictions.key[known], strict=True)]
        result["key"] = float(np.mean(predictions.key[known] == true_key[known]))
        result["key_mirex"] = float(np.mean(values))
    true_tempo = np.array([clip.tempo_bpm for clip in predictions.clips])
    if (true_tempo > 0).any():
        ratio = predictions.tempo_bpm[true_tempo > 0] / true_tempo[true_tempo > 0]
        close = [np.abs(ratio / octave - 1.0) <= TEMPO_TOLERANCE for octave in _OCTAVES]
        result["tempo"] = float(close[0].mean())
        result["tempo_octave"] = float(np.any(close, axis=0).mean())
    true_meter = np.array([clip.meter for clip in predictions.clips])
    if (true_meter >= 0).any():
        result["meter"] = float(np.mean(predictions.meter[true_meter >= 0] == true_meter[true_meter >= 0]))
    labels = predictions.instrument_labels
    heard = predictions.instruments >= np.array(thresholds)
    if labels.any():
        result["instruments_f1"] = float(2 * (heard & labels).sum() / (heard.sum() + labels.sum()))
    return result


def mirex_key_score(truth: int, prediction: int) -> float:
    """1 exact, 0.5 a fifth off in the same mode, 0.3 relative, 0.2 parallel, else 0; indices into `facts.KEYS`."""
    if truth == prediction:
        return 1.0
    (true_minor, true_tonic), (minor, tonic) = divmod(truth, 12), divmod(prediction, 12)
    if true_minor == minor:
        return 0.5 if (tonic - true_tonic) % 12 in (5, 7) else 0.0
    relative = (true_tonic + 3) % 12 if true_minor else (true_tonic - 3) % 12
    if tonic == relative:
        return 0.3
    return 0.2 if tonic == true_tonic else 0.0
