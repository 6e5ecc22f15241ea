"""Conversations of the user's own: lines of JSONL with messages, and possibly id, licence and split.

In: tables that were opened, and the recordings of their folder. Out: records, and an error for each line that cannot be
one. Recordings are given by their paths in the folder. Reads no other keys.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mllm import messages
from mllm.errors import MessageError, MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _own_columns, _sheets
from mllm.instruct_data.sources._own_files import OwnRecordings
from mllm.messages import Audio, Message

VALIDATION = "validation*"
"""Names of files that are kept for validation, as `mllm train` does."""


def records(
    tables: Sequence[_sheets.Table], recordings: OwnRecordings, *, licence: str | None
) -> Iterator[Record | MllmError]:
    """A record of each line.

    Args:
        tables: files of conversations.
        recordings: those of their folder.
        licence: of all for which a line says no other.
    """
    ids: dict[str, str] = {}
    for table in tables:
        yield from table.remarks()
        kept = "validation" if fnmatch.fnmatch(table.path.name, VALIDATION) else "train"
        for row in table.rows():
            if isinstance(row, MllmError):
                yield row
                continue
            try:
                record = _record(row, f"{table.path.name}:{row.number}", recordings, licence=licence, split=kept)
                if ids.setdefault(record.id, row.place) != row.place:
                    raise MessageError(f"its id {record.id!r} is that of {ids[record.id]} too; give each its own")
            except MllmError as error:
                yield type(error)(f"{row.place}: {error}")
                continue
            yield record


def _record(row: _sheets.Row, name: str, recordings: OwnRecordings, *, licence: str | None, split: str) -> Record:
    plain = row.fields
    if "messages" not in plain:
        raise MessageError("the key 'messages' is missing; a line is {\"messages\": [...]}")
    heard: list[str] = []
    spoken = tuple(
        _placed(one, recordings, heard) for one in messages.parse(plain["messages"], tools=plain.get("tools"))
    )
    if spoken[-1].role != "assistant":
        raise MessageError(f"the last message is the {spoken[-1].role}'s; expected the assistant's, which is learnt")
    allowed = _text(plain, "licence") or _text(plain, "license") or licence
    if allowed is None:
        raise MessageError(
            'nobody says under which licence this is; add "licence" to the line, or give one for all with '
            "licence: CC-BY-4.0 in the configuration (--licence with --folder)"
        )
    return Record(
        id=f"folder/{_text(plain, 'id') or name}",
        messages=spoken,
        task="question",
        template="free",
        source="folder",
        licence=allowed,
        split=_own_columns.split(plain["split"]) if _text(plain, "split") else split,
        tracks=tuple(heard),
        families=tuple(f"folder/{one.removeprefix('folder/').partition('#')[0]}" for one in heard),
    )


def _placed(message: Message, recordings: OwnRecordings, heard: list[str]) -> Message:
    """The message with paths from the folder on; the ids of its recordings are added to `heard`."""
    return dataclasses.replace(message, parts=tuple(_part(part, recordings, heard) for part in message.parts))


def _part(part: Any, recordings: OwnRecordings, heard: list[str]) -> Any:
    if not isinstance(part, Audio):
        return part
    if isinstance(part.source, bytes):
        raise MessageError("a recording stands in the line itself; put it into the folder and give its path")
    path = recordings.named(str(part.source)).path
    whole = part.start is None and part.end is None
    bounds = f"#{part.start or 0:g}-{'' if part.end is None else f'{part.end:g}'}"
    heard.append(f"folder/{path}{'' if whole else bounds}")
    return dataclasses.replace(part, source=Path(path))


def _text(plain: Mapping[str, Any], name: str) -> str | None:
    value = plain.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise MessageError(f"{name} is {value!r}; expected a text")
    return value.strip() or None
