"""The music questions of MMAU's test-mini, two to four options each.

In: with `--data mmau_music=DIR`, the files that `instruct_data/sources/mmau_music.py` names. Out: its questions, the
order of their options drawn by the seed: as published, the longest option is right in 42.5 % of the 334 questions and
option B in 40.1 %. Drawing takes the second away, the first stands among the blind lines. Questions whose recordings
are not there are left out and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About
from mllm.eval.tasks import _choices
from mllm.instruct_data.sources import mmau_music

ABOUT = About(
    title="MMAU, music (test-mini)",
    version="1",
    summary="The published questions, their options in drawn order; an answer that names none is wrong.",
    figures=_choices.table(),
    source="mmau_music",
    where=mmau_music.ABOUT.where,
    licence=mmau_music.ABOUT.licence,
)


def load(music: Music) -> Sequence[Question]:
    """Every question whose recording is here."""
    return _choices.of_source(music, "mmau_music", ABOUT.where)


credit = _choices.credit


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """By letter and by likelihood."""
    return _choices.figures(questions, said)
