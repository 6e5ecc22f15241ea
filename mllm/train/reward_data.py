"""Questions whose answers can be judged: JSONL lines in, prompts with encoder features and facts out.

A line is `{"messages": [...], "facts": {...}}`: a conversation in the message format whose last turn is the user's, and
what is true of its question (docs/rewards.md). Knows nothing of training loops.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from mllm import facts as vocabulary
from mllm.errors import ConfigError, MllmError
from mllm.messages import Audio, Message, parse
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.processing import MusicLLMProcessor
from mllm.settings import near

FACTS = ("asked", "answerable", "instruments", "key", "tempo_bpm", "times", "yes")
"""What rewards read. Further facts may be stated; they are ignored."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RewardExample:
    """One question about recordings, as the adapter hears them."""

    messages: tuple[Message, ...]
    """The conversation; its last turn is the user's."""
    features: tuple[Tensor, ...]
    """(L, T, D) of each window, in prompt order."""
    num_tokens: tuple[int, ...]
    """Soft tokens of each recording."""
    facts: Mapping[str, Any]
    """What is true of the question."""
    clip: str = ""
    """Names its recordings, so that questions about the same ones are known as such."""


def read_examples(
    path: str | Path, model: MusicLLMForConditionalGeneration, processor: MusicLLMProcessor
) -> list[RewardExample]:
    """The questions of a JSONL file; each distinct recording is decoded and encoded once.

    Args:
        path: of the file; paths in it begin at its folder.
        model: whose encoder listens.
        processor: that belongs to it.

    Raises:
        ConfigError: the file cannot be read, a line is not of this form, or a fact is not what rewards read.
        MllmError: a conversation or a recording cannot be used; the line is named.
    """
    source = Path(path)
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source} cannot be read ({error}); give a JSONL file of questions and facts") from error
    heard: dict[Audio, tuple[tuple[Tensor, ...], int]] = {}

    def hear(audio: Audio) -> tuple[tuple[Tensor, ...], int]:
        if audio not in heard:
            waveforms = processor.listen(audio).waveforms
            tokens = sum(processor.num_tokens(len(waveform)) for waveform in waveforms)
            heard[audio] = tuple(model.encode_audio(waveforms)), tokens
        return heard[audio]

    examples = []
    for number, line in enumerate(lines, start=1):
        try:
            messages, facts = _read(line, source.parent)
            audios = [part for message in messages for part in message.parts if isinstance(part, Audio)]
            encoded = [hear(audio) for audio in audios]
        except MllmError as error:
            raise type(error)(f"{source}, line {number}: {error}") from error
        examples.append(
            RewardExample(
                messages=messages,
                features=tuple(window for windows, _ in encoded for window in windows),
                num_tokens=tuple(tokens for _, tokens in encoded),
                facts=facts,
                clip=" ".join(_name(audio) for audio in audios),
            )
        )
    if not examples:
        raise ConfigError(f"{source} is empty; expected one question a line")
    return examples


def with_other_audio(examples: Sequence[RewardExample]) -> list[RewardExample]:
    """The same questions and facts, each with the recordings of another clip: what is answered without hearing.

    Raises:
        ConfigError: an example has no other clip of as many recordings.
    """
    swapped = []
    for index, example in enumerate(examples):
        following = (examples[(index + 1 + ahead) % len(examples)] for ahead in range(len(examples)))
        other = next(
            (o for o in following if o.clip != example.clip and len(o.num_tokens) == len(example.num_tokens)), None
        )
        if other is None:
            raise ConfigError(f"there is no clip to take the place of {example.clip!r}; give at least two clips")
        swapped.append(dataclasses.replace(example, features=other.features, num_tokens=other.num_tokens))
    return swapped


def check_facts(facts: Mapping[str, Any]) -> None:
    """Check the facts of one question.

    Raises:
        ConfigError: naming the fact, what it is and what was expected.
    """
    checks = {
        "asked": (_are_texts, "a list of field names"),
        "answerable": (lambda value: isinstance(value, bool), "true or false"),
        "instruments": (_are_instruments, f"a list of: {', '.join(vocabulary.INSTRUMENTS)}"),
        "key": (_is_key, "a key such as 'F# minor'"),
        "tempo_bpm": (lambda value: _is_number(value) and value > 0, "a number above 0"),
        "times": (_are_times, "a list of seconds"),
        "yes": (lambda value: isinstance(value, bool), "true or false"),
    }
    for name, (is_right, expected) in checks.items():
        value = facts.get(name)
        if value is not None and not is_right(value):
            raise ConfigError(f"facts.{name} is {value!r}; expected {expected}")
    known = (*FACTS, "json", "meter", "genre", "mood", "vocals")
    for name in facts.get("asked") or ():
        if name not in known:
            raise ConfigError(f"facts.asked names {name!r}, which nothing reads{near(name, known)}")


def _read(line: str, folder: Path) -> tuple[tuple[Message, ...], dict[str, Any]]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"not JSON ({error})") from error
    if not isinstance(row, dict) or not isinstance(row.get("facts"), dict) or "messages" not in row:
        raise ConfigError('expected {"messages": [...], "facts": {...}}')
    messages = tuple(_placed(message, folder) for message in parse(row["messages"]))
    if messages[-1].role != "user":
        raise ConfigError(f"the last message is the {messages[-1].role}'s; expected a question of the user")
    check_facts(row["facts"])
    return messages, row["facts"]


def _placed(message: Message, folder: Path) -> Message:
    """The message, paths of its recordings beginning at a folder."""
    parts = (
        dataclasses.replace(part, source=folder / part.source)
        if isinstance(part, Audio) and isinstance(part.source, Path)
        else part
        for part in message.parts
    )
    return dataclasses.replace(message, parts=tuple(parts))


def _name(audio: Audio) -> str:
    source = str(audio.source) if isinstance(audio.source, Path) else f"bytes {hash(audio.source)}"
    return f"{source}[{audio.start}:{audio.end}]"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_key(value: object) -> bool:
    try:
        return isinstance(value, str) and vocabulary.key_index(value) >= 0
    except ConfigError:
        return False


def _are_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


def _are_instruments(value: object) -> bool:
    return isinstance(value, list | tuple) and all(one in vocabulary.INSTRUMENTS for one in value)


def _are_times(value: object) -> bool:
    return isinstance(value, list | tuple) and all(_is_number(one) and one >= 0 for one in value)
