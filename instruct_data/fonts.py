"""Which sound font plays a part.

In: sound fonts with weights, parts, a random generator. Out: one font a part, that has what the part plays. Opens fonts
for their lists of presets alone and plays nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mllm import facts
from mllm.errors import ConfigError
from mllm.instruct_data.sf2 import DRUM_BANK, presets_of
from mllm.instruct_data.synth import Part


@dataclasses.dataclass(frozen=True, kw_only=True)
class Font:
    """A sound font and how often it is used."""

    path: Path
    weight: float = 1.0

    @property
    def name(self) -> str:
        """File name without its ending."""
        return self.path.stem


class FontChoice:
    """Draws fonts by weight.

    Args:
        fonts: at least one; together they have every program that has an instrument word, and drums.

    Raises:
        ConfigError: if a program or the drums are in none of them, or a file is no sound font.
    """

    def __init__(self, fonts: Sequence[Font]) -> None:
        self._fonts = tuple(fonts)
        self._presets = {font.path: presets_of(font.path) for font in fonts}
        lacking = [name for name in facts.INSTRUMENTS if not self._have(name)]
        if lacking:
            raise ConfigError(
                f"the sound fonts {', '.join(font.name for font in fonts)} lack programs of {', '.join(lacking)}; "
                "give one that has all of General MIDI beside them"
            )

    def draw(self, rng: np.random.Generator) -> Font:
        """Any font."""
        return _drawn(self._fonts, rng)

    def that_can(self, parts: Sequence[Part], fonts: Sequence[Font], rng: np.random.Generator) -> list[Font]:
        """`fonts`, one a part, but where one lacks the part's program another is drawn of those that have it."""
        return [
            font if self._can(font, part) else _drawn([other for other in self._fonts if self._can(other, part)], rng)
            for part, font in zip(parts, fonts, strict=True)
        ]

    def _can(self, font: Font, part: Part) -> bool:
        return self._has(font, None if part.is_drums else part.program)

    def _has(self, font: Font, program: int | None) -> bool:
        """Whether the font has a program; None: any drum kit, as the first one plays for those that are missing."""
        presets = self._presets[font.path]
        return any(bank == DRUM_BANK for bank, _ in presets) if program is None else (0, program) in presets

    def _have(self, instrument: str) -> bool:
        """Whether each program of an instrument word is in some font."""
        programs: Sequence[int | None] = facts.programs_of_instrument(instrument) or (None,)
        return all(any(self._has(font, program) for font in self._fonts) for program in programs)


def parse_font(text: str) -> Font:
    """A font from "PATH" or "PATH@WEIGHT".

    Raises:
        ConfigError: if the file does not exist or the weight is not a number above 0.
    """
    path, separator, weight = text.rpartition("@")
    if not separator:
        path, weight = text, "1"
    try:
        font = Font(path=Path(path), weight=float(weight))
    except ValueError:
        raise ConfigError(f"{text!r} is not a sound font; expected PATH or PATH@WEIGHT, such as gm.sf2@0.1") from None
    if not font.path.is_file():
        raise ConfigError(f"sound font {font.path} does not exist; give the path of an .sf2 or .sf3 file")
    return font


def _drawn(fonts: Sequence[Font], rng: np.random.Generator) -> Font:
    weights = np.array([font.weight for font in fonts])
    return fonts[int(rng.choice(len(weights), p=weights / weights.sum()))]
