"""MERT against what the original code computes, and against cuts of a long recording.

tests/data/mert holds two tiny random checkpoints in the published layout and the hidden states that the original model
code gives for them; its README says how they were made.
"""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mllm import strict_io
from mllm.encoders import mert
from mllm.errors import AudioError, CheckpointError, ConfigError

GOLDEN = sorted(path.parent for path in (Path(__file__).parent / "data" / "mert").glob("*/config.json"))
CLIPS = ("clip_1s", "clip_5s", "clip_2p37s")
ABSOLUTE_TOLERANCE = 5e-5
"""Values reach 10; float32 summed in another order was measured at up to 1.3e-5."""
CUT_BOUND = 0.12
"""Norm of the difference over norm of a hidden state, for a cut anywhere on the grid of frames; measured up to 0.094
for 1 s of margin (0.23 for none, 0.063 for 2 s) over ten cuts of 24 s; worst single frame 0.34. Weights are random."""
HOP_SAMPLES = 320


@functools.cache
def golden_encoder(directory: Path) -> mert.Encoder:
    """A golden checkpoint, loaded."""
    return mert.Encoder.from_pretrained(directory)


def golden_clip(directory: Path, clip: str) -> Tensor:
    """(1, W) float samples of a golden input."""
    with np.load(directory / "inputs.npz") as inputs:
        return torch.from_numpy(inputs[clip].astype(np.float32) / 32768)[None]


def long_recording(seconds: int) -> Tensor:
    """(1, W): a melody of half-second notes, a slow swell and noise."""
    generator = np.random.default_rng(0)
    time = np.arange(24_000 * seconds) / 24_000
    notes = 220 * 2 ** (np.repeat(generator.integers(0, 24, 2 * seconds), 12_000) / 12)
    wave = 0.1 * np.sin(2 * np.pi * np.cumsum(notes) / 24_000) + 0.03 * generator.standard_normal(time.size)
    wave += 0.05 * np.sin(2 * np.pi * 97 * time) * np.sin(2 * np.pi * 0.3 * time)
    return torch.from_numpy(wave.astype(np.float32))[None]


def altered(source: Path, target: Path, **changes: object) -> Path:
    """A copy of a checkpoint directory with other settings in its config.json; None removes a key."""
    shutil.copytree(source, target)
    settings = json.loads((target / "config.json").read_text())
    settings = {key: value for key, value in (settings | changes).items() if value is not None}
    (target / "config.json").write_text(json.dumps(settings))
    return target


def test_there_are_golden_checkpoints() -> None:
    assert [path.name for path in GOLDEN] == ["mert330-like", "mert95-like"]


@pytest.mark.parametrize("directory", GOLDEN, ids=lambda path: path.name)
@pytest.mark.parametrize("clip", CLIPS)
@torch.no_grad()
def test_equals_the_original(directory: Path, clip: str) -> None:
    states = golden_encoder(directory)(golden_clip(directory, clip))[0].numpy()
    with np.load(directory / "expected.npz") as expected:
        assert states.shape[1] == expected[f"{clip}.n_frames"]
        kept = states[:, :: int(expected[f"{clip}.frame_stride"])]
        np.testing.assert_allclose(kept, expected[f"{clip}.hidden_states"], rtol=0, atol=ABSOLUTE_TOLERANCE)


@pytest.mark.parametrize("directory", GOLDEN, ids=lambda path: path.name)
@torch.no_grad()
def test_do_normalize_is_read_from_the_directory(directory: Path, tmp_path: Path) -> None:
    copy = altered(directory, tmp_path / "copy")
    path = copy / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_normalize": False}))
    encoder = mert.Encoder.from_pretrained(copy)
    assert golden_encoder(directory).config.do_normalize
    assert not encoder.config.do_normalize
    states = encoder(golden_clip(directory, "clip_2p37s"))[0, :, ::10].numpy()
    with np.load(directory / "expected.npz") as expected:
        wanted = expected["do_normalize_false.clip_2p37s.hidden_states"]
    np.testing.assert_allclose(states, wanted, rtol=0, atol=ABSOLUTE_TOLERANCE)


@pytest.mark.parametrize("directory", GOLDEN, ids=lambda path: path.name)
def test_every_tensor_of_the_file_is_loaded(directory: Path) -> None:
    """Also those that no output shows: the mask embedding and the biases of the keys."""
    tensors = strict_io.load_torch_file(directory / "pytorch_model.bin")
    loaded = golden_encoder(directory).hubert.state_dict()
    new = {
        f"encoder.pos_conv_embed.conv.weight_{old}": f"encoder.pos_conv_embed.conv.parametrizations.weight.original{i}"
        for i, old in enumerate("gv")
    }
    assert len(loaded) == len(tensors) == 83
    for name, tensor in tensors.items():
        assert torch.equal(loaded[new.get(name, name)], tensor), name


@pytest.mark.parametrize(
    "victim",
    ["masked_spec_embed", "encoder.layers.2.attention.k_proj.bias", "encoder.pos_conv_embed.conv.weight_g"],
)
@pytest.mark.parametrize("fault", ["removed", "misspelt", "shape"])
def test_published_file_with_one_tensor_that_does_not_fit(victim: str, fault: str, tmp_path: Path) -> None:
    copy = altered(GOLDEN[0], tmp_path / "copy")
    path = copy / "pytorch_model.bin"
    tensors = strict_io.load_torch_file(path)
    tensor = tensors.pop(victim)
    if fault == "misspelt":
        tensors[f"{victim}_"] = tensor
    elif fault == "shape":
        tensors[victim] = tensor[..., :-1].clone()
    torch.save(tensors, path)
    with pytest.raises(CheckpointError, match=victim.replace(".", r"\.")):
        mert.Encoder.from_pretrained(copy)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"deepnorm": True}, "deepnorm is true; this variant of MERT is not supported"),
        ({"feature_extractor_cqt": True}, "feature_extractor_cqt is true"),
        ({"model_type": "hubert"}, "model_type is 'hubert'; expected 'mert_model'"),
        ({"hidden_size": 64}, r"not fit the settings.*\(48,\) instead of floating-point \(64,\)"),
        ({"hidden_size": 50}, "hidden_size 50 is not a multiple of num_attention_heads 4"),
        (
            {"num_attention_heads": None, "num_attention_head": 4},
            "num_attention_head is not.*num_attention_heads is mis",
        ),
        ({"layer_norm_eps": None}, "layer_norm_eps is missing"),
        ({"conv_stride": [5, 2]}, "conv_dim, conv_kernel and conv_stride must have one number for each convolution"),
        ({"num_hidden_layers": 3}, "not expected: encoder.layers.3"),
        ({"num_hidden_layers": 5}, "missing: encoder.layers.4"),
    ],
)
def test_published_config_that_does_not_fit(changes: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises((CheckpointError, ConfigError), match=words):
        mert.Encoder.from_pretrained(altered(GOLDEN[0], tmp_path / "copy", **changes))


def test_published_directory_with_a_file_missing(tmp_path: Path) -> None:
    copy = altered(GOLDEN[0], tmp_path / "copy")
    (copy / "pytorch_model.bin").unlink()
    with pytest.raises(CheckpointError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        mert.Encoder.from_pretrained(copy)
    (copy / "preprocessor_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no preprocessor_config\.json"):
        mert.Encoder.from_pretrained(copy)


@pytest.mark.parametrize("directory", GOLDEN, ids=lambda path: path.name)
@torch.no_grad()
def test_saved_again_it_computes_the_same(directory: Path, tmp_path: Path) -> None:
    encoder = golden_encoder(directory)
    encoder.save_pretrained(tmp_path)
    clip = golden_clip(directory, "clip_1s")
    assert torch.equal(mert.Encoder.from_pretrained(tmp_path)(clip), encoder(clip))
    saved = strict_io.load_tensors(tmp_path / "model.safetensors")
    assert set(saved) == set(strict_io.load_torch_file(directory / "pytorch_model.bin"))


@pytest.mark.parametrize("samples", [400, 719, 720, 24_000, 56_880, 120_000, 120_001, 120_300, 197_432, 480_000])
@torch.no_grad()
def test_number_of_frames_of_short_and_long(samples: int) -> None:
    encoder = golden_encoder(GOLDEN[1])
    count = (samples - 400) // 320 + 1
    assert encoder.num_frames(samples) == count
    assert encoder(long_recording(20)[:, :samples]).shape == (1, 5, count, 48)


def test_too_short() -> None:
    assert golden_encoder(GOLDEN[0]).num_frames(399) == 0
    with pytest.raises(AudioError, match="399 samples; MERT needs at least 400"):
        golden_encoder(GOLDEN[0])(torch.zeros(1, 399))


@pytest.mark.parametrize("directory", GOLDEN, ids=lambda path: path.name)
@torch.no_grad()
def test_cut_on_the_grid_of_frames_is_within_the_bound(directory: Path) -> None:
    encoder = golden_encoder(directory)
    recording = long_recording(16)
    whole = encoder(recording)[0]
    margin = 75
    for offset in (1, 75, 112, 187):
        cut = encoder(recording[:, HOP_SAMPLES * offset :])[0]
        expected, actual = whole[:, offset + margin :], cut[:, margin:]
        assert expected.shape == actual.shape
        difference = (expected - actual).norm(dim=(1, 2)) / expected.norm(dim=(1, 2))
        assert difference.max() <= CUT_BOUND, (offset, difference)


@pytest.mark.parametrize("directory", GOLDEN, ids=lambda path: path.name)
@torch.no_grad()
def test_cut_by_a_multiple_of_the_hop_changes_nothing(directory: Path, tmp_path: Path) -> None:
    shutil.copytree(directory, tmp_path / "copy")
    path = tmp_path / "copy" / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_normalize": False}))
    encoder = mert.Encoder.from_pretrained(tmp_path / "copy")
    recording = long_recording(16)
    whole, margin, hop = encoder(recording)[0], 75, 374 - 2 * 75
    for offset in (hop, 2 * hop):
        cut = encoder(recording[:, HOP_SAMPLES * offset :])[0]
        torch.testing.assert_close(cut[:, margin:], whole[:, offset + margin :], rtol=0, atol=ABSOLUTE_TOLERANCE)


@torch.no_grad()
def test_normalising_a_long_recording_takes_all_of_it() -> None:
    encoder = golden_encoder(GOLDEN[0])
    recording = long_recording(12)
    louder = 3.0 * recording + 0.1
    assert (encoder(louder) - encoder(recording)).abs().max() <= 1e-3


@torch.no_grad()
def test_training_mode_and_batches_of_pieces_change_nothing() -> None:
    encoder = mert.Encoder.from_pretrained(GOLDEN[1])
    recording = long_recording(12)
    expected = encoder(recording)
    assert torch.equal(encoder.train()(recording), expected)
    encoder.windows_at_once = 1
    torch.testing.assert_close(encoder(recording), expected, rtol=0, atol=ABSOLUTE_TOLERANCE)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"margin_seconds": 2.5},
            "margin_seconds is 2.5; expected 0 or more and less than half of context_seconds 5.0",
        ),
        ({"context_seconds": 0.01}, "less than half of context_seconds 0.01"),
        ({"hidden_size": 0, "window_seconds": -1.0}, "hidden_size is 0;.*window_seconds is -1.0;"),
        ({"conv_dim": (512,)}, "conv_dim, conv_kernel and conv_stride"),
    ],
)
def test_settings_out_of_range(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        mert.Config(**settings)  # type: ignore[arg-type]


def test_full_size_geometry_without_weights() -> None:
    config = mert.Config()
    assert mert.frames_per_second(config) == 75.0
    assert [mert.num_frames(config, 24_000 * seconds) for seconds in (5, 10, 30)] == [374, 749, 2249]
