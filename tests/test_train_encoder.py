"""Training of the compact encoder on tiny synthetic clips: scores, a run, its resumption."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mllm.encoders import cqt
from mllm.errors import ConfigError
from mllm.facts import INSTRUMENTS, key_index
from mllm.train import encoder_metrics
from mllm.train.encoder import EncoderTraining, EncoderTrainingConfig, TrainingStream, is_validation, train
from mllm.train.feature_store import FeatureStore
from tests import tiny_clips
from tests.tiny_clips import SMALL

# pytest finds the fixtures of a file by their names in it.
store = tiny_clips.store


@pytest.mark.parametrize(
    ("truth", "prediction", "score"),
    [
        ("C major", "C major", 1.0),
        ("C major", "G major", 0.5),
        ("A minor", "D minor", 0.5),
        ("C major", "A minor", 0.3),
        ("F# minor", "A major", 0.3),
        ("C major", "C minor", 0.2),
        ("C major", "Db major", 0.0),
        ("C major", "E minor", 0.0),
    ],
)
def test_key_scores_follow_mirex(truth: str, prediction: str, score: float) -> None:
    assert encoder_metrics.mirex_key_score(key_index(truth), key_index(prediction)) == score


def test_scores_of_known_predictions(store: Path) -> None:
    clips = tuple(FeatureStore(store).clips[:4])
    probabilities = np.zeros((4, len(INSTRUMENTS)))
    probabilities[:, 0] = 0.7
    probabilities[:2, 1] = 0.3
    predictions = encoder_metrics.Predictions(
        tempo_bpm=np.array([clips[0].tempo_bpm * 1.03, clips[1].tempo_bpm * 2, clips[2].tempo_bpm, 60.0]),
        key=np.array([clip.key for clip in clips[:3]] + [(clips[3].key + 7) % 12]),
        meter=np.array([2, 2, 2, 1]),
        instruments=probabilities,
        clips=clips,
    )
    thresholds = encoder_metrics.choose_thresholds(predictions)
    assert len(thresholds) == len(INSTRUMENTS)
    assert all(0.3 < threshold <= 0.7 for threshold in thresholds[:2])  # between what is not there and what is
    result = encoder_metrics.scores(predictions, (0.5, 0.25) + (0.5,) * (len(INSTRUMENTS) - 2))
    assert result["key"] == 0.75
    assert result["key_mirex"] == 0.875
    assert (result["tempo"], result["tempo_octave"]) == (0.5, 0.75)
    assert result["meter"] == 0.75
    assert result["instruments_f1"] == pytest.approx(2 * 4 / (6 + 4))


def test_every_parameter_learns(store: Path) -> None:
    torch.manual_seed(0)
    model = EncoderTraining(cqt.Encoder(SMALL))
    stream = TrainingStream(EncoderTrainingConfig(stores=(str(store),), output="", shortest_seconds=2.0, batch_size=2))
    batch = {key: torch.from_numpy(np.stack([stream[0][key], stream[1][key]])) for key in stream[0]}
    model(**batch)["loss"].backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_the_stream_is_reproducible_and_spares_validation(store: Path) -> None:
    config = EncoderTrainingConfig(stores=(str(store),), output="", shortest_seconds=2.0, longest_seconds=4.0)
    first, second = TrainingStream(config), TrainingStream(config)
    np.testing.assert_array_equal(first[7]["features"], second[7]["features"])
    assert {first[index]["features"].shape for index in range(config.batch_size)} == {first[0]["features"].shape}
    kept = [clip.id for _, clip in first.validation()]  # song19 and song23, by the checksum of the name
    assert kept
    assert all(is_validation(name) for name in kept)


def test_an_empty_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no clips are cached"):
        TrainingStream(EncoderTrainingConfig(stores=(str(tmp_path),), output=""))


def test_a_run_learns_is_resumed_and_writes_an_encoder(store: Path, tmp_path: Path) -> None:
    def config(steps: int) -> EncoderTrainingConfig:
        return EncoderTrainingConfig(
            stores=(str(store),),
            held_out=(str(store),),
            output=str(tmp_path),
            max_steps=steps,
            batch_size=4,
            shortest_seconds=2.0,
            longest_seconds=4.0,
            warmup_steps=2,
            eval_steps=4,
            eval_clips=4,
            save_minutes=0.0,
            encoder=SMALL,
        )

    train(config(4))
    assert (tmp_path / "checkpoint-4" / "clock.json").is_file()
    report = train(config(8))
    assert report["steps"] == 8
    assert 0.0 <= report["store_key"] <= 1.0
    log = json.loads((tmp_path / "checkpoint-8" / "trainer_state.json").read_text())["log_history"]
    assert any("eval_store_tempo" in line for line in log)
    loaded = cqt.Encoder.from_pretrained(tmp_path / "encoder")
    assert loaded.config.width == SMALL.width
    assert (tmp_path / "metrics.json").is_file()
