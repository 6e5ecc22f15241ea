"""Conversations as a training reads them: token ids, labels and the names of their encodings, kept in an Arrow file.

In: conversations whose recordings were encoded, and a catalogue if they name items. Out: a `datasets.Dataset` that is
mapped into memory, so that several processes share it and an epoch begins at once. Knows no model and decodes no audio.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import datasets
from datasets.arrow_writer import ArrowWriter

from mllm.errors import ConfigError, EncodingError, ItemError, MllmError, PromptError
from mllm.items import Catalogue
from mllm.messages import Item
from mllm.processing import MusicLLMProcessor
from mllm.prompt import IGNORE_INDEX, Prompt
from mllm.strict_io import write_json, written_beside
from mllm.train.conversations import Conversation
from mllm.train.encodings import Encodings

FILE = "conversations.arrow"
SUMMARY = "summary.json"
FEATURES = datasets.Features(
    {
        "place": datasets.Value("string"),
        "input_ids": datasets.List(datasets.Value("int32")),
        "labels": datasets.List(datasets.Value("int32")),
        "length": datasets.Value("int32"),
        "shards": datasets.List(datasets.Value("string")),
        "items": datasets.List(datasets.Value("string")),
        "seconds": datasets.Value("float64"),
    }
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """What a prepared file holds."""

    conversations: int
    tokens: int
    """Soft tokens among them."""
    learnt_tokens: int
    longest: int
    """Tokens of the longest conversation."""
    seconds: float
    """Of audio that is heard, as often as it is mentioned."""
    recordings: int
    """Distinct stretches."""
    left_out: int
    """Conversations that cannot be used."""
    sha256: str
    """Of everything in the file."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What a conversation must keep to."""

    max_tokens: int | None
    """Most tokens; None: as many as the backbone takes."""
    leave_out_bad: bool
    """Whether others are left out; otherwise they are an error."""
    catalogue: Catalogue | None = None
    """Holds the items that it may name; None: it may name none."""


MOST_TOLD = 20


class NothingToLearnError(ConfigError):
    """No conversation can be used."""


def prepare(
    conversations: Iterable[Conversation | MllmError],
    encodings: Encodings,
    processor: MusicLLMProcessor,
    limits: Limits,
    directory: Path,
    *,
    expected_sha256: str | None = None,
) -> Summary:
    """Write the conversations into a directory, whole or not at all.

    Args:
        conversations: in order; errors among them count as conversations that cannot be used.
        encodings: of their recordings.
        processor: makes prompts of them.
        limits: what each must keep to.
        directory: where they go; what was there before goes.
        expected_sha256: of everything, for a run that goes on; None: anything.

    Raises:
        NothingToLearnError: none is left; up to `MOST_TOLD` that cannot be used are named.
        ConfigError: conversations cannot be used, of which as many are named; or it is not what was expected.
    """
    bad: list[str] = []
    counted = {"conversations": 0, "tokens": 0, "learnt_tokens": 0, "longest": 0}
    seconds, shards = 0.0, set()
    content = hashlib.sha256()
    with written_beside(directory) as work:
        writer = ArrowWriter(path=str(work / FILE), features=FEATURES)
        for row in _rows(conversations, encodings, processor, limits, bad):
            writer.write(row)
            counted["conversations"] += 1
            counted["tokens"] += row["length"]
            counted["learnt_tokens"] += sum(label != IGNORE_INDEX for label in row["labels"])
            counted["longest"] = max(counted["longest"], row["length"])
            seconds += row["seconds"]
            shards.update(row["shards"])
            content.update(json.dumps({key: row[key] for key in row if key != "place"}).encode())
        if bad and not limits.leave_out_bad:
            raise ConfigError(f"{told(bad)}; mend or remove them, or set data.leave_out_bad=true")
        if not counted["conversations"]:
            raise NothingToLearnError(f"no conversation can be used; {told(bad) if bad else 'the data is empty'}")
        writer.finalize()
        summary = Summary(
            **counted, seconds=seconds, recordings=len(shards), left_out=len(bad), sha256=content.hexdigest()
        )
        if expected_sha256 is not None and summary.sha256 != expected_sha256:
            raise ConfigError(
                f"the data is not what {directory} was made of, with which the run began, so it cannot go on as it "
                "was; put the data back, or give another out and work to begin anew"
            )
        write_json(dataclasses.asdict(summary), work / SUMMARY)
    return summary


def check(conversation: Conversation, prompt: Prompt, processor: MusicLLMProcessor, limits: Limits) -> None:
    """Refuse a conversation from which nothing can be learnt.

    Raises:
        PromptError: it has no answer to learn, is too long, or names items where there are none.
        ItemError: an item is not in the catalogue.
    """
    if all(label == IGNORE_INDEX for label in prompt.labels):
        raise PromptError("nothing is learnt from it; expected an answer of the assistant that is not empty")
    if limits.max_tokens is not None and len(prompt.input_ids) > limits.max_tokens:
        raise PromptError(
            f"it has {len(prompt.input_ids)} tokens, but a row takes {limits.max_tokens}; raise data.max_tokens, or "
            "shorten it"
        )
    for item in _items(conversation):
        if processor.item_adapter is None:
            raise PromptError("it names catalogue items, which this model cannot take; train them in the stage items")
        if limits.catalogue is None:
            raise PromptError("it names catalogue items, but no catalogue was given; give data.catalog")
        limits.catalogue.name(item)


def open_prepared(directory: Path) -> datasets.Dataset:
    """The conversations in a directory that `prepare` wrote."""
    return datasets.Dataset.from_file(str(directory / FILE))


def read_summary(directory: Path) -> Summary:
    """What they are."""
    return Summary(**json.loads((directory / SUMMARY).read_text(encoding="utf-8")))


def told(bad: list[str]) -> str:
    """Conversations that cannot be used, in one sentence."""
    more = f"; and {len(bad) - MOST_TOLD} more" if len(bad) > MOST_TOLD else ""
    count = "1 conversation" if len(bad) == 1 else f"{len(bad)} conversations"
    return f"{count} cannot be used: {'; '.join(bad[:MOST_TOLD])}{more}"


def _rows(
    conversations: Iterable[Conversation | MllmError],
    encodings: Encodings,
    processor: MusicLLMProcessor,
    limits: Limits,
    bad: list[str],
) -> Iterator[dict[str, Any]]:
    for conversation in conversations:
        if isinstance(conversation, MllmError):
            bad.append(str(conversation))
            continue
        try:
            yield _row(conversation, encodings, processor, limits)
        except (EncodingError, PromptError, ItemError) as error:
            bad.append(f"{conversation.place}: {error}")


def _row(
    conversation: Conversation, encodings: Encodings, processor: MusicLLMProcessor, limits: Limits
) -> dict[str, Any]:
    messages = conversation.messages
    prompt = processor.prompt_of(messages, encodings.num_tokens(messages), add_generation_prompt=False)
    check(conversation, prompt, processor, limits)
    return {
        "place": conversation.place,
        "input_ids": list(prompt.input_ids),
        "labels": list(prompt.labels),
        "length": len(prompt.input_ids),
        "shards": list(encodings.keys(messages)),
        "items": _items(conversation),
        "seconds": encodings.seconds(messages),
    }


def _items(conversation: Conversation) -> list[str]:
    parts = [part for message in conversation.messages for part in message.parts]
    return [part.id for part in parts if isinstance(part, Item)]
