"""The loss on answers: equal to the full cross-entropy, in parts and accumulated, and without the full logits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

from mllm import answer_loss
from mllm.prompt import IGNORE_INDEX
from mllm.train.adapter import Example, collate
from tests.tiny_conversations import SIZES, VOCABULARY, conversation, gradients, hearing, llama, mixed

WIDTH = 32
MORE: dict[str, Any] = {
    "Gemma2ForCausalLM": transformers.Gemma2Config(**SIZES, final_logit_softcapping=3.0),
    "CohereForCausalLM": transformers.CohereConfig(**SIZES, logit_scale=0.25),
    "GraniteForCausalLM": transformers.GraniteConfig(**SIZES, logits_scaling=4.0),
    "MixtralForCausalLM": transformers.MixtralConfig(
        **SIZES, num_local_experts=4, output_router_logits=True, router_aux_loss_coef=0.5
    ),
}
PLAIN: dict[str, Any] = {
    "LlamaForCausalLM": transformers.LlamaConfig(**SIZES),
    "MistralForCausalLM": transformers.MistralConfig(**SIZES),
    "Qwen3ForCausalLM": transformers.Qwen3Config(**SIZES, tie_word_embeddings=True),
    "GemmaForCausalLM": transformers.GemmaConfig(**SIZES),
    "Gemma2ForCausalLM": transformers.Gemma2Config(**SIZES, final_logit_softcapping=None),
    "Phi3ForCausalLM": transformers.Phi3Config(**{key: value for key, value in SIZES.items() if key != "head_dim"}),
    "MixtralForCausalLM": transformers.MixtralConfig(**SIZES, num_local_experts=4),
    "GPT2LMHeadModel": transformers.GPT2Config(
        vocab_size=VOCABULARY, n_embd=WIDTH, n_layer=2, n_head=4, n_positions=256, bos_token_id=1, eos_token_id=2
    ),
}


def backbone(name: str, config: Any) -> Any:
    torch.manual_seed(3)
    return getattr(transformers, name)(config)


@pytest.mark.parametrize("num_items", [None, 40, torch.tensor(40)])
@pytest.mark.parametrize("positions_at_once", [1, 3, 7, 1000])
def test_it_is_the_full_cross_entropy_and_so_are_its_gradients(
    positions_at_once: int, num_items: int | Tensor | None
) -> None:
    """Measured worst difference: 3e-7 of a loss of 5; of a gradient, 5e-8."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 20, WIDTH, generator=generator, requires_grad=True)
    head = nn.Linear(WIDTH, VOCABULARY)
    labels = torch.randint(0, VOCABULARY, (3, 20), generator=generator)
    labels = labels.masked_fill(torch.rand(3, 20, generator=generator) < 0.6, IGNORE_INDEX)

    def slopes(loss: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(loss, [hidden, head.weight, head.bias])

    logits = head(hidden)[:, :-1].flatten(0, 1)
    total = functional.cross_entropy(logits, labels[:, 1:].flatten(), reduction="sum")
    expected = total / ((labels[:, 1:] != IGNORE_INDEX).sum() if num_items is None else num_items)
    found = answer_loss.answer_loss(
        hidden, labels, head, positions_at_once=positions_at_once, num_items_in_batch=num_items
    )
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    for one, other in zip(slopes(found), slopes(expected), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_nothing_learnt_is_a_loss_of_zero() -> None:
    hidden = torch.randn(2, 5, WIDTH, requires_grad=True)
    labels = torch.full((2, 5), IGNORE_INDEX)
    loss = answer_loss.answer_loss(hidden, labels, nn.Linear(WIDTH, VOCABULARY), positions_at_once=4)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    assert hidden.grad is not None
    assert not hidden.grad.any()


@pytest.mark.parametrize("name", PLAIN)
def test_the_loss_in_training_is_the_backbones_own(name: str) -> None:
    """Measured worst difference: 1.5e-6 of a loss of 5.2, which is three steps of float32; of a gradient, 0."""
    model = hearing(backbone(name, PLAIN[name]))
    assert answer_loss.has_plain_head(model.language_model)
    batch = collate([mixed(model)], 0)
    del batch["words"]
    short, full = model(**batch), model(**batch, skip_logits=False)
    assert short.logits is None
    assert full.logits.shape == (*batch["input_ids"].shape, VOCABULARY)
    torch.testing.assert_close(short.loss, full.loss, atol=0, rtol=1e-6)
    short.loss.backward()
    found = gradients(model)
    full.loss.backward()
    for one, other in zip(found, gradients(model), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", MORE)
def test_a_head_that_does_more_is_left_its_own_way(name: str) -> None:
    model = hearing(backbone(name, MORE[name]))
    assert not answer_loss.has_plain_head(model.language_model)
    batch = collate([mixed(model)], 0)
    del batch["words"]
    output = model(**batch)
    assert output.logits is not None
    assert torch.equal(output.loss, model(**batch, skip_logits=False).loss)
    hidden = model.language_model.base_model(
        inputs_embeds=model._fill_places(
            batch["input_ids"], {"audio": model.soft_tokens(batch["audio_features"]), "items": []}
        ),
        attention_mask=batch["attention_mask"],
    ).last_hidden_state
    head = model.get_output_embeddings()
    assert head is not None
    without = answer_loss.answer_loss(hidden, batch["labels"], head, positions_at_once=1000)
    assert abs(float((without - output.loss).detach())) > 1e-3


def test_other_peoples_models_and_other_heads_are_left_their_own_way() -> None:
    class Mine(transformers.LlamaForCausalLM):
        pass

    mine: Any = Mine
    assert not answer_loss.has_plain_head(mine(llama().config))
    assert not answer_loss.has_plain_head(nn.Linear(2, 2))
    sizes = {key: value for key, value in SIZES.items() if key not in ("num_key_value_heads", "head_dim")}
    decoder = transformers.ModernBertDecoderForCausalLM(
        transformers.ModernBertDecoderConfig(**{**sizes, "cls_token_id": 3, "sep_token_id": 4})
    )
    assert not answer_loss.has_plain_head(decoder)


def test_every_model_of_transformers_that_does_more_is_known() -> None:
    """Reads the installed sources: where a head called `lm_head` is not all there is, a known setting must be read."""
    plain = re.compile(
        r"(lm_)?logits = self\.lm_head\((hidden_states|outputs?\[0\]|model_output\.last_hidden_state)"
        r"(\[:, slice_indices(, :)?\])?(\.to\((dtype=)?self\.lm_head\.weight\.dtype\))?\)"
        r"(\.float\(\)|\.contiguous\(\))?"
    )
    odd = {}
    for path in sorted((Path(transformers.__file__).parent / "models").glob("*/modeling_*.py")):
        for source in re.split(r"(?m)^(?=class |@)", path.read_text(encoding="utf-8")):
            name = re.match(r"class (\w+(?:ForCausalLM|LMHeadModel))\(", source)
            if not name or "self.lm_head = nn.Linear" not in source:
                continue
            lines = re.findall(
                r"^ +((?:lm_)?logits [*/+]?= .*?|hidden_states [*/+]?= hidden_states .*?)\s*(?:#.*)?$", source, re.M
            )
            more = [line for line in lines if not plain.fullmatch(line)]
            if more and not any(setting in source for setting in answer_loss.MORE_THAN_A_HEAD):
                odd[name[1]] = more
    assert set(odd) <= _NOT_BACKBONES, odd


_NOT_BACKBONES = {"ClvpForCausalLM", "Gemma4AssistantForCausalLM", "Gemma4UnifiedAssistantForCausalLM"}
"""A speech decoder, and drafts of another model's tokens."""


def test_bfloat16_has_a_loss_in_float32() -> None:
    """Measured difference to the loss of a backbone in float32: 1.4e-3 of 5.1."""
    model = hearing(llama())
    batch = collate([mixed(model)], 0)
    del batch["words"]
    exact = model(**batch).loss
    model.language_model.to(torch.bfloat16)
    loss = model(**batch).loss
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, model(**batch, skip_logits=False).loss, atol=1e-6, rtol=0)
    torch.testing.assert_close(loss, exact, atol=5e-2, rtol=0)


def test_evaluation_has_logits() -> None:
    model = hearing(llama())
    batch = collate([mixed(model)], 0)
    del batch["words"]
    learning = model(**batch)
    model.train(False)
    watching = model(**batch)
    assert watching.logits.shape == (*batch["input_ids"].shape, VOCABULARY)
    torch.testing.assert_close(watching.loss, learning.loss, atol=1e-6, rtol=0)
    assert model(**batch, skip_logits=True).logits is None


def shapes_of_logits(model: Any, batch: dict[str, Any], *, skip_logits: bool) -> list[int]:
    """Rows of every matrix of the vocabulary's width that an operation of a training step reads, but for weights."""
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as recorded:
        model(**batch, skip_logits=skip_logits).loss.backward()
    shapes = [shape for event in recorded.events() for shape in event.input_shapes if shape]
    wide = [shape for shape in shapes if len(shape) > 1 and shape[-1] == VOCABULARY and shape != [WIDTH, VOCABULARY]]
    assert wide
    return [int(torch.tensor(shape[:-1]).prod()) for shape in wide]


def test_no_tensor_has_the_logits_of_all_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_loss, "LOGITS_AT_ONCE", 10 * VOCABULARY)
    model = hearing(llama())
    batch = collate([mixed(model)], 0)
    del batch["words"]
    learnt = int((batch["labels"][:, 1:] != IGNORE_INDEX).sum())
    assert learnt > 20
    assert max(shapes_of_logits(model, batch, skip_logits=True)) == 10
    assert max(shapes_of_logits(model, batch, skip_logits=False)) == batch["input_ids"].numel()


class Conversations(Dataset[Example]):
    """Four conversations with very different numbers of learnt tokens."""

    def __init__(self, model: Any) -> None:
        texts = (4, 30, 8, 21)
        self._rows = [conversation(model, recordings=(150,), text=text, seed=seed) for seed, text in enumerate(texts)]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Example:
        return self._rows[index]


def batch_of(examples: list[Example]) -> dict[str, Any]:
    batch = collate([examples], 0, max_tokens=60)
    del batch["words"]
    return batch


@pytest.mark.parametrize("skip_logits", [None, False])
def test_accumulated_batches_have_the_loss_of_one_big_batch(tmp_path: Path, skip_logits: bool | None) -> None:
    """By transformers' Trainer, whose `num_items_in_batch` makes them the same. Measured: weights differ by 2e-8."""
    losses, weights = [], []
    for size in (1, 2, 4):
        model = hearing(llama())
        arguments = TrainingArguments(
            output_dir=str(tmp_path / str(size)),
            max_steps=2,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=4 // size,
            train_sampling_strategy="sequential",
            learning_rate=1e-2,
            optim="sgd",
            max_grad_norm=0.0,
            logging_steps=1,
            save_strategy="no",
            remove_unused_columns=False,
            dataloader_pin_memory=False,
            use_cpu=True,
            disable_tqdm=True,
            report_to=[],
        )

        def together(examples: list[Example]) -> dict[str, Any]:
            return {**batch_of(examples), "skip_logits": skip_logits}

        trainer = Trainer(model=model, args=arguments, train_dataset=Conversations(model), data_collator=together)
        trainer.train()
        losses.append([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
        weights.append(torch.cat([tensor.detach().flatten() for tensor in model.trained_parts().parameters()]))
    for other in (1, 2):
        assert losses[other] == pytest.approx(losses[0], abs=1e-4)
        torch.testing.assert_close(weights[other], weights[0], atol=1e-6, rtol=0)
