"""Tests of `augment.item_tasks`: answers are names of the catalogue and tags that items have; choices are fair."""

from __future__ import annotations

import collections
import re

import pytest

from mllm.instruct_data.augment import _item_wordings, item_tasks
from mllm.instruct_data.interactions import Interactions
from mllm.instruct_data.phrases import Phrasings
from mllm.instruct_data.records import Record
from mllm.messages import Item, Text
from tests.labelled_tracks import check_wordings
from tests.small_catalogue import small_catalogue

ORDERED = small_catalogue(in_order_of_time=True)
UNORDERED = small_catalogue(in_order_of_time=False)
ALL = [
    (interactions, record)
    for interactions in (ORDERED, UNORDERED)
    for split in ("train", "validation", "test")
    for record in item_tasks.records(interactions, seed=3, per_listener=3, split=split)
]
NAMES = {item.name: item.id for item in ORDERED.items.values()}


def of(task: str) -> list[tuple[Interactions, Record, str]]:
    found = [(interactions, record, question(record)) for interactions, record in ALL if record.template.endswith(task)]
    assert len(found) > 50
    return found


def question(record: Record) -> str:
    parts = record.messages[0].parts
    return "".join(part.text if isinstance(part, Text) else f"<{part.id}>" for part in parts)  # type: ignore[union-attr]


def named(said: str) -> list[str]:
    found = [f"i{name or part}" for name, part in re.findall(r"[Tt]he Group (\d+)|<i(\d+)>", said)]
    return list(dict.fromkeys(found))


def listener(record: Record) -> str:
    return record.families[0].rpartition("/")[2]


def tags(item: str) -> set[str]:
    return set(ORDERED.items[item].tags)


def test_the_next_item_is_asked_for_only_in_order_of_time() -> None:
    for interactions, record, asked in of("/sequential"):
        assert interactions.in_order_of_time
        history = interactions.histories[listener(record)]
        place = history.index(NAMES[record.answer])
        shown = named(asked)
        assert tuple(shown) == history[place - len(shown) : place]


def test_a_recommendation_is_a_held_out_item() -> None:
    for interactions, record, asked in of("/straightforward"):
        history = interactions.histories[listener(record)]
        assert NAMES[record.answer] in set(history) - set(named(asked))
        assert set(named(asked)) <= set(history)


def test_a_choice_has_one_item_of_the_listener() -> None:
    places: collections.Counter[int] = collections.Counter()
    popular: collections.Counter[str] = collections.Counter()
    for interactions, record, asked in of("/choose"):
        history = interactions.histories[listener(record)]
        assert record.correct is not None
        assert [NAMES[name] in history for name in record.choices] == [i == record.correct for i in range(4)]
        assert record.answer == f"({'ABCD'[record.correct]}) {record.choices[record.correct]}"
        assert all(f"({letter}) {name}" in asked for letter, name in zip("ABCD", record.choices, strict=True))
        assert NAMES[record.choices[record.correct]] not in named(asked.split("(A)")[0])
        places[record.correct] += 1
        counted = collections.Counter(item for one in interactions.histories.values() for item in one)
        most = max(record.choices, key=lambda name: counted[NAMES[name]])
        popular["right" if most == record.choices[record.correct] else "wrong"] += 1
    assert all(0.2 < count / places.total() < 0.3 for count in places.values())
    assert 0.17 < popular["right"] / popular.total() < 0.33


def test_descriptions_and_comparisons_are_true() -> None:
    for _, record, asked in of("/description"):
        (item,) = named(asked)
        found = re.sub(r"^(Listeners tag it as|It is tagged as|Its tags are) |\.$", "", record.answer).lower()
        said = re.split(r", | and ", found)
        assert len(said) >= 2
        assert set(said) <= tags(item)
    both_seen = none_seen = 0
    for _, record, asked in of("/comparison"):
        first, second = (tags(item) for item in named(asked))
        for which, listed in re.findall(
            r'(Both are|Only the first is|Only the second is) tagged ((?:"[^"]+"(?:, | and )?)+)', record.answer
        ):
            for tag in re.findall(r'"([^"]+)"', listed):
                assert (tag in first) == (which != "Only the second is"), record.answer
                assert (tag in second) == (which != "Only the first is"), record.answer
            both_seen += which == "Both are"
        if "share no tag" in record.answer:
            assert not first & second
            none_seen += 1
    assert both_seen > 50
    assert none_seen > 5


def test_explanations_name_tags_that_both_have() -> None:
    targets = {
        (id(interactions), record.id.split("/", 2)[2]): NAMES[record.answer]
        for interactions, record in ALL
        if record.template.endswith(("/sequential", "/straightforward"))
    }
    for interactions, record, asked in of("/explanation"):
        target = targets[id(interactions), record.id.split("/", 2)[2]]
        assert target in named(asked)
        reasons = re.findall(r'((?:"[^"]+"(?: and )?)+) with The Group (\d+)', record.answer)
        assert reasons
        for listed, other in reasons:
            assert f"i{other}" in set(named(asked)) - {target}
            for tag in re.findall(r'"([^"]+)"', listed):
                assert tag in tags(target)
                assert tag in tags(f"i{other}")


def test_answers_hold_no_items_and_questions_hold_some() -> None:
    for _, record in ALL:
        assert not any(isinstance(part, Item) for part in record.messages[-1].parts)
    for task in ("/straightforward", "/description", "/comparison", "/explanation"):
        forms = {"<" in asked for _, _, asked in of(task)}
        assert forms == {True, False}


def test_splits_share_no_family_and_ids_are_unique() -> None:
    for interactions in (ORDERED, UNORDERED):
        splits: dict[str, set[str]] = {}
        ids = [record.id for one, record in ALL if one is interactions]
        assert len(set(ids)) == len(ids)
        for one, record in ALL:
            if one is interactions:
                for family in record.families:
                    splits.setdefault(family, set()).add(record.split)
        assert all(len(one) == 1 for one in splits.values())
        assert {split for one in splits.values() for split in one} == {"train", "validation", "test"}


def test_the_same_seed_gives_the_same() -> None:
    assert list(item_tasks.records(ORDERED, seed=1)) == list(item_tasks.records(ORDERED, seed=1))


@pytest.mark.parametrize("phrasings", _item_wordings.WORDINGS.values())
def test_wordings_are_many_and_kept_apart(phrasings: Phrasings) -> None:
    check_wordings(phrasings)
