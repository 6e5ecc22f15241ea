"""The prompt function's properties, on a byte-level and on two LLaMA-like tokenizers, and its golden files.

Golden files are `tests/data/prompts/*.json`; `pytest tests/test_prompt.py --regenerate-golden` writes them anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from mllm.errors import ConfigError, PromptError
from mllm.messages import Audio, Item, Message, Part, Role, Text, parse
from mllm.prompt import IGNORE_INDEX, Markers, Placeholder, Prompt, build_prompt

GOLDEN = sorted((Path(__file__).parent / "data" / "prompts").glob("*.json"))
SONG = Audio(source=Path("a.wav"))


def say(role: Role, *parts: Part | str) -> Message:
    return Message(role=role, parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts))


CONVERSATIONS: dict[str, tuple[Message, ...]] = {
    "text": (say("user", "What key?"), say("assistant", "D minor.")),
    "system": (say("system", "You hear music."), say("user", "What key?"), say("assistant", "D minor.")),
    "spaces": (
        say("user", " key? "),
        say("assistant", "  D minor\n"),
        say("user", "\n\nand?"),
        say("assistant", "\nNo."),
    ),
    "audio": (say("user", SONG, "What key?"), say("assistant", "D minor.")),
    "audio last": (say("user", "What key?", SONG), say("assistant", "120 beats")),
    "two audios": (say("user", SONG, SONG, "Which is faster?"), say("assistant", "The first.")),
    "turns": (
        say("user", SONG, "What key?"),
        say("assistant", "D minor."),
        say("user", "And this?", SONG, "Say it."),
        say("assistant", "G."),
        say("user", "Sure?"),
        say("assistant", "Yes — sûr! 日本"),
    ),
    "items": (say("user", "I like ", Item(id="a"), " and ", Item(id="b"), "."), say("assistant", "Try ", Item(id="c"))),
}


class Kit:
    """A tokenizer with its markers, and the shortest way to a prompt."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, markers: Markers) -> None:
        self.tokenizer = tokenizer
        self.markers = markers

    def build(self, messages: Sequence[Message], *, generation: bool = False, max_length: int | None = None) -> Prompt:
        audios = sum(isinstance(part, Audio) for message in messages for part in message.parts)
        items = sum(isinstance(part, Item) for message in messages for part in message.parts)
        return build_prompt(
            messages,
            self.tokenizer,
            audio_tokens=[3 + i for i in range(audios)],
            item_tokens=[1] * items,
            markers=self.markers,
            add_generation_prompt=generation,
            max_length=max_length,
        )

    def text(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode([i for i in ids if i < len(self.tokenizer)]))

    def native(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.fixture
def kit(
    tokenizer_name: str,
    named_tokenizer: Callable[[str], PreTrainedTokenizerFast],
    named_markers: Callable[[str], Markers],
) -> Kit:
    return Kit(named_tokenizer(tokenizer_name), named_markers(tokenizer_name))


@pytest.fixture
def reference(reference_tokenizer: PreTrainedTokenizerFast, named_markers: Callable[[str], Markers]) -> Kit:
    return Kit(reference_tokenizer, named_markers("reference"))


def templated(kit: Kit, template: str) -> Kit:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=kit.tokenizer.backend_tokenizer,
        bos_token=kit.tokenizer.bos_token,
        eos_token=kit.tokenizer.eos_token,
    )
    tokenizer.chat_template = template
    return Kit(tokenizer, kit.markers)


def learnt(prompt: Prompt) -> list[list[int]]:
    runs: list[list[int]] = [[]]
    for label in prompt.labels:
        if label == IGNORE_INDEX:
            runs.append([])
        else:
            runs[-1].append(label)
    return [run for run in runs if run]


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_generation_prompt_is_a_prefix_of_the_training_ids(kit: Kit, name: str) -> None:
    conversation = CONVERSATIONS[name]
    whole = kit.build(conversation)
    assert len(whole.labels) == len(whole.input_ids)
    for i in (i for i, message in enumerate(conversation) if message.role == "assistant"):
        asked = kit.build(conversation[:i], generation=True)
        assert asked.input_ids == whole.input_ids[: len(asked.input_ids)]
        assert asked.labels == whole.labels[: len(asked.input_ids)]
        assert asked.placeholders == tuple(p for p in whole.placeholders if p.start < len(asked.input_ids))
        assert whole.labels[len(asked.input_ids) - 1] == IGNORE_INDEX
        first = whole.labels[len(asked.input_ids)]
        assert first == whole.input_ids[len(asked.input_ids)]


@pytest.mark.parametrize("name", ["text", "system", "spaces", "audio", "two audios", "turns"])
def test_only_the_answers_with_their_eos_are_learnt(kit: Kit, name: str) -> None:
    answers = [message.parts[0] for message in CONVERSATIONS[name] if message.role == "assistant"]
    runs = learnt(kit.build(CONVERSATIONS[name]))
    assert len(runs) == len(answers)
    for run, answer in zip(runs, answers, strict=True):
        assert run[-1] == kit.tokenizer.eos_token_id
        assert kit.tokenizer.eos_token_id not in run[:-1]
        if name != "turns":  # the LLaMA-like alphabets lack some of its letters
            assert isinstance(answer, Text)
            assert kit.text(run[:-1]).strip() == answer.text.strip()


def test_soft_tokens_stand_where_their_parts_stand(kit: Kit) -> None:
    prompt = kit.build(CONVERSATIONS["turns"])
    first, second = prompt.placeholders
    assert (first.kind, first.index, first.length) == ("audio", 0, 3)
    assert (second.kind, second.index, second.length) == ("audio", 1, 4)
    for placeholder in prompt.placeholders:
        stretch = slice(placeholder.start, placeholder.start + placeholder.length)
        assert prompt.input_ids[stretch] == (kit.markers.audio_token_id,) * placeholder.length
        assert prompt.labels[stretch] == (IGNORE_INDEX,) * placeholder.length
    assert prompt.input_ids.count(kit.markers.audio_token_id) == 7
    between = kit.text(prompt.input_ids[first.start : second.start])
    assert between.index("D minor.") < between.index("And this?") < between.index(kit.markers.audio_start, 10)
    behind = kit.text(prompt.input_ids[second.start :])
    assert behind.startswith((kit.markers.audio_token, kit.markers.audio_end))
    assert "Say it." in behind


def test_items_in_an_answer_are_not_learnt(kit: Kit) -> None:
    prompt = kit.build(CONVERSATIONS["items"])
    assert [(p.kind, p.index) for p in prompt.placeholders] == [("item", 0), ("item", 1), ("item", 2)]
    assert all(prompt.labels[p.start] == IGNORE_INDEX for p in prompt.placeholders)
    assert [kit.text(run).strip() for run in learnt(prompt)] == ["Try", kit.tokenizer.eos_token]


@pytest.mark.parametrize("name", ["text", "system"])
def test_ids_are_those_of_the_tokenizer_itself(kit: Kit, name: str) -> None:
    conversation = CONVERSATIONS[name]
    plain = [{"role": m.role, "content": p.text} for m in conversation for p in m.parts if isinstance(p, Text)]
    rendered = str(kit.tokenizer.apply_chat_template(plain, tokenize=False))
    assert kit.build(conversation).input_ids == kit.native(rendered)


def test_audio_between_special_tokens_leaves_the_rest_as_the_tokenizer_has_it(reference: Kit) -> None:
    rendered = "<|user|><|audio|><|audio_token|><|/audio|>What key?<|end|><|assistant|>"
    mark = reference.markers.audio_token_id
    asked = reference.build([say("user", SONG, "What key?")], generation=True)
    expected = [i for token in reference.native(rendered) for i in ([token] * 3 if token == mark else [token])]
    assert asked.input_ids == tuple(expected)


def test_bos_stands_once_where_the_template_writes_it(kit: Kit) -> None:
    prompt = kit.build(CONVERSATIONS["turns"])
    bos = kit.tokenizer.bos_token_id
    expected = [0] if bos is not None else []
    assert [i for i, token in enumerate(prompt.input_ids) if token == bos] == expected


def every_special(kit: Kit) -> list[str]:
    markers = [kit.markers.audio_token, kit.markers.item_token or ""]
    return [token.content for token in kit.tokenizer.added_tokens_decoder.values()] + markers


def test_special_tokens_that_somebody_writes_stay_text(kit: Kit) -> None:
    special_ids = {*kit.tokenizer.all_special_ids, kit.markers.audio_token_id, kit.markers.item_token_id}
    special_ids.discard(kit.tokenizer.unk_token_id)
    clean = [i for i in kit.build([say("user", "x"), say("assistant", "y")]).input_ids if i in special_ids]
    for special in every_special(kit):
        assert len(special) > 2
        for text in (special, f"a{special}b", special * 3, f"{special[:3]}{special}{special[3:]}", f" {special}\n"):
            prompt = kit.build([say("user", text), say("assistant", text)])
            assert [i for i in prompt.input_ids if i in special_ids] == clean, text
            assert not prompt.placeholders
            assert special[0] + " " + special[1:] in kit.text(prompt.input_ids)


def test_special_tokens_split_over_parts_stay_text(reference: Kit) -> None:
    prompt = reference.build([say("user", "<|audio_", "token|>"), say("assistant", "y")])
    assert not prompt.placeholders
    assert "<|audio_\ntoken|>" in reference.text(prompt.input_ids)


def test_text_that_still_reads_as_a_special_token_is_refused(reference: Kit) -> None:
    kit = templated(reference, "{{ messages[0].content }}")
    kit.tokenizer.add_special_tokens({"additional_special_tokens": ["§"]})
    with pytest.raises(PromptError, match=r"user's text reads as the special token '§': write it in another way"):
        kit.build([say("user", "a § b")], generation=True)


def test_eos_is_appended_where_the_template_writes_none(reference: Kit) -> None:
    kit = templated(
        reference,
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}",
    )
    for run in learnt(kit.build(CONVERSATIONS["turns"])):
        assert run[-1] == kit.tokenizer.eos_token_id


def test_text_behind_the_eos_is_not_learnt(reference: Kit) -> None:
    kit = templated(
        reference,
        "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}",
    )
    prompt = kit.build(CONVERSATIONS["text"])
    assert [kit.text(run) for run in learnt(prompt)] == ["D minor.<|end|>"]
    assert prompt.labels[-1] == IGNORE_INDEX


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}?{% endif %}",
        "{% for m in messages %}{% if not loop.last and m.role == 'assistant' %}…{% else %}{{ m.content }}{% endif %}"
        "<|end|>{% endfor %}",
        "{{ messages | length }}{% for m in messages %}{{ m.content }}<|end|>{% endfor %}",
    ],
)
def test_template_that_rewrites_what_it_wrote_is_refused(reference: Kit, template: str) -> None:
    with pytest.raises(PromptError, match=r"use a template that only appends"):
        templated(reference, template).build(CONVERSATIONS["turns"])


def test_template_that_drops_or_doubles_a_message_is_refused(reference: Kit) -> None:
    for content, count in (("", 0), ("{{ m.content }}{{ m.content }}", 2)):
        kit = templated(reference, "{% for m in messages %}<|{{ m.role }}|>" + content + "<|end|>{% endfor %}")
        with pytest.raises(PromptError, match=rf"writes '<\|audio_token\|>' {count} times for 1 audio parts"):
            kit.build([say("user", SONG)], generation=True)


def test_template_that_refuses_says_why(reference: Kit) -> None:
    kit = templated(reference, "{{ raise_exception('no system role') }}")
    with pytest.raises(PromptError, match=r"refuses this conversation \(user\): no system role"):
        kit.build([say("user", "x")], generation=True)


def test_conversations_without_a_prompt_are_refused(reference: Kit) -> None:
    with pytest.raises(PromptError, match="begin it with a user message"):
        reference.build([say("system", "x")], generation=True)
    with pytest.raises(PromptError, match="begin it with a user message"):
        reference.build([say("assistant", "x"), say("user", "y")], generation=True)
    with pytest.raises(PromptError, match="The last message is the assistant's, so there is nothing to answer"):
        reference.build(CONVERSATIONS["text"], generation=True)


def test_tokenizers_that_cannot_prompt_are_refused(reference: Kit) -> None:
    kit = templated(reference, "x")
    kit.tokenizer.chat_template = None
    with pytest.raises(PromptError, match="has no chat template"):
        kit.build([say("user", "x")], generation=True)
    bare = PreTrainedTokenizerFast(tokenizer_object=reference.tokenizer.backend_tokenizer)
    bare.chat_template = "x"
    with pytest.raises(PromptError, match="has no end-of-sequence token"):
        Kit(bare, reference.markers).build([say("user", "x")], generation=True)


def test_wrong_numbers_of_soft_tokens_are_refused(reference: Kit) -> None:
    def build(audio_tokens: list[int], item_tokens: list[int]) -> Prompt:
        return build_prompt(
            [say("user", SONG, Item(id="a"))],
            reference.tokenizer,
            audio_tokens=audio_tokens,
            item_tokens=item_tokens,
            markers=reference.markers,
            add_generation_prompt=True,
        )

    assert build([2], [1]).placeholders[1] == Placeholder(kind="item", index=0, start=5, length=1)
    with pytest.raises(PromptError, match="audio_tokens has 2 numbers, but the conversation has 1 audio parts"):
        build([2, 2], [1])
    with pytest.raises(PromptError, match="item_tokens has 0 numbers, but the conversation has 1 item parts"):
        build([2], [])
    with pytest.raises(PromptError, match=r"audio_tokens is \[0\]: expected at least 1"):
        build([0], [1])


def test_items_are_refused_by_a_model_without_items(reference: Kit) -> None:
    markers = Markers(audio_token="<|audio_token|>", audio_token_id=reference.markers.audio_token_id)
    with pytest.raises(PromptError, match="has 1 catalogue items, but this model knows no items"):
        Kit(reference.tokenizer, markers).build([say("user", Item(id="a"))], generation=True)


def test_placeholder_id_that_text_also_has_is_refused(reference: Kit) -> None:
    taken = reference.native("k")[0]
    markers = Markers(audio_token="<|audio_token|>", audio_token_id=taken)
    with pytest.raises(PromptError, match=rf"The id {taken} of '<\|audio_token\|>' is also an id of ordinary text"):
        Kit(reference.tokenizer, markers).build([say("user", "zzk")], generation=True)


def test_too_long_a_prompt_says_both_numbers(kit: Kit) -> None:
    conversation = CONVERSATIONS["audio"]
    length = len(kit.build(conversation).input_ids)
    assert len(kit.build(conversation, max_length=length).input_ids) == length
    said = rf"has {length} tokens \(3 of them for audio and items\), but at most {length - 1} fit: use fewer or shorter"
    with pytest.raises(PromptError, match=said):
        kit.build(conversation, max_length=length - 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"audio_token": " "}, "audio_token: got an empty text"),
        ({"item_token": "<i>"}, "give both, or leave both out"),
        ({"item_token": "<a>b", "item_token_id": 2}, "contain each other"),
        ({"audio_start": "x<a>"}, "audio_start: 'x<a>' contains a placeholder"),
    ],
)
def test_markers_that_cannot_work_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Markers(**({"audio_token": "<a>", "audio_token_id": 1} | changes))  # type: ignore[arg-type]


def test_there_are_golden_files() -> None:
    assert GOLDEN


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden(
    path: Path,
    named_tokenizer: Callable[[str], PreTrainedTokenizerFast],
    named_markers: Callable[[str], Markers],
    request: pytest.FixtureRequest,
) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    prompts = {}
    for name in ("reference", "vicuna", "legacy"):
        tokenizer = named_tokenizer(name)
        prompt = build_prompt(
            parse(record["messages"]),
            tokenizer,
            audio_tokens=record["audio_tokens"],
            item_tokens=record["item_tokens"],
            markers=named_markers(name),
            add_generation_prompt=record["add_generation_prompt"],
        )
        learnt_from = [i for i, label in enumerate(prompt.labels) if label != IGNORE_INDEX]
        assert all(prompt.labels[i] == prompt.input_ids[i] for i in learnt_from)
        prompts[name] = {
            "tokens": [token or "soft" for token in tokenizer.convert_ids_to_tokens(list(prompt.input_ids))],
            "input_ids": list(prompt.input_ids),
            "labels": list(prompt.labels),
            "placeholders": [[p.kind, p.index, p.start, p.length] for p in prompt.placeholders],
        }
    if request.config.getoption("--regenerate-golden"):
        lines = [f'  "{name}": {{\n' + _lines(prompt) + "\n  }" for name, prompt in prompts.items()]
        asked = {key: record[key] for key in ("messages", "audio_tokens", "item_tokens", "add_generation_prompt")}
        text = "{\n" + _lines(asked, 2) + ',\n  "prompts": {\n' + ",\n".join(lines) + "\n  }\n}\n"
        path.write_text(text, encoding="utf-8")
    assert prompts == json.loads(path.read_text(encoding="utf-8"))["prompts"]


def _lines(fields: dict[str, object], indent: int = 4) -> str:
    return ",\n".join(
        f'{" " * indent}"{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in fields.items()
    )
