"""How fast is it? One question a recording, in one of the held-out wordings.

In: rendered pieces. Out: questions with the true tempo in beats a minute.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mllm.eval import statistic
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said, asked
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.instruct_data.wordings import QUESTIONS
from mllm.messages import Audio

ABOUT = About(
    title="Tempo",
    version="1",
    summary="Beats a minute, within 4 % of the true tempo.",
    figures={
        "acc1": Figure(title="tempo within 4 %", headline=True),
        "acc2": Figure(title="tempo within 4 %, octave errors allowed", headline=True),
    },
)


def load(music: Music) -> Sequence[Question]:
    """One question a recording."""
    found = []
    for track in music.short()[: music.count(160)]:
        rng = random.Random(f"{music.seed}/{track.id}")
        found.append(
            Question(
                id=track.id,
                messages=asked(QUESTIONS["tempo"].choose(rng, held_out=True), [Audio(source=Path(track.path))]),
                truth=track.tempo_bpm,
                references=(f"{track.tempo_bpm:.0f} bpm",),
                unit=track.id,
                template="tempo",
                field="tempo_bpm",
            )
        )
    return found


def credit(question: Question, said: Said) -> float | None:
    """1 within 4 %."""
    match = re.search(r"\d+(?:\.\d+)?", said.text)
    return float(match is not None and abs(float(match[0]) - question.truth) <= 0.04 * question.truth)


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Acc1 and Acc2."""
    earned = [credit(question, one) for question, one in zip(questions, said, strict=True)]
    return {"acc1": statistic.share(earned), "acc2": statistic.share(earned)}
