"""The compact encoder and its front-end: shapes, levels, independence of gain and of the batch, saving and loading."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mllm.encoders import _cqt_frontend as frontend
from mllm.encoders import cqt
from mllm.errors import AudioError, CheckpointError, ConfigError
from mllm.facts import INSTRUMENTS, TEMPO_CLASSES_BPM

RATE = frontend.SAMPLE_RATE_HZ
SMALL = cqt.Config(
    width=32,
    depth=1,
    heads=2,
    feed_forward=32,
    stem_channels=4,
    pitch_channels=4,
    chroma_channels=4,
    onset_channels=2,
    tempo_width=8,
    note_channels=4,
    timbre_width=8,
    patch_channels=4,
)


def chord(seconds: float, *hz: float) -> Tensor:
    time = np.arange(int(seconds * RATE)) / RATE
    waves = sum(np.sin(2 * np.pi * f * time + f) for f in hz)
    return torch.from_numpy(np.asarray(waves * (1 + 0.5 * np.sin(2 * np.pi * 2 * time)))).float()[None]


@pytest.fixture(scope="module")
def encoder() -> cqt.Encoder:
    torch.manual_seed(0)
    return cqt.Encoder(SMALL).eval()


@pytest.mark.parametrize("semitone", [3, 21, 40, 62, 80])
def test_a_tone_peaks_at_its_own_bin(semitone: int) -> None:
    levels = frontend.FrontEnd()(chord(3.0, frontend.LOWEST_HZ * 2 ** (semitone / 12)))
    assert int(levels[0, 15, : frontend.CQT_BINS].argmax()) == 2 * semitone


def test_a_tone_peaks_in_the_nearest_mel_band() -> None:
    levels = frontend.FrontEnd()(chord(2.0, 1000.0))[0, 12, frontend.CQT_BINS :].view(4, -1)
    nearest = int(np.abs(frontend.mel_centres_hz() - 1000.0).argmin())
    assert levels.argmax(-1).tolist() == [nearest] * 4


def test_gain_does_not_matter() -> None:
    front_end, waveform = frontend.FrontEnd(), chord(2.0, 220.0, 277.2, 330.0)
    # Measured worst case: 1.5e-5 of the range of levels (86 dB), from rounding at the bottom of the range.
    torch.testing.assert_close(front_end(0.1 * waveform), front_end(waveform), rtol=0.0, atol=1e-3)


def test_silence_stays_finite(encoder: cqt.Encoder) -> None:
    assert torch.isfinite(encoder(torch.zeros(1, 2 * RATE))).all()


@pytest.mark.parametrize("samples", [RATE, RATE + 1, 3 * RATE + 777, 2 * frontend.SLOT_SAMPLES * 20, 30 * RATE])
def test_frames_are_as_many_as_announced(encoder: cqt.Encoder, samples: int) -> None:
    frames = encoder(torch.randn(1, samples, generator=torch.Generator().manual_seed(0)))
    assert frames.shape == (1, encoder.num_layers, encoder.num_frames(samples), encoder.width)
    assert cqt.num_frames(SMALL, samples) == encoder.num_frames(samples)
    assert abs(encoder.num_frames(samples) - samples / RATE * cqt.frames_per_second(SMALL)) < 1.0
    assert torch.isfinite(frames).all()


def test_too_short_says_what_to_do(encoder: cqt.Encoder) -> None:
    with pytest.raises(AudioError, match=r"0\.50 s long.*at least 1 s"):
        encoder(torch.zeros(1, RATE // 2))


def test_a_batch_of_two_equals_two_of_one(encoder: cqt.Encoder) -> None:
    pair = torch.cat((chord(4.0, 220.0), chord(4.0, 330.0, 440.0)))
    single = torch.cat([encoder(row[None]) for row in pair])
    torch.testing.assert_close(encoder(pair), single, rtol=1e-4, atol=1e-4)


def test_frames_carry_the_readouts(encoder: cqt.Encoder) -> None:
    features = encoder.features(chord(3.0, 220.0, 330.0))
    frames, readout = encoder.encode(features), encoder.readout(features)
    assert encoder.readout_slices["frame_instruments"].stop == encoder.width
    scale = SMALL.readout_scale
    torch.testing.assert_close(frames[:, 0, encoder.readout_slices["instruments"]], scale * readout["instruments"])
    torch.testing.assert_close(
        frames[..., encoder.readout_slices["frame_instruments"]], scale * readout["frame_instruments"]
    )
    for name in ("tempo", "key", "meter"):
        part = frames[:, :, encoder.readout_slices[name]]
        torch.testing.assert_close(part.sum(-1), torch.full(part.shape[:2], scale))
        assert int(part[0, 5].argmax()) == int(readout[name][0].argmax())
        torch.testing.assert_close(readout[name].sum(-1), torch.ones(1))
    assert readout["tempo"].shape == (1, len(TEMPO_CLASSES_BPM))


def test_forward_changes_no_state(encoder: cqt.Encoder) -> None:
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    waveform = chord(2.0, 440.0)
    first = encoder(waveform)
    assert torch.equal(first, encoder(waveform))
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())


def test_the_patch_branch_adds_to_the_instruments(encoder: cqt.Encoder) -> None:
    features = encoder.features(chord(2.0, 440.0))
    levels = features[..., frontend.CQT_BINS :].reshape(1, -1, frontend.MEL_BANDS)
    assert encoder.patches is not None
    expected = encoder.instruments(levels) + encoder.patches(levels)
    assert torch.equal(encoder.compute(features).instruments, expected)
    assert cqt.Encoder(dataclasses.replace(SMALL, patch_channels=0)).patches is None


def test_mel_levels_alone_are_those_of_the_whole_front_end() -> None:
    waveform = chord(2.0, 440.0, 660.0)
    whole = frontend.FrontEnd()(waveform)[..., frontend.CQT_BINS :].reshape(1, -1, frontend.MEL_BANDS)
    torch.testing.assert_close(frontend.FrontEnd().mel_levels(waveform), whole)


def test_gradient_reaches_every_parameter() -> None:
    encoder = cqt.Encoder(SMALL)
    encoder(chord(6.0, 220.0, 330.0)).square().sum().backward()
    missing = [name for name, parameter in encoder.named_parameters() if parameter.grad is None]
    assert missing == []


def test_saved_and_loaded_under_another_seed_is_the_same(tmp_path: Path) -> None:
    torch.manual_seed(1)
    thresholds = tuple(0.1 + 0.01 * index for index in range(len(INSTRUMENTS)))
    encoder = cqt.Encoder(dataclasses.replace(SMALL, instrument_thresholds=thresholds)).eval()
    encoder.save_pretrained(tmp_path)
    torch.manual_seed(2)
    loaded = cqt.Encoder.from_pretrained(tmp_path)
    waveform = chord(2.0, 440.0)
    assert loaded.config == encoder.config
    assert not loaded.training
    assert torch.equal(loaded(waveform), encoder(waveform))


def test_half_precision_files_load(tmp_path: Path) -> None:
    encoder = cqt.Encoder(SMALL).eval()
    encoder.save_pretrained(tmp_path, dtype=torch.bfloat16)
    loaded = cqt.Encoder.from_pretrained(tmp_path)
    waveform = chord(2.0, 440.0)
    torch.testing.assert_close(loaded(waveform).float(), encoder(waveform), rtol=0.05, atol=0.1)


def test_a_checkpoint_of_another_shape_is_refused(tmp_path: Path) -> None:
    cqt.Encoder(SMALL).save_pretrained(tmp_path)
    config = tmp_path / cqt.CONFIG_FILE
    config.write_text(config.read_text().replace('"depth": 1', '"depth": 2'))
    with pytest.raises(CheckpointError):
        cqt.Encoder.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window_seconds": 0.5}, "window_seconds is 0.5"),
        ({"width": 30}, "width 30 / heads 2"),
        ({"instrument_thresholds": (0.5,)}, "instrument_thresholds has 1 numbers"),
    ],
)
def test_settings_out_of_range_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(SMALL, **change)  # type: ignore[arg-type]
