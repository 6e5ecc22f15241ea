"""Training examples of the compact encoder: cached features of clips, and augmentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mllm.encoders import _cqt_frontend as frontend
from mllm.errors import ConfigError
from mllm.facts import INSTRUMENTS, KEYS, TEMPO_CLASSES_BPM
from mllm.train.feature_augment import IGNORE, NONE, Augmentation, example, tempo_target
from mllm.train.feature_store import (
    ACTIVITY,
    BASS,
    LOWEST_PITCH,
    NO_BASS,
    PITCH_CLASSES,
    FeatureStore,
    add_clips,
    slot_targets,
)
from tests import tiny_clips
from tests.tiny_clips import render

# pytest finds the fixtures of a file by their names in it.
store = tiny_clips.store


def test_a_store_gives_back_what_the_front_end_said(store: Path) -> None:
    features = FeatureStore(store)
    clip = next(clip for clip in features.clips if clip.id == "song1")
    levels, targets, notes = features.read(clip)
    samples, _ = soundfile.read(store.parent / "data" / "audio" / "song1.flac", dtype="float32")
    expected = frontend.FrontEnd()(torch.from_numpy(samples)[None])[0].numpy()
    np.testing.assert_allclose(levels, expected, atol=0.5 / 255 + 1e-6)
    assert (clip.tempo_bpm, KEYS[clip.key], clip.instruments) == (100.0, "Db major", (0,))
    assert targets[1, PITCH_CLASSES].tolist() == [0, 1] + [0] * 10
    assert np.flatnonzero(notes[1]).tolist() == [61 - LOWEST_PITCH]
    piece, _, _ = features.read(clip, 10, 5)
    np.testing.assert_array_equal(piece, levels[10:15])


def test_caching_goes_on_where_it_stopped(tmp_path: Path) -> None:
    render(tmp_path / "data", 3)
    labels = tmp_path / "data" / "labels.jsonl"
    whole = labels.read_text()
    labels.write_text(whole[:-20])  # the renderer is in the middle of the last line
    assert add_clips(tmp_path / "data", tmp_path / "store", limit=1) == 1
    store = FeatureStore(tmp_path / "store")
    assert add_clips(tmp_path / "data", tmp_path / "store") == 1
    labels.write_text(whole)
    assert add_clips(tmp_path / "data", tmp_path / "store") == 1
    assert add_clips(tmp_path / "data", tmp_path / "store") == 0
    assert store.refresh() == 3
    assert [clip.id for clip in store.clips] == ["song0", "song1", "song2"]


def test_a_folder_without_labels_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no labels\.jsonl"):
        add_clips(tmp_path, tmp_path / "store")


def test_targets_of_notes() -> None:
    targets, sets = slot_targets(
        np.array([0.0, 0.16, 0.0]),
        np.array([0.32, 0.32, 0.08]),
        np.array([64, 50, 36]),
        np.array(["piano", "bass", "drums"]),
        slots=5,
    )
    assert targets[:, 4].tolist() == [1, 1, 1, 1, 0]
    assert sets[:, 64 - LOWEST_PITCH].tolist() == [1, 1, 1, 1, 0]
    assert sets[2, 50 - LOWEST_PITCH] == 1 << INSTRUMENTS.index("bass")
    assert not sets[:, 36 - LOWEST_PITCH].any()
    assert targets[:, 2].tolist() == [0, 0, 1, 1, 0]
    assert targets[:, 0].tolist() == [0] * 5  # drums have no pitch class
    assert targets[:, BASS].tolist() == [4, 4, 2, 2, NO_BASS]
    assert targets[:, ACTIVITY.start + INSTRUMENTS.index("drums")].tolist() == [1, 0, 0, 0, 0]


def test_an_example_without_augmentation_is_the_clip(store: Path) -> None:
    features = FeatureStore(store)
    clip = features.clips[0]
    levels, _, _ = features.read(clip)
    made = example(features, clip, slots=clip.slots, rng=np.random.default_rng(0), augmentation=NONE)
    np.testing.assert_allclose(made["features"], levels, atol=1e-6)
    assert int(made["key"]) == clip.key
    assert TEMPO_CLASSES_BPM[int(made["tempo"].argmax())] == pytest.approx(clip.tempo_bpm, rel=0.015)


@pytest.mark.parametrize("seed", range(4))
def test_transposition_moves_bins_and_labels_together(store: Path, seed: int) -> None:
    features = FeatureStore(store)
    clip = features.clips[5]
    only = Augmentation(
        semitones=6, detune_bins=0, stretch=1, tilt_db_per_octave=0, gain_db=0, noise_share=0, mask_share=0
    )
    made = example(features, clip, slots=40, rng=np.random.default_rng(seed), augmentation=only)
    loudest = int(made["features"][:, : frontend.CQT_BINS].mean(0).argmax())
    tonic = int(made["key"])
    assert loudest // 2 % 12 == tonic
    sounding = made["pitch_classes"].sum(0)
    assert int(sounding.argmax()) == tonic
    assert set(made["bass"].tolist()) <= {tonic, IGNORE}
    assert {(LOWEST_PITCH + note) % 12 for note in np.flatnonzero(made["notes"].any(0))} == {tonic}


def test_stretching_moves_onsets_and_tempo_together(store: Path) -> None:
    features = FeatureStore(store)
    clip = features.clips[0]
    only = Augmentation(
        semitones=0, detune_bins=0, stretch=1.25, tilt_db_per_octave=0, gain_db=0, noise_share=0, mask_share=0
    )
    made = example(features, clip, slots=40, rng=np.random.default_rng(1), augmentation=only)
    mel = made["features"][:, frontend.CQT_BINS :].reshape(160, -1).mean(1)
    onsets = np.maximum(0, np.diff(mel))
    lags = np.array([np.dot(onsets[:-lag], onsets[lag:]) for lag in range(15, 60)])
    tempo = 60.0 * frontend.MEL_FRAMES_PER_SECOND / (15 + int(lags.argmax()))
    named = TEMPO_CLASSES_BPM[int(made["tempo"].argmax())]
    assert named != clip.tempo_bpm
    assert named == pytest.approx(tempo, rel=0.04)


def test_heavy_augmentation_stays_in_range(store: Path) -> None:
    features = FeatureStore(store)
    heavy = Augmentation(noise_share=1.0, mask_share=1.0)
    for seed in range(10):
        made = example(
            features, features.clips[seed], slots=32 + 10 * seed, rng=np.random.default_rng(seed), augmentation=heavy
        )
        assert made["features"].shape == (32 + 10 * seed, frontend.SLOT_WIDTH)
        assert made["features"].dtype == np.float32
        assert made["features"].min() >= 0.0
        assert made["features"].max() <= 1.0


def test_tempo_target_is_a_narrow_hill() -> None:
    target = tempo_target(120.0)
    assert target.sum() == pytest.approx(1.0)
    assert TEMPO_CLASSES_BPM[int(target.argmax())] == pytest.approx(120.0, rel=0.015)
    assert not tempo_target(0.0).any()
