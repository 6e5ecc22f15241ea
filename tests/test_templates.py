"""The shipped chat templates against what the published ones write, on tokenizers with the published special tokens.

Golden files are `tests/data/chat_templates/*.json`, one for each template. Their texts were made from the published
sources, not from our files, and are never written anew; `pytest tests/test_templates.py --regenerate-golden` writes
only tokens, ids and labels. Sources of the texts, which each file names too:

- vicuna: FastChat, fastchat/conversation.py, conversation `vicuna_v1.1` with separator style ADD_COLON_TWO (for weights
  v1.1, v1.3 and v1.5); the published tokenizers have no template and `add_bos_token: true`.
- llama2: `chat_template` in the tokenizer_config.json of Llama-2-70b-chat-hf, and the text that llama.cpp's
  tests/test-chat-template.cpp expects of Llama-2-13b-chat-hf.
- llama3: `chat_template` in the tokenizer_config.json of Meta-Llama-3-8B-Instruct, and llama.cpp's expected text.
- chatml: `chat_template` in the tokenizer_config.json of OpenHermes-2.5-Mistral-7B, and llama.cpp's expected text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from mllm import templates
from mllm.errors import ConfigError
from mllm.messages import parse
from mllm.prompt import IGNORE_INDEX, Markers, Prompt, build_prompt

GOLDEN = sorted((Path(__file__).parent / "data" / "chat_templates").glob("*.json"))
LLAMA3_SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
CHATML_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SOFT_TOKENS = 2
MARKERS = Markers(audio_token="<audio_token>", audio_token_id=100_000, audio_start="<Audio>", audio_end="</Audio>")
CORPUS = [
    "What key is it in? It is in D minor, at 120 beats a minute. And the tempo? And in this one?",
    "A chat between a curious user and an artificial intelligence assistant. USER: You hear music. ASSISTANT: D minor.",
] * 4


def llama2_tokenizer(*, legacy: bool = False) -> PreTrainedTokenizerBase:
    """As published with Llama 2 and Vicuna v1.5 (`legacy` false) or v1.1 (true): <s> begins every text."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    alphabet = sorted({*"".join(CORPUS), *"[]<>/_▁\n", *"INSTSYSUSERASSISTANTAudioaudio_token"})
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=["<unk>", "<s>", "</s>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(CORPUS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    return LlamaTokenizer(vocab=model["vocab"], merges=merges, legacy=legacy, add_bos_token=True)


def byte_tokenizer(special: Sequence[str], *, eos: str, bos: str | None = None) -> PreTrainedTokenizerFast:
    """Byte-level BPE, as of Llama 3 and of Qwen; `bos` begins every text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=340, special_tokens=list(special), initial_alphabet=alphabet)
    tokenizer.train_from_iterator(CORPUS, trainer)
    if bos is not None:
        pair = (bos, tokenizer.token_to_id(bos))
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[pair])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=eos, bos_token=bos)


TOKENIZERS: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    "vicuna": llama2_tokenizer,
    "llama2": llama2_tokenizer,
    "llama3": lambda: byte_tokenizer(LLAMA3_SPECIAL, eos="<|eot_id|>", bos="<|begin_of_text|>"),
    "chatml": lambda: byte_tokenizer(CHATML_SPECIAL, eos="<|im_end|>"),
}
"""The tokenizer that a template was published for, by the template's name."""
NAMES = tuple(TOKENIZERS)


def plain(messages: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Messages of a golden file as templates take them."""
    audio = MARKERS.audio_start + MARKERS.audio_token + MARKERS.audio_end
    contents = [
        content if isinstance(content, str) else "".join(part.get("text", audio) for part in content)
        for content in (message["content"] for message in messages)
    ]
    return [{"role": message["role"], "content": content} for message, content in zip(messages, contents, strict=True)]


def render(tokenizer: PreTrainedTokenizerBase, case: dict[str, Any]) -> str:
    text = tokenizer.apply_chat_template(
        plain(case["messages"]), tokenize=False, add_generation_prompt=case["add_generation_prompt"]
    )
    assert isinstance(text, str)
    return text


def build(tokenizer: PreTrainedTokenizerBase, messages: Sequence[dict[str, Any]], *, generation: bool) -> Prompt:
    parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
    return build_prompt(
        parse(list(messages)),
        tokenizer,
        audio_tokens=[SOFT_TOKENS for part in parts if part["type"] == "audio"],
        markers=MARKERS,
        add_generation_prompt=generation,
    )


def cases(name: str) -> list[dict[str, Any]]:
    (path,) = (path for path in GOLDEN if path.stem == name)
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return found


def test_every_template_has_a_golden_file_and_a_tokenizer() -> None:
    assert templates.names() == tuple(path.stem for path in GOLDEN) == tuple(sorted(TOKENIZERS))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden(path: Path, request: pytest.FixtureRequest) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    tokenizer = templates.equip(TOKENIZERS[path.stem](), path.stem)
    assert record["cases"]
    prompts = []
    for case in record["cases"]:
        assert render(tokenizer, case) == case["text"]
        prompt = build(tokenizer, case["messages"], generation=case["add_generation_prompt"])
        tokens = [
            "soft" if one == MARKERS.audio_token_id else tokenizer.convert_ids_to_tokens(one)
            for one in prompt.input_ids
        ]
        prompts.append({"tokens": tokens, "input_ids": list(prompt.input_ids), "labels": list(prompt.labels)})
    if request.config.getoption("--regenerate-golden"):
        path.write_text(_golden_text(record, prompts), encoding="utf-8")
        record = json.loads(path.read_text(encoding="utf-8"))
    assert [{key: case.get(key) for key in prompts[0]} for case in record["cases"]] == prompts


def _golden_text(record: dict[str, Any], prompts: Sequence[dict[str, Any]]) -> str:
    written = []
    for case, prompt in zip(record["cases"], prompts, strict=True):
        fields = {**case, **prompt}
        lines = [f'      "{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in fields.items()]
        written.append("    {\n" + ",\n".join(lines) + "\n    }")
    source = json.dumps(record["source"], ensure_ascii=False)
    return f'{{\n  "source": {source},\n  "cases": [\n' + ",\n".join(written) + "\n  ]\n}\n"


@pytest.mark.parametrize("name", NAMES)
def test_only_answers_and_their_ends_are_learnt_and_a_question_is_a_prefix(name: str) -> None:
    tokenizer = templates.equip(TOKENIZERS[name](), name)
    (messages,) = (case["messages"] for case in cases(name) if not case["add_generation_prompt"])
    whole = build(tokenizer, messages, generation=False)
    answers = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    end = 0
    for i in answers:
        asked = build(tokenizer, messages[:i], generation=True)
        begin = len(asked.input_ids)
        assert whole.input_ids[:begin] == asked.input_ids
        assert set(whole.labels[end:begin]) == {IGNORE_INDEX}
        end = whole.input_ids.index(tokenizer.eos_token_id, begin) + 1
        assert whole.labels[begin:end] == whole.input_ids[begin:end]
        assert str(tokenizer.decode(list(whole.input_ids[begin : end - 1]))).strip() == messages[i]["content"]
    assert set(whole.labels[end:]) <= {IGNORE_INDEX}


@pytest.mark.parametrize("name", ["llama2", "llama3", "chatml"])
def test_ids_are_those_of_the_tokenizers_own_template(name: str) -> None:
    tokenizer = templates.equip(TOKENIZERS[name](), name)
    for case in cases(name):
        if MARKERS.audio_token not in case["text"]:
            own: Any = tokenizer.apply_chat_template(plain(case["messages"]), add_generation_prompt=True)
            assert build(tokenizer, case["messages"], generation=True).input_ids == tuple(own["input_ids"])


@pytest.mark.parametrize("legacy", [False, True])
def test_ids_of_vicuna_are_those_of_the_text_that_fastchat_hands_to_its_tokenizer(legacy: bool) -> None:
    tokenizer = templates.equip(llama2_tokenizer(legacy=legacy), "vicuna")
    for case in cases("vicuna"):
        if MARKERS.audio_token not in case["text"]:
            native = tokenizer(case["text"].removeprefix("<s>"))["input_ids"]
            assert native[0] == tokenizer.bos_token_id
            assert build(tokenizer, case["messages"], generation=True).input_ids == tuple(native)


@pytest.mark.parametrize("template_writes_it", [False, True])
@pytest.mark.parametrize("tokenizer_adds_it", [False, True])
def test_a_sequence_begins_as_the_tokenizer_begins_texts(template_writes_it: bool, tokenizer_adds_it: bool) -> None:
    tokenizer = byte_tokenizer(["<s>", "</s>"], eos="</s>", bos="<s>")
    if not tokenizer_adds_it:
        tokenizer.backend_tokenizer.post_processor = processors.Sequence([])
    tokenizer.chat_template = ("{{ bos_token }}" if template_writes_it else "") + (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token if m.role == 'assistant' }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    prompt = build(
        tokenizer, [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], generation=False
    )
    places = [i for i, one in enumerate(prompt.input_ids) if one == tokenizer.bos_token_id]
    assert places == ([0] if template_writes_it or tokenizer_adds_it else [])
    assert prompt.labels[0] == IGNORE_INDEX
    assert len(prompt.labels) == len(prompt.input_ids)


@pytest.mark.parametrize("name", NAMES)
def test_vicuna_and_its_own_template_fit_every_tokenizer(name: str) -> None:
    tokenizer = TOKENIZERS[name]()
    for chosen in ("vicuna", name):
        assert templates.equip(tokenizer, chosen).chat_template == templates.read(chosen)
    assert tokenizer.chat_template is None


def test_vicuna_begins_with_bos_where_the_tokenizer_has_one_that_it_does_not_add() -> None:
    tokenizer = byte_tokenizer(["<s>", "</s>"], eos="</s>", bos="<s>")
    tokenizer.backend_tokenizer.post_processor = processors.Sequence([])
    prompt = build(templates.equip(tokenizer, "vicuna"), [{"role": "user", "content": "x"}], generation=True)
    assert prompt.input_ids.count(tokenizer.bos_token_id) == 1
    assert prompt.input_ids[0] == tokenizer.bos_token_id


@pytest.mark.parametrize(
    ("tokenizer", "chosen", "said"),
    [
        (
            "vicuna",
            "chatml",
            r"'chatml' writes '<\|im_start\|>', which this tokenizer splits into \d+ tokens of ordinary text; expected"
            r" one token .* choose a template without such markers \(llama2, vicuna\)",
        ),
        ("chatml", "llama3", r"'llama3' writes '<\|start_header_id\|>', which this tokenizer splits into \d+ tokens"),
        (
            "llama2",
            "vicunna",
            r"no chat template named 'vicunna' \(did you mean 'vicuna'\?\); expected one of: chatml,",
        ),
        (
            "llama2",
            None,
            "has no chat template and none was chosen; expected chat_template to be one of chatml, llama2",
        ),
    ],
)
def test_a_template_that_does_not_fit_is_refused(tokenizer: str, chosen: str | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        templates.equip(TOKENIZERS[tokenizer](), chosen)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("own", [False, True])
def test_a_turn_that_ends_with_another_token_than_answers_stop_at_is_refused(own: bool) -> None:
    tokenizer = byte_tokenizer(LLAMA3_SPECIAL, eos="<|end_of_text|>", bos="<|begin_of_text|>")
    if own:
        tokenizer.chat_template = templates.read("llama3")
    said = (
        r"ends the assistant's turn with '<\|eot_id\|>', but answers stop at the end-of-sequence token"
        r" '<\|end_of_text\|>'; expected the same token: set tokenizer.eos_token = '<\|eot_id\|>'"
    )
    with pytest.raises(ConfigError, match=said):
        templates.equip(tokenizer, None if own else "llama3")
    tokenizer.eos_token = "<|eot_id|>"
    templates.equip(tokenizer, None if own else "llama3")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('no') }}", r"refuses a question and its answer \(no\); expected it to write them"),
        ("{{ bos_token + bos_token }}{{ messages[-1].content }}", "begins with '<s>' twice; expected it once"),
        ({"default": "x", "tools": "y"}, "template is a dict; expected one text"),
    ],
)
def test_an_own_template_that_cannot_be_used_is_refused(template: Any, said: str) -> None:
    tokenizer = llama2_tokenizer()
    tokenizer.chat_template = template
    with pytest.raises(ConfigError, match=said):
        templates.check(tokenizer, None)


def test_an_own_template_may_have_markers_that_are_plain_text_to_its_backbone() -> None:
    tokenizer = llama2_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n{% endfor %}"
    assert templates.equip(tokenizer, None) is tokenizer


def test_a_tokenizer_without_an_end_is_refused() -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
    with pytest.raises(ConfigError, match="has no end-of-sequence token; expected the one that ends an answer"):
        templates.equip(tokenizer, "vicuna")


@pytest.mark.parametrize(
    ("name", "roles", "said"),
    [
        ("llama2", ("user", "user"), "user and assistant must take turns"),
        ("vicuna", ("user", "system"), "only the first message may be the system message"),
    ],
)
def test_conversations_that_a_format_cannot_hold_are_refused(name: str, roles: tuple[str, str], said: str) -> None:
    tokenizer = templates.equip(TOKENIZERS[name](), name)
    with pytest.raises(jinja2.TemplateError, match=said):
        tokenizer.apply_chat_template([{"role": role, "content": "x"} for role in roles], tokenize=False)
