"""The reference backbone's text: tokenizer, batches, gate; and its training resumes and stays deterministic."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mllm import facts, messages
from mllm.errors import ConfigError
from mllm.instruct_data import backbone_gate, backbone_text, blocks, dialogue
from mllm.instruct_data.backbone_text import Conversations, TextConfig, token_id
from mllm.prompt import IGNORE_INDEX, Markers, build_prompt
from mllm.train.backbone import BackboneConfig, train

PROSE = "The old house stood upon a hill, and nobody had lived in it for years. Who would go there at night? " * 400


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return backbone_text.train_tokenizer(TextConfig(vocab_size=1024), PROSE)


def test_every_word_of_a_block_and_every_digit_is_one_token(tokenizer: PreTrainedTokenizerFast) -> None:
    for word in blocks.lexicon():
        assert tokenizer.encode(word, add_special_tokens=False) == [token_id(tokenizer, word)]
    assert len(tokenizer.encode("1234567890", add_special_tokens=False)) == 10


def test_a_vocabulary_too_small_for_the_lexicon_is_refused() -> None:
    with pytest.raises(ConfigError, match="vocab_size is 300; expected at least"):
        backbone_text.train_tokenizer(TextConfig(vocab_size=300), PROSE)


def test_batches_depend_on_nothing_but_seed_and_step(tokenizer: PreTrainedTokenizerFast) -> None:
    settings = TextConfig(turns=4, steps=3, prose_rows=0.3)
    first = list(Conversations(settings, tokenizer, PROSE))
    again = list(Conversations(settings, tokenizer, PROSE))
    assert first == again
    assert first[0] != first[1]


def test_lookups_come_first_and_negation_last(tokenizer: PreTrainedTokenizerFast) -> None:
    data = Conversations(TextConfig(steps=1000), tokenizer, "")
    assert data.mix(0).negated == 0.0
    assert data.mix(0).roll_call + data.mix(0).instrument == pytest.approx(1.0)
    assert 0.05 < data.mix(350).negated < 0.5
    assert data.mix(450) == data.mix(1000) == dialogue.Mix(check=0.3, choices=0.4, summaries=2.0)
    comparing = Conversations(TextConfig(steps=1000, curriculum="comparisons"), tokenizer, "")
    assert comparing.mix(0).check > 0.7 > comparing.mix(1000).check


def test_like_tokens_attend_to_each_other_from_the_start(tokenizer: PreTrainedTokenizerFast) -> None:
    """In the first layer " harp" finds the word of the block that says there is no harp."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=512,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=8,
            num_key_value_heads=8,
            initializer_range=0.5 * 512**-0.5,
        )
    )
    model.set_attn_implementation("eager")
    backbone_text.prepare_lookups(model, tokenizer, seed=0)
    words = [f"<|{name}:no|>" for name in facts.INSTRUMENTS]
    for name in ("harp", "flute", "drums", "choir"):
        ids = tokenizer.encode("".join(words) + f" {name}", add_special_tokens=False)
        with torch.no_grad():
            (weights,) = model(torch.tensor([ids]), output_attentions=True).attentions
        to_words = weights[0, :4, -1, : len(words)].sum(0)
        assert int(to_words.argmax()) == facts.INSTRUMENTS.index(name)


def test_only_answers_and_prose_are_learnt(tokenizer: PreTrainedTokenizerFast) -> None:
    data = Conversations(TextConfig(), tokenizer, "")
    assistant, end = (token_id(tokenizer, token) for token in ("<|assistant|>", "<|end|>"))
    rng = random.Random(0)
    for _ in range(20):
        row = data.row(rng, turns=3)
        speaking = False
        for token, label in zip(row["input_ids"], row["labels"], strict=True):
            assert label == (token if speaking else IGNORE_INDEX)
            speaking = token == assistant or (speaking and token != end)


def test_rows_are_tokenised_as_the_prompt_function_does(tokenizer: PreTrainedTokenizerFast) -> None:
    """Without audio, pre-training and the one prompt function give the same ids and labels."""
    data = Conversations(TextConfig(), tokenizer, "")
    turns = [("It is in C major. What is the key?", "The key is C major."), ("Is it fast?", "I cannot tell the tempo.")]
    ids: list[int] = []
    for question, answer in turns:
        user, assistant, end = (token_id(tokenizer, t) for t in ("<|user|>", "<|assistant|>", "<|end|>"))
        ids += [user, *data.encode(question), end, assistant, *data.encode(answer), end]
    conversation = [
        {"role": role, "content": text}
        for turn in turns
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    markers = Markers(
        **backbone_text.MARKERS,
        audio_token_id=token_id(tokenizer, backbone_text.MARKERS["audio_token"]),
        item_token_id=token_id(tokenizer, backbone_text.MARKERS["item_token"]),
    )
    prompt = build_prompt(
        messages.parse(conversation), tokenizer, audio_tokens=[], markers=markers, add_generation_prompt=False
    )
    assert list(prompt.input_ids) == ids


def test_block_words_start_beside_the_text_that_says_the_same(tokenizer: PreTrainedTokenizerFast) -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=64, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
        )
    )
    backbone_text.prepare_lookups(model, tokenizer, seed=0)
    table = torch.nn.functional.normalize(model.model.embed_tokens.weight.detach(), dim=-1)
    for digit in "0123456789":
        word = table[token_id(tokenizer, f"<|tens:{digit}|>")]
        digits = torch.stack([table[token_id(tokenizer, other)] for other in "0123456789"])
        assert int((digits @ word).argmax()) == int(digit)


def test_meters_are_told_apart_and_their_words_drawn_near(tokenizer: PreTrainedTokenizerFast) -> None:
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
        )
    )
    embeddings = model.model.embed_tokens.weight.detach()
    meters = torch.tensor([token_id(tokenizer, name) for name in facts.METERS])
    words = torch.tensor([token_id(tokenizer, f"<|meter:{name}|>") for name in facts.METERS])

    def distances() -> tuple[float, float]:
        """Mean distance between meters, and from each to its word less that to the words of the others."""
        own = torch.cdist(embeddings[meters], embeddings[words])
        others = (own.sum() - own.diagonal().sum()) / (own.numel() - len(own))
        return float(torch.pdist(embeddings[meters]).mean()), float(own.diagonal().mean() - others)

    before, (apart, near) = embeddings.clone(), distances()
    backbone_text.tell_meters_apart(model, tokenizer)
    changed = torch.nonzero((embeddings != before).any(1)).flatten().tolist()
    assert sorted(changed) == sorted([*meters.tolist(), *words.tolist()])
    assert distances()[0] == pytest.approx(1.6 * apart)
    assert distances()[1] < near


def test_a_backbone_that_has_learnt_nothing_fails_the_gate(tokenizer: PreTrainedTokenizerFast) -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
        )
    )
    reading = backbone_gate.gate(model, tokenizer, questions=30)
    assert set(reading["parts"]) == set(backbone_gate.GATE_PARTS)
    assert max(reading["parts"].values()) < 0.2
    assert reading["wrong"]


def test_training_resumes_and_writes_bfloat16(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    text = TextConfig(turns=3, steps=4)

    def run(steps: int, output: Path) -> None:
        settings = BackboneConfig(
            output=output, hidden_size=16, layers=1, heads=2, intermediate_size=16, steps=steps, save_every=2
        )
        pad_id = int(tokenizer.pad_token_id)
        train(settings, tokenizer, Conversations(text, tokenizer, PROSE), lambda rows: backbone_text.pad(rows, pad_id))

    run(2, tmp_path / "resumed")
    assert (tmp_path / "resumed" / "checkpoint-2").is_dir()
    run(4, tmp_path / "resumed")
    assert (tmp_path / "resumed" / "checkpoint-4").is_dir()
    final = tmp_path / "resumed" / "final"
    further = BackboneConfig(output=tmp_path / "further", start=final, steps=1, learning_rate=0.0, save_every=2)
    train(further, tokenizer, Conversations(text, tokenizer, PROSE), lambda rows: backbone_text.pad(rows, 0))
    first, second = (load_file(folder / "model.safetensors") for folder in (final, tmp_path / "further" / "final"))
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert {tensor.dtype for tensor in load_file(final / "model.safetensors").values()} == {torch.bfloat16}
    assert LlamaForCausalLM.from_pretrained(final).config.vocab_size == len(tokenizer)
    assert len(PreTrainedTokenizerFast.from_pretrained(tmp_path / "resumed" / "final")) == len(tokenizer)
