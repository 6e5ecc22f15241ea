"""Prepared conversations: ids, labels and encodings as the model takes them, and which conversations are refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from mllm import checkpoint, contract
from mllm.errors import ConfigError, MessageError, MllmError
from mllm.items import Catalogue
from mllm.messages import parse
from mllm.processing import MusicLLMProcessor
from mllm.prompt import IGNORE_INDEX
from mllm.train import encode
from mllm.train.conversations import Conversation
from mllm.train.encodings import Encodings
from mllm.train.prepared import MOST_TOLD, Limits, Summary, open_prepared, prepare, read_summary
from tests.tiny_checkpoint import item, user, write_catalogue, write_checkpoint, write_music

FREE = Limits(max_tokens=None, leave_out_bad=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tiny:
    """A checkpoint whose recordings are encoded."""

    encodings: Encodings
    processor: MusicLLMProcessor
    music: Path
    catalogue: Catalogue


@pytest.fixture(scope="module", params=[False, True], ids=["audio", "items"])
def takes_items(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def tiny(
    takes_items: bool, tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast
) -> Tiny:
    directory = tmp_path_factory.mktemp("tiny")
    model = write_checkpoint(directory / "model", reference_tokenizer, takes_items=takes_items)
    music, store = write_music(directory / "music"), directory / "store"
    mentions = said("a", song(music, "one"), song(music, "long"), song(music, "long", start=1.0, end=3.0)).mentions
    outcomes: list[encode.Outcome] = []
    encode.encode(mentions, encode.EncodeConfig(model=str(model), store=store), encode.in_this_process, outcomes.append)
    assert not any(outcome.error for outcome in outcomes)
    config = contract.read_config(model)
    processor = checkpoint.open_processor(model, config)
    return Tiny(
        encodings=Encodings(store, config, processor),
        processor=processor,
        music=music,
        catalogue=Catalogue.open(write_catalogue(directory / "catalogue")),
    )


def song(music: Path, name: str, **bounds: float) -> dict[str, Any]:
    return {"type": "audio", "path": str(music / f"{name}.wav"), **bounds}


def said(place: str, *content: Any, answer: str = "It is in D minor.") -> Conversation:
    messages = parse([*user(*content), {"role": "assistant", "content": answer}])
    return Conversation(messages=messages, place=place)


def prepared(
    tiny: Tiny, found: Sequence[Conversation | MllmError], directory: Path, limits: Limits = FREE
) -> tuple[Summary, list[Any]]:
    summary = prepare(found, tiny.encodings, tiny.processor, limits, directory)
    return summary, list(open_prepared(directory))


def test_rows_are_what_the_processor_makes_of_the_recordings_themselves(tiny: Tiny, tmp_path: Path) -> None:
    found = [
        said("one", song(tiny.music, "one"), "What?", song(tiny.music, "long"), answer="The piano."),
        said("two", "Why?"),
        said("three", song(tiny.music, "long", start=1.0, end=3.0), "And this?", song(tiny.music, "long")),
    ]
    summary, rows = prepared(tiny, found, tmp_path / "made")
    for one, row in zip(found, rows, strict=True):
        heard = tiny.processor(one.messages, add_generation_prompt=False, return_labels=True)
        assert row["place"] == one.place
        assert row["input_ids"] == heard["input_ids"][0].tolist()
        assert row["labels"] == heard["labels"][0].tolist()
        assert row["length"] == len(row["input_ids"])
        assert row["seconds"] == sum(recording.seconds_heard for recording in heard.heard[0])
        assert row["shards"] == list(tiny.encodings.keys(one.messages))
    assert summary == read_summary(tmp_path / "made")
    assert (summary.conversations, summary.recordings, summary.left_out) == (3, 3, 0)
    assert summary.tokens == sum(len(row["input_ids"]) for row in rows)
    assert summary.longest == max(len(row["input_ids"]) for row in rows)
    assert summary.learnt_tokens == sum(label != IGNORE_INDEX for row in rows for label in row["labels"])
    assert summary.seconds == (2.0 + 15.0) + (2.0 + 15.0)


def test_the_hash_is_of_what_is_learnt_from(tiny: Tiny, tmp_path: Path) -> None:
    one, two = said("a", song(tiny.music, "one"), "What?"), said("b", "Why?")
    first, _ = prepared(tiny, [one, two], tmp_path / "made")
    moved, _ = prepared(tiny, [dataclasses.replace(one, place="elsewhere"), two], tmp_path / "made")
    assert moved == first
    others = [
        [two, one],
        [one],
        [said("a", song(tiny.music, "one"), "What?", answer="It is in A minor."), two],
        [said("a", song(tiny.music, "long"), "What?"), two],
    ]
    hashes = {prepared(tiny, found, tmp_path / "made")[0].sha256 for found in others}
    assert len({*hashes, first.sha256}) == 5


def test_conversations_that_cannot_be_used_are_named_and_nothing_is_written(tiny: Tiny, tmp_path: Path) -> None:
    bad: list[Conversation | MllmError] = [
        said("good", "Why?"),
        MessageError("songs.jsonl line 2: not JSON"),
        said("songs.jsonl line 3", song(tiny.music, "two"), "What?"),
        said("songs.jsonl line 4", song(tiny.music, "absent"), "What?"),
        said("songs.jsonl line 6", *["What is the key of this piece?"] * 40),
        Conversation(messages=parse(user("Why?")), place="songs.jsonl line 7"),
    ]
    with pytest.raises(ConfigError) as error:
        prepared(tiny, bad, tmp_path / "made", Limits(max_tokens=100, leave_out_bad=False))
    sentence = str(error.value)
    for mistake in (
        "5 conversations cannot be used: songs.jsonl line 2: not JSON; songs.jsonl line 3: ",
        "songs.jsonl line 4: ",
        "tokens, but a row takes 100; raise data.max_tokens, or shorten it",
        "songs.jsonl line 7: nothing is learnt from it; expected an answer of the assistant",
        "mend or remove them, or set data.leave_out_bad=true",
    ):
        assert mistake in sentence
    assert not list(tmp_path.iterdir())
    summary, rows = prepared(tiny, bad, tmp_path / "made", Limits(max_tokens=100, leave_out_bad=True))
    assert (summary.conversations, summary.left_out, [row["place"] for row in rows]) == (1, 5, ["good"])


def test_a_row_of_exactly_the_most_tokens_is_taken(tiny: Tiny, tmp_path: Path) -> None:
    found = [said("a", song(tiny.music, "one"), "What?")]
    longest = prepared(tiny, found, tmp_path / "made")[0].longest
    assert (
        prepared(tiny, found, tmp_path / "made", Limits(max_tokens=longest, leave_out_bad=False))[0].tokens == longest
    )
    with pytest.raises(ConfigError, match=f"it has {longest} tokens, but a row takes {longest - 1}"):
        prepared(tiny, found, tmp_path / "made", Limits(max_tokens=longest - 1, leave_out_bad=False))


def test_not_all_of_many_mistakes_are_told(tiny: Tiny, tmp_path: Path) -> None:
    bad = [MessageError(f"line {number}: bad") for number in range(MOST_TOLD + 3)]
    with pytest.raises(ConfigError, match=f"line {MOST_TOLD - 1}: bad; and 3 more; mend or remove them"):
        prepared(tiny, bad, tmp_path / "made")
    with pytest.raises(ConfigError, match=r"no conversation can be used; 1 conversation cannot be used: line 0: bad$"):
        prepared(tiny, bad[:1], tmp_path / "made", Limits(max_tokens=None, leave_out_bad=True))
    with pytest.raises(ConfigError, match="no conversation can be used; the data is empty"):
        prepared(tiny, [], tmp_path / "made")


def test_items_must_be_in_a_catalogue_of_a_model_that_takes_them(tiny: Tiny, takes_items: bool, tmp_path: Path) -> None:
    """Otherwise the training would end when it comes to them."""
    known, unknown = said("a", item(3), "and", item(1), "Why?"), said("b", {"type": "item", "item": "song-33"}, "Why?")
    with_catalogue = dataclasses.replace(FREE, catalogue=tiny.catalogue)
    if not takes_items:
        with pytest.raises(ConfigError, match="a: it names catalogue items, which this model cannot take"):
            prepared(tiny, [known], tmp_path / "made", with_catalogue)
        return
    _, (row,) = prepared(tiny, [known], tmp_path / "made", with_catalogue)
    assert row["items"] == ["song-3", "song-1"]
    assert row["input_ids"].count(tiny.processor.item_token_id) == 2 * tiny.processor.num_item_tokens()
    with pytest.raises(ConfigError, match="a: it names catalogue items, but no catalogue was given; give data"):
        prepared(tiny, [known], tmp_path / "made")
    with pytest.raises(ConfigError, match=r"b: there is no item 'song-33' .*did you mean 'song-3'"):
        prepared(tiny, [known, unknown], tmp_path / "made", with_catalogue)
