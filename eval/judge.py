"""A language model as the judge of answers: each is judged twice, with what could sway the judge the other way round.

In: lines of `answers.jsonl` (`eval.answers.line`), and a model behind an OpenAI-compatible address. Out: a `Judgement`:
of one model a score of 1 to 5 an answer, or of two models which one is nearer to the references. Alone, an answer is
judged once behind the reference and once before it; of two, each answer is once the first. How often the two verdicts
are the same is told beside the figure, and so is how many could not be read. The prompt is `judge_prompt.md`.

A verdict is one line of a given form; nothing that a model writes is ever run. An empty answer is not sent: it has
score 1, and loses against any other. The log of all that was asked and answered is gone on with when a run is repeated.
The judge hears nothing, and is a model with likings of its own: its figures are never a headline, and are made only
where somebody asks for them.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from mllm.errors import ConfigError, EndpointError
from mllm.eval import conditions, statistic
from mllm.eval.statistic import Estimate
from mllm.instruct_data.endpoint import Chat, Endpoint, EndpointSettings

PROMPT = Path(__file__).parent / "judge_prompt.md"
MOST_CHARACTERS = 4000
"""Of an answer, a question or a reference; what is longer is cut, and the cut is shown."""
LOWEST, HIGHEST = 1, 5

Line: TypeAlias = Mapping[str, Any]
Verdict: TypeAlias = float | None
"""A score, or in pairs 1 for the model that is judged, 0 for the other, 0.5 for neither; None: it could not be read."""

_SCORE = re.compile(r"^\W*SCORE\W*(\d+(?:\.\d+)?)(?:\s*/\s*5)?\W*$", re.MULTILINE | re.IGNORECASE)
_BETTER = re.compile(r"^\W*BETTER\W*(FIRST|SECOND|NEITHER)\W*$", re.MULTILINE | re.IGNORECASE)
_FIELD = re.compile(r"\{(question|reference|answer|first|second)\}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class JudgeSettings:
    """Who judges what."""

    endpoint: EndpointSettings
    """The judge."""
    log: Path
    """Of all that is asked and answered."""
    model: str
    """The model that is judged, as the lines call it."""
    against: str | None = None
    """The model that it is compared with; None: it is judged alone."""
    tasks: tuple[str, ...] = ()
    """Names of tasks; none: all questions that have references in words and no options."""
    limit: int | None = None
    """At most so many questions of each task; None: all."""
    resamples: int = statistic.RESAMPLES
    seed: int = 0
    """Of the bootstrap."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judged:
    """One question."""

    task: str
    id: str
    unit: str
    verdicts: tuple[Verdict, Verdict]
    """In the two orders; both are `Verdict`s of the model that is judged."""
    value: float | None
    """Alone: the mean of the scores that could be read. Of two: 1 or 0 where both orders say so, else 0.5. None: not
    judged."""
    sent: bool = True
    """Whether the judge was asked: not about empty answers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a judge found."""

    mode: Literal["score", "pairwise"]
    model: str
    against: str | None
    judge: str
    """Name of the judging model."""
    prompt_sha256: str
    questions: int
    judged: int
    """With a value, those of empty answers among them."""
    unreadable: int
    """Verdicts without a line of the form that was asked for, or with two that differ."""
    failed: int
    """Verdicts that the address did not give."""
    empty: int
    """Questions that were decided because an answer is empty."""
    agreement: float | None
    """Share of the questions with two verdicts in which these are the same; None: there are none."""
    value: Estimate
    """Alone: the mean score, 1 to 5. Of two: the share of questions that the judged model wins, draws counted half."""
    by_task: Mapping[str, Estimate]
    items: tuple[Judged, ...]


def judge(lines: Iterable[Line], settings: JudgeSettings, tell: Callable[[str], object] = lambda _: None) -> Judgement:
    """Have answers judged.

    Args:
        lines: of a run, in any order; those of other models, other conditions or without references are passed over.
        settings: who judges what.
        tell: told how far it is.

    Raises:
        ConfigError: there is nothing to judge.
        EndpointError: no request can be answered.
    """
    pairs = _pairs(lines, settings)
    failures = _Failures()
    items = []
    with Endpoint(settings.endpoint, settings.log) as endpoint:
        sent = [pair for pair in pairs if _decided(*pair) is None]
        replies = endpoint.answers(chat for pair in sent for chat in _chats(*pair))
        for number, (line, other) in enumerate(pairs, start=1):
            decided = _decided(line, other)
            if decided is not None:
                items.append(_judged(line, (decided, decided), compared=other is not None, sent=False))
                continue
            verdicts = (
                failures.verdict(next(replies), other, swapped=False),
                failures.verdict(next(replies), other, swapped=True),
            )
            items.append(_judged(line, verdicts, compared=other is not None))
            tell(f"judged {number} of {len(pairs)}")
    return _summed(items, failures, settings)


def read_score(text: str) -> float | None:
    """The score of a verdict, 1 to 5; None without exactly one line that gives it."""
    values = {float(found) for found in _SCORE.findall(text)}
    if len(values) != 1:
        return None
    value = values.pop()
    return value if LOWEST <= value <= HIGHEST else None


def read_better(text: str) -> str | None:
    """Which of "first", "second" and "neither" a verdict says; None without exactly one line that says it."""
    values = {str(found).lower() for found in _BETTER.findall(text)}
    return values.pop() if len(values) == 1 else None


@functools.cache
def prompt() -> Mapping[str, str]:
    """The parts of `judge_prompt.md` by their headings."""
    parts = re.split(r"^# (.+)$", PROMPT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name.strip(): text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def _pairs(lines: Iterable[Line], settings: JudgeSettings) -> list[tuple[Line, Line | None]]:
    """What is judged, with the answer of the other model to the same question."""
    own: dict[tuple[str, str], Line] = {}
    others: dict[tuple[str, str], Line] = {}
    models: set[str] = set()
    for line in lines:
        if line["condition"] != conditions.HEARD:
            continue
        models.add(line["model"])
        if not line.get("references") or not _is_wanted(line, settings.tasks):
            continue
        if line["model"] == settings.model:
            own[line["task"], line["id"]] = line
        elif line["model"] == settings.against:
            others[line["task"], line["id"]] = line
    for name in (settings.model, settings.against):
        if name is not None and name not in models:
            raise ConfigError(f"no answers of {name!r} are here; expected one of {', '.join(sorted(models)) or 'none'}")
    counts: dict[str, int] = {}
    found: list[tuple[Line, Line | None]] = []
    for key, line in own.items():
        counts[key[0]] = counts.get(key[0], 0) + 1
        if settings.limit is not None and counts[key[0]] > settings.limit:
            continue
        if settings.against is None:
            found.append((line, None))
        elif key in others:
            found.append((line, others[key]))
    if not found:
        raise ConfigError("there is nothing to judge: no answer to a question with references in words; name --tasks")
    return found


def _is_wanted(line: Line, tasks: Sequence[str]) -> bool:
    name = str(line["task"]).partition(" ")[0]
    return name in tasks if tasks else not line.get("choices")


def _decided(line: Line, other: Line | None) -> Verdict:
    """The verdict about an empty answer, which needs no judge; None where one is needed."""
    said = bool(line["text"].strip())
    if other is None:
        return None if said else float(LOWEST)
    other_said = bool(other["text"].strip())
    return None if said and other_said else 0.5 if said == other_said else float(said)


def _chats(line: Line, other: Line | None) -> Iterator[Chat]:
    """Both orders."""
    told = {"question": line.get("question", ""), "reference": "\n\n".join(line["references"])}
    if other is None:
        for name in ("score reference_first", "score answer_first"):
            yield _chat(name, {**told, "answer": line["text"]})
    else:
        yield _chat("pairwise", {**told, "first": line["text"], "second": other["text"]})
        yield _chat("pairwise", {**told, "first": other["text"], "second": line["text"]})


def _chat(name: str, fields: Mapping[str, str]) -> Chat:
    # In one pass, so that braces within what is put in stay what they are.
    text = _FIELD.sub(lambda match: _bounded(fields[match[1]]), prompt()[name])
    return [{"role": "system", "content": prompt()["system"]}, {"role": "user", "content": text}]


def _bounded(text: str) -> str:
    """A text without marks that could end it, and not too long."""
    plain = re.sub(r"\[(/?)(question|reference|answer|first|second)\]", r"(\1\2)", text, flags=re.IGNORECASE).strip()
    plain = plain.encode("utf-8", errors="replace").decode("utf-8")
    return plain if len(plain) <= MOST_CHARACTERS else f"{plain[:MOST_CHARACTERS]} (cut)"


@dataclasses.dataclass
class _Failures:
    """Verdicts that count for nothing."""

    unreadable: int = 0
    failed: int = 0

    def verdict(self, reply: str | EndpointError, other: Line | None, *, swapped: bool) -> Verdict:
        """What a reply says of the judged model."""
        if isinstance(reply, EndpointError):
            self.failed += 1
            return None
        if other is None:
            found = read_score(reply)
        else:
            own = "second" if swapped else "first"
            better = read_better(reply)
            found = None if better is None else 0.5 if better == "neither" else float(better == own)
        self.unreadable += found is None
        return found


def _judged(line: Line, verdicts: tuple[Verdict, Verdict], *, compared: bool, sent: bool = True) -> Judged:
    known = [one for one in verdicts if one is not None]
    if compared:
        value = None if len(known) < 2 else known[0] if known[0] == known[1] else 0.5
    else:
        value = sum(known) / len(known) if known else None
    return Judged(task=str(line["task"]), id=line["id"], unit=line["unit"], verdicts=verdicts, value=value, sent=sent)


def _summed(items: Sequence[Judged], failures: _Failures, settings: JudgeSettings) -> Judgement:
    both = [one.verdicts for one in items if one.sent and None not in one.verdicts]
    tasks = dict.fromkeys(one.task for one in items)
    return Judgement(
        mode="score" if settings.against is None else "pairwise",
        model=settings.model,
        against=settings.against,
        judge=settings.endpoint.model,
        prompt_sha256=hashlib.sha256(PROMPT.read_bytes()).hexdigest(),
        questions=len(items),
        judged=sum(one.value is not None for one in items),
        unreadable=failures.unreadable,
        failed=failures.failed,
        empty=sum(not one.sent for one in items),
        agreement=sum(first == second for first, second in both) / len(both) if both else None,
        value=_estimate(items, settings),
        by_task={task: _estimate([one for one in items if one.task == task], settings) for task in tasks},
        items=tuple(items),
    )


def _estimate(items: Sequence[Judged], settings: JudgeSettings) -> Estimate:
    draws = statistic.draw([one.unit for one in items], resamples=settings.resamples, seed=settings.seed)
    return statistic.estimate(statistic.share([one.value for one in items]), draws)
