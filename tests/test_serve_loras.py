"""Serving LoRAs: vLLM says with one what transformers says with it merged."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from mllm.listener import Listener
from tests import vllm_engine
from tests.tiny_checkpoint import item, user
from tests.vllm_engine import MARKS_OF_VLLM, Said, assert_same, engine, file, said_by_transformers, served

pytestmark = MARKS_OF_VLLM
# pytest finds the fixtures of a file by their names in it.
directory = vllm_engine.directory
catalogue = vllm_engine.catalogue
music = vllm_engine.music

LAYER = "language_model.model.layers.0"
BACKBONE_SHAPES = {f"{LAYER}.self_attn.q_proj": (128, 32), f"{LAYER}.mlp.down_proj": (32, 64)}
ADAPTER_SHAPES = {"audio_adapter.inner": (1024, 32), "audio_adapter.outer": (32, 1024), "item_adapter.outer": (32, 16)}


def write_lora(directory: Path, deltas: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Path:
    """A LoRA as PEFT writes one, of scale 2: for each module its matrices A (rank, in) and B (out, rank)."""
    directory.mkdir()
    rank = next(iter(deltas.values()))[0].shape[0]
    targets = sorted({name.rpartition(".")[2] for name in deltas})
    settings = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": targets, "bias": "none"}
    (directory / "adapter_config.json").write_text(json.dumps(settings))
    tensors = {
        f"base_model.model.{name}.lora_{side}.weight": matrix
        for name, both in deltas.items()
        for side, matrix in zip("AB", both, strict=True)
    }
    save_file(tensors, directory / "adapter_model.safetensors")
    return directory


def drawn_lora(shapes: dict[str, tuple[int, int]], *, seed: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Random matrices A (4, in) and B (out, 4) for modules of such shapes (out, in)."""
    draw = torch.Generator().manual_seed(seed)
    return {
        name: (torch.randn(4, inner, generator=draw), 0.2 * torch.randn(outer, 4, generator=draw))
        for name, (outer, inner) in shapes.items()
    }


@contextlib.contextmanager
def merged(listener: Listener, deltas: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Iterator[None]:
    """While this lasts, the model for transformers has the LoRA, of scale 2, in its weights."""
    weights = {name: listener.model.get_parameter(f"{name}.weight") for name in deltas}
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    with torch.no_grad():
        for name, (down, up) in deltas.items():
            weights[name].add_(2.0 * up @ down)
        yield
        for name, weight in weights.items():
            weight.copy_(before[name])


def test_a_lora_of_the_backbone_is_applied_and_another_is_refused(directory: Path, music: Path, tmp_path: Path) -> None:
    from vllm import SamplingParams
    from vllm.lora.request import LoRARequest

    conversation = user(file(music / "one.wav"), "Who plays?")
    listener = Listener.load(directory)
    plain = said_by_transformers(listener, conversation)
    deltas = drawn_lora(BACKBONE_SHAPES, seed=0)
    with merged(listener, deltas):
        changed = said_by_transformers(listener, conversation)
    assert changed.ids != plain.ids
    good = LoRARequest("good", 1, str(write_lora(tmp_path / "good", deltas)))
    bad = LoRARequest("bad", 2, str(write_lora(tmp_path / "bad", drawn_lora(ADAPTER_SHAPES, seed=1))))
    with engine(directory, enable_lora=True, max_lora_rank=8) as llm:
        for lora, expected in ((None, plain), (good, changed), (None, plain)):
            assert_same(served(llm, [conversation], lora=lora)[0], expected)
        with pytest.raises(ValueError, match="adapter"):
            llm.chat([conversation], SamplingParams(max_tokens=1), use_tqdm=False, lora_request=bad)


def test_loras_of_the_adapters_are_applied_to_the_requests_that_ask_for_them(
    directory: Path, catalogue: Path, music: Path, tmp_path: Path
) -> None:
    """One step with recordings and items of requests with two LoRAs and with none; the same recordings in all."""
    from vllm.lora.request import LoRARequest

    one, two = file(music / "one.wav"), file(music / "two.wav")
    conversations = [user(one, "Who plays?"), user(item(1), "Like", two, item(2), "?"), user(two, one, "And now?")]
    listener = Listener.load(directory, catalogue=catalogue)
    deltas = {
        "of adapters": drawn_lora(ADAPTER_SHAPES, seed=1),
        "of both": drawn_lora({**BACKBONE_SHAPES, **ADAPTER_SHAPES}, seed=2),
    }
    loras: dict[str, Any] = {
        name: LoRARequest(name, number, str(write_lora(tmp_path / name, given)))
        for number, (name, given) in enumerate(deltas.items(), start=1)
    }
    expected: dict[str | None, list[Said]] = {None: [said_by_transformers(listener, one) for one in conversations]}
    for name, given in deltas.items():
        with merged(listener, given):
            expected[name] = [said_by_transformers(listener, one) for one in conversations]
        assert all(a.ids != b.ids for a, b in zip(expected[name], expected[None], strict=True))
    asked = [(place, name) for place in range(len(conversations)) for name in (None, *deltas)]
    options = {"enable_lora": True, "max_lora_rank": 8, "max_loras": 2, "enable_tower_connector_lora": True}
    with engine(directory, catalogue=catalogue, **options) as llm:
        for _ in range(2):  # the second time, what was heard is known already
            found = served(
                llm, [conversations[place] for place, _ in asked], lora=[name and loras[name] for _, name in asked]
            )
            for said, (place, asked_for) in zip(found, asked, strict=True):
                assert_same(said, expected[asked_for][place])
