"""The memory that a training is said to take, against what is really there for a tiny model."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import bitsandbytes
import pytest
import torch
from torch import Tensor

from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.train import memory, packing
from tests.tiny_conversations import SIZES, hearing, llama, mixed

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def model() -> MusicLLMForConditionalGeneration:
    made = hearing(llama())
    made.freeze(("audio_adapter", "layer_mix"))
    return made


def stored(tensors: Any) -> int:
    """Bytes of tensors, each storage counted once."""
    return sum({one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}.values())


def batch(model: MusicLLMForConditionalGeneration) -> dict[str, Any]:
    examples = mixed(model)
    windows = [window for example in examples for window in example.features]
    return {**packing.packed([[example.prompt for example in examples]], 0), "audio_features": windows}


def test_weights_are_counted_exactly(model: MusicLLMForConditionalGeneration) -> None:
    parts = memory.estimate(memory.sizes(model), row_tokens=10, rows=1, checkpointing=False)
    frozen = [one for one in model.parameters() if not one.requires_grad]
    assert parts["frozen weights"] == stored(frozen) > 0
    backbone = stored(model.language_model.parameters())
    model.language_model.to(torch.bfloat16)
    halved = memory.estimate(memory.sizes(model), row_tokens=10, rows=1, checkpointing=False)["frozen weights"]
    model.language_model.float()
    assert halved == parts["frozen weights"] - backbone // 2


def test_trained_weights_and_their_optimiser_are_counted_exactly(model: MusicLLMForConditionalGeneration) -> None:
    """But for the count of steps of each tensor, four bytes."""
    trained = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.0)
    model(**batch(model)).loss.backward()
    optimizer.step()
    states = [one for state in optimizer.state.values() for name, one in state.items() if name != "step"]
    gradients = [one.grad for one in trained if one.grad is not None]
    assert len(gradients) == len(trained)
    estimated = memory.estimate(memory.sizes(model), row_tokens=10, rows=1, checkpointing=False)[
        "trained weights and AdamW"
    ]
    assert estimated == stored(trained) + stored(gradients) + stored(states) > 0
    optimizer.zero_grad()


def kept(model: MusicLLMForConditionalGeneration, inputs: dict[str, Any]) -> int:
    """Bytes that the layers of the backbone keep for a backward pass, without weights."""
    weights = {one.untyped_storage().data_ptr() for one in model.parameters()}
    found: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            found[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    embeds = model.get_input_embeddings()(inputs["input_ids"]).detach().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.language_model.base_model(
            inputs_embeds=embeds, position_ids=inputs["position_ids"], use_cache=False
        ).last_hidden_state.sum().backward()
    return stored(found.values())


def test_activations_are_about_what_the_layers_keep(model: MusicLLMForConditionalGeneration) -> None:
    """Attention's masks and weights, which no formula of widths knows, are why it is not exact."""
    inputs = batch(model)
    rows, tokens = inputs["input_ids"].shape
    found = memory.estimate(memory.sizes(model), row_tokens=tokens, rows=rows, checkpointing=False)["activations"]
    assert 0.8 < found / kept(model, inputs) < 1.25


def test_what_each_part_grows_with(model: MusicLLMForConditionalGeneration) -> None:
    sizes = memory.sizes(model)
    few, many = (memory.estimate(sizes, row_tokens=100, rows=rows, checkpointing=False) for rows in (1, 2))
    assert many["activations"] == 2 * few["activations"]
    assert few["logits"] == 100 * SIZES["vocab_size"] * memory.LOGIT_BYTES
    assert many["logits"] == 2 * few["logits"]
    assert (many["frozen weights"], many["trained weights and AdamW"]) == tuple(few.values())[:2]
    saved = memory.estimate(sizes, row_tokens=100, rows=1, checkpointing=True)
    layer = few["activations"] // SIZES["num_hidden_layers"]
    assert saved["activations"] == layer + SIZES["num_hidden_layers"] * 100 * SIZES["hidden_size"] * 4
    long = memory.estimate(sizes, row_tokens=10**7, rows=1, checkpointing=False)
    assert long["logits"] == 2**25 * memory.LOGIT_BYTES


def test_a_model_on_paper_has_the_sizes_of_the_real_one(model: MusicLLMForConditionalGeneration) -> None:
    """But for the audio encoder, which a training does without."""
    encoder = stored(model.audio_encoder.parameters())
    real = memory.sizes(model)
    paper = memory.sizes_on_paper(model.config, trained=("audio_adapter", "layer_mix"), dtype=torch.float32)
    assert paper == dataclasses.replace(real, frozen_bytes=real.frozen_bytes - encoder)
    half = memory.sizes_on_paper(model.config, trained=("audio_adapter",), dtype=torch.bfloat16)
    assert (half.linear, half.linear_bytes * 2, half.item_bytes) == (paper.linear, paper.linear_bytes, 2)


def test_a_quantised_backbone_is_as_small_as_it_really_is(model: MusicLLMForConditionalGeneration) -> None:
    weights = [one for one in model.language_model.base_model.modules() if isinstance(one, torch.nn.Linear)]
    numbers = sum(one.weight.numel() for one in weights)
    sizes = memory.sizes(model)
    assert sizes.linear == numbers
    assert memory.quantised(sizes, "int8").linear_bytes == numbers
    four_bits = sum(
        bitsandbytes.functional.quantize_4bit(one.weight.data, quant_type="nf4")[0].numel() for one in weights
    )
    assert four_bits < memory.quantised(sizes, "nf4").linear_bytes < 1.1 * four_bits


def test_what_is_there_is_bounded_by_the_limit_of_the_process() -> None:
    code = (
        "import resource; from mllm.train import memory; free = memory.available_bytes();"
        "import psutil; size = psutil.Process().memory_info().vms + 2**28;"
        "resource.setrlimit(resource.RLIMIT_AS, (size, size)); print(free, memory.available_bytes())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    free, bounded = map(int, said.split())
    assert 2**28 < bounded < 2**30 < free


def test_what_was_measured_is_finite_and_more_than_python_takes() -> None:
    assert 2e7 < memory.measured_bytes() < 1e12
    assert memory.measured_gib() == pytest.approx(memory.measured_bytes() / 2**30, rel=0.01)


def test_the_sum_is_told_with_its_parts() -> None:
    assert memory.told({"weights": 2**30, "logits": 2**29}) == "1.50 GiB (weights 1.00, logits 0.50)"
