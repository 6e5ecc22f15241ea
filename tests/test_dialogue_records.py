"""Tests of `augment.dialogue`: reasons and critiques are tags that the items have, and the end is a held-out item."""

from __future__ import annotations

import re

import pytest

from mllm.instruct_data.augment import _dialogue_wordings, dialogue
from mllm.instruct_data.interactions import Interactions
from mllm.instruct_data.phrases import Phrasings
from mllm.instruct_data.records import Record
from mllm.messages import Item, Message, Text, parse, to_json
from tests.labelled_tracks import check_wordings
from tests.small_catalogue import small_catalogue

ORDERED = small_catalogue(in_order_of_time=True)
UNORDERED = small_catalogue(in_order_of_time=False)
ALL = [
    (interactions, record)
    for interactions in (ORDERED, UNORDERED)
    for split in ("train", "validation", "test")
    for record in dialogue.records(interactions, seed=3, per_listener=3, split=split)
]


def text(message: Message) -> str:
    return "".join(part.text if isinstance(part, Text) else f"<{part.id}>" for part in message.parts)  # type: ignore[union-attr]


def named(interactions: Interactions, said: str) -> list[str]:
    """Ids of items in the order in which a text names or holds them, each once."""
    found = [f"i{name or part}" for name, part in re.findall(r"[Tt]he Group (\d+)|<i(\d+)>", said)]
    assert all(item in interactions.items for item in found)
    return list(dict.fromkeys(found))


def tagged(interactions: Interactions, item: str, tag: str) -> bool:
    return tag.lower() in interactions.items[item].tags


def listener(record: Record) -> str:
    return record.id.split("/")[2]


def test_there_are_many_of_both_kinds() -> None:
    assert len(ALL) > 500
    assert {record.template for _, record in ALL} == {"dialogue/more", "dialogue/less"}
    assert {record.split for _, record in ALL} == {"train", "validation", "test"}
    assert any(isinstance(part, Item) for _, record in ALL for part in record.messages[0].parts)
    assert any("<" not in text(record.messages[0]) for _, record in ALL)


def test_four_turns_about_one_listener() -> None:
    for interactions, record in ALL:
        assert [message.role for message in record.messages] == ["user", "assistant", "user", "assistant"]
        assert parse(to_json(record.messages)) == record.messages
        assert not any(isinstance(part, Item) for message in record.messages[1::2] for part in message.parts)
        history = interactions.histories[listener(record)]
        shown = named(interactions, text(record.messages[0]))
        assert len(shown) >= 2
        assert set(shown) <= set(history)
        first = [item for item in named(interactions, text(record.messages[1])) if item not in shown]
        assert len(first) == 1
        assert first[0] not in history
        (target, *others) = [item for item in named(interactions, text(record.messages[3])) if item not in shown]
        assert target in history
        assert not others


def test_what_is_next_comes_after_what_is_shown() -> None:
    checked = 0
    for interactions, record in ALL:
        if interactions.in_order_of_time:
            history = interactions.histories[listener(record)]
            shown = named(interactions, text(record.messages[0]))
            target = next(i for i in named(interactions, text(record.messages[3])) if i not in shown)
            place = history.index(target)
            assert tuple(shown) == history[place - len(shown) : place]
            checked += 1
    assert checked > 200


def test_every_reason_is_a_tag_of_both() -> None:
    for interactions, record in ALL:
        suggestion = text(record.messages[1])
        items = named(interactions, suggestion)
        assert len(items) == 2
        tags = re.findall(r'"([^"]+)"', suggestion)
        assert tags
        assert all(tagged(interactions, item, tag) for item in items for tag in tags)
        refined = text(record.messages[3])
        target = next(i for i in named(interactions, refined) if i not in named(interactions, text(record.messages[0])))
        for negation, tag in re.findall(r'is (not )?tagged "([^"]+)"', refined, re.IGNORECASE):
            assert tagged(interactions, target, tag) == (not negation), refined
        for tag, other in re.findall(r'shares "([^"]+)" with [Tt]he Group (\d+)', refined):
            assert tagged(interactions, target, tag)
            assert tagged(interactions, f"i{other}", tag)


def test_a_critique_asks_for_what_sets_the_two_apart() -> None:
    for interactions, record in ALL:
        shown = named(interactions, text(record.messages[0]))
        (first,) = (item for item in named(interactions, text(record.messages[1])) if item not in shown)
        wanted = re.findall(r'is (not )?tagged "([^"]+)"', text(record.messages[3]), re.IGNORECASE)
        assert wanted
        critique = text(record.messages[2]).lower()
        for negation, tag in wanted:
            assert tag in critique
            assert tagged(interactions, first, tag) == bool(negation)


def test_opinions_and_names_are_no_reasons() -> None:
    for _, record in ALL:
        said = " ".join(text(message) for message in record.messages).lower()
        assert not re.search(r"awesome|seen live|favorites|<3|first listen|2008|\"the group", said)


def test_a_listener_is_in_one_split_only() -> None:
    splits: dict[tuple[str, ...], set[str]] = {}
    for _, record in ALL:
        assert record.families == (f"hetrec/listener/{listener(record)}",)
        splits.setdefault(record.families, set()).add(record.split)
    assert all(len(one) == 1 for one in splits.values())
    again = dialogue.records(ORDERED, seed=99, split="test")
    assert {record.families for record in again} <= {families for families, one in splits.items() if one == {"test"}}


def test_the_same_seed_gives_the_same() -> None:
    first, second, other = (list(dialogue.records(ORDERED, seed=seed)) for seed in (1, 1, 2))
    assert first == second
    assert first != other
    assert len({record.id for record in first}) == len(first)


@pytest.mark.parametrize("phrasings", _dialogue_wordings.WORDINGS.values())
def test_wordings_are_many_and_kept_apart(phrasings: Phrasings) -> None:
    check_wordings(phrasings)
