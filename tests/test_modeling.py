"""The model at its public surface, with tiny random parts: what it computes, what it trains, what it leaves alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from mllm import registry
from mllm.configuration import MusicLLMConfig
from mllm.errors import ConfigError, PromptError
from mllm.modeling import MusicLLMForConditionalGeneration

AUDIO = 50
"""Id of the placeholder in most tests; past the vocabulary in some."""
PAST_VOCABULARY = 1000
MERT = Path(__file__).parent / "data" / "mert" / "mert95-like"
LLAMA = LlamaConfig(
    vocab_size=97,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=256,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
)
ADAPTERS: dict[str, dict[str, Any]] = {
    "linear": {"tokens_per_second": 2.0},
    "mlp": {"tokens_per_second": 2.0},
    "qformer": {"tokens_per_second": 2.0, "chunk_seconds": 1.0},
    "align": {"queries": 2, "chunk_seconds": 1.0, "lexicon_token_ids": [3, 5, 8, 13, 21]},
}
"""Settings for each adapter at which one second gives two soft tokens; what is not named here has defaults."""


def llama() -> Any:
    model: Any = LlamaForCausalLM(LlamaConfig(**LLAMA.to_dict()))
    model.train(False)
    return model


def build(adapter: str = "linear", *, audio_token_id: int = AUDIO, **settings: Any) -> MusicLLMForConditionalGeneration:
    torch.manual_seed(7)
    backbone = llama()
    encoder: Any = registry.find("encoder", "mert").Encoder.from_pretrained(MERT)
    config = MusicLLMConfig(
        text_config=backbone.config,
        audio_encoder={"name": "mert", **dataclasses.asdict(encoder.config)},
        audio_adapter={"name": adapter, **ADAPTERS[adapter]},
        audio_token="<audio>",
        audio_token_id=audio_token_id,
        **settings,
    )
    model = MusicLLMForConditionalGeneration(config, backbone, encoder)
    if hasattr(model.audio_adapter, "set_anchors"):
        embedding: Any = model.get_input_embeddings()
        model.audio_adapter.set_anchors(embedding.weight.detach())
    model.train(False)
    return model


def sound(seconds: float, seed: int) -> Tensor:
    return 0.1 * torch.randn(round(24000 * seconds), generator=torch.Generator().manual_seed(seed))


def prompt(model: MusicLLMForConditionalGeneration, *pieces: int | Tensor) -> Tensor:
    """Ids of a prompt from ordinary ids and from waveforms, which become their places."""
    ids: list[int] = []
    for piece in pieces:
        if isinstance(piece, Tensor):
            ids += [model.config.audio_token_id] * model.config.num_soft_tokens(len(piece))
        else:
            ids.append(piece)
    return torch.tensor([ids])


def pad(rows: list[Tensor], side: str) -> dict[str, Tensor]:
    length = max(row.shape[1] for row in rows)
    ids, mask = [], []
    for row in rows:
        gap = (length - row.shape[1], 0) if side == "left" else (0, length - row.shape[1])
        ids.append(nn.functional.pad(row, gap, value=0))
        mask.append(nn.functional.pad(torch.ones_like(row), gap, value=0))
    return {"input_ids": torch.cat(ids), "attention_mask": torch.cat(mask)}


@pytest.fixture(scope="module")
def model() -> MusicLLMForConditionalGeneration:
    """For tests that change nothing."""
    return build()


@pytest.mark.parametrize("side", ["left", "right"])
def test_text_only_logits_are_exactly_the_backbones(model: MusicLLMForConditionalGeneration, side: str) -> None:
    plain = llama()
    plain.load_state_dict(model.language_model.state_dict())
    batch = pad([torch.tensor([[1, 5, 9, 12]]), torch.tensor([[1, 4]])], side)
    assert torch.equal(model(**batch).logits, plain(**batch).logits)
    assert torch.equal(model(batch["input_ids"]).logits, plain(batch["input_ids"]).logits)
    labels = batch["input_ids"]
    assert torch.equal(model(**batch, labels=labels).loss, plain(**batch, labels=labels).loss)


def test_text_only_generation_is_exactly_the_backbones(model: MusicLLMForConditionalGeneration) -> None:
    ids = torch.tensor([[1, 5, 9, 12]])
    options: dict[str, Any] = {"attention_mask": torch.ones_like(ids), "max_new_tokens": 12, "do_sample": False}
    answer = model.generate(ids, **options)
    assert torch.equal(answer, model.language_model.generate(ids, suppress_tokens=[AUDIO], **options))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("audio_token_id", [AUDIO, PAST_VOCABULARY])
def test_padded_batch_equals_single_runs(side: str, audio_token_id: int) -> None:
    """Measured worst difference of a logit, of 0.36 at most: 1.4e-7; the bound leaves room for other processors."""
    model = build(audio_token_id=audio_token_id)
    one, two, three = sound(2.0, 1), sound(1.2, 2), sound(2.0, 3)
    spoken = [(1, one, 5, two, 9, 11), (1, 4, 8), (1, three, 6)]
    rows = [prompt(model, *pieces) for pieces in spoken]
    batch = pad(rows, side)
    together = model(**batch, audio_waveforms=[one, two, three]).logits
    for index, (row, pieces) in enumerate(zip(rows, spoken, strict=True)):
        waveforms = [piece for piece in pieces if isinstance(piece, Tensor)]
        alone = model(row, audio_waveforms=waveforms).logits[0]
        torch.testing.assert_close(together[index][batch["attention_mask"][index] == 1], alone, atol=5e-6, rtol=0)


def test_several_windows_keep_their_order(model: MusicLLMForConditionalGeneration) -> None:
    windows = [sound(1.5, 1), sound(1.0, 2), sound(1.5, 3), sound(1.0, 4)]
    together = model.soft_tokens(model.encode_audio(windows))
    for window, tokens in zip(windows, together, strict=True):
        (alone,) = model.soft_tokens(model.encode_audio([window]))
        assert len(tokens) == model.config.num_soft_tokens(len(window))
        torch.testing.assert_close(tokens, alone, atol=5e-6, rtol=0)  # measured worst: 2.4e-7, of 0.67 at most


def test_waveforms_features_and_soft_tokens_are_the_same_audio(model: MusicLLMForConditionalGeneration) -> None:
    windows = [sound(1.5, 1), sound(1.0, 2)]
    ids = prompt(model, 1, windows[0], 5, windows[1], 7)
    features = model.encode_audio(windows)
    expected = model(ids, audio_waveforms=windows).logits
    assert torch.equal(model(ids, audio_features=features).logits, expected)
    assert torch.equal(model(ids, audio_embeds=model.soft_tokens(features)).logits, expected)


def test_the_model_hears(model: MusicLLMForConditionalGeneration) -> None:
    first, second = sound(1.5, 1), sound(1.5, 2)
    ids = prompt(model, 1, first, 5)
    assert not torch.equal(model(ids, audio_waveforms=[first]).logits, model(ids, audio_waveforms=[second]).logits)


def test_cached_generation_equals_generation_without_cache(model: MusicLLMForConditionalGeneration) -> None:
    one, two, three = sound(1.5, 1), sound(1.0, 2), sound(2.0, 3)
    batch = pad([prompt(model, 1, one, 5, two, 9), prompt(model, 1, three, 6)], "left")
    options: dict[str, Any] = {"audio_waveforms": [one, two, three], "max_new_tokens": 10, "do_sample": False}
    cached = model.generate(**batch, **options)
    assert torch.equal(cached, model.generate(**batch, **options, use_cache=False))
    alone = model.generate(prompt(model, 1, three, 6), audio_waveforms=[three], max_new_tokens=10, do_sample=False)
    assert torch.equal(cached[1, -10:], alone[0, -10:])


@pytest.mark.parametrize(
    "options", [{"do_sample": True, "num_return_sequences": 2}, {"do_sample": False, "num_beams": 2}]
)
def test_beams_and_samples_share_the_audio_of_their_row(
    model: MusicLLMForConditionalGeneration, options: dict[str, Any]
) -> None:
    one, two, three = sound(1.5, 1), sound(1.0, 2), sound(2.0, 3)
    batch = pad([prompt(model, 1, one, 5, two, 9), prompt(model, 1, three, 6)], "left")
    torch.manual_seed(3)
    answers = model.generate(**batch, audio_waveforms=[one, two, three], max_new_tokens=6, **options)
    assert len(answers) == 2 * options.get("num_return_sequences", 1)
    if options["do_sample"]:
        torch.manual_seed(3)
        rows = [0, 0, 1, 1]
        doubled = {name: value[rows] for name, value in batch.items()}
        audio = [one, two, one, two, three, three]
        assert torch.equal(answers, model.generate(**doubled, audio_waveforms=audio, max_new_tokens=6, do_sample=True))


def test_a_placeholder_is_never_an_answer(model: MusicLLMForConditionalGeneration) -> None:
    assert model.generation_config.suppress_tokens == [AUDIO]
    assert build(audio_token_id=PAST_VOCABULARY).generation_config.suppress_tokens is None


def test_places_and_soft_tokens_must_agree(model: MusicLLMForConditionalGeneration) -> None:
    window = sound(1.5, 1)
    ids = prompt(model, 1, window, 5)
    with pytest.raises(PromptError, match="has 3 places for soft tokens, but the audio given makes 0 in 0 windows"):
        model(ids)
    with pytest.raises(PromptError, match="has 3 places for soft tokens, but the audio given makes 6 in 2 windows"):
        model(ids, audio_waveforms=[window, window])
    with pytest.raises(PromptError, match="audio_waveforms and as audio_features; give one of them"):
        model(ids, audio_waveforms=[window], audio_features=model.encode_audio([window]))


def test_num_items_in_batch_divides_the_loss(model: MusicLLMForConditionalGeneration) -> None:
    window = sound(1.5, 1)
    ids = prompt(model, 1, window, 5, 6, 7)
    labels = ids.masked_fill(ids == AUDIO, -100)
    mean = model(ids, audio_waveforms=[window], labels=labels).loss  # over 3: the first label has nothing before it
    shared = model(ids, audio_waveforms=[window], labels=labels, num_items_in_batch=torch.tensor(12)).loss
    torch.testing.assert_close(shared, mean * 3 / 12)


@pytest.mark.parametrize("adapter", registry.names("adapter"))
def test_gradient_reaches_what_is_trained_and_nothing_else(adapter: str) -> None:
    model = build(adapter).train()
    window = sound(2.0, 1)
    ids = prompt(model, 1, window, 5, 6)
    model(ids, audio_waveforms=[window], labels=ids.masked_fill(ids == AUDIO, -100)).loss.backward()
    for name, parameter in model.named_parameters():
        trained = name.startswith(("audio_adapter.", "layer_mix."))
        assert parameter.requires_grad == trained, name
        assert (parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)) == trained, name


def test_frozen_parts_stay_in_evaluation_mode() -> None:
    model = build().train()
    assert model.audio_adapter.training
    assert not any(module.training for module in model.audio_encoder.modules())
    assert not any(module.training for module in model.language_model.modules())


def test_building_the_model_leaves_loaded_parts_as_they_were() -> None:
    model = build()
    torch.manual_seed(7)
    backbone = llama()
    encoder: Any = registry.find("encoder", "mert").Encoder.from_pretrained(MERT)
    for part, original in ((model.language_model, backbone), (model.audio_encoder, encoder)):
        kept = part.state_dict()
        assert all(torch.equal(kept[name], tensor) for name, tensor in original.state_dict().items())


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    window = sound(2.0, 1)
    gradients = []
    for checkpointing in (False, True):
        model = build()
        calls = _count(model.language_model.model.layers[0].input_layernorm)
        if checkpointing:
            model.gradient_checkpointing_enable()
        model.train()
        ids = prompt(model, 1, window, 5, 6)
        model(
            ids, audio_waveforms=[window], labels=ids.masked_fill(ids == AUDIO, -100), use_cache=False
        ).loss.backward()
        gradients.append([p.grad for p in model.parameters() if p.requires_grad])
        assert calls() == 1 + checkpointing
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)


def _count(module: nn.Module) -> Callable[[], int]:
    calls: list[None] = []
    module.register_forward_hook(lambda *_: calls.append(None))
    return lambda: len(calls)


def test_lora_on_the_backbone_learns() -> None:
    lora = LoraConfig(target_modules=r"language_model\..*q_proj", r=2)
    wrapped: Any = get_peft_model(build(), lora)
    window = sound(1.5, 1)
    ids = prompt(wrapped.base_model.model, 1, window, 5, 6)
    wrapped(input_ids=ids, audio_waveforms=[window], labels=ids.masked_fill(ids == AUDIO, -100)).loss.backward()
    learning = [name for name, parameter in wrapped.named_parameters() if parameter.grad is not None]
    assert len(learning) == 2 * 2
    assert all("language_model" in name and "lora_" in name for name in learning)


class Clips(Dataset[dict[str, Any]]):
    """Six clips of one second, each with a prompt to learn."""

    def __init__(self, model: MusicLLMForConditionalGeneration) -> None:
        self.rows = []
        for index in range(6):
            window = sound(1.0, index)
            ids = prompt(model, 1, window, 5 + index, 9)
            self.rows.append({"input_ids": ids, "audio": window})

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.rows[index]


def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    ids = torch.cat([row["input_ids"] for row in rows])
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": ids.masked_fill(ids == AUDIO, -100),
        "audio_waveforms": [row["audio"] for row in rows],
    }


def train(model: MusicLLMForConditionalGeneration, directory: Path, *, steps: int, resume: Path | None = None) -> None:
    arguments = TrainingArguments(
        output_dir=str(directory),
        max_steps=steps,
        per_device_train_batch_size=2,
        learning_rate=1e-2,
        lr_scheduler_type="constant",
        save_steps=2,
        logging_steps=1,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        use_cpu=True,
        disable_tqdm=True,
        report_to=[],
        seed=5,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=Clips(model), data_collator=collate)
    trainer.train(resume_from_checkpoint=None if resume is None else str(resume))


@pytest.mark.parametrize("settings", [{}, {"lora": {"rank": 2, "dropout": 0.1}}])
def test_three_training_steps_change_what_is_trained_and_not_one_frozen_byte(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    model = build(**settings)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    train(model, tmp_path / "run", steps=3)
    after = model.state_dict()
    assert set(after) == set(before)
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed == set(model.trained_parts().state_dict())

    resumed = build(**settings)
    train(resumed, tmp_path / "run", steps=3, resume=tmp_path / "run" / "checkpoint-2")
    for name, tensor in resumed.state_dict().items():
        assert torch.equal(tensor, after[name]), name


def test_the_auto_class_builds_the_model(model: MusicLLMForConditionalGeneration) -> None:
    built = AutoModelForCausalLM.from_config(model.config)
    assert isinstance(built, MusicLLMForConditionalGeneration)
    assert set(built.state_dict()) == set(model.state_dict())


def test_without_layer_mix_the_last_layer_is_heard(model: MusicLLMForConditionalGeneration) -> None:
    plain = build(layer_mix=False)
    assert plain.layer_mix is None
    features = model.encode_audio([sound(1.5, 1)])
    (tokens,) = plain.soft_tokens(features)
    assert torch.equal(tokens, plain.audio_adapter(features[0][None, -1])[0])


def test_a_rate_that_is_not_the_parts_own_is_an_error() -> None:
    with pytest.raises(ConfigError, match="sample_rate_hz is 16000 in the configuration, but the part runs at 24000"):
        build(sample_rate_hz=16000)
    model = build()
    assert (model.config.sample_rate_hz, model.config.tokens_per_second) == (24000, 2.0)
