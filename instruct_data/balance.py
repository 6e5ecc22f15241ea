"""Which questions must go so that nobody who does not listen can gain by knowing which answer is common.

In: rows of id, group and label. Out: the ids to drop. Knows no records but by `row`, which says what the group and the
label of a record are.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from mllm.instruct_data.records import Record


def surplus(rows: Iterable[tuple[str, str, str]]) -> set[str]:
    """The ids to drop so that within each group all labels are equally common.

    Which of the ids of a label stay depends on the ids alone, not on their order. A group all of whose rows have the
    same label is dropped whole: whoever knows the group knows the answer.

    Args:
        rows: id, group and label of each question; groups are what a blind answerer knows, labels what he would say.
    """
    groups: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for identity, group, label in rows:
        groups[group][label].append(identity)
    dropped: set[str] = set()
    for labels in groups.values():
        kept = min(map(len, labels.values())) if len(labels) > 1 else 0
        for ids in labels.values():
            dropped.update(sorted(ids, key=_order)[kept:])
    return dropped


def row(record: Record) -> tuple[str, str, str] | None:
    """The row of a record for `surplus`; None where there is nothing to balance.

    Questions with a label are balanced within their template, multiple choices by the position of the right option
    among those of as many options; each split by itself.
    """
    if record.choices:
        return record.id, f"{record.split}/{record.template}/{len(record.choices)} options", str(record.correct)
    if record.label is not None:
        return record.id, f"{record.split}/{record.template}", record.label
    return None


def _order(identity: str) -> str:
    """A random but fixed order."""
    return hashlib.sha256(identity.encode()).hexdigest()
