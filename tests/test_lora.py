"""A LoRA inside a checkpoint: what it adds, what it leaves alone, and that it is saved and opened with the rest."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from mllm import checkpoint, lora
from mllm.configuration import MusicLLMConfig
from mllm.errors import CheckpointError, ConfigError
from mllm.lora import LoraSettings
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.processing import MusicLLMProcessor
from tests.tiny_checkpoint import ITEM_SPACE, tone, write_checkpoint
from tests.tiny_conversations import SIZES, hearing, llama

TEXT = torch.tensor([[1, 5, 9, 12]])
ALL = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Path:
    """A checkpoint without a LoRA."""
    return write_checkpoint(tmp_path_factory.mktemp("plain"), reference_tokenizer)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, plain: Path) -> tuple[Any, Path]:
    """A model with a LoRA that has learnt something, and its checkpoint."""
    model, processor = checkpoint.load(plain)
    learn(checkpoint.with_parts(model, lora={"rank": 2, "alpha": 4}, seed=5))
    place = tmp_path_factory.mktemp("saved") / "checkpoint"
    checkpoint.save(model, processor, place, card="# A LoRA\n", run={})
    return model, place


def learn(model: Any) -> None:
    """Fill what is 0 in a fresh LoRA."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, tensor in model.trained_parts().named_parameters():
            if "lora_B" in name:
                tensor.copy_(0.05 * torch.randn(tensor.shape, generator=generator))


def answer(model: Any, length: int = 12) -> torch.Tensor:
    places = [model.config.audio_token_id] * model.config.num_soft_tokens(24000)
    ids = torch.tensor([[30, *places, 40, 41]])
    audio = [torch.from_numpy(tone(1.0, 300.0))]
    options: dict[str, Any] = {"max_new_tokens": length, "do_sample": False, "attention_mask": torch.ones_like(ids)}
    tokens: torch.Tensor = model.generate(ids, audio_waveforms=audio, **options)
    return tokens


def loss(model: Any) -> torch.Tensor:
    places = [model.config.audio_token_id] * model.config.num_soft_tokens(24000)
    ids = torch.tensor([[30, *places, 40, 41]])
    labels = torch.tensor([[30, *([-100] * len(places)), 40, 41]])
    found: torch.Tensor = model(ids, audio_waveforms=[torch.from_numpy(tone(1.0, 300.0))], labels=labels).loss
    return found


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rank": 0}, "lora: rank is 0; expected 1 or more"),
        ({"alpha": 0}, "alpha is 0.0; expected a number above 0"),
        ({"dropout": 1.0}, "dropout is 1.0; expected at least 0 and less than 1"),
        ({"targets": ["q_proj", "q_proj"]}, "expected different names of layers"),
        ({"rnk": 4}, r"lora: rnk is not a setting \(did you mean 'rank'\?\)"),
        ({"targets": ["q_prj"]}, r"'q_prj', which is no linear layer .*did you mean 'q_proj'"),
        ({"targets": ["lm_head"]}, "'lm_head', which is no linear layer"),
        (8, "lora is 8; expected the settings of a LoRA"),
    ],
)
def test_wrong_settings_are_one_sentence(settings: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        hearing(llama(), lora=settings)


def test_without_peft_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match=r"a LoRA needs peft, .*: pip install 'mllm-music\[train\]'"):
        hearing(llama(), lora={})
    assert hearing(llama()).config.lora is None


def test_a_fresh_lora_changes_nothing() -> None:
    model: Any = hearing(llama(), lora={})
    model.eval()
    assert model.config.lora == {"rank": 8, "alpha": 16.0, "dropout": 0.0, "targets": ALL}
    assert torch.equal(model(TEXT).logits, llama().eval()(TEXT).logits)
    learn(model)
    assert not torch.equal(model(TEXT).logits, llama().eval()(TEXT).logits)
    kept = {name.replace(".base_layer", ""): tensor for name, tensor in model.language_model.state_dict().items()}
    assert all(torch.equal(kept[name], tensor) for name, tensor in llama().state_dict().items())


def test_only_the_targets_have_an_addition() -> None:
    model: Any = hearing(llama(), lora={"targets": ["q_proj", "v_proj"], "rank": 3})
    assert set(lora.layers(model.language_model)) == {
        f"model.layers.{index}.self_attn.{name}" for index in range(2) for name in ("q_proj", "v_proj")
    }
    assert model.config.lora["targets"] == ["q_proj", "v_proj"]


def test_the_weights_of_a_lora_are_float32_over_a_bfloat16_backbone() -> None:
    model: Any = hearing(llama().to(torch.bfloat16), lora={})
    assert {parameter.dtype for parameter in lora.trained(model.language_model).parameters()} == {torch.float32}
    assert torch.equal(model.eval()(TEXT).logits, llama().to(torch.bfloat16).eval()(TEXT).logits)


def test_gradient_reaches_the_lora_and_the_adapter_and_nothing_else() -> None:
    model: Any = hearing(llama(), lora={}).train()
    learn(model)
    found: Any = loss(model)
    found.backward()
    trained = set(model.trained_parts().state_dict())
    assert any("lora_A" in name for name in trained)
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (name in trained), name
        assert (parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)) == (name in trained), name


def test_text_teaches_the_lora_under_gradient_checkpointing() -> None:
    """No soft token carries a gradient into the layers here."""
    gradients = []
    for checkpointing in (False, True):
        model: Any = hearing(llama(), lora={})
        learn(model)
        if checkpointing:
            model.gradient_checkpointing_enable()
        model.train()
        model(TEXT, labels=TEXT, use_cache=False).loss.backward()
        gradients.append([parameter.grad for parameter in lora.trained(model.language_model).parameters()])
    for one, other in zip(*gradients, strict=True):
        assert one.abs().sum() > 0
        torch.testing.assert_close(one, other)


def test_the_dropout_of_the_lora_is_on_in_training_and_the_backbones_is_off() -> None:
    def backbone() -> Any:
        model = llama("eager")
        model.config.attention_dropout = 0.5
        for layer in model.model.layers:
            layer.self_attn.attention_dropout = 0.5
        return model

    model: Any = hearing(backbone(), lora={}).train()
    learn(model)
    assert torch.equal(loss(model), loss(model))  # none of the LoRA, and none of the backbone
    model = hearing(backbone(), lora={"dropout": 0.5}).train()
    learn(model)
    assert not torch.equal(loss(model), loss(model))
    model.freeze(["audio_adapter"])
    assert torch.equal(loss(model), loss(model))
    model.freeze()
    model.eval()
    assert torch.equal(loss(model), loss(model))


@pytest.mark.parametrize("trained", [["lora"], ["audio_adapter"], ["layer_mix", "lora"], []])
def test_what_learns_can_be_chosen(trained: list[str]) -> None:
    model: Any = hearing(llama(), lora={"rank": 2})
    model.freeze(trained)
    learning = {
        lora.LORA if "lora_" in name else name.partition(".")[0]
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    assert learning == set(trained)
    model.freeze()
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == set(
        model.trained_parts().state_dict()
    )


def test_what_is_not_there_cannot_be_chosen() -> None:
    model: Any = hearing(llama())
    with pytest.raises(ConfigError, match="this model has no 'lora' to train; it has layer_mix, audio_adapter"):
        model.freeze(["lora"])
    with pytest.raises(ConfigError, match=r"no 'audio_adaptr' to train \(did you mean 'audio_adapter'\?\)"):
        model.freeze(["audio_adaptr"])
    assert all(parameter.requires_grad for parameter in model.trained_parts().parameters())


def test_a_lora_is_saved_and_read_back(saved: tuple[Any, Path]) -> None:
    model, place = saved
    tensors = load_file(place / "adapter_model.safetensors")
    assert set(tensors) == set(model.trained_parts().state_dict())
    assert "language_model.model.layers.0.self_attn.q_proj.lora_A.default.weight" in tensors
    index = json.loads((place / "model.safetensors.index.json").read_text(encoding="utf-8"))
    assert set(index["weight_map"]) == set(tensors)
    settings = json.loads((place / "config.json").read_text(encoding="utf-8"))
    assert settings["lora"] == {"rank": 2, "alpha": 4.0, "dropout": 0.0, "targets": ALL}
    loaded, _ = checkpoint.load(place)
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(loaded(TEXT).logits, model(TEXT).logits)
    assert torch.equal(answer(loaded), answer(model))
    again: Any = MusicLLMForConditionalGeneration.from_pretrained(place)
    assert torch.equal(answer(again), answer(model))


ALTERATIONS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "missing": (
        lambda t: t.pop("language_model.model.layers.1.mlp.up_proj.lora_B.default.weight"),
        "missing: .*up_proj",
    ),
    "extra": (
        lambda t: t.update({"language_model.model.x.lora_A.default.weight": torch.zeros(2)}),
        "not expected: .*x",
    ),
    "misshapen": (
        lambda t: t.update(
            {"language_model.model.layers.0.self_attn.q_proj.lora_A.default.weight": torch.zeros(3, 32)}
        ),
        r"q_proj.lora_A.default.weight is floating-point \(3, 32\) instead of floating-point \(2, 32\)",
    ),
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_tensors_that_do_not_fit_are_named(saved: tuple[Any, Path], tmp_path: Path, alteration: str) -> None:
    change, sentence = ALTERATIONS[alteration]
    copy = Path(shutil.copytree(saved[1], tmp_path / "copy"))
    tensors = load_file(copy / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, copy / "adapter_model.safetensors")
    with pytest.raises(CheckpointError, match=sentence):
        checkpoint.load(copy)


def test_a_model_gets_a_lora_and_keeps_what_it_has(plain: Path) -> None:
    model, _ = checkpoint.load(plain)
    before = {name: tensor.clone() for name, tensor in model.trained_parts().state_dict().items()}
    expected, described = answer(model), json.loads(json.dumps(model.config.frozen))
    state = torch.get_rng_state()
    grown = checkpoint.with_parts(model, lora={"rank": 2}, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(answer(grown), expected)
    assert grown.config.frozen == described
    after = grown.trained_parts().state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    for seed, same in ((5, True), (6, False)):
        other = checkpoint.with_parts(checkpoint.load(plain)[0], lora={"rank": 2}, seed=seed)
        name = "language_model.model.layers.0.self_attn.q_proj.lora_A.default.weight"
        assert torch.equal(other.trained_parts().state_dict()[name], after[name]) is same
    with pytest.raises(ConfigError, match="has its lora already; leave lora out"):
        checkpoint.with_parts(grown, lora={})


def test_a_model_with_a_lora_gets_an_item_adapter(saved: tuple[Any, Path], tmp_path: Path) -> None:
    model, processor = checkpoint.load(saved[1])
    checkpoint.with_parts(
        model, item_adapter={"name": "mlp", "hidden_width": 16}, item_space=dataclasses.asdict(ITEM_SPACE)
    )
    model.freeze(["item_adapter"])
    processor = MusicLLMProcessor.from_config(model.config, processor.tokenizer)
    checkpoint.save(model, processor, tmp_path / "items", card="", run={})
    loaded, _ = checkpoint.load(tmp_path / "items")
    assert torch.equal(answer(loaded), answer(saved[0]))
    ids = torch.tensor([[30, *[model.config.item_token_id] * ITEM_SPACE.rows, 40]])
    features = [torch.ones(ITEM_SPACE.rows, ITEM_SPACE.width)]
    assert torch.equal(loaded(ids, item_features=features).logits, model(ids, item_features=features).logits)
    with pytest.raises(ConfigError, match="item_adapter and item_space must be given together"):
        checkpoint.with_parts(checkpoint.load(saved[1])[0], item_adapter={"name": "mlp"})


def test_a_model_is_assembled_with_a_lora(plain: Path) -> None:
    config: MusicLLMConfig = checkpoint.load(plain)[0].config
    model = checkpoint.assemble(
        backbone=plain / "backbone",
        audio_encoder=plain / "audio_encoder",
        encoder_name="mert",
        adapter={"name": "mlp", "tokens_per_second": 2.0},
        seed=3,
        lora={"rank": 2, "targets": ["q_proj"]},
        audio_token=config.audio_token,
        audio_token_id=config.audio_token_id,
    )
    assert model.config.lora_settings == LoraSettings(rank=2, targets=("q_proj",))
    without, _ = checkpoint.load(plain)
    for name, tensor in without.audio_adapter.state_dict().items():  # the LoRA is drawn after the adapter
        assert torch.equal(model.audio_adapter.state_dict()[name], tensor)


def backbones() -> dict[str, Callable[[], Any]]:
    def gpt2() -> Any:
        torch.manual_seed(3)
        sizes = {"vocab_size": SIZES["vocab_size"], "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}
        return GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=1, eos_token_id=2))

    return {"llama": llama, "gpt2": gpt2}


@pytest.mark.parametrize("name", backbones())
def test_a_merged_lora_computes_the_same(name: str) -> None:
    """Measured worst difference of a logit, of 3.4 at most: 3.5e-6."""
    model: Any = hearing(backbones()[name](), lora={"rank": 4})
    model.eval()
    fresh = model(TEXT).logits
    learn(model)
    expected = model(TEXT).logits
    lora.merge(model.language_model)
    assert not lora.layers(model.language_model)
    model.config.lora = None
    torch.testing.assert_close(model(TEXT).logits, expected, atol=1e-5, rtol=0)
    assert (fresh - expected).abs().max() > 0.01
    assert set(model.language_model.state_dict()) == set(backbones()[name]().state_dict())
    assert isinstance(model.trained_parts(), nn.ModuleDict)
