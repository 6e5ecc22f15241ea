"""Chords: whether stated chords are the true ones, by the rules of mir_eval.chord.

Conventions: chords are in Harte's notation ("C:min7", "N" for none), times are seconds. Rules (Pauwels and Peeters,
ICASSP 2013, as mir_eval has them): `root` compares roots; `majmin` compares major and minor triads and leaves out true
chords that are neither; `thirds` compares roots and thirds. `evaluate` weighs each chord by how long it sounds. A chord
that cannot be read is N, which is wrong wherever anything sounds. All lie in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import mir_eval
import numpy as np

from mllm.errors import ConfigError

Rule: TypeAlias = Literal["root", "majmin", "thirds"]
RULES: tuple[Rule, ...] = ("root", "majmin", "thirds")
Chord: TypeAlias = tuple[float, float, str]
"""Beginning, end, name."""

_COMPARE = {"root": mir_eval.chord.root, "majmin": mir_eval.chord.majmin, "thirds": mir_eval.chord.thirds}


def compare(true: str, said: str | None, rule: Rule) -> float | None:
    """1 or 0 for one chord; None where the rule does not judge such a true chord.

    Args:
        true: in Harte's notation.
        said: None where nothing was said.
        rule: one of `RULES`.

    Raises:
        ConfigError: the true name is none.
    """
    score = float(_COMPARE[rule]([checked(true)], [_known(said)])[0])
    return None if score < 0 else score


def sequence(true: Sequence[str], said: Sequence[str], rule: Rule) -> float:
    """How right a sequence of chords without times is: 1 - edits / (length of the longer one), in [0, 1].

    Edits are chords put in, left out or exchanged (Levenshtein); two chords are equal where the rule says so, or where
    they are one name.

    Raises:
        ConfigError: there is no true chord, or a name of one is none.
    """
    if not true:
        raise ConfigError("there is no true chord; expected at least one")
    row = list(range(len(said) + 1))
    for place, chord in enumerate(true, start=1):
        before, row = row, [place]
        for at, other in enumerate(said, start=1):
            exchange = before[at - 1] + (0 if _equal(chord, other, rule) else 1)
            row.append(min(before[at] + 1, row[-1] + 1, exchange))
    return 1 - row[-1] / max(len(true), len(said))


def evaluate(true: Sequence[Chord], said: Sequence[Chord]) -> dict[str, float]:
    """Every score of `mir_eval.chord.evaluate` for one recording, weighted by duration.

    Args:
        true: chords in order, which follow one another without gaps.
        said: chords in order; where none is, there is N.

    Raises:
        ConfigError: there is no true chord, a true name is none, or times are not in order.
    """
    if not true:
        raise ConfigError("there is no true chord; expected at least one")
    names = [checked(name) for _, _, name in true]
    if not said:
        said = [(true[0][0], true[-1][1], mir_eval.chord.NO_CHORD)]
    try:
        found = mir_eval.chord.evaluate(
            _intervals(true), names, _intervals(said), [_known(name) for _, _, name in said]
        )
    except ValueError as error:
        raise ConfigError(f"these chords cannot be compared: {error}; expected times in order") from error
    return {name: float(value) for name, value in found.items()}


def checked(name: str) -> str:
    """A name in Harte's notation that mir_eval knows.

    Raises:
        ConfigError: it is none.
    """
    try:
        mir_eval.chord.validate_chord_label(name)
        mir_eval.chord.encode(name)
    except mir_eval.chord.InvalidChordException as error:
        raise ConfigError(f"{name!r} is no chord; expected Harte's notation such as 'C:min7'") from error
    return name


def _known(name: str | None) -> str:
    """A name that mir_eval can compare: of what it does not know, no chord."""
    try:
        return mir_eval.chord.NO_CHORD if name is None else checked(name)
    except ConfigError:
        return str(mir_eval.chord.NO_CHORD)


def _equal(true: str, said: str, rule: Rule) -> bool:
    score = compare(true, said, rule)
    return said == true if score is None else score == 1.0


def _intervals(chords: Sequence[Chord]) -> np.ndarray:
    return np.array([(begin, end) for begin, end, _ in chords], dtype=np.float64).reshape(-1, 2)
