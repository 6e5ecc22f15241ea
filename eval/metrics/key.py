"""Key: whether a stated key is the true one, or how near to it.

Conventions: a key is "<tonic> <mode>", the tonic in any spelling ("A# minor" is "Bb minor"), the mode one of
`tracks.MODES`. Formulas: `exact` asks for tonic and mode; `tonic` for the tonic alone; `mirex` is
`mir_eval.key.weighted_score`: 1 for the same key, 0.5 for the one a fifth above in the same mode, 0.3 for the relative
and 0.2 for the parallel one. mir_eval knows major and minor only: for `mirex`, dorian counts as minor and mixolydian as
major, as their thirds are, on both sides, so that "D minor" for D dorian is wrong in `exact` and 1 in `mirex`. All lie
in [0, 1]; nothing said, or what is no key, is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mir_eval

from mllm import facts
from mllm.errors import ConfigError

LIKE = {"major": "major", "minor": "minor", "dorian": "minor", "mixolydian": "major"}
"""Of each mode the one of mir_eval's two that has its third."""


class _Key(NamedTuple):
    tonic: int
    mode: str


def exact(true: str, said: str | None) -> bool:
    """Whether tonic and mode are right.

    Raises:
        ConfigError: the true key is none.
    """
    return _parsed(said) == _true(true)


def tonic(true: str, said: str | None) -> bool:
    """Whether the tonic is right, whatever the mode."""
    heard = _parsed(said)
    return heard is not None and heard.tonic == _true(true).tonic


def mirex(true: str, said: str | None) -> float:
    """How near the key is, as MIREX weighs it, by mir_eval; modes as `LIKE` says."""
    reference, heard = _true(true), _parsed(said)
    if heard is None:
        return 0.0
    return float(mir_eval.key.weighted_score(_plain(reference), _plain(heard)))


def evaluate(truths: Sequence[str], said: Sequence[str | None]) -> dict[str, float]:
    """Means of `exact`, `tonic` and `mirex`, and the share answered, over recordings.

    Raises:
        ConfigError: the numbers differ, there are none, or a true key is none.
    """
    if len(truths) != len(said) or not truths:
        raise ConfigError(f"{len(truths)} keys and {len(said)} answers; expected as many of both, and at least one")
    pairs = list(zip(truths, said, strict=True))
    return {
        "exact": sum(exact(*pair) for pair in pairs) / len(pairs),
        "tonic": sum(tonic(*pair) for pair in pairs) / len(pairs),
        "mirex": sum(mirex(*pair) for pair in pairs) / len(pairs),
        "answered": sum(one is not None for one in said) / len(pairs),
    }


def _true(key: str) -> _Key:
    found = _parsed(key)
    if found is None:
        raise ConfigError(
            f"{key!r} is no key; expected '<tonic> <mode>' such as 'F# minor', mode one of {', '.join(LIKE)}"
        )
    return found


def _parsed(key: str | None) -> _Key | None:
    name, _, mode = (key or "").partition(" ")
    if mode not in LIKE:
        return None
    try:
        return _Key(facts.pitch_class(name), mode)
    except ConfigError:
        return None


def _plain(key: _Key) -> str:
    """The key in a spelling that mir_eval knows."""
    return facts.KEYS[key.tonic + (12 if LIKE[key.mode] == "minor" else 0)]
