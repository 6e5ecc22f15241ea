"""Serving a backbone in int8: vLLM says what the scheme, computed in float32 from the stored numbers, says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mllm import checkpoint
from mllm.listener import Listener
from tests.tiny_checkpoint import user
from tests.vllm_engine import DEMO, MARKS_OF_VLLM, Said, engine, file, said_by_transformers, served

pytestmark = MARKS_OF_VLLM
HIGHEST = 127
MARKERS = ("audio_token", "audio_token_id", "audio_start", "audio_end", "item_token", "item_token_id")
BOUND = 1e-3
"""Of the difference of a log-probability; numbers between two steps may be rounded either way. Measured worst: 1e-4."""
SCHEME = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "dynamic": False},
            "input_activations": {
                "num_bits": 8,
                "type": "int",
                "symmetric": True,
                "strategy": "token",
                "dynamic": True,
            },
        }
    },
}
"""Weights in int8 with a scale for each row, what goes into a layer in int8 with a scale for each token."""


def steps(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers from -127 to 127, and the scale of each row, whose product is nearest to the numbers."""
    scale = numbers.abs().amax(-1, keepdim=True) / HIGHEST
    return torch.round(numbers / scale), scale


def write_quantised(source: Path, target: Path) -> None:
    """The backbone in `source` in int8, as compressed-tensors stores it."""
    shutil.copytree(source, target)
    stored = {}
    for name, weight in load_file(source / "model.safetensors").items():
        if name.endswith("proj.weight"):
            whole, stored[f"{name}_scale"] = steps(weight.float())
            stored[name] = whole.to(torch.int8)
        else:
            stored[name] = weight
    save_file(stored, target / "model.safetensors", metadata={"format": "pt"})
    settings = json.loads((target / "config.json").read_text(encoding="utf-8"))
    (target / "config.json").write_text(json.dumps({**settings, "quantization_config": SCHEME}), encoding="utf-8")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The reference checkpoint with its backbone in int8."""
    reference = checkpoint.reference_directory()
    whole, processor = checkpoint.load(reference)
    write_quantised(reference / "backbone", tmp_path / "backbone")
    model = checkpoint.assemble(
        backbone=tmp_path / "backbone",
        audio_encoder=reference / "audio_encoder",
        encoder_name="cqt",
        adapter=whole.config.audio_adapter,
        **{name: getattr(whole.config, name) for name in MARKERS},
    )
    model.trained_parts().load_state_dict(whole.trained_parts().state_dict())
    parts = {"backbone": "backbone", "audio_encoder": "audio_encoder"}
    checkpoint.save(model, processor, tmp_path / "whole", card="# In int8\n", run={}, frozen=parts)
    return tmp_path / "whole"


def said_in_int8(directory: Path, conversation: Any) -> Said:
    """What transformers says with the stored weights, where what goes into each layer is rounded as the scheme says."""
    listener = Listener.load(directory)

    def rounded(layer: Any, given: tuple[Tensor]) -> tuple[Tensor]:
        whole, scale = steps(given[0])
        return (whole * scale,)

    for name, layer in listener.model.language_model.named_modules():
        if name.endswith("proj"):
            layer.register_forward_pre_hook(rounded)
    return said_by_transformers(listener, conversation)


def test_a_backbone_in_int8_says_what_its_scheme_says(directory: Path) -> None:
    conversations = [user(file(DEMO), question) for question in ("What is the key?", "Describe the recording.")]
    expected = [said_in_int8(directory, conversation) for conversation in conversations]
    with engine(directory) as llm:
        found = served(llm, conversations)
        (scheme,) = llm.apply_model(lambda model: type(model.language_model.model.layers[0].mlp.down_proj.scheme))
    assert scheme.__name__ == "CompressedTensorsW8A8Int8"
    for one, other in zip(found, expected, strict=True):
        assert one.ids == other.ids
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=BOUND)
