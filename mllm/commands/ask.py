"""`mllm ask FILE... "question"`: a question about one recording, or about several together.

In: parsed options. Out: the answer on standard output as it comes, or a file of results. Knows how to ask, not how the
model hears.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from mllm import terminal
from mllm.answer import MAX_NEW_TOKENS
from mllm.commands import _batch, _shared
from mllm.errors import ConfigError, MessageError
from mllm.messages import Message, parse

SUMMARY = "answer a question about one or several recordings"
USAGE = 'FILE... "question" [options] | --batch IN.jsonl --out OUT.jsonl [options]'


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("words", nargs="*", metavar="FILE... QUESTION", help="recordings, and last the question")
    parser.add_argument("--catalog", metavar="DIR", help="catalogue whose items the messages of --batch may name")
    _shared.add_batch_arguments(parser, '{"id": ..., "messages": [...]}')
    _shared.add_model_arguments(parser, max_new_tokens=MAX_NEW_TOKENS)


def run(options: Namespace) -> int:
    """Answer."""
    if _shared.is_batch(options, words=options.words):
        return _batch.run(options, _conversation, _batch.spoken)
    if len(options.words) < 2:
        raise ConfigError(f'{len(options.words)} words were given; expected: mllm ask FILE... "question"')
    *files, question = options.words
    if not question.strip() or _is_file(question):
        raise ConfigError(f'the last word, {question!r}, is no question; expected: mllm ask FILE... "question"')
    listener = _shared.open_listener(options.model, catalogue=options.catalog, seed=options.seed)
    with terminal.progress("listening") as shown:
        write = _shared.streaming(shown)
        answer = listener.ask(files, question, stream=write, **_shared.speaking(options))
    print()
    _shared.warn_of_unheard(answer, " and ".join(files))
    return 0


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except OSError:  # a question may be longer than any file name
        return False


def _conversation(line: Mapping[str, Any]) -> tuple[Message, ...]:
    if "messages" not in line:
        raise MessageError('the key \'messages\' is missing; a line is {"id": ..., "messages": [...]}')
    return parse(line["messages"])
