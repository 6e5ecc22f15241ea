"""The mean of several backbones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from mllm.errors import ConfigError
from mllm.train.backbone import average


def write_backbone(directory: Path, *, seed: int, layers: int = 1) -> Path:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=layers,
        num_attention_heads=2,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=1,
    )
    model: torch.nn.Module = LlamaForCausalLM(config)
    model.save_pretrained(directory)  # type: ignore[operator]
    return directory


def test_the_mean_is_the_mean_of_every_weight(tmp_path: Path) -> None:
    parts = [write_backbone(tmp_path / name, seed=seed) for seed, name in enumerate(("one", "two", "three"))]
    average(parts, tmp_path / "mean")
    found, *given = [
        dict(LlamaForCausalLM.from_pretrained(one, dtype=torch.float32).named_parameters())
        for one in (tmp_path / "mean", *parts)
    ]
    assert found.keys() == given[0].keys()
    for name, weight in found.items():
        expected = torch.stack([one[name] for one in given]).mean(0)
        torch.testing.assert_close(weight, expected, rtol=2**-8, atol=1e-6)  # bfloat16 has 8 significant bits


def test_what_has_no_mean_is_told(tmp_path: Path) -> None:
    one, deeper = write_backbone(tmp_path / "one", seed=1), write_backbone(tmp_path / "deeper", seed=1, layers=2)
    with pytest.raises(ConfigError, match="1 backbones were given"):
        average([one], tmp_path / "mean")
    with pytest.raises(ConfigError, match=r"differs from .* in \['model.layers.1"):
        average([one, deeper], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()
