"""The one prompt function: a conversation becomes token ids, labels and the places of its soft tokens.

In: checked messages, a tokenizer with a chat template, and how many soft tokens each recording and item takes. Out: a
`Prompt`. Knows no model and no audio: training, generation, evaluation and serving call it and get the same ids.

Four properties hold for every tokenizer, or `build_prompt` raises:
1. The prompt for generation is exactly the beginning of the ids of the same conversation with its answer.
2. Only assistant text is learnt, its end-of-sequence token included.
3. Special tokens come from the template and the markers, never from what somebody wrote into a message.
4. A tokenizer that begins every text with its beginning-of-sequence token begins a prompt with it, once, whether or not
   the template writes it.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import jinja2

from mllm.errors import ConfigError, PromptError
from mllm.messages import Audio, Item, Message, Text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORE_INDEX = -100
"""Label of a position that is not learnt."""

Kind: TypeAlias = Literal["audio", "item"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Markers:
    """How soft tokens are written into a prompt."""

    audio_token: str
    """Text of one soft token of audio in the rendered template; it never stands in a message's own text."""
    audio_token_id: int
    """Id put in the place of each soft token of audio; may lie beyond the tokenizer's vocabulary."""
    audio_start: str = ""
    """Text before the soft tokens of one recording."""
    audio_end: str = ""
    """Text after the soft tokens of one recording."""
    item_token: str | None = None
    """Text of one soft token of a catalogue item; None when the model knows no items."""
    item_token_id: int | None = None
    """Id put in the place of each soft token of an item."""

    def __post_init__(self) -> None:
        if not self.audio_token.strip():
            raise ConfigError("audio_token: got an empty text, expected a token that users do not write.")
        if (self.item_token is None) != (self.item_token_id is None):
            raise ConfigError("item_token and item_token_id: give both, or leave both out.")
        if self.item_token is not None and (self.item_token in self.audio_token or self.audio_token in self.item_token):
            raise ConfigError(
                f"item_token {self.item_token!r} and audio_token {self.audio_token!r} contain each other."
            )
        for name, bound in (("audio_start", self.audio_start), ("audio_end", self.audio_end)):
            if any(token in bound for token in self.tokens.values()):
                raise ConfigError(
                    f"{name}: {bound!r} contains a placeholder; expected the text beside the soft tokens."
                )

    @property
    def tokens(self) -> dict[Kind, str]:
        """The placeholder text of each kind there is."""
        tokens: dict[Kind, str] = {"audio": self.audio_token}
        if self.item_token is not None:
            tokens["item"] = self.item_token
        return tokens

    def token_id(self, kind: Kind) -> int:
        """The placeholder id of a kind, which the markers must have."""
        token_id = self.audio_token_id if kind == "audio" else self.item_token_id
        assert token_id is not None
        return token_id


@dataclasses.dataclass(frozen=True, kw_only=True)
class Placeholder:
    """Where the soft tokens of one recording or item stand."""

    kind: Kind
    index: int
    """Which recording, or which item, of the conversation: 0 is the first of its kind."""
    start: int
    """Position of the first soft token in `Prompt.input_ids`."""
    length: int
    """Number of soft tokens, at least 1."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prompt:
    """Token ids of a conversation, what is learnt of them, and where soft tokens go."""

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    """As long as `input_ids`: the id itself where assistant text is learnt, `IGNORE_INDEX` elsewhere."""
    placeholders: tuple[Placeholder, ...]
    """In order of position."""


def build_prompt(
    messages: Sequence[Message],
    tokenizer: PreTrainedTokenizerBase,
    *,
    audio_tokens: Sequence[int],
    item_tokens: Sequence[int] = (),
    markers: Markers,
    add_generation_prompt: bool,
    max_length: int | None = None,
) -> Prompt:
    """Renders a conversation with the tokenizer's chat template and tokenises it.

    Args:
        messages: The conversation, from `mllm.messages.parse`.
        tokenizer: Any tokenizer with a chat template and an end-of-sequence token.
        audio_tokens: Number of soft tokens of each recording (all its windows together), in order, each at least 1.
        item_tokens: The same for each catalogue item.
        markers: How soft tokens are written.
        add_generation_prompt: Whether the assistant speaks next. The last message must then be the user's.
        max_length: Longest prompt allowed, in tokens; None is no limit.

    Returns:
        The prompt; adjacent text parts of a message are joined by a line break.

    Raises:
        PromptError: The conversation cannot be rendered, breaks one of the three properties, or is too long.
    """
    _check(messages, tokenizer, {"audio": audio_tokens, "item": item_tokens}, markers, add_generation_prompt)
    plain = _plain_messages(messages, tokenizer, markers)
    text, spans = _render(plain, tokenizer, add_generation_prompt)
    prompt = _Writer(tokenizer, markers, {"audio": audio_tokens, "item": item_tokens}).write(text, spans)
    if max_length is not None and len(prompt.input_ids) > max_length:
        soft = sum(placeholder.length for placeholder in prompt.placeholders)
        raise PromptError(
            f"The prompt has {len(prompt.input_ids)} tokens ({soft} of them for audio and items), but at most "
            f"{max_length} fit: use fewer or shorter recordings (start, end), fewer turns, or less text."
        )
    return prompt


def _check(
    messages: Sequence[Message],
    tokenizer: PreTrainedTokenizerBase,
    lengths: dict[Kind, Sequence[int]],
    markers: Markers,
    add_generation_prompt: bool,
) -> None:
    if tokenizer.chat_template is None:
        raise PromptError(
            "The tokenizer has no chat template: choose one by name (chat_template of checkpoint.assemble), or set"
            " tokenizer.chat_template to the backbone's template."
        )
    if tokenizer.eos_token_id is None:
        raise PromptError(
            "The tokenizer has no end-of-sequence token: set tokenizer.eos_token, which ends every answer."
        )
    spoken = [message.role for message in messages if message.role != "system"]
    if not spoken or spoken[0] != "user":
        raise PromptError("The conversation has no user message before the assistant's: begin it with a user message.")
    if add_generation_prompt and messages[-1].role != "user":
        raise PromptError(
            f"The last message is the {messages[-1].role}'s, so there is nothing to answer: end with the user."
        )
    audios = sum(isinstance(part, Audio) for message in messages for part in message.parts)
    items = sum(isinstance(part, Item) for message in messages for part in message.parts)
    if items and markers.item_token is None:
        raise PromptError(
            f"The conversation has {items} catalogue items, but this model knows no items: leave them out."
        )
    found: dict[Kind, int] = {"audio": audios, "item": items}
    for kind, given in lengths.items():
        if len(given) != found[kind]:
            raise PromptError(
                f"{kind}_tokens has {len(given)} numbers, but the conversation has {found[kind]} {kind} parts."
            )
        if any(length < 1 for length in given):
            raise PromptError(f"{kind}_tokens is {list(given)}: expected at least 1 soft token for each {kind} part.")


def _plain_messages(
    messages: Sequence[Message], tokenizer: PreTrainedTokenizerBase, markers: Markers
) -> list[dict[str, str]]:
    """Messages as templates want them: the content is one text, with one placeholder for each recording or item."""
    added = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
    special = {token for token in (*added, *tokenizer.all_special_tokens) if token}
    pattern = re.compile(
        "|".join(map(re.escape, sorted(special | set(markers.tokens.values()), key=len, reverse=True)))
    )
    special_ids = {tokenizer.convert_tokens_to_ids(token) for token in special} - {tokenizer.unk_token_id}
    marks = {Audio: markers.audio_start + markers.audio_token + markers.audio_end, Item: markers.item_token or ""}
    plain = []
    for message in messages:
        content = ""
        for is_text, parts in itertools.groupby(message.parts, key=lambda part: isinstance(part, Text)):
            if not is_text:
                content += "".join(marks[type(part)] for part in parts if not isinstance(part, Text))
                continue
            text = _neutralise("\n".join(part.text for part in parts if isinstance(part, Text)), pattern)
            found = special_ids.intersection(_encode(tokenizer, text))
            if found:
                shown = ", ".join(repr(tokenizer.convert_ids_to_tokens(token_id)) for token_id in sorted(found))
                raise PromptError(
                    f"The {message.role}'s text reads as the special token {shown}: write it in another way."
                )
            content += text
        plain.append({"role": message.role, "content": content})
    return plain


def _neutralise(text: str, pattern: re.Pattern[str]) -> str:
    """Puts a space behind the first character of each literal special token, until none is left."""

    def split(match: re.Match[str]) -> str:
        return f"{match[0][0]} {match[0][1:]}" if len(match[0]) > 1 else match[0]

    while (harmless := pattern.sub(split, text)) != text:
        text = harmless
    return text


def _render(
    plain: list[dict[str, str]], tokenizer: PreTrainedTokenizerBase, add_generation_prompt: bool
) -> tuple[str, list[tuple[int, int]]]:
    """The text of a conversation, and from where to where in it the assistant speaks."""
    text = _apply_template(plain, tokenizer, add_generation_prompt)
    spans = []
    for i, message in enumerate(plain):
        if message["role"] != "assistant":
            continue
        before = _apply_template(plain[:i], tokenizer, True)
        through = _apply_template(plain[: i + 1], tokenizer, False)
        if not (through.startswith(before) and text.startswith(through)):
            raise PromptError(
                f"The chat template writes messages[:{i}] with the generation prompt otherwise than the beginning of"
                " the whole conversation, so it is unclear which text is the answer: use a template that only appends."
            )
        spans.append((len(before), len(through)))
    return text, spans


def _apply_template(
    plain: list[dict[str, str]], tokenizer: PreTrainedTokenizerBase, add_generation_prompt: bool
) -> str:
    try:
        text = tokenizer.apply_chat_template(
            plain,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            bos_is_added=_adds_bos(tokenizer),
        )
    except jinja2.TemplateError as error:
        roles = ", ".join(message["role"] for message in plain)
        raise PromptError(f"The chat template refuses this conversation ({roles}): {error}.") from error
    assert isinstance(text, str)
    return text


def _encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=False, verbose=False)["input_ids"]
    return ids


def _adds_bos(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the tokenizer itself begins every text with its beginning-of-sequence token."""
    ids = tokenizer("a", verbose=False)["input_ids"]
    return tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id]


class _Writer:
    """Writes ids from left to right; what is written never depends on what follows, so that prompts are prefixes."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, markers: Markers, lengths: dict[Kind, Sequence[int]]
    ) -> None:
        self._tokenizer = tokenizer
        self._markers = markers
        self._lengths = lengths
        self._kinds: dict[str, Kind] = {token: kind for kind, token in markers.tokens.items()}
        self._split = re.compile("(" + "|".join(map(re.escape, self._kinds)) + ")")
        self._ids: list[int] = []
        self._placeholders: list[Placeholder] = []
        self._last_text = ""

    def write(self, text: str, spans: list[tuple[int, int]]) -> Prompt:
        """Tokenises each stretch of text between the borders of assistant speech and placeholders as one."""
        if _adds_bos(self._tokenizer) and not text.startswith(self._tokenizer.bos_token):
            self._ids.append(self._tokenizer.bos_token_id)
        labels = [IGNORE_INDEX] * len(self._ids)
        for start, end, spoken in _stretches(len(text), spans):
            begin = len(self._ids)
            self._write_stretch(text[start:end])
            labels += [IGNORE_INDEX] * (len(self._ids) - begin)
            if spoken:
                stop = self._end_answer(begin)
                labels[begin:] = self._ids[begin:stop] + [IGNORE_INDEX] * (len(self._ids) - stop)
        for placeholder in self._placeholders:
            labels[placeholder.start : placeholder.start + placeholder.length] = [IGNORE_INDEX] * placeholder.length
        self._check_counts()
        return Prompt(input_ids=tuple(self._ids), labels=tuple(labels), placeholders=tuple(self._placeholders))

    def _write_stretch(self, text: str) -> None:
        for piece in filter(None, self._split.split(text)):
            kind = self._kinds.get(piece)
            if kind is None:
                self._ids += self._encode_after(self._last_text, piece)
                self._last_text = piece
                continue
            index = sum(placeholder.kind == kind for placeholder in self._placeholders)
            length = self._lengths[kind][index] if index < len(self._lengths[kind]) else 1
            self._placeholders.append(Placeholder(kind=kind, index=index, start=len(self._ids), length=length))
            self._ids += [self._markers.token_id(kind)] * length

    def _encode_after(self, left: str, text: str) -> list[int]:
        """Ids of `text` where it continues `left`.

        Many tokenizers put a space before whatever they are given; the ids are therefore taken from the two texts
        together wherever the border between them is a border between tokens.
        """
        for context in (left, "\n") if left else ():
            before, both = _encode(self._tokenizer, context), _encode(self._tokenizer, context + text)
            if both[: len(before)] == before and len(both) > len(before):
                return both[len(before) :]
        return _encode(self._tokenizer, text)

    def _end_answer(self, begin: int) -> int:
        """Position behind the end-of-sequence token of the answer from `begin` on; writes one if it is absent."""
        eos_token_id = self._tokenizer.eos_token_id
        if eos_token_id not in self._ids[begin:]:
            self._ids.append(eos_token_id)
        return self._ids.index(eos_token_id, begin) + 1

    def _check_counts(self) -> None:
        for kind, token in self._markers.tokens.items():
            placed = [placeholder for placeholder in self._placeholders if placeholder.kind == kind]
            expected = len(self._lengths[kind])
            if len(placed) != expected:
                raise PromptError(
                    f"The chat template writes {token!r} {len(placed)} times for {expected} {kind} parts: use a"
                    " template that writes every message's content once."
                )
            if self._ids.count(self._markers.token_id(kind)) != sum(placeholder.length for placeholder in placed):
                raise PromptError(
                    f"The id {self._markers.token_id(kind)} of {token!r} is also an id of ordinary text: choose"
                    " another."
                )


def _stretches(length: int, spans: list[tuple[int, int]]) -> Iterator[tuple[int, int, bool]]:
    """Cuts 0..length at the spans; each stretch says whether it is one of them."""
    position = 0
    for start, end in spans:
        yield position, start, False
        yield start, end, True
        position = end
    yield position, length, False
