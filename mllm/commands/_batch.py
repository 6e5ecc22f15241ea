"""Running a command over a file of lines: one JSON object a line in, one a line out, in the same order.

In: the path of the input, how a line becomes a conversation and an answer a result. Out: the file of results, which
appears whole or not at all, and the exit status. A line that fails carries its error and the rest goes on. Paths in
the lines are relative to the directory of the input file. Knows no command in particular.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from jsonargparse import Namespace

from mllm import terminal
from mllm.commands import _shared
from mllm.errors import ConfigError, MessageError, MllmError
from mllm.messages import Audio, Message, Part, parse

if TYPE_CHECKING:
    from mllm.answer import Answer

STANDARD_STREAM = "-"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Line:
    """A line of the input: what it asks, or what is wrong with it."""

    id: object
    conversation: tuple[Message, ...] | None = None
    error: str = ""


def run(
    options: Namespace,
    conversation: Callable[[Mapping[str, Any]], tuple[Message, ...]],
    result: Callable[[Answer], dict[str, object]],
) -> int:
    """Answer every line of `options.batch` into `options.out`.

    Args:
        options: of the command, with those of `_shared.add_batch_arguments` and `add_model_arguments`.
        conversation: the object of a line -> what is asked; raises MllmError.
        result: an answer -> what is written beside the id.

    Returns:
        0, or 1 if a line failed.

    Raises:
        ConfigError: input or output cannot be opened.
        CheckpointError: the model cannot be opened.
    """
    base = Path() if options.batch == STANDARD_STREAM else Path(options.batch).parent
    failed = total = 0
    with _source(options.batch) as source, _target(options.out, options.batch) as target:
        listener = _shared.open_listener(options.model, catalogue=options.get("catalog"), seed=options.seed)
        pending: list[_Line] = []

        def conversations() -> Iterator[tuple[Message, ...]]:
            for number, text in enumerate(source, start=1):
                if not text.strip():
                    continue
                line = _read_line(text, number, base, conversation)
                pending.append(line)
                if line.conversation is not None:
                    yield line.conversation

        def write(line: _Line, plain: Mapping[str, object]) -> None:
            nonlocal failed, total
            total += 1
            failed += "error" in plain
            target.write(json.dumps({"id": line.id, **plain}, ensure_ascii=False) + "\n")
            target.flush()

        def write_unasked() -> None:
            while pending and pending[0].conversation is None:
                line = pending.pop(0)
                write(line, {"error": line.error})

        with terminal.progress(f"answering {options.batch}") as shown:
            for answer in listener.respond_each(conversations(), **_shared.speaking(options)):
                write_unasked()
                plain = {"error": str(answer)} if isinstance(answer, MllmError) else result(answer)
                write(pending.pop(0), plain)
                shown.tell(f"answering {options.batch}: {total} lines")
            write_unasked()
    if failed:
        terminal.say(
            f"{failed} of {total} lines of {options.batch} failed; the error stands in their place in the output"
        )
    return 1 if failed else 0


def recording_of(line: Mapping[str, Any], text: str) -> tuple[Message, ...]:
    """A conversation that says `text` about the recording of a line `{"id", "path"}` (also `start`, `end`, in seconds).

    Raises:
        MessageError: the line names no path, or bad bounds.
    """
    if "path" not in line:
        raise MessageError('the key \'path\' is missing; a line is {"id": ..., "path": ...}')
    part = {"type": "audio", **{key: line[key] for key in ("path", "start", "end") if line.get(key) is not None}}
    return parse([{"role": "user", "content": [part, {"type": "text", "text": text}]}])


def _read_line(
    text: str, number: int, base: Path, conversation: Callable[[Mapping[str, Any]], tuple[Message, ...]]
) -> _Line:
    given: object = None
    try:
        try:
            plain = json.loads(text)
        except ValueError as error:
            raise MessageError(f"line {number} is not JSON ({error}); expected one object a line") from error
        if not isinstance(plain, dict):
            raise MessageError(f"line {number} holds a {type(plain).__name__}; expected one JSON object a line")
        given = plain.get("id")
        if isinstance(given, bool) or not isinstance(given, str | int | float):
            raise MessageError(f"line {number} has no id; expected a text or a number under 'id'")
        return _Line(id=given, conversation=_from(base, conversation(plain)))
    except MllmError as error:
        return _Line(id=given, error=str(error))


def _from(base: Path, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The same messages with relative paths that begin at `base`."""

    def placed(part: Part) -> Part:
        if isinstance(part, Audio) and isinstance(part.source, Path):
            return dataclasses.replace(part, source=base / part.source)
        return part

    return tuple(dataclasses.replace(message, parts=tuple(map(placed, message.parts))) for message in messages)


@contextlib.contextmanager
def _source(name: str) -> Iterator[IO[str]]:
    if name == STANDARD_STREAM:
        yield sys.stdin
        return
    path = Path(name)
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        raise ConfigError(f"the batch file {path} {what}; expected a file with one JSON object a line")
    try:
        file = path.open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"the batch file {path} cannot be read: {error.strerror}") from error
    with file:
        yield file


@contextlib.contextmanager
def _target(name: str, source: str) -> Iterator[IO[str]]:
    """A file that is written beside its place and moved there once everything is in it."""
    if name == STANDARD_STREAM:
        yield sys.stdout
        return
    path = Path(name)
    if path.is_dir():
        raise ConfigError(f"--out {path} is a directory; give the path of a file")
    if path.exists() and source != STANDARD_STREAM and path.samefile(source):
        raise ConfigError(f"--out {path} is the batch file itself; give another path")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        file = beside.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"--out {path} cannot be written: {error.strerror}; give a path in a folder of yours"
        ) from error
    try:
        with file:
            yield file
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def spoken(answer: Answer) -> dict[str, object]:
    """The result of a line that asks for text."""
    return {
        "text": answer.text,
        "seconds_heard": round(answer.seconds_heard, 3),
        "confidence": round(answer.confidence, 4),
    }
