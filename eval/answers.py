"""Every answer of a run, a line of JSON each: what was asked, of whom, under which condition, and what came.

In: questions and answers as they come. Out: `answers.jsonl`, to which lines are added, so that a run that was ended
goes on where it was; a line that was torn is asked again, and so is one that holds an error. Scores nothing.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from mllm.errors import ConfigError
from mllm.eval.questions import Question, Said, asked
from mllm.messages import Audio

Key: TypeAlias = tuple[str, str, str, str, str]
"""Task with its version, model, condition, id and digest of the question as it was asked."""


class Answers:
    """The answers in a file, read when it is opened; those that come are added at once.

    Args:
        path: of `answers.jsonl`; made with the first answer.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[Key, Said] = {}
        whole = b""
        if path.is_file():
            for line in path.read_bytes().splitlines(keepends=True):
                found = _read(line)
                if found is not None:
                    whole += line
                    key, said = found
                    if said.error is None:
                        self._known[key] = said
            if whole != path.read_bytes():
                _replace(path, whole)

    def known(self, key: Key) -> Said | None:
        """The answer that was given before."""
        return self._known.get(key)

    def add(self, key: Key, said: Said) -> None:
        """Keep an answer, on the disk too."""
        self._known[key] = said
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(_line({**_named(key), **_plain(said)}))

    def finish(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Replace the file by whole lines, see `line`."""
        _replace(self._path, b"".join(_line(line) for line in lines))


def key(task: str, model: str, condition: str, question: Question) -> Key:
    """Under which an answer is kept; `task` with its version, `question` as it was asked."""
    return task, model, condition, question.id, question.digest()


def line(key: Key, question: Question, said: Said, credit: float | None, *, read: str | None = None) -> dict[str, Any]:
    """All that is known of an answer, for reports, comparisons and people.

    Args:
        key: under which it is kept.
        question: as it was asked with the recording itself.
        said: the answer.
        credit: how right it is, in [0, 1]; None: not judged alone.
        read: what was understood of it, where few answers are possible; None: nothing.
    """
    told = {
        "question": question.asked,
        "kind": question.kind,
        "references": list(question.references),
        "choices": list(question.choices),
        "correct": question.correct,
        "unit": question.unit,
        "template": question.template,
        "label": question.label,
        "read": read,
        "field": question.field,
        "given": dict(question.given),
        "groups": dict(question.groups),
        "recordings": [
            {"path": str(one.source), "start": one.start, "end": one.end}
            for one in question.recordings
            if not isinstance(one.source, bytes)
        ],
    }
    kept = {name: value for name, value in told.items() if value not in (None, [], {})}
    return {**_named(key), **_plain(said), "credit": credit, "truth": question.truth, **kept}


def question_of(plain: Mapping[str, Any]) -> Question:
    """The question of a line, with all that a task needs to score its answer; of a conversation only the last turn.

    Raises:
        ConfigError: the line lacks a part of it.
    """
    try:
        recordings = [
            Audio(source=Path(one["path"]), start=one["start"], end=one["end"]) for one in plain.get("recordings", ())
        ]
        return Question(
            id=plain["id"],
            messages=asked(plain["question"], recordings),
            kind=plain["kind"],
            truth=plain["truth"],
            references=tuple(plain.get("references", ())),
            unit=plain["unit"],
            template=plain["template"],
            label=plain.get("label"),
            choices=tuple(plain.get("choices", ())),
            correct=plain.get("correct"),
            field=plain.get("field"),
            given=plain.get("given", {}),
            groups=plain.get("groups", {}),
        )
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"the answer to {plain.get('id')!r} does not tell its question whole ({error}); run mllm eval run again"
        ) from error


def said_of(plain: Mapping[str, Any]) -> Said:
    """The answer of a line of `read_lines`."""
    fields = {field.name: plain.get(field.name, field.default) for field in dataclasses.fields(Said)}
    for name in ("likelihoods", "ranking"):
        fields[name] = None if fields[name] is None else tuple(fields[name])
    return Said(**fields)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a finished run's answers.

    Raises:
        ConfigError: the file is not there, or a line is no answer.
    """
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, start=1):
                if _read(text) is None:
                    raise ConfigError(f"{path}, line {number} is no answer of an evaluation; run it again")
                yield json.loads(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); give the folder of a finished run") from error


_FIELDS = ("task", "model", "condition", "id", "digest")


def _named(key: Sequence[str]) -> dict[str, str]:
    return dict(zip(_FIELDS, key, strict=True))


def _plain(said: Said) -> dict[str, Any]:
    found = {name: value for name, value in dataclasses.asdict(said).items() if value is not None}
    return {"text": said.text, **found}


def _read(text: bytes) -> tuple[Key, Said] | None:
    try:
        plain = json.loads(text)
        task, model, condition, identity, digest = (str(plain[name]) for name in _FIELDS)
        said = said_of(plain)
    except (ValueError, KeyError, TypeError):
        return None
    return ((task, model, condition, identity, digest), said) if text.endswith(b"\n") else None


def _line(plain: Mapping[str, Any]) -> bytes:
    return (json.dumps(dict(plain), ensure_ascii=False) + "\n").encode("utf-8", errors="surrogatepass")


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(f"{path.name}.half")
    beside.write_bytes(content)
    beside.replace(path)
