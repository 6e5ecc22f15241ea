"""Scores of what was said of recordings against what is true of them.

In: for each clip the truth, what was said, and the yes/no questions with their answers. Out: one `Ratio` a figure, kept
apart by clip so that `intervals` can resample clips. What was not said, or cannot be read, counts as wrong and stays in
the denominator; only a clip whose truth is not known leaves it. Knows nothing of models, audio or files.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence

import mir_eval
import numpy as np
from numpy.typing import NDArray

from mllm import facts
from mllm.errors import ConfigError

TEMPO_TOLERANCE = 0.04
"""A tempo is right within this share of the true one."""
OCTAVE_FACTORS = (1 / 3, 1 / 2, 1.0, 2.0, 3.0)
"""Multiples of the true tempo that count as right where octave errors are allowed."""
FIELDS = ("key", "tempo_bpm", "meter", "instruments")
"""Fields of `Said` of which the share answered is counted."""

_FIRST_WORD = re.compile(r"\W*([^\W\d_]+)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """A yes/no question about one instrument."""

    text: str
    instrument: str
    """Member of `facts.INSTRUMENTS`."""
    negated: bool
    """Whether it asks for the absence of the instrument."""
    yes: bool
    """Whether "yes" is right."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Truth:
    """What is true of one clip; None where it is not known."""

    tempo_bpm: float | None = None
    """Beats per minute, > 0."""
    key: str | None = None
    """A key in any spelling."""
    meter: str | None = None
    """One of `facts.METERS`."""
    instruments: tuple[frozenset[str], ...] | None = None
    """One entry an instrument that plays: the names, members of `facts.INSTRUMENTS`, of which any is right."""
    unscored: frozenset[str] = frozenset()
    """Instruments that may or may not play; naming them is neither right nor wrong."""

    @property
    def named(self) -> frozenset[str]:
        """Every name that is right for some instrument that plays."""
        return frozenset().union(*(self.instruments or ()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Said:
    """What was said of one clip; None where nothing was said or it could not be read."""

    tempo_bpm: float | None = None
    key: str | None = None
    meter: str | None = None
    instruments: tuple[str, ...] | None = None
    yes_no: tuple[bool | None, ...] = ()
    """One entry a question: True for "yes", False for "no", None for anything else."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ratio:
    """A figure as a sum over clips divided by a sum over clips."""

    numerators: NDArray[np.float64]
    """(clips,)"""
    denominators: NDArray[np.float64]
    """(clips,), >= 0"""

    @property
    def value(self) -> float | None:
        """The figure; None where the denominator is zero."""
        total = float(self.denominators.sum())
        return float(self.numerators.sum()) / total if total else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstrumentCounts:
    """How the instruments said of one clip compare with those that play."""

    hits: int
    false_alarms: int
    misses: int


def yes_or_no(answer: str) -> bool | None:
    """True for an answer whose first word is "yes", False for "no", None for anything else."""
    match = _FIRST_WORD.match(answer)
    return {"yes": True, "no": False}.get(match[1].lower()) if match else None


def key_is_exact(true: str, said: str | None) -> bool:
    """Whether the key said is the true one, in any spelling."""
    index = _key_index(said)
    return index is not None and index == facts.key_index(true)


def weighted_key_score(true: str, said: str | None) -> float:
    """MIREX score in [0, 1] of a key: 1 exact, 0.5 a fifth above, 0.3 relative, 0.2 parallel, else 0 (mir_eval)."""
    index = _key_index(said)
    if index is None:
        return 0.0
    return float(mir_eval.key.weighted_score(facts.KEYS[facts.key_index(true)], facts.KEYS[index]))


def tempo_is_right(true_bpm: float, said_bpm: float | None, *, factors: Sequence[float] = (1.0,)) -> bool:
    """Whether the tempo said lies within `TEMPO_TOLERANCE` of one of the multiples of the true one."""
    if said_bpm is None:
        return False
    return any(abs(said_bpm - factor * true_bpm) <= TEMPO_TOLERANCE * factor * true_bpm for factor in factors)


def count_instruments(truth: Truth, said: Sequence[str] | None) -> InstrumentCounts:
    """Hits, false alarms and misses of one clip whose instruments are known."""
    assert truth.instruments is not None
    heard = frozenset(said or ())
    hits = sum(bool(names & heard) for names in truth.instruments)
    return InstrumentCounts(
        hits=hits,
        false_alarms=len(heard - truth.named - truth.unscored),
        misses=len(truth.instruments) - hits,
    )


def figures(truths: Sequence[Truth], questions: Sequence[Sequence[Question]], said: Sequence[Said]) -> dict[str, Ratio]:
    """Every figure over a set of clips.

    Args:
        truths: one entry a clip.
        questions: the yes/no questions of each clip.
        said: one entry a clip; `yes_no` as long as the clip's questions.

    Returns:
        By name: key_exact, key_mirex, tempo_acc1, tempo_acc2, meter, instruments_f1, instruments_precision,
        instruments_recall (micro averages), yes_no, yes_no_plain, yes_no_negated (share right), yes_share (share of
        the questions that were answered with yes), and answered_<field> for each of `FIELDS` and yes_no.
    """
    pairs = list(zip(truths, said, strict=True))
    asked = list(zip(questions, (one.yes_no for one in said), strict=True))
    return {
        **_keys(pairs),
        **_tempi(pairs),
        "meter": _share(pairs, "meter", lambda true, heard: float(heard == true)),
        **_instruments(pairs),
        **_yes_no(asked),
        **{f"answered_{field}": _share(pairs, field, lambda _, heard: float(heard is not None)) for field in FIELDS},
        "answered_yes_no": _ratio([(sum(a is not None for a in answers), len(q)) for q, answers in asked]),
    }


def _keys(pairs: Sequence[tuple[Truth, Said]]) -> Mapping[str, Ratio]:
    return {
        "key_exact": _share(pairs, "key", lambda true, heard: float(key_is_exact(true, heard))),
        "key_mirex": _share(pairs, "key", weighted_key_score),
    }


def _tempi(pairs: Sequence[tuple[Truth, Said]]) -> Mapping[str, Ratio]:
    def octaves(true: float, heard: float | None) -> float:
        return float(tempo_is_right(true, heard, factors=OCTAVE_FACTORS))

    return {
        "tempo_acc1": _share(pairs, "tempo_bpm", lambda true, heard: float(tempo_is_right(true, heard))),
        "tempo_acc2": _share(pairs, "tempo_bpm", octaves),
    }


def _instruments(pairs: Sequence[tuple[Truth, Said]]) -> Mapping[str, Ratio]:
    nothing = InstrumentCounts(hits=0, false_alarms=0, misses=0)
    counts = [
        count_instruments(truth, said.instruments) if truth.instruments is not None else nothing
        for truth, said in pairs
    ]
    return {
        "instruments_f1": _ratio([(2 * c.hits, 2 * c.hits + c.false_alarms + c.misses) for c in counts]),
        "instruments_precision": _ratio([(c.hits, c.hits + c.false_alarms) for c in counts]),
        "instruments_recall": _ratio([(c.hits, c.hits + c.misses) for c in counts]),
    }


def _yes_no(asked: Sequence[tuple[Sequence[Question], Sequence[bool | None]]]) -> Mapping[str, Ratio]:
    def share(*, polarities: tuple[bool, ...]) -> Ratio:
        terms = []
        for questions, answers in asked:
            right = [
                answer == question.yes
                for question, answer in zip(questions, answers, strict=True)
                if question.negated in polarities
            ]
            terms.append((sum(right), len(right)))
        return _ratio(terms)

    return {
        "yes_no": share(polarities=(False, True)),
        "yes_no_plain": share(polarities=(False,)),
        "yes_no_negated": share(polarities=(True,)),
        "yes_share": _ratio([(sum(a is True for a in answers), len(questions)) for questions, answers in asked]),
    }


def _share(pairs: Sequence[tuple[Truth, Said]], field: str, score: Callable[..., float]) -> Ratio:
    """Mean of `score(true, said)` over the clips for which the field is known."""
    return _ratio(
        [
            (score(getattr(truth, field), getattr(said, field)), 1) if getattr(truth, field) is not None else (0, 0)
            for truth, said in pairs
        ]
    )


def _ratio(terms: Sequence[tuple[float, float]]) -> Ratio:
    table = np.array(terms, dtype=np.float64).reshape(len(terms), 2)
    return Ratio(numerators=table[:, 0], denominators=table[:, 1])


def _key_index(key: str | None) -> int | None:
    """Index into `facts.KEYS`; None for nothing and for what is no key."""
    if key is None:
        return None
    try:
        return facts.key_index(key)
    except ConfigError:
        return None
