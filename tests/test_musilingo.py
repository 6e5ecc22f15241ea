"""Published projectors of MusiLingo: what is read, what is refused, and that our soft tokens are theirs."""

from __future__ import annotations

import pickle
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mllm import checkpoint, musilingo
from mllm.errors import CheckpointError, ConfigError

MERT = Path(__file__).parent / "data" / "mert" / "mert330-like"
SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "import_musilingo.py"
WIDTH = 48
TOLERANCE = 1e-5
"""Largest difference found: 5.4e-7 here, 3.6e-6 with 25 layers of width 1024, as in MERT-v1-330M."""


def published_soft_tokens(hidden_states: list[Tensor], weight: Tensor, bias: Tensor) -> Tensor:
    """What MusiLingo computes of MERT's hidden states, each (frames, width): (tokens, width of the backbone).

    Written down from `encode_audio` in musilingo/models/muvi_model.py of github.com/zihaod/MusiLingo (d2f70e6): the
    mean over all hidden states, the mean over every 325 frames, the mean over the frames that are left, `llama_proj`.
    """
    layers_mean = sum(hidden_states[1:], start=hidden_states[0]) / len(hidden_states)
    tokens = []
    for begin in range(0, len(layers_mean), 325):
        stretch = layers_mean[begin : begin + 325]
        tokens.append(weight @ (stretch.sum(0) / len(stretch)) + bias)
    return torch.stack(tokens)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory, vicuna_tokenizer: PreTrainedTokenizerFast) -> Path:
    """A tiny LLaMA with its tokenizer, which has no template of its own."""
    directory = tmp_path_factory.mktemp("parts") / "llama"
    config = LlamaConfig(
        vocab_size=len(vicuna_tokenizer),
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        eos_token_id=vicuna_tokenizer.eos_token_id,
    )
    model: Any = LlamaForCausalLM(config)
    model.save_pretrained(directory)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=vicuna_tokenizer.backend_tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.save_pretrained(directory)
    return directory


def assembled(backbone: Path, **settings: Any) -> Any:
    return checkpoint.assemble(
        backbone=backbone,
        audio_encoder=MERT,
        encoder_name="mert",
        audio_token="<audio_token>",
        audio_token_id=32000,
        **{"adapter": musilingo.ADAPTER, **settings},
    )


@pytest.fixture(scope="module")
def model(backbone: Path) -> Any:
    return assembled(backbone)


def projector(input_width: int, *, output_width: int = WIDTH) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(4)
    return {
        "llama_proj.weight": 0.2 * torch.randn(output_width, input_width, generator=generator),
        "llama_proj.bias": torch.randn(output_width, generator=generator),
    }


def training_state(tensors: dict[str, Tensor]) -> dict[str, Any]:
    """As `_save_checkpoint` in musilingo/runners/runner_base.py writes it: what was trained, buffers of the rest."""
    buffers = {"llama_model.model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    settings = {"run": {"init_lr": "3e-5", "amp": True}, "model": {"arch": "musilingo"}}
    optimizer = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 3e-5, "params": [0]}]}
    return {"model": {**buffers, **tensors}, "optimizer": optimizer, "config": settings, "scaler": None, "epoch": 5}


def written(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def input_width(model: Any) -> int:
    return int(model.audio_encoder.width)


@pytest.mark.parametrize("frames", [1, 99, 324, 325, 326, 650, 749, 2249])
@torch.no_grad()
def test_soft_tokens_are_those_of_the_published_computation(model: Any, tmp_path: Path, frames: int) -> None:
    tensors = projector(input_width(model))
    model.layer_mix.logits.normal_()
    musilingo.fill_from(model, written(tmp_path / "checkpoint_5.pth", training_state(tensors)))
    states = torch.randn(model.audio_encoder.num_layers, frames, input_width(model)) + 0.5
    (ours,) = model.soft_tokens([states])
    theirs = published_soft_tokens(list(states), *tensors.values())
    assert ours.shape == theirs.shape == (-(-frames // 325), WIDTH)
    assert model.audio_adapter.num_tokens(frames) == len(theirs)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE)


@torch.no_grad()
def test_soft_tokens_of_sound_are_those_of_the_published_computation(model: Any, tmp_path: Path) -> None:
    tensors = projector(input_width(model))
    musilingo.fill_from(model, written(tmp_path / "checkpoint_5.pth", training_state(tensors)))
    waveform = 0.1 * torch.randn(120_000, generator=torch.Generator().manual_seed(1))
    (states,) = model.encode_audio([waveform])
    (ours,) = model.soft_tokens([states])
    assert states.shape[1] == 374
    torch.testing.assert_close(ours, published_soft_tokens(list(states), *tensors.values()), rtol=0, atol=TOLERANCE)


def test_a_rate_of_325_frames_is_what_the_adapter_states(model: Any) -> None:
    assert model.config.tokens_per_second == pytest.approx(0.2308, abs=1e-4)
    assert model.config.num_soft_tokens(720_000) == 7


@pytest.mark.parametrize("prefix", ["", "model."])
def test_safetensors_are_read_without_the_frozen_parts(tmp_path: Path, prefix: str) -> None:
    tensors = projector(12)
    frozen = {"audio_encoder.encoder.layers.0.bias": torch.ones(3), "llama_model.lm_head.weight": torch.ones(3, 2)}
    save_file({prefix + name: one for name, one in (tensors | frozen).items()}, tmp_path / "model.safetensors")
    weight, bias = musilingo.read_projector(tmp_path / "model.safetensors")
    assert torch.equal(weight, tensors["llama_proj.weight"])
    assert torch.equal(bias, tensors["llama_proj.bias"])


def test_half_precision_becomes_single(tmp_path: Path) -> None:
    state = training_state({name: tensor.half() for name, tensor in projector(12).items()})
    assert {one.dtype for one in musilingo.read_projector(written(tmp_path / "x.pth", state))} == {torch.float32}


def without(name: str) -> dict[str, Any]:
    return training_state({key: tensor for key, tensor in projector(12).items() if key != name})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (projector(12), r"has no entry 'model'; it holds: llama_proj.weight, llama_proj.bias"),
        ([1, 2], "has no entry 'model'; it holds: list"),
        (
            without("llama_proj.bias"),
            r"is no projector of MusiLingo \(missing: llama_proj.bias; not expected: nothing\)",
        ),
        (
            training_state({"mu_mert_proj.weight": torch.ones(4096, 8)}),
            r"missing: llama_proj.weight, llama_proj.bias; not expected: mu_mert_proj.weight\); expected llama_proj.w",
        ),
        (training_state({**projector(12), "llama_proj2.bias": torch.ones(3)}), "not expected: llama_proj2.bias"),
        (
            training_state({**projector(12), "llama_proj.bias": torch.ones(47)}),
            r"llama_proj.weight is torch.float32 \(48, 12\) and llama_proj.bias torch.float32 \(47,\); expected",
        ),
        (training_state({**projector(12), "llama_proj.bias": torch.ones(48, dtype=torch.long)}), "expected floating"),
        ({"model": {"llama_proj.weight": 3}}, "holds more than named tensors"),
    ],
)
def test_a_file_of_another_layout_is_refused_in_one_sentence(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(CheckpointError, match=said) as error:
        musilingo.read_projector(written(tmp_path / "x.pth", content))
    assert "\n" not in str(error.value)


class Runs:
    """What a pickle may do to who opens it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("was_run"),)


def test_nothing_in_a_file_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    state = {**training_state(projector(12)), "config": Runs()}
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(state, protocol=2))
    for path in (written(tmp_path / "x.pth", state), tmp_path / "plain.pth"):
        with pytest.raises(CheckpointError, match="cannot be read as a file of tensors") as error:
            musilingo.read_projector(path)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "was_run").exists()


def test_a_file_that_is_absent_or_cut_short_is_refused(tmp_path: Path) -> None:
    for name in ("x.pth", "x.safetensors"):
        with pytest.raises(CheckpointError, match=f"there is no {name}"):
            musilingo.read_projector(tmp_path / name)
        (tmp_path / name).write_bytes(b"half")
        with pytest.raises(CheckpointError, match=name):
            musilingo.read_projector(tmp_path / name)


def test_other_widths_are_refused_and_nothing_changes(model: Any, tmp_path: Path) -> None:
    before = model.audio_adapter.projection.weight.detach().clone()
    path = written(tmp_path / "x.pth", training_state(projector(1024, output_width=4096)))
    said = rf"projects from width 1024 to 4096, but the encoder is {input_width(model)} wide and the backbone {WIDTH};"
    with pytest.raises(CheckpointError, match=said):
        musilingo.fill_from(model, path)
    assert torch.equal(model.audio_adapter.projection.weight, before)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"adapter": {"name": "linear", "tokens_per_second": 0.23}},
            r"the adapter is .*'even'.*; MusiLingo's projector",
        ),
        ({"layer_mix": False}, "layer_mix is false; MusiLingo's projector reads the mean of all layers"),
    ],
)
def test_a_model_that_computes_something_else_is_refused(
    backbone: Path, tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    other = assembled(backbone, **settings)
    path = written(tmp_path / "x.pth", training_state(projector(input_width(other))))
    with pytest.raises(ConfigError, match=said):
        musilingo.fill_from(other, path)


def test_the_script_writes_a_checkpoint(backbone: Path, model: Any, tmp_path: Path, capsys: Any) -> None:
    tensors = projector(input_width(model))
    path = written(tmp_path / "checkpoint_5.pth", training_state(tensors))
    run = runpy.run_path(str(SCRIPT))["run"]
    places = {"backbone": backbone, "encoder": MERT, "output": tmp_path / "out"}
    assert run(projector=path, **places) == 0
    loaded, processor = checkpoint.load(tmp_path / "out")
    module: Any = loaded.audio_adapter
    assert torch.equal(module.projection.weight, tensors["llama_proj.weight"])
    weights = loaded.layer_mix.weights() if loaded.layer_mix is not None else torch.empty(0)
    assert torch.equal(weights, torch.full_like(weights, 1 / len(weights)))
    assert loaded.config.chat_template == "vicuna"
    assert processor.tokenizer.chat_template.startswith("{#- Vicuna")
    assert run(projector=tmp_path / "none.pth", **places) == 2
    assert "import_musilingo: there is no none.pth" in capsys.readouterr().err
