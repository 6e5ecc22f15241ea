"""Quantised frozen backbones in training: the numbers they compute, the gradients they pass on, and that they stay put.

This runs on any processor. What bitsandbytes does on one with AVX512-BF16 is brought about by telling it that this is
one; the packed kernels of such a processor and those of a GPU are not run.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes import functional as bnb_functional
from bitsandbytes.nn.modules import Linear4bit, Linear8bitLt
from bitsandbytes.optim.adamw import AdamW8bit
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Trainer, TrainingArguments

from mllm import checkpoint, lora
from mllm.errors import CheckpointError, ConfigError
from mllm.processing import MusicLLMProcessor

MERT = Path(__file__).parent / "data" / "mert" / "mert95-like"
FRAMES = 150
"""Two seconds, which give four soft tokens."""
KINDS: dict[str, type[nn.Module]] = {"nf4": Linear4bit, "int8": Linear8bitLt}
BOUNDS = {"nf4": 1e-5, "int8": 0.05}
"""Of the difference from the dequantised backbone in float32, relative to the largest number. Measured worst, of loss,
gradients and logits: nf4 0, int8 0.032, since int8 layers round what goes into them, too."""
LAYER_BOUNDS = {"nf4": 1e-5, "int8": 5e-3}
"""The same of one layer, whose input is rounded in the reference as well. Measured worst: nf4 0; int8 1.3e-3 where a
number lies half-way between two steps, 2e-5 elsewhere."""


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Path:
    """A tiny LLaMA as it lies on a disk; its layers are large enough for bitsandbytes to pack them anew."""
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(reference_tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        initializer_range=0.1,
        pad_token_id=reference_tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=reference_tokenizer.eos_token_id,
    )
    model: Any = LlamaForCausalLM(config)
    directory = tmp_path_factory.mktemp("quantised") / "llama"
    model.save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def fresh(backbone: Path, reference_tokenizer: PreTrainedTokenizerFast) -> Callable[..., Any]:
    """Assembles a model on the backbone, whose audio adapter has learnt nothing."""
    vocabulary = reference_tokenizer.get_vocab()

    def assemble(quantisation: Any = None, *, place: Path = backbone, **settings: Any) -> Any:
        return checkpoint.assemble(
            backbone=place,
            audio_encoder=MERT,
            encoder_name="mert",
            adapter={"name": "linear", "tokens_per_second": 2.0},
            quantisation=quantisation,
            audio_token="<|audio_token|>",
            audio_token_id=vocabulary["<|audio_token|>"],
            **settings,
        )

    return assemble


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def batch(model: Any) -> dict[str, Any]:
    """Two conversations about recordings, with ids to learn."""
    generator = torch.Generator().manual_seed(2)
    layers, width = model.audio_encoder.num_layers, model.audio_encoder.width
    places = [model.config.audio_token_id] * 4
    ids = torch.tensor([[30, *places, 40, 41, 42, 43], [31, *places, 44, 45, 46, 47]])
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": ids.masked_fill(ids == places[0], -100),
        "audio_features": [torch.randn(layers, FRAMES, width, generator=generator) for _ in range(2)],
    }


def step(model: Any) -> tuple[Tensor, list[Tensor]]:
    """The loss of a batch and the gradients of what learns."""
    model.zero_grad()
    found = model(**batch(model), use_cache=False).loss
    found.backward()
    return found.detach(), [parameter.grad.clone() for parameter in model.parameters() if parameter.requires_grad]


def quantised_layers(model: Any) -> dict[str, Any]:
    return {
        name: module
        for name, module in model.language_model.named_modules()
        if isinstance(module, Linear4bit | Linear8bitLt)
    }


def weight_of(layer: Any) -> Tensor:
    """What a quantised layer multiplies with, in float32."""
    if isinstance(layer, Linear4bit):
        packed: Any = layer.weight
        weight: Tensor = bnb_functional.dequantize_4bit(packed.data, packed.quant_state)
        return weight.float()
    scales: Tensor = layer.weight.SCB if layer.state.SCB is None else layer.state.SCB
    whole: Tensor = layer.weight.data if layer.state.CB is None else layer.state.CB
    return whole.float() * scales[:, None] / 127


def dequantised(model: Any, plain: Any) -> Any:
    """`plain`, whose layers get the weights that those of `model` stand for."""
    with torch.no_grad():
        for name, layer in quantised_layers(model).items():
            plain.language_model.get_submodule(name).weight.copy_(weight_of(layer))
    return plain


def rounded(states: Tensor) -> Tensor:
    """What goes into an int8 layer: 127 steps from 0 to the largest number of a token; columns with a 6 stay."""
    whole = states.half().float()
    large = whole.abs() >= 6
    scale = whole.masked_fill(large, 0).abs().amax(-1, keepdim=True) / 127
    return torch.where(large.any(dim=(0, 1)), states, torch.round(whole / scale) * scale)


def apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).detach().abs().max() / other.detach().abs().max())


def test_it_computes_and_learns_as_the_dequantised_backbone(fresh: Callable[..., Any], kind: str) -> None:
    model, plain = fresh(kind), fresh()
    assert len(quantised_layers(model)) == 14
    assert all(type(layer) is KINDS[kind] for layer in quantised_layers(model).values())
    with torch.no_grad():
        unquantised = plain.eval()(**batch(plain)).logits
    reference = dequantised(model, plain)
    (loss, gradients), (expected, wanted) = step(model.train()), step(reference.train())
    assert apart(loss, expected) <= BOUNDS[kind]
    for one, other in zip(gradients, wanted, strict=True):
        assert apart(one, other) <= BOUNDS[kind]
    model.train(False)
    reference.train(False)
    with torch.no_grad():
        logits = model(**batch(model)).logits
        assert apart(logits, reference(**batch(model)).logits) <= BOUNDS[kind]
        assert not torch.equal(logits, unquantised)


def test_each_layer_multiplies_with_its_dequantised_weights(fresh: Callable[..., Any], kind: str) -> None:
    """Forward and backward, of what the layer is given in the model; gradients pass through the rounding of int8."""
    model = fresh(kind).train()
    passed: dict[str, tuple[Tensor, Tensor]] = {}
    differences: list[float] = []
    for name, layer in quantised_layers(model).items():
        layer.register_forward_hook(lambda _, given, made, name=name: passed.update({name: (given[0], made)}))
        layer.register_full_backward_hook(
            lambda layer, to_input, from_output: differences.append(
                apart(to_input[0], from_output[0] @ weight_of(layer))
            )
        )
    step(model)
    assert set(passed) == set(quantised_layers(model))
    assert len(differences) == len(passed)
    for name, layer in quantised_layers(model).items():
        given, made = passed[name]
        differences.append(apart(made, (rounded(given) if kind == "int8" else given) @ weight_of(layer).T))
    assert max(differences) <= LAYER_BOUNDS[kind]


def watch(model: Any) -> dict[str, bool]:
    """Fills itself in each backward pass: for each quantised layer, whether it passes a gradient on."""
    reached: dict[str, bool] = {}
    for name, layer in quantised_layers(model).items():
        layer.register_full_backward_hook(
            lambda _, given, __, name=name: reached.update({name: bool(given[0].abs().sum() > 0)})
        )
    return reached


def test_gradient_flows_through_every_layer_and_again_after_an_evaluation(
    fresh: Callable[..., Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a processor with AVX512-BF16, where bitsandbytes would pack 4-bit layers anew in the evaluation."""
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: True)
    for checkpointing in (False, True):
        model = fresh(kind)
        if checkpointing:
            model.gradient_checkpointing_enable()
        reached = watch(model)
        before = step(model.train())
        assert reached == dict.fromkeys(quantised_layers(model), True)
        reached.clear()
        model.eval()
        with torch.no_grad():
            model(**batch(model))
        for training in (True, False):
            loss, gradients = step(model.train(training))
            assert reached == dict.fromkeys(quantised_layers(model), True)
            assert apart(loss, before[0]) < 1e-6  # evaluation mode sums the logits in another order
            for one, other in zip(gradients, before[1], strict=True):
                assert other.abs().sum() > 0
                assert apart(one, other) < 1e-5


def test_no_4_bit_layer_will_ever_be_packed_anew(fresh: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: True)
    layers = quantised_layers(fresh("nf4", lora={"rank": 2}))
    assert layers
    assert not any(layer.support_avx512bf16_for_cpu for layer in layers.values())


@pytest.mark.parametrize("settings", [{}, {"lora": {"rank": 2}}])
def test_three_steps_change_what_is_trained_and_not_one_byte_of_the_backbone(
    fresh: Callable[..., Any], kind: str, settings: dict[str, Any]
) -> None:
    model = fresh(kind, **settings).train()
    trained = set(model.trained_parts().state_dict())
    before = {name: value.clone() for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=1e-2)
    for _ in range(3):
        step(model)
        optimiser.step()
    after = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    assert set(after) == set(before)
    assert {name for name, value in after.items() if not torch.equal(value, before[name])} == trained
    assert any("lora_A" in name for name in trained) == bool(settings)


def test_trainer_trains_on_it_and_resumes(fresh: Callable[..., Any], kind: str, tmp_path: Path) -> None:
    def run(resume: bool) -> dict[str, Tensor]:
        model = fresh(kind, lora={"rank": 2, "dropout": 0.1})
        arguments = TrainingArguments(
            output_dir=str(tmp_path),
            max_steps=3,
            per_device_train_batch_size=1,
            learning_rate=1e-2,
            save_steps=2,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
            use_cpu=True,
            disable_tqdm=True,
            report_to=[],
            optim="adamw_bnb_8bit",
            seed=5,
        )
        trainer = Trainer(
            model=model, args=arguments, train_dataset=[batch(model)] * 3, data_collator=lambda rows: rows[0]
        )
        trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2") if resume else None)
        found: dict[str, Tensor] = model.trained_parts().state_dict()
        return found

    whole, resumed = run(resume=False), run(resume=True)
    untrained = fresh(kind, lora={"rank": 2}).trained_parts().state_dict()
    for name, tensor in whole.items():
        assert torch.equal(resumed[name], tensor), name
        assert not torch.equal(untrained[name], tensor), name


def test_8_bit_adamw_teaches_the_adapter(fresh: Callable[..., Any], kind: str) -> None:
    model = fresh(kind).train()
    first, _ = step(model)
    optimiser = AdamW8bit([one for one in model.parameters() if one.requires_grad], lr=1e-2)
    for _ in range(20):
        last, _ = step(model)
        optimiser.step()
    assert last < first - 0.5


def test_a_lora_learns_on_a_quantised_backbone(fresh: Callable[..., Any], kind: str, tmp_path: Path) -> None:
    model = fresh(kind, lora={"rank": 2, "dropout": 0.1}).train()
    with torch.no_grad():
        for name, tensor in model.trained_parts().named_parameters():
            if "lora_B" in name:
                tensor.fill_(0.01)
    step(model)
    learning = {name: value.grad for name, value in model.named_parameters() if value.requires_grad}
    assert set(learning) == set(model.trained_parts().state_dict())
    assert sum("lora_" in name for name in learning) == 2 * 14
    assert all(value is not None and bool(value.abs().sum() > 0) for value in learning.values())
    assert {value.dtype for value in lora.trained(model.language_model).parameters()} == {torch.float32}


def test_what_is_saved_says_nothing_of_the_quantisation(
    fresh: Callable[..., Any], kind: str, tmp_path: Path, reference_tokenizer: PreTrainedTokenizerFast
) -> None:
    model, plain = fresh(kind, lora={"rank": 2}), fresh(lora={"rank": 2})
    processor = MusicLLMProcessor.from_config(model.config, reference_tokenizer)
    for name, one in (("quantised", model), ("plain", plain)):
        checkpoint.save(one, processor, tmp_path / name, card="", run={})
    settings = [json.loads((tmp_path / name / "config.json").read_text()) for name in ("quantised", "plain")]
    assert settings[0] == settings[1]
    assert "quantization_config" not in settings[0]["text_config"]
    files = [tmp_path / name / "adapter_model.safetensors" for name in ("quantised", "plain")]
    assert files[0].read_bytes() == files[1].read_bytes()

    whole, _ = checkpoint.load(tmp_path / "quantised")
    assert not quantised_layers(whole)
    again, processor = checkpoint.load(tmp_path / "quantised", quantisation=kind)  # type: ignore[arg-type]
    assert torch.equal(step(again.train())[0], step(model.train())[0])
    checkpoint.save(again, processor, tmp_path / "quantised", card="", run={})
    assert json.loads((tmp_path / "quantised" / "config.json").read_text()) == settings[0]


def test_int8_layers_do_not_fill_the_log(fresh: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    model = fresh("int8").train()
    with caplog.at_level(logging.WARNING):
        step(model)
    assert not caplog.records


def test_what_cannot_be_quantised_is_one_sentence(
    fresh: Callable[..., Any], backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"quantisation is 'nf5' \(did you mean 'nf4'\?\); expected int8 or nf4"):
        fresh("nf5")
    stored = Path(shutil.copytree(backbone, tmp_path / "stored"))
    settings = json.loads((stored / "config.json").read_text())
    settings["quantization_config"] = {"quant_method": "compressed-tensors"}
    (stored / "config.json").write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match="is stored quantised and cannot be quantised to nf4 once more"):
        fresh("nf4", place=stored)
    with pytest.raises(CheckpointError, match="cannot be opened"):
        fresh("nf4", place=MERT)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ConfigError, match=r"needs bitsandbytes, .*: pip install 'mllm-music\[train\]'"):
        fresh("int8")
