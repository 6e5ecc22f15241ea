"""Rows of a training and the batches made of them: packed or padded they teach the same, and fillers teach nothing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from mllm import checkpoint
from mllm.errors import EncodingError, PromptError
from mllm.items import Catalogue
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.processing import MusicLLMProcessor
from mllm.prompt import IGNORE_INDEX
from mllm.train import conversations, encode, packing
from mllm.train.encoding_store import EncodingStore
from mllm.train.encodings import Encodings
from mllm.train.prepared import Limits, open_prepared, prepare
from mllm.train.rows import ABOUT, Ready, Rows, collator, filler
from tests.tiny_checkpoint import item, user, write_catalogue, write_checkpoint, write_music

LOSS_TOLERANCE = 1e-5
"""Of a loss of about 10; measured: 2e-6."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Tiny:
    """A model without its encoder, and conversations about encoded recordings, items and neither."""

    model: MusicLLMForConditionalGeneration
    processor: MusicLLMProcessor
    encodings: Encodings
    catalogue: Catalogue
    prepared: Any

    def rows(self, **settings: Any) -> Rows:
        return Rows(
            self.prepared, self.encodings, self.catalogue, **{"max_tokens": 120, "packed": True, "seed": 1, **settings}
        )

    def collate(self, *, packed: bool = True, items: bool = True) -> Any:
        fill = filler(self.model, self.processor, items=items)
        return collator(self.processor.tokenizer.pad_token_id, fill, packed=packed, borders=False)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Tiny:
    directory = tmp_path_factory.mktemp("tiny")
    place = write_checkpoint(directory / "model", reference_tokenizer, takes_items=True)
    music = write_music(directory / "music")
    asked: list[list[Any]] = [
        [song(music, "one"), "What do you hear?"],
        ["Why?"],
        [song(music, "long"), "and", song(music, "two"), "Which is higher?"],
        [song(music, "one"), item(2), "Is it like this?"],
        [item(1), item(4), "Which is louder?"],
        *([song(music, "long", start=float(n), end=n + 1.5 + n % 4), "Key? " * (n % 3 + 1)] for n in range(7)),
    ]
    answers = ("It is in D minor.", "The piano and the flute.", "No, there is no guitar.")
    written = [
        {"messages": [*user(*content), {"role": "assistant", "content": answers[number % 3]}]}
        for number, content in enumerate(asked)
    ]
    (directory / "songs.jsonl").write_text("\n".join(map(json.dumps, written)))
    found = [
        one for one in conversations.read([directory / "songs.jsonl"]) if isinstance(one, conversations.Conversation)
    ]
    mentions = [mention for one in found for mention in one.mentions]
    store = directory / "store"
    encode.encode(mentions, encode.EncodeConfig(model=str(place), store=store), encode.in_this_process, lambda _: None)
    model, processor = checkpoint.load(place, with_encoder=False)
    model.freeze(("layer_mix", "audio_adapter", "item_adapter"))
    encodings = Encodings(store, model.config, processor)
    catalogue = Catalogue.open(write_catalogue(directory / "catalogue"))
    limits = Limits(max_tokens=None, leave_out_bad=False, catalogue=catalogue)
    prepare(found, encodings, processor, limits, directory / "prepared")
    return Tiny(
        model=model.train(),
        processor=processor,
        encodings=encodings,
        catalogue=catalogue,
        prepared=open_prepared(directory / "prepared"),
    )


def song(music: Path, name: str, **bounds: float) -> dict[str, Any]:
    return {"type": "audio", "path": str(music / f"{name}.wav"), **bounds}


def learnt(groups: Sequence[Sequence[Ready]]) -> int:
    return sum(label != IGNORE_INDEX for group in groups for one in group for label in one.prompt.labels)


def slope(tiny: Tiny, batch: dict[str, Any], items_in_batch: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss and gradients of a batch; of what it does not compute, there are none."""
    inputs = {name: value for name, value in batch.items() if name != ABOUT}
    tiny.model.zero_grad(set_to_none=True)
    loss = tiny.model(**inputs, num_items_in_batch=items_in_batch).loss
    if loss.requires_grad:
        loss.backward()
    named = tiny.model.named_parameters()
    return loss.detach(), {name: one.grad.clone() for name, one in named if one.grad is not None}


def summed(tiny: Tiny, rows: Rows, *, packed: bool, at_once: int) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of all rows and its gradients, so many rows at once."""
    groups = [rows[index] for index in range(len(rows))]
    total, slopes = torch.zeros(()), dict[str, Tensor]()
    for first in range(0, len(groups), at_once):
        batch = tiny.collate(packed=packed)(groups[first : first + at_once])
        loss, found = slope(tiny, batch, learnt(groups))
        total += loss
        slopes = {name: slopes.get(name, 0) + one for name, one in found.items()}
    return total, slopes


@pytest.mark.parametrize("at_once", [1, 3])
def test_packed_rows_padded_rows_and_single_conversations_teach_the_same(tiny: Tiny, at_once: int) -> None:
    single, slopes = summed(tiny, tiny.rows(max_tokens=400, packed=False, multiple=1), packed=False, at_once=1)
    assert float(single) > 1
    assert len(slopes) == len(list(tiny.model.trained_parts().parameters()))
    assert all(bool(one.any()) for one in slopes.values())
    for packed, most in ((True, 120), (True, 300), (False, 200)):
        rows = tiny.rows(max_tokens=most, packed=packed, multiple=4)
        loss, found = summed(tiny, rows, packed=packed, at_once=at_once)
        torch.testing.assert_close(loss, single, atol=LOSS_TOLERANCE, rtol=0)
        for name, wanted in slopes.items():
            torch.testing.assert_close(found[name], wanted, atol=1e-5, rtol=1e-4)


def test_every_conversation_is_in_one_row_and_the_seed_decides_which(tiny: Tiny) -> None:
    for packed in (True, False):
        rows = tiny.rows(packed=packed)
        assert sorted(index for group in rows.groups for index in group) == list(range(len(tiny.prepared)))
        assert tiny.rows(packed=packed).groups == rows.groups
        assert tiny.rows(packed=packed, seed=2).groups != rows.groups
        lengths = tiny.prepared["length"][:]
        for group in rows.groups:
            size = sum(lengths[index] for index in group) if packed else len(group) * max(lengths[i] for i in group)
            assert size <= 120
        assert len(rows) < len(tiny.prepared)


@pytest.mark.parametrize("multiple", [1, 2, 5, 7, 64])
def test_the_last_step_has_as_many_rows_as_every_other(tiny: Tiny, multiple: int) -> None:
    plain, rows = tiny.rows(), tiny.rows(multiple=multiple)
    assert len(rows) % multiple == 0
    assert len(rows) - len(plain) < multiple
    full = [group for group in rows.groups if group]
    assert sorted(index for group in full for index in group) == list(range(len(tiny.prepared)))
    assert len(full) >= len(plain)
    assert rows.groups == [*full, *([[]] * (len(rows) - len(full)))]


def test_conversations_are_spread_over_the_rows_of_the_last_step(tiny: Tiny) -> None:
    multiple = len(tiny.rows()) + 1
    rows = tiny.rows(multiple=multiple)
    assert len(rows) == multiple
    assert all(rows.groups), "an empty row has others wait for nothing"


def test_a_row_gives_what_was_prepared(tiny: Tiny) -> None:
    rows = tiny.rows()
    for group, indices in ((rows[index], rows.groups[index]) for index in range(len(rows))):
        assert [one.index for one in group] == indices
        for one in group:
            row = tiny.prepared[one.index]
            assert list(one.prompt.input_ids) == row["input_ids"]
            assert list(one.prompt.labels) == row["labels"]
            assert len(one.item_features) == len(row["items"])
            assert all(window.dtype == torch.float16 for window in one.features)
            soft = [] if not one.features else tiny.model.soft_tokens(list(one.features))
            assert sum(map(len, soft)) == row["input_ids"].count(tiny.processor.audio_token_id)


def test_a_conversation_longer_than_a_row_is_an_error(tiny: Tiny) -> None:
    with pytest.raises(PromptError, match=r"has \d+ tokens, but at most 20 are taken together: raise max_tokens"):
        tiny.rows(max_tokens=20)


def test_an_encoding_that_is_gone_is_named(tiny: Tiny, tmp_path: Path) -> None:
    EncodingStore.make(tmp_path / "empty")
    encodings = Encodings(tmp_path / "empty", tiny.model.config, tiny.processor)
    rows = Rows(tiny.prepared, encodings, tiny.catalogue, max_tokens=400, packed=False, seed=1)
    with pytest.raises(EncodingError, match=r"songs\.jsonl line 1 needs the shard .*; start the training again"):
        rows.ready(0)


def about(ready: Sequence[Ready]) -> list[tuple[bool, bool]]:
    return [(bool(one.features), bool(one.item_features)) for one in ready]


def bare(ready: Sequence[Ready], *, packed: bool) -> dict[str, Any]:
    """A batch of one row to which nothing was added."""
    prompts = [one.prompt for one in ready]
    batch: dict[str, Any] = packing.packed([prompts], 0) if packed else packing.padded(prompts, 0)
    features = {
        "audio_features": [window for one in ready for window in one.features],
        "item_features": [rows for one in ready for rows in one.item_features],
    }
    return {**batch, **{name: given for name, given in features.items() if given}}


@pytest.mark.parametrize("packed", [True, False])
def test_a_batch_that_lacks_audio_or_items_gets_a_filler_that_changes_nothing(tiny: Tiny, packed: bool) -> None:
    rows = tiny.rows()
    ready = [rows.ready(index) for index in range(5)]
    assert about(ready) == [(True, False), (False, False), (True, False), (True, True), (False, True)]
    fill = filler(tiny.model, tiny.processor, items=True)
    trained = {name for name, one in tiny.model.named_parameters() if one.requires_grad}
    assert "item_adapter" in " ".join(trained)
    for group, lacks in (
        ([0, 2], True),
        ([1], True),
        ([4], True),
        ([3], False),
        ([0, 4], False),
        ([1, 0, 4, 2], False),
    ):
        chosen = [[ready[index] for index in group]]
        batch = tiny.collate(packed=packed)(chosen)
        tokens = sum(len(one.prompt.input_ids) for one in chosen[0])
        if packed:
            assert batch["input_ids"].shape[1] == tokens + (len(fill.prompt.input_ids) if lacks else 0)
        else:
            assert len(batch["input_ids"]) == len(group) + lacks
        loss, found = slope(tiny, batch, learnt(chosen))
        expected, slopes = slope(tiny, bare(chosen[0], packed=packed), learnt(chosen))
        torch.testing.assert_close(loss, expected, atol=1e-6, rtol=1e-6)
        assert set(found) == trained
        for name, one in found.items():
            wanted = slopes.get(name, torch.zeros_like(one))
            torch.testing.assert_close(one, wanted, atol=1e-5, rtol=1e-4)
            assert name in slopes or not one.any(), "a filler teaches nothing, to the bit"
        assert batch[ABOUT].conversations == tuple(group)
        assert batch[ABOUT].tokens == tokens
        assert batch[ABOUT].seconds == sum(one.seconds for one in chosen[0])


def test_empty_rows_hold_the_filler_and_teach_nothing(tiny: Tiny) -> None:
    rows = tiny.rows()
    collate = tiny.collate()
    loss, found = slope(tiny, collate([[], []]), 1)
    assert float(loss) == 0
    assert set(found) == {name for name, one in tiny.model.named_parameters() if one.requires_grad}
    assert not any(bool(one.any()) for one in found.values())
    assert collate([[], []])[ABOUT].conversations == ()
    group = [rows.ready(3), rows.ready(0)]
    expected, slopes = slope(tiny, collate([group]), learnt([group]))
    for groups in ([[], group], [group, []], [[], [], group]):
        loss, found = slope(tiny, collate(groups), learnt([group]))
        torch.testing.assert_close(loss, expected, atol=1e-6, rtol=1e-6)
        for name, wanted in slopes.items():
            torch.testing.assert_close(found[name], wanted, atol=1e-5, rtol=1e-4)


def test_a_filler_without_items_is_for_models_that_meet_none(tiny: Tiny) -> None:
    fill = filler(tiny.model, tiny.processor, items=False)
    assert (len(fill.features), fill.item_features) == (1, ())
    assert set(fill.prompt.labels) == {IGNORE_INDEX}
    rows = tiny.rows()
    batch = tiny.collate(items=False)([[rows.ready(1)]])
    assert "item_features" not in batch
    assert len(batch["audio_features"]) == 1
    whole = tiny.collate(items=False)([[rows.ready(0)]])
    assert whole["input_ids"].shape[1] == len(rows.ready(0).prompt.input_ids)
