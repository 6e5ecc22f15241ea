"""What is dropped leaves every label of a group equally common, and depends on the ids alone."""

from __future__ import annotations

import random
from collections import Counter

from mllm.instruct_data import balance
from mllm.instruct_data.records import Record, conversation


def rows(**counts: int) -> list[tuple[str, str, str]]:
    """Rows of one group a key: "piano_yes" is a row of group "piano" with label "yes"."""
    return [(f"{name}-{n}", *name.split("_")) for name, count in counts.items() for n in range(count)]


def test_labels_of_a_group_become_equally_common() -> None:
    given = rows(piano_yes=70, piano_no=30, flute_yes=5, flute_no=9)
    dropped = balance.surplus(given)
    left = Counter((group, label) for identity, group, label in given if identity not in dropped)
    assert left == {("piano", "yes"): 30, ("piano", "no"): 30, ("flute", "yes"): 5, ("flute", "no"): 5}


def test_three_labels_are_balanced_too() -> None:
    given = rows(place_0=7, place_1=4, place_2=12)
    dropped = balance.surplus(given)
    assert Counter(label for identity, _, label in given if identity not in dropped) == {"0": 4, "1": 4, "2": 4}


def test_a_group_with_one_label_is_dropped_whole() -> None:
    given = rows(piano_yes=3, flute_yes=2, flute_no=2)
    assert balance.surplus(given) == {"piano_yes-0", "piano_yes-1", "piano_yes-2"}


def test_the_order_of_rows_changes_nothing() -> None:
    given = rows(piano_yes=70, piano_no=30)
    shuffled = random.Random(0).sample(given, len(given))
    dropped = balance.surplus(given)
    assert balance.surplus(shuffled) == dropped
    assert sorted(dropped, key=lambda one: int(one.split("-")[1])) != [f"piano_yes-{n}" for n in range(30, 70)]


def test_nothing_to_balance_drops_nothing() -> None:
    assert balance.surplus([]) == set()


def record(**fields: object) -> Record:
    plain = {"id": "a-1", "task": "t", "template": "t/x", "source": "s", "licence": "CC0", "split": "train"}
    return Record(messages=conversation([], [("Q?", "A.")]), **(plain | fields))  # type: ignore[arg-type]


def test_rows_of_records() -> None:
    assert balance.row(record()) is None
    assert balance.row(record(label="yes")) == ("a-1", "train/t/x", "yes")
    row = balance.row(record(choices=("a", "b", "c"), correct=2, split="test"))
    assert row == ("a-1", "test/t/x/3 options", "2")
