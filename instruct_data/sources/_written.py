"""Records of what people, or the language models of others, wrote of recordings.

In: a track and a caption, tags, questions with answers, or a multiple choice. Out: `Record` objects. Captions and tags
are asked for in the wordings of `wordings`, those of the test split in the wordings that training never uses; what was
written stays as it is. Knows no data set.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from mllm.describe import CAPTION_QUESTION
from mllm.errors import MessageError
from mllm.instruct_data.records import Record, conversation
from mllm.instruct_data.tracks import Track
from mllm.instruct_data.wordings import QUESTIONS

PLAINLY_ASKED = 0.25
"""Share of the captions of training that are asked for as `mllm caption` does."""
_LETTERS = "ABCDEFGHIJ"


def caption(track: Track, text: str, name: str, *, seed: int) -> Record:
    """A caption.

    Args:
        track: what it is about.
        text: the caption.
        name: of the record, unique in its source.
        seed: chooses the wording of the question, together with the name.
    """
    rng = random.Random(f"{seed}/{track.source}/{name}")
    question = QUESTIONS["caption"].choose(rng, held_out=track.split == "test")
    if track.split != "test" and rng.random() < PLAINLY_ASKED:
        question = CAPTION_QUESTION
    return _record(track, name, [(question, text)], task="caption")


def tags(track: Track, words: Sequence[str], name: str, *, seed: int) -> Record:
    """Tags, joined by commas; arguments as in `caption`."""
    rng = random.Random(f"{seed}/{track.source}/{name}")
    question = QUESTIONS["tags"].choose(rng, held_out=track.split == "test")
    return _record(track, name, [(question, ", ".join(words))], task="caption", template="tags")


def questions(track: Track, turns: Sequence[tuple[str, str]], name: str) -> Record:
    """Questions with their answers, one conversation."""
    return _record(track, name, turns, task="question")


def multiple_choice(track: Track, question: str, options: Sequence[str], answer: str, name: str) -> Record:
    """A question with lettered options, in the order in which they are given.

    Args:
        track: what it is about.
        question: without the options.
        options: at most ten.
        answer: the true one, as it stands among them.
        name: of the record, unique in its source.
    """
    if not 2 <= len(options) <= len(_LETTERS):
        raise MessageError(f"{len(options)} options, expected 2 to {len(_LETTERS)}")
    if list(options).count(answer) != 1:
        count = list(options).count(answer)
        raise MessageError(f"the answer {answer!r} stands {count} times among the options, expected once")
    lettered = [f"{letter}) {option}" for letter, option in zip(_LETTERS, options, strict=False)]
    correct = list(options).index(answer)
    asked = "\n".join([question, *lettered])
    more = {"choices": tuple(options), "correct": correct}
    return _record(track, name, [(asked, lettered[correct])], task="question", more=more)


def _record(
    track: Track,
    name: str,
    turns: Sequence[tuple[str, str]],
    *,
    task: str,
    template: str = "free",
    more: Mapping[str, Any] | None = None,
) -> Record:
    return Record(
        id=f"{track.source}/{name}",
        messages=conversation([track], turns),
        task=task,
        template=template,
        source=track.source,
        licence=track.licence,
        split=track.split,
        tracks=(track.id,),
        families=(track.family,),
        **(more or {}),
    )
