"""Tiny tokenizers shared by the tests, and the option that writes golden files anew.

`--regenerate-golden` makes the golden tests write what they computed instead of comparing it; review the difference.
"""

from __future__ import annotations

import string
from collections.abc import Callable

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from mllm.prompt import Markers

# What these assert for the tests is told as pytest tells it of tests.
pytest.register_assert_rewrite(
    "tests.labelled_tracks", "tests.page_in_browser", "tests.tiny_clips", "tests.vllm_engine"
)

REFERENCE_TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
VICUNA_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content + ' ' }}"
    "{% elif m.role == 'user' %}USER: {{ m.content }} {% else %}ASSISTANT: {{ m.content }}</s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
_SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
_AUDIO_SPECIAL = ["<|audio|>", "<|/audio|>", "<|audio_token|>", "<|item|>"]
_CORPUS = [
    "Which instruments do you hear? The piano, the flute and the drums.",
    "What is the key of this piece? It is in D minor, in 3/4 time, at 120 beats a minute.",
    "USER: Is there a guitar in it? ASSISTANT: No, there is no guitar.",
    "A chat between a curious user and an assistant that hears music.",
] * 4
VICUNA_AUDIO_TOKEN_ID = 32000
"""Beyond the tiny vocabulary, as for a backbone whose tokenizer knows no audio token."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate-golden", action="store_true", help="write golden files instead of comparing them")


@pytest.fixture(scope="session")
def reference_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE with the reference chat template; all markers are special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=_SPECIAL + _AUDIO_SPECIAL, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(_CORPUS, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>", additional_special_tokens=_AUDIO_SPECIAL
    )
    wrapped.chat_template = REFERENCE_TEMPLATE
    return wrapped


def _spaced_tokenizer(*, legacy: bool) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<unk>", "<s>", "</s>"], initial_alphabet=[*string.printable, "▁"]
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    if legacy:
        tokenizer.pre_tokenizer = None
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<unk>"
    )
    wrapped.chat_template = VICUNA_TEMPLATE
    return wrapped


@pytest.fixture(scope="session")
def vicuna_tokenizer() -> PreTrainedTokenizerFast:
    """LLaMA-like: a space goes before the first word of whatever it is given; the template is Vicuna's."""
    return _spaced_tokenizer(legacy=False)


@pytest.fixture(scope="session")
def legacy_tokenizer() -> PreTrainedTokenizerFast:
    """As `vicuna_tokenizer`, in the older way: a space goes behind every special token too."""
    return _spaced_tokenizer(legacy=True)


@pytest.fixture(scope="session", params=["reference", "vicuna", "legacy"])
def tokenizer_name(request: pytest.FixtureRequest) -> str:
    """One test for each tiny tokenizer."""
    return str(request.param)


@pytest.fixture(scope="session")
def named_tokenizer(request: pytest.FixtureRequest) -> Callable[[str], PreTrainedTokenizerFast]:
    """The tiny tokenizer of a name: reference, vicuna or legacy."""

    def find(name: str) -> PreTrainedTokenizerFast:
        tokenizer: PreTrainedTokenizerFast = request.getfixturevalue(f"{name}_tokenizer")
        return tokenizer

    return find


@pytest.fixture(scope="session")
def named_markers(named_tokenizer: Callable[[str], PreTrainedTokenizerFast]) -> Callable[[str], Markers]:
    """The markers that go with a tiny tokenizer."""

    def find(name: str) -> Markers:
        if name != "reference":
            return Markers(
                audio_token="<audio_token>",
                audio_token_id=VICUNA_AUDIO_TOKEN_ID,
                audio_start="<Audio>",
                audio_end="</Audio>",
                item_token="<item_token>",
                item_token_id=VICUNA_AUDIO_TOKEN_ID + 1,
            )
        vocabulary = named_tokenizer(name).get_vocab()
        return Markers(
            audio_token="<|audio_token|>",
            audio_token_id=vocabulary["<|audio_token|>"],
            audio_start="<|audio|>",
            audio_end="<|/audio|>",
            item_token="<|item|>",
            item_token_id=vocabulary["<|item|>"],
        )

    return find
