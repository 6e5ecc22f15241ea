"""The form of a piece: which sections follow each other, and how many bars each has.

In: templates such as "intro a 4 3, verse b 8 5" (name, material, bars, energy from 0 to 9) and a wished number of bars.
Out: sections that have about so many bars together. Knows nothing of keys, tempo or notes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from mllm.instruct_data.styles._chance import one_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stretch:
    """A section before it has a key or chords."""

    name: str
    material: str
    """Sections of one material have the same chords and the same tune."""
    bars: int
    energy: float
    """In [0, 1]: how many play, and how loudly."""


def form_of(rng: np.random.Generator, templates: Sequence[str], bars: int, *, fixed: bool = False) -> list[Stretch]:
    """Sections of about `bars` bars together.

    Args:
        rng: chooses among templates that fit about as well.
        templates: forms, each in its natural length.
        bars: what is wished, at least 2.
        fixed: whether sections keep their natural lengths.
    """
    forms = [_parsed(template) for template in templates]
    misfits = [abs(math.log(sum(part.bars for part in form) / bars)) for form in forms]
    near = min(misfits) + (0.02 if fixed else 0.3)
    form = one_of(rng, [form for form, misfit in zip(forms, misfits, strict=True) if misfit <= near])
    return form if fixed else _stretched(form, bars)


def cycles(parts: Sequence[str], counts: Sequence[int], *, before: str = "", after: str = "") -> tuple[str, ...]:
    """Templates in which `parts` come round again and again: the first `count` of the endless row, for each count."""
    rows = [[parts[place % len(parts)] for place in range(count)] for count in counts]
    return tuple(", ".join([*([before] if before else []), *row, *([after] if after else [])]) for row in rows)


def _parsed(template: str) -> list[Stretch]:
    parts = []
    for part in template.split(","):
        *name, material, bars, energy = part.split()
        parts.append(Stretch(name=" ".join(name), material=material, bars=int(bars), energy=int(energy) / 9))
    return parts


def _stretched(form: Sequence[Stretch], bars: int) -> list[Stretch]:
    """The form with every section longer or shorter by about the same ratio, in whole pairs of bars."""
    ratio = bars / sum(part.bars for part in form)
    lengths = [_even(part.bars * ratio) for part in form]
    while abs(short := bars - sum(lengths)) >= 2:
        step = int(math.copysign(4 if abs(short) >= 4 and min(lengths) >= 8 else 2, short))
        errors = [(part.bars * ratio - length) * step for part, length in zip(form, lengths, strict=True)]
        able = [place for place, length in enumerate(lengths) if length + step >= 2]
        if not able:
            break
        lengths[max(able, key=lambda place: errors[place])] += step
    return [dataclasses.replace(part, bars=length) for part, length in zip(form, lengths, strict=True)]


def _even(length: float) -> int:
    """Whole phrases of four bars where there are several, whole pairs of bars otherwise."""
    return 4 * round(length / 4) if length >= 6 else max(2, 2 * round(length / 2))
