"""Packed rows: the same loss and gradients as one conversation at a time, and nothing is read across a border."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from torch.nn import functional
from transformers import modeling_flash_attention_utils

from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.prompt import IGNORE_INDEX, Prompt
from mllm.train import packing
from mllm.train.adapter import Example, collate
from mllm.train.grouping import Grouping, GroupingConfig, fill_row
from tests.tiny_conversations import SIZES, VOCABULARY, gradients, hearing, llama, mixed


def prompt(ids: Sequence[int], learnt_from: int) -> Prompt:
    labels = tuple(token if position >= learnt_from else IGNORE_INDEX for position, token in enumerate(ids))
    return Prompt(input_ids=tuple(ids), labels=labels, placeholders=())


def packed(examples: Sequence[Example], *, rows: int, borders: bool = False) -> dict[str, Any]:
    """A batch of so many rows."""
    shared = [list(examples[first::rows]) for first in range(rows)]
    batch = packing.packed([[example.prompt for example in row] for row in shared], 0, borders=borders)
    return {**batch, "audio_features": [window for row in shared for example in row for window in example.features]}


def test_a_packed_row_says_where_conversations_begin() -> None:
    one, two, three = prompt([5, 6, 7], 1), prompt([8, 9], 0), prompt([10], 0)
    batch = packing.packed([[one, two], [three]], 0, borders=True)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9], [10, 0, 0, 0, 0]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1], [0, 0, 1, 2, 3]]
    assert batch["labels"].tolist() == [[-100, 6, 7, -100, 9], [-100] * 5]
    assert batch["cu_seq_lens_q"].tolist() == batch["cu_seq_lens_k"].tolist() == [0, 3, 5, 6, 10]
    assert batch["max_length_q"] == batch["max_length_k"] == 4
    assert batch["use_cache"] is False
    assert not set(packing.packed([[one]], 0)) & {"attention_mask", "cu_seq_lens_q"}


def test_padding_is_neither_read_nor_learnt() -> None:
    batch = packing.padded([prompt([5, 6, 7], 1), prompt([8], 0)], 3)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 3, 3]]
    assert batch["labels"].tolist() == [[-100, 6, 7], [8, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_backbone_is_asked_in_any_dtype(dtype: torch.dtype) -> None:
    """Its padding, token 0, is embedded as zeros, whose slope behind a norm float16 cannot hold."""
    backbone = llama()
    assert not backbone.get_input_embeddings().weight[0].any()
    assert packing.obstacle(backbone.to(dtype)) is None


def one_at_a_time(model: MusicLLMForConditionalGeneration, examples: Sequence[Example]) -> tuple[Tensor, list[Tensor]]:
    """The loss over all labels of the conversations, each computed alone, and the gradients."""
    learnt = sum(label != IGNORE_INDEX for example in examples for label in example.prompt.labels[1:])
    total = torch.zeros(())
    for example in examples:
        ids = torch.tensor([example.prompt.input_ids])
        labels = torch.tensor([example.prompt.labels])
        loss = model(ids, labels=labels, audio_features=list(example.features), num_items_in_batch=learnt).loss
        if example.features:
            loss.backward()
        total += loss.detach()
    return total, gradients(model)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_loss_and_gradients_are_those_of_one_conversation_at_a_time(attention: str, rows: int) -> None:
    """Measured worst differences: loss 1e-6 of 5.1, gradients 6e-7 of 1.2 at most."""
    model = hearing(llama(attention))
    examples = mixed(model)
    expected, slopes = one_at_a_time(model, examples)
    loss = model(**packed(examples, rows=rows)).loss
    loss.backward()
    torch.testing.assert_close(loss.detach(), expected, atol=1e-5, rtol=0)
    for found, wanted in zip(gradients(model), slopes, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_rows_of_text_alone_are_packed_too() -> None:
    model = hearing(llama())
    examples = [example for example in mixed(model) if not example.features]
    model.train(False)
    apart = [model(torch.tensor([example.prompt.input_ids])).logits[0] for example in examples]
    together = model(**packed(examples, rows=1)).logits[0]
    torch.testing.assert_close(together, torch.cat(apart), atol=1e-5, rtol=0)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("rows", [1, 3])
def test_no_token_reads_across_a_border(attention: str, rows: int) -> None:
    """Whatever changes in one conversation, the logits of all others stay the same to the bit."""
    model = hearing(llama(attention)).train(False)
    examples = mixed(model)
    order = [index for first in range(rows) for index in range(len(examples))[first::rows]]
    rng = random.Random(attention + str(rows))
    batch = packed(examples, rows=rows)
    before = model(**batch).logits
    for changed, example in enumerate(examples):
        others = list(examples)
        ids = [token if token == 50 else rng.randrange(51, VOCABULARY) for token in example.prompt.input_ids]
        features = tuple(torch.randn_like(window) for window in example.features)
        others[changed] = Example(
            prompt=Prompt(input_ids=tuple(ids), labels=example.prompt.labels, placeholders=()),
            features=features,
            words=(),
        )
        after = model(**packed(others, rows=rows)).logits
        starts = (batch["position_ids"] == 0).cumsum(-1)  # (B, S), which conversation of its row, from 1
        for row in range(rows):
            inside = [index for index in order if index % rows == row]
            for number, index in enumerate(inside, start=1):
                same = torch.equal(before[row][starts[row] == number], after[row][starts[row] == number])
                assert same == (index != changed), (changed, index)


def reference_varlen(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
    """What FlashAttention computes, causal attention between two borders, of (tokens, heads, width) each."""
    assert options["causal"]
    borders = options["cu_seqlens_q"].tolist()
    assert max(end - start for start, end in itertools.pairwise(borders)) == options["max_seqlen_q"]
    stretches = []
    for start, end in itertools.pairwise(borders):
        one, two, three = (tensor[start:end].transpose(0, 1)[None] for tensor in (query, key, value))
        attended = functional.scaled_dot_product_attention(
            one, two, three, is_causal=True, scale=options["softmax_scale"], enable_gqa=True
        )
        stretches.append(attended[0].transpose(0, 1))
    return torch.cat(stretches)


@pytest.mark.parametrize("rows", [1, 3])
def test_flash_attention_is_told_the_borders(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Its kernel is replaced, as it runs on no CPU; how transformers calls it is not."""
    model = hearing(llama())
    examples = mixed(model)
    expected, slopes = one_at_a_time(model, examples)
    model.language_model.config._attn_implementation = "flash_attention_2"
    kernels = (None, reference_varlen, None, None, None)
    names = ("max_seqlen_q", "max_seqlen_k", "cache_seqlens")
    process = modeling_flash_attention_utils._process_flash_attention_kwargs

    def options(**given: Any) -> dict[str, Any]:
        supported = dict.fromkeys(
            ("dropout_p", "window_size", "deterministic", "softcap", "s_aux", "learnable_sink", "block_table"), False
        )
        found: dict[str, Any] = process(**given, supports_mapping=supported | dict.fromkeys(names, True))
        return found

    monkeypatch.setattr(
        modeling_flash_attention_utils, "lazy_import_flash_attention", lambda *_: (kernels, (options, None))
    )
    assert packing.needs_borders(model.language_model)
    assert packing.obstacle(model.language_model) is None
    loss = model(**packed(examples, rows=rows, borders=True)).loss
    loss.backward()
    torch.testing.assert_close(loss.detach(), expected, atol=1e-5, rtol=0)
    for found, wanted in zip(gradients(model), slopes, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


SMALL: dict[str, Any] = {"vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 2}
BACKBONES: dict[str, Any] = {
    "LlamaForCausalLM": transformers.LlamaConfig(**SIZES),
    "MistralForCausalLM": transformers.MistralConfig(**SIZES, sliding_window=4),
    "Qwen3ForCausalLM": transformers.Qwen3Config(**SIZES),
    "Gemma2ForCausalLM": transformers.Gemma2Config(**SIZES, sliding_window=4),
    "GPT2LMHeadModel": transformers.GPT2Config(vocab_size=97, n_embd=32, n_layer=2, n_head=4, n_positions=64),
}
UNFIT: dict[str, tuple[Any, str]] = {
    "MambaForCausalLM": (transformers.MambaConfig(**SMALL, state_size=4), "takes no positions"),
    "BloomForCausalLM": (transformers.BloomConfig(vocab_size=97, hidden_size=32, n_layer=2, n_head=4), "no positions"),
    "RecurrentGemmaForCausalLM": (
        transformers.RecurrentGemmaConfig(**{**SIZES, "num_hidden_layers": 3}, lru_width=32, attention_window_size=16),
        "reads across the borders of a packed row",
    ),
}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", BACKBONES)
def test_attention_with_positions_takes_packed_rows(name: str, attention: str) -> None:
    torch.manual_seed(1)
    backbone = getattr(transformers, name)(BACKBONES[name])
    backbone.set_attn_implementation(attention)
    assert packing.obstacle(backbone) is None
    assert all(parameter.grad is None for parameter in backbone.parameters())


@pytest.mark.parametrize("name", UNFIT)
def test_what_cannot_take_packed_rows_says_so_in_a_sentence(name: str) -> None:
    torch.manual_seed(1)
    config, reason = UNFIT[name]
    sentence = packing.obstacle(getattr(transformers, name)(config))
    assert sentence is not None
    assert sentence.startswith(name)
    assert reason in sentence
    assert sentence.endswith(", so conversations are padded.")


def test_batches_of_examples_are_packed_with_their_audio_in_order() -> None:
    model = hearing(llama())
    examples = mixed(model)
    expected, _ = one_at_a_time(model, examples)
    for max_tokens in (48, 80, 400):
        batch = collate([examples], 0, max_tokens=max_tokens)
        del batch["words"]
        assert batch["input_ids"].shape[1] <= max_tokens
        torch.testing.assert_close(model(**batch).loss.detach(), expected, atol=1e-5, rtol=0)


def test_groups_of_a_stream_are_rows() -> None:
    model = hearing(llama())
    examples = mixed(model)
    expected, _ = one_at_a_time(model, examples)
    grouping = Grouping[Example](GroupingConfig(max_tokens=80), fill_row, lambda example: len(example.prompt.input_ids))
    rows = list(grouping.groups(examples))
    batch = packing.packed([[example.prompt for example in row] for row in rows], 0)
    features = [window for row in rows for example in row for window in example.features]
    assert 1 < len(rows) < len(examples)
    torch.testing.assert_close(model(**batch, audio_features=features).loss.detach(), expected, atol=1e-5, rtol=0)
