"""What every file in mllm/encoders must do; a new encoder is tested here by being there.

An encoder whose default shape is large has a small one in tests/data/tiny/encoder_<name>.json.
"""

from __future__ import annotations

import functools
import json
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mllm import registry, strict_io
from mllm.errors import CheckpointError, ConfigError, MllmError

TINY = Path(__file__).parent / "data" / "tiny"
NAMES = registry.names("encoder")
TOLERANCE = 2e-5
"""Batches of another size are summed in another order; measured at most 3e-6 of the largest value."""


def tiny_config(module: types.ModuleType, name: str) -> Any:
    """The small shape of an encoder where one is given, else its default."""
    path = TINY / f"encoder_{name}.json"
    return strict_io.read_config(path, module.Config) if path.exists() else module.Config()


@functools.cache
def tiny_encoder(name: str) -> Any:
    """A small random encoder, in evaluation mode."""
    module = registry.find("encoder", name)
    torch.manual_seed(0)
    return module.Encoder(tiny_config(module, name)).eval()


def noise(encoder: Any, seconds: float, *, batch: int = 1, seed: int = 1) -> Tensor:
    """Noise that swells and fades, so that no two stretches are alike."""
    samples = int(seconds * encoder.sample_rate_hz)
    waves = torch.randn(batch, samples, generator=torch.Generator().manual_seed(seed))
    return 0.1 * waves * (1.2 + torch.linspace(0, 9, samples).sin())


def close(actual: Tensor, expected: Tensor) -> bool:
    """Whether two results are equal up to the order of summation."""
    return bool((actual - expected).abs().max() <= TOLERANCE * expected.abs().max())


def test_there_are_encoders() -> None:
    assert {"cqt", "mert"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seconds", [1.0, 1.4999, 2.37, 5.01])
@torch.no_grad()
def test_shape_is_what_the_geometry_says(name: str, seconds: float) -> None:
    module, encoder = registry.find("encoder", name), tiny_encoder(name)
    waveform = noise(encoder, seconds, batch=2)
    states = encoder(waveform)
    count = encoder.num_frames(waveform.shape[1])
    assert states.shape == (2, encoder.num_layers, count, encoder.width)
    assert count == module.num_frames(encoder.config, waveform.shape[1])
    assert encoder.frames_per_second == module.frames_per_second(encoder.config)
    assert abs(count - seconds * encoder.frames_per_second) <= 2
    assert encoder.window_seconds >= 1
    assert torch.isfinite(states).all()


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_is_deterministic(name: str) -> None:
    encoder = tiny_encoder(name)
    waveform = noise(encoder, 1.7)
    assert torch.equal(encoder(waveform), encoder(waveform))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seconds", [1.2, 3.3])
@torch.no_grad()
def test_batch_of_two_equals_two_of_one(name: str, seconds: float) -> None:
    encoder = tiny_encoder(name)
    waves = noise(encoder, seconds, batch=2)
    together = encoder(waves)
    for index in range(2):
        assert close(together[index], encoder(waves[index : index + 1])[0])


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_save_then_load_is_equal(name: str, tmp_path: Path) -> None:
    encoder = tiny_encoder(name)
    encoder.save_pretrained(tmp_path)
    torch.manual_seed(99)
    loaded = type(encoder).from_pretrained(tmp_path)
    assert loaded.config == encoder.config
    assert not loaded.training
    waveform = noise(encoder, 1.7)
    assert torch.equal(loaded(waveform), encoder(waveform))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", ["removed", "added", "shape"])
def test_one_tensor_that_does_not_fit(name: str, fault: str, tmp_path: Path) -> None:
    encoder = tiny_encoder(name)
    encoder.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = strict_io.load_tensors(path)
    victim = sorted(tensors)[len(tensors) // 2]
    if fault == "removed":
        del tensors[victim]
    elif fault == "added":
        victim = "left.over"
        tensors[victim] = torch.zeros(2)
    else:
        tensors[victim] = torch.zeros(3, 1, 4, 1, 5)
    strict_io.write_tensors(tensors, path)
    with pytest.raises(CheckpointError, match=victim.replace(".", r"\.")):
        type(encoder).from_pretrained(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_misspelt_setting(name: str, tmp_path: Path) -> None:
    encoder = tiny_encoder(name)
    encoder.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    settings = json.loads(path.read_text())
    settings["window_secconds"] = settings.pop("window_seconds")
    path.write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match=r"window_secconds.*did you mean.*window_seconds"):
        type(encoder).from_pretrained(tmp_path)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_missing_file(name: str, missing: str, tmp_path: Path) -> None:
    encoder = tiny_encoder(name)
    encoder.save_pretrained(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(MllmError, match=missing):
        type(encoder).from_pretrained(tmp_path)
