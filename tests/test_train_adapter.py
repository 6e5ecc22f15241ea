"""Training an adapter: it learns, the backbone does not change, a run that was cut off goes on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mllm import checkpoint
from mllm.encoders import cqt
from mllm.facts import Facts
from mllm.instruct_data import backbone_text, blocks, statements
from mllm.instruct_data.backbone_text import MARKERS, TextConfig, token_id
from mllm.instruct_data.clips import HeardClip
from mllm.instruct_data.lessons import LessonConfig, Lessons, hear_nothing
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.processing import MusicLLMProcessor
from mllm.prompt import IGNORE_INDEX
from mllm.train import adapter, packing
from mllm.train.adapter import AdapterTrainingConfig

ENCODER = cqt.Config(width=16, depth=1, heads=2, feed_forward=16, stem_channels=4, pitch_channels=4, chroma_channels=4)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Directories of a tiny backbone and a tiny encoder."""
    root = tmp_path_factory.mktemp("parts")
    tokenizer = backbone_text.train_tokenizer(TextConfig(vocab_size=1024), "A little prose. " * 200)
    tokenizer.save_pretrained(root / "backbone")
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    ).save_pretrained(root / "backbone")
    cqt.Encoder(ENCODER).save_pretrained(root / "encoder")
    return root / "backbone", root / "encoder"


def assemble(parts: tuple[Path, Path]) -> tuple[MusicLLMForConditionalGeneration, MusicLLMProcessor]:
    """A fresh model on the tiny parts."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(parts[0])
    model = checkpoint.assemble(
        backbone=parts[0],
        audio_encoder=parts[1],
        encoder_name="cqt",
        adapter={
            "name": "align",
            "lexicon_token_ids": [token_id(tokenizer, word) for word in blocks.lexicon()],
            "queries": blocks.SLOTS,
            "hidden_size": 16,
            "num_layers": 1,
            "num_heads": 2,
        },
        **MARKERS,
        audio_token_id=token_id(tokenizer, MARKERS["audio_token"]),
        item_token_id=token_id(tokenizer, MARKERS["item_token"]),
    )
    return model, MusicLLMProcessor.from_config(model.config, tokenizer)


def lessons(model: MusicLLMForConditionalGeneration, processor: MusicLLMProcessor, *, word_steps: int) -> Lessons:
    """Conversations about random features."""
    rng, generator = random.Random(0), torch.Generator().manual_seed(0)
    heard = [
        HeardClip(
            id=f"clip-{index}",
            features=torch.randn(1, 20 + index % 2, model.audio_encoder.width, generator=generator),
            facts=statements.random_facts(rng),
        )
        for index in range(6)
    ]
    settings = LessonConfig(rows=3, word_rows=4, turns=2)
    nothing = list(hear_nothing(model.audio_encoder, count=2, seed=0))
    return Lessons(settings, processor, heard, nothing, word_steps=word_steps)


def test_a_batch_is_padded_and_knows_its_words(parts: tuple[Path, Path]) -> None:
    model, processor = assemble(parts)
    examples = lessons(model, processor, word_steps=0).batch(0)
    batch = adapter.collate([examples], pad_id=0)
    windows = len(batch["audio_features"])
    assert batch["words"].shape == (windows * blocks.SLOTS,)
    assert int((batch["input_ids"] == model.config.audio_token_id).sum()) == windows * blocks.SLOTS
    assert batch["input_ids"].shape == batch["labels"].shape == batch["attention_mask"].shape
    assert ((batch["labels"] == IGNORE_INDEX) | (batch["labels"] == batch["input_ids"])).all()


def test_the_words_that_are_trained_are_the_soft_tokens_that_are_used(parts: tuple[Path, Path]) -> None:
    model, _ = assemble(parts)
    features = [torch.randn(1, frames, model.audio_encoder.width) for frames in (20, 31, 20)]
    soft = model.soft_tokens(features)
    for window, logits in zip(soft, adapter.word_logits(model, features), strict=True):
        torch.testing.assert_close(window, logits.softmax(-1) @ model.audio_adapter.anchors)


def test_only_the_adapter_changes_and_a_run_goes_on(parts: tuple[Path, Path], tmp_path: Path) -> None:
    model, processor = assemble(parts)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def run(target: MusicLLMForConditionalGeneration, steps: int, output: Path) -> None:
        settings = AdapterTrainingConfig(output=output, steps=steps, word_steps=2, save_every=2)
        adapter.train(target, settings, lessons(target, processor, word_steps=2), pad_id=0)

    run(model, 2, tmp_path / "cut")
    again, _ = assemble(parts)
    run(again, 4, tmp_path / "cut")
    assert (tmp_path / "cut" / "checkpoint-4").is_dir()
    changed = {name for name, tensor in again.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(name.startswith("audio_adapter.") and not name.endswith("anchors") for name in changed)


def test_packed_steps_train_as_padded_ones(parts: tuple[Path, Path], tmp_path: Path) -> None:
    """Measured worst difference of a weight after two steps: 3e-8."""
    weights = []
    for max_tokens in (None, 700):
        model, processor = assemble(parts)
        data = lessons(model, processor, word_steps=0)
        settings = AdapterTrainingConfig(
            output=tmp_path / str(max_tokens), steps=2, word_steps=0, save_every=9, max_tokens=max_tokens
        )
        batch = adapter.collate([data.batch(0)], pad_id=0, max_tokens=max_tokens)
        assert ("position_ids" in batch) == (max_tokens is not None)
        adapter.train(model, settings, data, pad_id=0)
        weights.append(torch.cat([tensor.detach().flatten() for tensor in model.trained_parts().parameters()]))
    torch.testing.assert_close(weights[1], weights[0], atol=1e-5, rtol=0)


def test_a_backbone_that_cannot_take_packed_rows_is_told_and_padded(
    parts: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model, processor = assemble(parts)
    monkeypatch.setattr(packing, "obstacle", lambda _: "It reads across borders, so conversations are padded.")
    settings = AdapterTrainingConfig(output=tmp_path, steps=1, word_steps=0, save_every=9, max_tokens=1)
    adapter.train(model, settings, lessons(model, processor, word_steps=0), pad_id=0)
    assert [record.message for record in caplog.records if record.name == adapter.__name__] == [
        "It reads across borders, so conversations are padded."
    ]


def test_what_was_trained_is_saved_and_opens_again(parts: tuple[Path, Path], tmp_path: Path) -> None:
    model, processor = assemble(parts)
    settings = AdapterTrainingConfig(output=tmp_path / "run", steps=2, word_steps=2, save_every=2)
    adapter.train(model, settings, lessons(model, processor, word_steps=2), pad_id=0)
    frozen = {"backbone": "backbone", "audio_encoder": "audio_encoder"}
    checkpoint.save(model, processor, tmp_path / "saved", card="A test.", run={}, frozen=frozen)
    opened, _ = checkpoint.load(tmp_path / "saved")
    trained, saved = model.audio_adapter.state_dict(), opened.audio_adapter.state_dict()
    for name, tensor in trained.items():
        torch.testing.assert_close(saved[name].float(), tensor.to(saved[name].dtype).float())


def test_words_are_learnt(parts: tuple[Path, Path], tmp_path: Path) -> None:
    model, processor = assemble(parts)
    data = lessons(model, processor, word_steps=100)

    def loss() -> float:
        batch = adapter.collate([data.batch(0)], pad_id=0)
        logits = torch.cat(adapter.word_logits(model, batch["audio_features"]))
        return float(torch.nn.functional.cross_entropy(logits, batch["words"]).detach())

    untrained = loss()
    settings = AdapterTrainingConfig(output=tmp_path, steps=100, word_steps=100, learning_rate=6e-3, save_every=500)
    adapter.train(model, settings, data, pad_id=0)
    assert loss() < 0.5 * untrained


def test_of_silence_and_noise_nothing_is_known(parts: tuple[Path, Path]) -> None:
    model, _ = assemble(parts)
    for clip in hear_nothing(model.audio_encoder, count=3, seed=1):
        assert clip.facts == Facts()
        assert torch.isfinite(clip.features).all()
