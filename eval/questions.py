"""Yes/no questions about instruments, in wordings kept from training, and the true facts told in English.

In: labelled clips and a seed. Out: for each clip one plain and one negated question, over the set as often rightly
answered with yes as with no in each polarity, and sentences that state the truth. Knows nothing of models.
"""

from __future__ import annotations

import collections
import random
from collections.abc import Sequence
from typing import Literal, TypeAlias

from mllm import facts
from mllm.eval.clips import Clip, ClipSet
from mllm.eval.metrics import Question, Truth
from mllm.facts import Facts
from mllm.instruct_data import dialogue, statements
from mllm.instruct_data.phrases import with_article
from mllm.instruct_data.wordings import QUESTIONS, STATEMENTS

Absent: TypeAlias = Literal["matched", "uniform"]
"""How the instruments that do not play are chosen: "matched" asks about each instrument (nearly) as often where it does
not play as where it plays, so that knowing which instruments are common does not help; "uniform" draws any of them."""


def ask(clip_set: ClipSet, *, seed: int, absent: Absent = "matched") -> list[tuple[Question, ...]]:
    """The questions of each clip: one plain and one negated, or none where its instruments do not admit both.

    An instrument whose label leaves a choice, or that may or may not play, is not asked about.
    """
    rng = random.Random(seed)
    can_ask = [i for i, clip in enumerate(clip_set.clips) if present_names(clip.truth) and absent_names(clip.truth)]
    rng.shuffle(can_ask)
    asked: list[list[Question]] = [[] for _ in clip_set.clips]
    for negated in (False, True):
        plays = {index: (place // 2 if negated else place) % 2 == 0 for place, index in enumerate(can_ask)}
        names = _choose(clip_set.clips, plays, rng, absent)
        for index in can_ask:
            text = _word(names[index], clip_set, clip_set.clips[index].truth, negated=negated, rng=rng)
            question = Question(text=text, instrument=names[index], negated=negated, yes=plays[index] != negated)
            asked[index].append(question)
    return [tuple(questions) for questions in asked]


def present_names(truth: Truth) -> list[str]:
    """Instruments that certainly play, in the order of the vocabulary."""
    return [name for name in facts.INSTRUMENTS if frozenset({name}) in (truth.instruments or ())]


def absent_names(truth: Truth) -> list[str]:
    """Instruments that do not play, in the order of the vocabulary; none where the instruments are not known."""
    if truth.instruments is None:
        return []
    return [name for name in facts.INSTRUMENTS if name not in truth.named | truth.unscored]


def stated(truth: Truth, *, seed: int) -> str:
    """English sentences that state everything known of a clip, in wordings kept from training."""
    rng = random.Random(seed)
    values = {
        "tempo": None if truth.tempo_bpm is None else str(round(truth.tempo_bpm)),
        "key": truth.key,
        "meter": truth.meter,
        "instruments": statements.join(_told(truth)) if truth.instruments else None,
    }
    sentences = [
        STATEMENTS[field].choose(rng, held_out=True).format(x=value)
        for field, value in values.items()
        if value is not None
    ]
    return " ".join(sentences)


def _told(truth: Truth) -> list[str]:
    """One name an instrument: the first of the vocabulary where several are right."""
    names = {min(choices, key=facts.INSTRUMENTS.index) for choices in truth.instruments or ()}
    return [with_article(name) for name in facts.INSTRUMENTS if name in names]


def _choose(clips: Sequence[Clip], plays: dict[int, bool], rng: random.Random, absent: Absent) -> dict[int, str]:
    """The instrument to ask about, for each clip in `plays` (whether it shall be one that plays)."""
    chosen = {index: rng.choice(present_names(clips[index].truth)) for index, present in plays.items() if present}
    wanted = collections.Counter(chosen.values())
    for index, present in plays.items():
        if present:
            continue
        names = absent_names(clips[index].truth)
        rng.shuffle(names)
        name = max(names, key=wanted.__getitem__) if absent == "matched" else names[0]
        wanted[name] -= 1
        chosen[index] = name
    return chosen


def _word(name: str, clip_set: ClipSet, truth: Truth, *, negated: bool, rng: random.Random) -> str:
    """The question in a wording kept from training; with other names of the instrument only where labels admit them."""
    if clip_set.synonyms_hold:
        known = statements.known_from_facts(Facts(instruments=tuple(present_names(truth))))
        return dialogue.instrument_turn(rng, known, negated=negated, held_out=True, name=name).question
    pattern = rng.choice(QUESTIONS["lacks" if negated else "has"].held_out)
    text = pattern.format(name=name, a_name=with_article(name))
    return text[0].upper() + text[1:]
