"""MuChoMusic as it was published: 1,187 questions with four options each.

In: with `--data muchomusic=DIR`, the files that `instruct_data/sources/muchomusic.py` names. Out: its questions, the
order of their options drawn by the seed (the published table names the right one first and leaves the order to chance).
Not the variant with other wrong options, which is `rulistening`: figures of the two are never compared. Questions whose
recordings are not there are left out and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About
from mllm.eval.tasks import _choices
from mllm.instruct_data.sources import muchomusic

ABOUT = About(
    title="MuChoMusic (original)",
    version="1",
    summary="The published questions with their own wrong options; an answer that names none is wrong.",
    figures=_choices.table(0.25),
    source="muchomusic",
    where=muchomusic.ABOUT.where,
    licence=muchomusic.ABOUT.licence,
)


def load(music: Music) -> Sequence[Question]:
    """Every question whose recording is here."""
    return _choices.of_source(music, "muchomusic", ABOUT.where)


credit = _choices.credit


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """By letter and by likelihood."""
    return _choices.figures(questions, said)
