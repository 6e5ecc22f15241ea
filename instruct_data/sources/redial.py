"""ReDial: 11,348 dialogues in which one person recommends films to another; for the manner of it, there is no music.

In: a folder with train_data.jsonl and test_data.jsonl. Out: a record a dialogue, the seeker as user and the recommender
as assistant, films by their names and without sound. What either says in several messages running is one turn; what the
recommender says before the seeker's first word and what the seeker says after the recommender's last is left out.

Fields as public readers have them: conversationId, messages (text, senderWorkerId), initiatorWorkerId (the seeker),
respondentWorkerId, movieMentions ({"111776": "Super Troopers (2001)"}, a list where there are none); "@111776" in a
text is such a film. respondentQuestions and initiatorQuestions (suggested, seen, liked of each
film) are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mllm.errors import ConfigError, MessageError, MllmError
from mllm.instruct_data.records import Record, conversation
from mllm.instruct_data.sources import _tables
from mllm.instruct_data.sources._files import About

ABOUT = About(
    title="ReDial",
    licence="CC-BY-4.0",
    citation="Li, Kahou, Schulz, Michalski, Charlin, Pal: Towards Deep Conversational Recommendations, NeurIPS 2018",
    where="unpack redial_dataset.zip from https://redialdata.github.io/website/",
    needs={"train_data.jsonl": "dialogues", "test_data.jsonl": "dialogues for testing"},
)
_SPLITS = {"train_data.jsonl": "train", "test_data.jsonl": "test"}
_FILM = re.compile(r"@(\d+)")


def records(folder: Path, *, seed: int = 0) -> Iterator[Record | MllmError]:
    """A record a dialogue; nothing is left to the seed."""
    del seed
    there = [name for name in _SPLITS if (folder / name).is_file()]
    if not there:
        place = folder / "train_data.jsonl"
        raise ConfigError(f"{ABOUT.title}: {place} ({ABOUT.needs[place.name]}) is missing; {ABOUT.where}")
    for name in there:

        def record(row: _tables.Row, split: str = _SPLITS[name]) -> Iterator[Record]:
            identity = row.text("conversationId")
            yield Record(
                id=f"redial/{identity}",
                messages=conversation([], _turns(row)),
                task="dialogue",
                template="free",
                source="redial",
                licence=ABOUT.licence,
                split=split,
            )

        yield from _tables.each(_tables.json_lines(folder / name), record)


def _turns(row: _tables.Row) -> list[tuple[str, str]]:
    """What the seeker says, each with the recommender's reply."""
    films = row.fields.get("movieMentions")
    seeker, recommender = row.text("initiatorWorkerId"), row.text("respondentWorkerId")
    turns: list[tuple[list[str], list[str]]] = []
    messages = row.fields.get("messages")
    if not isinstance(messages, list):
        raise MessageError("messages are missing; expected a list")
    for plain in messages:
        if not isinstance(plain, dict):
            raise MessageError(f"a message is a {type(plain).__name__}; expected an object")
        message = row.of(plain)
        if not message.has("text"):
            continue
        sender = message.text("senderWorkerId")
        if sender not in (seeker, recommender):
            raise MessageError(f"a message is from {sender}, who is neither of the two that talk")
        text = _named(message.text("text"), films if isinstance(films, dict) else {})
        if sender == seeker and (not turns or turns[-1][1]):
            turns.append(([text], []))
        elif turns:
            turns[-1][sender == recommender].append(text)
    whole = [("\n".join(said), "\n".join(replied)) for said, replied in turns if replied]
    if not whole:
        raise MessageError("the recommender answers nothing in it; it is of no use here")
    return whole


def _named(text: str, films: Mapping[str, object]) -> str:
    """A text with the names of films in the place of their numbers."""

    def name(found: re.Match[str]) -> str:
        film = films.get(found[1])
        if not isinstance(film, str) or not film.strip():
            raise MessageError(f"the film {found[0]} has no name in movieMentions")
        return " ".join(film.split())

    return _FILM.sub(name, text)
