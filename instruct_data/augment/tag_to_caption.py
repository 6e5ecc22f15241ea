"""Captions written from tags and facts: whole, in a sentence, freely retold, and what the known facts leave out.

In: tracks; a language model behind an address, or nothing. Out: records, or exchanges, whose answers say only what is
known of the track: a model's answer that names another instrument, number or key is refused, and the log says why.
Knows no sources.
"""

from __future__ import annotations

import collections
import dataclasses
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mllm.errors import MllmError
from mllm.instruct_data.augment import _captions, _known, _mentions
from mllm.instruct_data.augment._caption_wordings import ORDERS, REQUESTS
from mllm.instruct_data.endpoint import Chat, Endpoint
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.records import Record, conversation
from mllm.instruct_data.tracks import Track
from mllm.instruct_data.wordings import QUESTIONS

SUMMARY = "Captions from tags and facts: description, summary, retelling, and the attributes that are not told yet."
TRACKS = 1

KINDS = tuple(_captions.COMPOSERS)
_FEWEST_FACTS = 2
_LONGEST_CHARACTERS = 900


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Task:
    """A text to be written."""

    track: Track
    kind: str
    question: str
    facts: Mapping[str, str]
    """What the text may say."""
    told: Mapping[str, str]
    """What the reader knows already."""


def exchanges(tracks: Sequence[Track], draw: Draw) -> Iterator[Exchange]:
    """One exchange of each kind with a composed answer, where enough is known.

    Args:
        tracks: the one track.
        draw: chances and wordings.
    """
    (track,) = tracks
    for task in _tasks(track, draw.rng, held_out=draw.held_out):
        answer = _captions.COMPOSERS[task.kind](draw.rng, task.facts)
        yield Exchange(turns=((task.question, answer),), template=f"tag_to_caption/{task.kind}")


def records(tracks: Iterable[Track], *, seed: int, writer: Endpoint | None = None) -> Iterator[Record]:
    """One record of each kind for each track of which enough is known.

    Args:
        tracks: the recordings.
        seed: of wordings, and of texts where they are composed.
        writer: a language model that writes the texts; None: they are composed. What it writes is checked, and left out
            where it says something else of instruments, numbers or keys.
    """
    tasks = (
        (task, rng)
        for track in tracks
        for rng in [random.Random(f"{seed}/{track.id}")]
        for task in _tasks(track, rng, held_out=track.split == "test")
    )
    if writer is None:
        for task, rng in tasks:
            yield _record(task, _captions.COMPOSERS[task.kind](rng, task.facts))
        return
    waiting: collections.deque[tuple[_Task, Chat]] = collections.deque()

    def chats() -> Iterator[Chat]:
        for task, _ in tasks:
            waiting.append((task, _chat(task)))
            yield waiting[-1][1]

    for answer in writer.answers(chats()):
        task, chat = waiting.popleft()
        if isinstance(answer, MllmError):
            continue
        if problems := _problems(task, answer):
            writer.refuse(chat, "; ".join(problems))
        else:
            yield _record(task, answer)


def _tasks(track: Track, rng: random.Random, *, held_out: bool) -> Iterator[_Task]:
    known = _captions.facts(track)
    if len(known) < _FEWEST_FACTS:
        return
    for kind in KINDS:
        told: dict[str, str] = {}
        facts = dict(known)
        phrasings = QUESTIONS["caption"] if kind == "writing" else REQUESTS[kind]
        question = phrasings.choose(rng, held_out=held_out)
        if kind == "attributes":
            names = rng.sample(sorted(known), rng.randint(1, len(known) - 1))
            told = {name: known[name] for name in known if name in names}
            facts = {name: known[name] for name in known if name not in names}
            question = question.format(told=_known.bare([_within(name, told[name]) for name in told]))
        yield _Task(track=track, kind=kind, question=_known.sentence(question), facts=facts, told=told)


def _within(name: str, fact: str) -> str:
    """A fact as it stands after "it is" and in lists."""
    before = {"tempo": "at ", "meter": "in ", "key": "in ", "instruments": "played by ", "tags": "tagged "}.get(
        name, ""
    )
    return f"{before}{ {'with singing': 'sung', 'no singing': 'without singing'}.get(fact, fact) }"


def _chat(task: _Task) -> Chat:
    facts = "\n".join(f"- {name}: {fact}" for name, fact in task.facts.items())
    text = f"Facts:\n{facts}"
    if task.told:
        text = "Known already:\n" + "\n".join(f"- {name}: {fact}" for name, fact in task.told.items()) + f"\n{text}"
    return [{"role": "system", "content": ORDERS[task.kind]}, {"role": "user", "content": text}]


def _problems(task: _Task, answer: str) -> list[str]:
    """Why a model's text is not used."""
    source = ". ".join([*task.facts.values(), *task.told.values()])
    problems = _mentions.added(source, answer)
    if len(answer) > _LONGEST_CHARACTERS:
        problems.append(f"it has {len(answer)} characters, at most {_LONGEST_CHARACTERS} are wanted")
    return problems


def _record(task: _Task, answer: str) -> Record:
    track = task.track
    return Record(
        id=f"tag_to_caption/{track.id}/{task.kind}",
        messages=conversation([track], [(task.question, answer)]),
        task="tag_to_caption",
        template=f"tag_to_caption/{task.kind}",
        source=track.source,
        licence=track.licence,
        split=track.split,
        tracks=(track.id,),
        families=(track.family,),
    )
