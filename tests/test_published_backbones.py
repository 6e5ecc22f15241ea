"""A tiny LLaMA in the file format of the published Vicuna-7B-v1.5 and Llama-2-7B: opened strictly, with right numbers.

The files are as in the published checkpoints: two `pytorch_model-0000N-of-00002.bin` of float16 with their index, the
rotary frequencies of each layer among the tensors, and a config.json with the published keys. The numbers are compared
with LLaMA's equations, written out here from the papers (Touvron et al. 2023, arXiv 2302.13971 and 2307.09288; rotary
positions in halves, as the published weights are permuted for).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mllm import contract
from mllm.errors import CheckpointError

WIDTH, INNER, HEADS, LAYERS, VOCABULARY = 64, 112, 4, 2, 96
EPSILON, BASE = 1e-5, 10_000.0
TOLERANCE = 2e-5
"""Of logits up to 4; measured: 2e-6."""
CONFIG = {
    "_name_or_path": "vicuna-7b-v1.5",
    "architectures": ["LlamaForCausalLM"],
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": WIDTH,
    "initializer_range": 0.02,
    "intermediate_size": INNER,
    "max_position_embeddings": 4096,
    "model_type": "llama",
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": HEADS,
    "pad_token_id": 0,
    "pretraining_tp": 1,
    "rms_norm_eps": EPSILON,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "torch_dtype": "float16",
    "transformers_version": "4.31.0",
    "use_cache": True,
    "vocab_size": VOCABULARY,
}


def tensors(*, shared_heads: int = HEADS) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(4)

    def matrix(rows: int, columns: int) -> Tensor:
        return (torch.randn(rows, columns, generator=draw) / math.sqrt(columns)).half()

    shared = WIDTH * shared_heads // HEADS
    found = {"model.embed_tokens.weight": matrix(VOCABULARY, WIDTH), "lm_head.weight": matrix(VOCABULARY, WIDTH)}
    for layer in range(LAYERS):
        place = f"model.layers.{layer}"
        for name, rows in (("q", WIDTH), ("k", shared), ("v", shared), ("o", WIDTH)):
            found[f"{place}.self_attn.{name}_proj.weight"] = matrix(rows, WIDTH)
        for name, shape in (("gate", (INNER, WIDTH)), ("up", (INNER, WIDTH)), ("down", (WIDTH, INNER))):
            found[f"{place}.mlp.{name}_proj.weight"] = matrix(*shape)
        for name in ("input_layernorm", "post_attention_layernorm"):
            found[f"{place}.{name}.weight"] = (1 + 0.1 * torch.randn(WIDTH, generator=draw)).half()
        found[f"{place}.self_attn.rotary_emb.inv_freq"] = frequencies()
    found["model.norm.weight"] = (1 + 0.1 * torch.randn(WIDTH, generator=draw)).half()
    return found


def write(directory: Path, found: dict[str, Tensor], **settings: Any) -> Path:
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps({**CONFIG, **settings}))
    names = sorted(found)
    halves = {1: names[: len(names) // 2], 2: names[len(names) // 2 :]}
    places = {name: f"pytorch_model-0000{number}-of-00002.bin" for number, part in halves.items() for name in part}
    for number, part in halves.items():
        torch.save({name: found[name] for name in part}, directory / f"pytorch_model-0000{number}-of-00002.bin")
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (directory / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return directory


def frequencies() -> Tensor:
    size = WIDTH // HEADS
    return torch.pow(BASE, -torch.arange(0, size, 2).float() / size)


def normed(states: Tensor, weight: Tensor) -> Tensor:
    return states * torch.rsqrt(states.square().mean(-1, keepdim=True) + EPSILON) * weight


def rotated(heads: Tensor) -> Tensor:
    """(heads, S, size): each pair (i, i + size / 2) turned by position times frequency."""
    angles = torch.outer(torch.arange(heads.shape[1]).float(), frequencies())
    first, second = heads.chunk(2, dim=-1)
    return torch.cat(
        (first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()), dim=-1
    )


def llama(ids: list[int], found: dict[str, Tensor], *, shared_heads: int) -> Tensor:
    """Logits (S, vocabulary) by the equations, in float32."""
    weight = {name: tensor.float() for name, tensor in found.items()}
    states = weight["model.embed_tokens.weight"][torch.tensor(ids)]
    mask = torch.full((len(ids), len(ids)), float("-inf")).triu(1)
    for layer in range(LAYERS):
        place = f"model.layers.{layer}"
        inner = normed(states, weight[f"{place}.input_layernorm.weight"])
        query, key, value = (
            (inner @ weight[f"{place}.self_attn.{name}_proj.weight"].T)
            .view(len(ids), -1, WIDTH // HEADS)
            .transpose(0, 1)
            for name in "qkv"
        )
        key, value = (one.repeat_interleave(HEADS // shared_heads, dim=0) for one in (key, value))
        scores = rotated(query) @ rotated(key).transpose(1, 2) / (WIDTH // HEADS) ** 0.5 + mask
        mixed = (scores.softmax(-1) @ value).transpose(0, 1).flatten(1)
        states = states + mixed @ weight[f"{place}.self_attn.o_proj.weight"].T
        inner = normed(states, weight[f"{place}.post_attention_layernorm.weight"])
        gate, up = (inner @ weight[f"{place}.mlp.{name}_proj.weight"].T for name in ("gate", "up"))
        states = states + (functional.silu(gate) * up) @ weight[f"{place}.mlp.down_proj.weight"].T
    return normed(states, weight["model.norm.weight"]) @ weight["lm_head.weight"].T


@pytest.mark.parametrize("shared_heads", [HEADS, 2])
def test_a_backbone_in_the_published_format_computes_what_the_papers_say(tmp_path: Path, shared_heads: int) -> None:
    found = tensors(shared_heads=shared_heads)
    place = write(tmp_path / "vicuna", found, num_key_value_heads=shared_heads)
    model = contract.load_backbone(place, dtype=torch.float32)
    ids = [1, *torch.randint(3, VOCABULARY, (40,), generator=torch.Generator().manual_seed(9)).tolist()]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    torch.testing.assert_close(logits, llama(ids, found, shared_heads=shared_heads), atol=TOLERANCE, rtol=0)


def test_a_tensor_too_few_or_too_many_is_refused(tmp_path: Path) -> None:
    whole = tensors()
    lost = "model.layers.1.mlp.up_proj.weight"
    place = write(tmp_path / "lost", {name: tensor for name, tensor in whole.items() if name != lost})
    with pytest.raises(CheckpointError, match=r"missing keys.*up_proj"):
        contract.load_backbone(place, dtype=torch.float32)
    place = write(tmp_path / "more", {**whole, "model.layers.2.mlp.up_proj.weight": whole[lost]})
    with pytest.raises(CheckpointError, match=r"unexpected keys.*layers\.2"):
        contract.load_backbone(place, dtype=torch.float32)
    place = write(tmp_path / "shape", {**whole, "model.norm.weight": torch.ones(WIDTH + 1).half()})
    with pytest.raises(CheckpointError, match=r"mismatched keys.*model\.norm\.weight.*65"):
        contract.load_backbone(place, dtype=torch.float32)
    (write(tmp_path / "shard", whole) / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(CheckpointError, match="cannot be opened"):
        contract.load_backbone(tmp_path / "shard", dtype=torch.float32)
