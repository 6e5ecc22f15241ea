"""Evaluates a model on a task: every figure from text answers, beside it blind, probe, told and commonest answers.

In: `Settings`, the clips and the model of it. Out: `Results` for `report`. Does not know how figures are computed, nor
how a model answers.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from mllm import contract, registry
from mllm.answer import Answer
from mllm.errors import ConfigError
from mllm.eval import baselines, conditions, intervals, metrics, questions
from mllm.eval.clips import Clip, ClipSet
from mllm.eval.metrics import Question, Said
from mllm.eval.report import Results
from mllm.listener import Listener, find_model
from mllm.strict_io import content_hash

PROBE = "encoder"
COMMONEST = "commonest answer"
BATCH_SIZE = 32
"""Conversations answered at once."""
FIRST_COLUMNS = (conditions.HEARD, *conditions.BLIND)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What is evaluated, and how."""

    labels: Path
    """The labels.jsonl of the task."""
    out: Path
    """Folder of the report; made if absent, files in it are replaced."""
    task: str = "rendered"
    """File name in eval/tasks: "rendered" or "catalogue"."""
    model: str | None = None
    """Directory of a checkpoint; by default the one that is shipped."""
    limit: int | None = None
    """Take that many clips from the beginning, at least 2; by default all."""
    seed: int = 0
    """Of the questions, the wordings, which clip replaces which, and the resamples."""
    absent: questions.Absent = "matched"
    """How yes/no questions choose an instrument that does not play: "matched" asks about each instrument as often where
    it does not play as where it plays, "uniform" draws any."""
    resamples: int = intervals.RESAMPLES
    """Bootstrap resamples of the clips."""
    examples: int = 0
    """Print that many questions with their answers, for reading aloud."""


Probe: TypeAlias = Callable[[Sequence[Clip], Sequence[Sequence[Question]]], list[Said]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subject:
    """The model under evaluation."""

    answer: conditions.Answering
    probe: Probe | None
    """What its encoder names in clips; None where the encoder names nothing itself."""
    description: Mapping[str, Any]
    """For the report: model, model_sha256 and what else identifies it."""


def load_clips(settings: Settings) -> ClipSet:
    """The clips of the task, all of whose files are there.

    Raises:
        ConfigError: if the task is unknown, the labels cannot be read, or a recording is missing.
    """
    clip_set: ClipSet = registry.find("task", settings.task).load(settings.labels, settings.limit)
    missing = [clip.audio for clip in clip_set.clips if not clip.audio.is_file()]
    if missing:
        raise ConfigError(
            f"{len(missing)} of {len(clip_set.clips)} recordings named by {settings.labels} are not there, the first "
            f"is {missing[0]}; leave the labels file beside its audio"
        )
    return clip_set


def open_subject(model: str | None) -> Subject:
    """Open a checkpoint, by default the one that is shipped.

    Raises:
        CheckpointError: if it is absent, incomplete or altered.
    """
    directory = contract.find_checkpoint(find_model(model))
    listener = Listener.load(directory)

    def answer(conversations: Sequence[conditions.Conversation], max_new_tokens: int) -> list[Answer]:
        return listener.respond_many(
            conversations, max_new_tokens=max_new_tokens, require_sound=False, batch_size=BATCH_SIZE
        )

    probe = functools.partial(baselines.probe, listener.model, listener.processor)
    return Subject(
        answer=answer,
        probe=probe if baselines.has_readout(listener.model) else None,
        description={"model": str(model or "the reference checkpoint"), "model_sha256": content_hash(directory)},
    )


def evaluate(
    settings: Settings,
    clip_set: ClipSet,
    subject: Subject,
    *,
    command: str,
    progress: Callable[[str], None] = lambda _: None,
) -> Results:
    """Ask everything and score it.

    Args:
        settings: seeds, resamples and how questions are chosen.
        clip_set: from `load_clips`.
        subject: the model.
        command: what the reader types to measure the same.
        progress: told what has been done, a sentence at a time.
    """
    clips = clip_set.clips
    asked = questions.ask(clip_set, seed=settings.seed, absent=settings.absent)
    remembering = conditions.Remembering(subject.answer)
    said: dict[str, list[Said]] = {}
    answers: list[dict[str, Any]] = []
    seconds: dict[str, float] = {}
    for condition in conditions.ASKED:
        began = time.perf_counter()
        put = conditions.put(condition, clips, asked, remembering, seed=settings.seed)
        said[condition] = put.said
        answers += put.answers
        seconds[condition] = round(time.perf_counter() - began, 1)
        progress(f"{condition}: {len(put.answers)} answers in {seconds[condition]} s")
    if subject.probe is not None:
        began = time.perf_counter()
        said[PROBE] = subject.probe(clips, asked)
        seconds[PROBE] = round(time.perf_counter() - began, 1)
    said[COMMONEST] = baselines.commonest([clip.truth for clip in clips], asked)
    order = [*FIRST_COLUMNS, *(name for name in (PROBE, conditions.TOLD, COMMONEST) if name in said)]
    return _score(
        settings,
        clip_set,
        asked,
        {name: said[name] for name in order},
        run={
            "task": settings.task,
            "command": command,
            **subject.description,
            "labels": str(settings.labels),
            "labels_sha256": hashlib.sha256(settings.labels.read_bytes()).hexdigest(),
            "limit": settings.limit,
            "seed": settings.seed,
            "absent": settings.absent,
            "resamples": settings.resamples,
            "seconds": seconds,
            "versions": {name: version(name) for name in ("torch", "transformers", "mir_eval", "numpy")},
        },
        answers=answers,
    )


def _score(
    settings: Settings,
    clip_set: ClipSet,
    asked: Sequence[Sequence[Question]],
    said: Mapping[str, Sequence[Said]],
    *,
    run: Mapping[str, Any],
    answers: Sequence[Mapping[str, Any]],
) -> Results:
    truths = [clip.truth for clip in clip_set.clips]
    ratios = {name: metrics.figures(truths, asked, of_condition) for name, of_condition in said.items()}
    resamples = intervals.draw(len(truths), resamples=settings.resamples, seed=settings.seed)
    return Results(
        run=run,
        counts=_counts(clip_set, asked),
        figures={
            name: {figure: intervals.estimate(ratio, resamples) for figure, ratio in of_condition.items()}
            for name, of_condition in ratios.items()
        },
        differences={
            blind: {
                figure: intervals.difference(ratio, ratios[blind][figure], resamples)
                for figure, ratio in ratios[conditions.HEARD].items()
            }
            for blind in conditions.BLIND
        },
        conditions={name: _explained(name) for name in said},
        notes=(*clip_set.notes, *_notes(asked, settings)),
        answers=answers,
    )


def _counts(clip_set: ClipSet, asked: Sequence[Sequence[Question]]) -> dict[str, int]:
    flat = [question for of_clip in asked for question in of_clip]
    return {
        "clips": len(clip_set.clips),
        **{
            f"{field}_known": sum(getattr(clip.truth, field) is not None for clip in clip_set.clips)
            for field in metrics.FIELDS
        },
        "questions": len(flat),
        **{
            f"questions_{'negated' if negated else 'plain'}_{'yes' if yes else 'no'}": sum(
                question.negated == negated and question.yes == yes for question in flat
            )
            for negated in (False, True)
            for yes in (True, False)
        },
    }


def _explained(condition: str) -> str:
    others = {
        PROBE: "what the frozen encoder itself names, read without the language model",
        COMMONEST: "the same answer for every clip: the commonest tempo, key and meter of these labels, the "
        "most frequent instruments (as many as score best), and always yes",
    }
    return {**conditions.ASKED, **others}[condition]


def _notes(asked: Sequence[Sequence[Question]], settings: Settings) -> list[str]:
    chosen = {
        "matched": "as often about each instrument where it does not play as where it plays",
        "uniform": "about any instrument that does not play, drawn uniformly",
    }[settings.absent]
    return [
        f"Yes/no questions: {sum(map(len, asked))}, half of them negated, half of the right answers yes in each "
        f"polarity, in wordings kept from training; asked {chosen}; scored by the first word.",
        "An answer that is missing or cannot be read counts as wrong.",
    ]
