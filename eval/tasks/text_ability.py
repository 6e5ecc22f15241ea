"""What the adapters change of what the backbone says to text without sound: nothing, if all is well.

In: the forty texts below, of many kinds. Out: a question each of kind "plain", to which a model gives the greatest
difference of a logit between the backbone alone and the backbone inside the joined model. Only an answer of exactly 0
counts. Nothing is heard here, so there is nothing to be blind to. What the backbone is able to say is not asked: it is
frozen, and equal logits say that all of it is kept. Models of which the backbone cannot be asked alone are not asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mllm.eval import statistic
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said, asked
from mllm.eval.statistic import OfEach, Statistic
from mllm.eval.task_about import About, Figure

ABOUT = About(
    title="Text ability kept",
    version="1",
    summary="Texts without sound: the backbone's logits with and without the adapters, which must be identical.",
    figures={
        "identical": Figure(title="texts with identical logits", headline=True),
        "greatest_difference": Figure(title="greatest difference of a logit", better="lower"),
    },
)

TEXTS = (
    "Hello, how are you today?",
    "What is the capital of Portugal?",
    "Explain in two sentences why the sky is blue.",
    "The old lighthouse keeper counted the ships each evening, and wrote their number into a book nobody read.",
    "Write a polite letter to a neighbour whose piano practice begins at six in the morning.",
    "Which is heavier, a kilogram of feathers or a kilogram of iron, and why do people hesitate?",
    "Translate into German: The train to Leipzig leaves in ten minutes from platform four.",
    "Once upon a time there was a tailor who could sew with both hands, but only on rainy days.",
    "What is 17 times 23? Show each step.",
    "A dominant seventh chord on G contains the notes G, B, D and F; it wants to move to C.",
    "Who composed the opera Fidelio, and how many overtures did he write for it?",
    "How many beats does a bar of 6/8 have, and where are the accents?",
    "Describe the sound of a clarinet to somebody who has never heard one.",
    "Is C sharp the same note as D flat? Answer for a pianist and for a violinist.",
    "Name three composers of the nineteenth century who were also famous pianists.",
    "Summarise: The committee met on Tuesday. It agreed on the budget, postponed the roof, and elected Ms Lind chair.",
    "def greatest_common_divisor(a: int, b: int) -> int:\n    while b:\n        a, b = b, a % b\n    return a",
    "SELECT name, COUNT(*) FROM plays WHERE year >= 1990 GROUP BY name ORDER BY COUNT(*) DESC LIMIT 10;",
    '{"tempo_bpm": 96, "key": "E minor", "meter": "3/4", "instruments": ["flute", "harp"]}',
    "for (let i = 0; i < notes.length; i++) { play(notes[i].pitch, notes[i].beats * 60 / bpm); }",
    '<ul><li class="first">bread</li><li>salt &amp; pepper</li></ul>',
    "$ git log --oneline | head -n 3\n2f1c9ab Mend the fence\n77d0e11 Paint the gate\n0b5a3f2 Plant a tree",
    "E = mc^2; F = G*m1*m2/r^2; a^2 + b^2 = c^2; sum(1/n**2, n=1..inf) = pi**2/6",
    "X:1\nT:Scale\nM:4/4\nL:1/8\nK:G\nGABc d2 d2|edcB A2 G2|]",
    "Grüße aus Köln! Die Bäckerei öffnet um sieben, schließt aber schon mittags.",
    "Où est la bibliothèque ? Elle est fermée jusqu'à la rentrée, hélas.",
    "¿Cuántas cuerdas tiene una guitarra clásica, y cómo se afinan?",
    "Dov'è la stazione? Sempre dritto, poi la seconda strada a sinistra.",
    "Сколько струн у балалайки? Обычно три.",
    "Πόσες χορδές έχει η λύρα;",
    "音楽を聴きながら勉強しますか。はい、時々します。",
    "古琴有几根弦?通常有七根。",
    "가야금은 몇 줄인가요? 전통 가야금은 열두 줄입니다.",
    "كم وترا للعود؟ عادة أحد عشر وترا.",
    "कितने तार सितार में होते हैं?",
    "🎵🎶 la la la 🎷🥁 what a night!!! 😀",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG 0123456789",
    "Is there a flute in the recording? (There is no recording.)",
    "A list:\n1. buy strings\n2. tune the cello\n3. call the hall\n\nWhat comes after the second point?",
)
"""Fixed: a change is a new version of the task."""


def load(music: Music) -> Sequence[Question]:
    """One question a text; all of them, or the first ones of a smaller run."""
    return [
        Question(id=f"text {number}", messages=asked(text), kind="plain", unit=f"text {number}", template="text")
        for number, text in enumerate(TEXTS[: music.count(len(TEXTS))], start=1)
    ]


def credit(question: Question, said: Said) -> float:  # noqa: ARG001 - of all texts the same is true
    """1 where no logit differs."""
    return float(said.value == 0.0)


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """The share of texts without any difference, and the greatest difference of all."""
    values = np.array([np.nan if one.value is None else one.value for one in said], dtype=np.float64)

    def greatest(weights: NDArray[np.float64]) -> float:
        counted = values[(weights > 0) & ~np.isnan(values)]
        return float(counted.max()) if len(counted) else np.nan

    return {
        "identical": statistic.share([credit(question, one) for question, one in zip(questions, said, strict=True)]),
        "greatest_difference": OfEach(function=greatest),
    }
