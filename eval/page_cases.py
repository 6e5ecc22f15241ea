"""The answers of a run for its page: gathered by question and model, the worst first.

In: the lines of `answers.jsonl`. Out: cases, each with what was said under every condition and what blind answerers
said, as JSON for the script of the page. Texts of strangers are cut here and stay texts.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mllm.eval import conditions, results
from mllm.eval.page_clips import Clip, Stretch, stretches

MOST_CASES = 300
"""Of each task and model."""
LONGEST_TEXT = 1_500
_RANKED = 10
_TOLD = ("question", "truth", "references", "choices", "correct", "label", "groups", "unit")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What was said to one question under one condition."""

    text: str
    credit: float | None
    confidence: float | None
    read: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """A question as it is shown."""

    task: str
    id: str
    label: str | None
    shown: Mapping[str, Any]
    heard: tuple[Stretch, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A question and what a model said."""

    asked: Asked
    model: str
    answers: Mapping[str, Answer]
    """By condition."""

    @property
    def heard(self) -> Answer:
        """The answer that counts."""
        return self.answers[conditions.HEARD]


@dataclasses.dataclass
class Gathered:
    """All answers of a run."""

    cases: list[Case]
    """In the order in which they stand in the file."""
    blind: dict[tuple[str, str], dict[str, Answer]]
    """By task and question: what each blind answerer said."""

    def of(self, task: str, model: str) -> list[Case]:
        """The cases of a task and a model."""
        return [case for case in self.cases if case.asked.task == task and case.model == model]


def gather(lines: Iterable[Mapping[str, Any]]) -> Gathered:
    """Read all answers."""
    asked: dict[tuple[str, str], Asked] = {}
    said: dict[tuple[str, str, str], dict[str, Answer]] = {}
    blind: dict[tuple[str, str], dict[str, Answer]] = {}
    for line in lines:
        task = str(line["task"]).rpartition(" ")[0]
        place = task, str(line["id"])
        if line["model"] == results.BLIND_ANSWERER and line["condition"] not in conditions.CONDITIONS:
            blind.setdefault(place, {})[line["condition"]] = _answer(line)
            continue
        asked.setdefault(place, _asked(task, line))
        said.setdefault((*place, line["model"]), {})[line["condition"]] = _answer(line)
    cases = [
        Case(asked=asked[task, identity], model=model, answers=answers)
        for (task, identity, model), answers in said.items()
        if conditions.HEARD in answers
    ]
    return Gathered(cases=cases, blind=blind)


def worst(cases: Sequence[Case]) -> list[Case]:
    """The wrong ones first, of equally wrong ones the most confident; those that cannot be judged alone last."""
    return sorted(
        cases,
        key=lambda case: (case.heard.credit is None, case.heard.credit or 0.0, -(case.heard.confidence or 0.0)),
    )


def shown(gathered: Gathered) -> list[Case]:
    """The cases on a page: of each task and model the worst, in an order in which tasks take turns."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in gathered.cases:
        groups.setdefault((case.asked.task, case.model), []).append(case)
    return list(_in_turns([worst(group)[:MOST_CASES] for group in groups.values()]))


def _in_turns(groups: Sequence[Sequence[Case]]) -> Iterator[Case]:
    for place in range(max(map(len, groups), default=0)):
        for group in groups:
            if place < len(group):
                yield group[place]


def as_json(gathered: Gathered, cases: Sequence[Case], clips: Mapping[Stretch, Clip]) -> dict[str, Any]:
    """Everything that the script of the page shows; cases and clips are named by their places in lists."""
    places = {stretch: place for place, stretch in enumerate(clips)}
    questions: dict[tuple[str, str], int] = {}
    spoken: list[dict[str, Any]] = []
    told = []
    for case in worst(cases):
        key = case.asked.task, case.asked.id
        if key not in questions:
            questions[key] = len(spoken)
            blind = {name: _short(answer) for name, answer in gathered.blind.get(key, {}).items()}
            sounds = [{"path": one.told(), "clip": places.get(one)} for one in case.asked.heard]
            spoken.append({**case.asked.shown, "task": key[0], "id": key[1], "sounds": sounds, "blind": blind})
        answers = {condition: _short(answer) for condition, answer in case.answers.items()}
        told.append({"question": questions[key], "model": case.model, "answers": answers})
    return {
        "questions": spoken,
        "cases": told,
        "clips": [{"address": clip.address, "note": clip.note} for clip in clips.values()],
        "conditions": dict(conditions.CONDITIONS),
    }


def cut(text: str, most: int = LONGEST_TEXT) -> str:
    """A text of bearable length, with how long it was."""
    if len(text) <= most:
        return text
    return f"{text[:most]} … (cut: {len(text):,} characters, of which the first {most:,} are shown)"


def _asked(task: str, line: Mapping[str, Any]) -> Asked:
    told = {name: _plain(line[name]) for name in _TOLD if line.get(name) is not None}
    return Asked(task=task, id=str(line["id"]), label=line.get("label"), shown=told, heard=stretches(dict(line)))


def _plain(value: Any) -> Any:
    """Texts that are cut, lists of them, and everything else as a text of JSON."""
    if isinstance(value, str):
        return cut(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return [cut(one) for one in value]
    if isinstance(value, dict) and all(isinstance(one, str) for one in value.values()):
        return {key: cut(one) for key, one in value.items()}
    return value if isinstance(value, int | float) else cut(json.dumps(value, ensure_ascii=False))


def _answer(line: Mapping[str, Any]) -> Answer:
    return Answer(
        text=cut(_said(line)),
        credit=line.get("credit"),
        confidence=line.get("confidence"),
        read=None if line.get("read") is None else cut(str(line["read"]), 80),
    )


def _said(line: Mapping[str, Any]) -> str:
    if line.get("error") is not None:
        return f"(no answer: {line['error']})"
    if line.get("ranking") is not None:
        ranked = ", ".join(f"{place}. {name}" for place, name in enumerate(line["ranking"][:_RANKED], start=1))
        return f"{ranked} … of {len(line['ranking'])}" if len(line["ranking"]) > _RANKED else ranked
    if line.get("value") is not None and not line["text"]:
        return f"{line['value']:g}"
    return str(line["text"]) or "(nothing)"


def _short(answer: Answer) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(answer).items() if value is not None}
