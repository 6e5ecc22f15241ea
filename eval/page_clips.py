"""Recordings inside a page: the beginning of each as Ogg Opus at a low bit rate, until the page is full.

In: stretches of recordings, the most wanted first. Out: `data:` addresses, or why there is none. Knows no question.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mllm import audio
from mllm.errors import AudioError
from mllm.instruct_data import coding

MOST_CLIPS = 60
MOST_BYTES = 12_000_000
"""Of all addresses together."""
LONGEST_SECONDS = 30.0
_RATE_HZ = 24_000
_KILOBITS = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stretch:
    """A recording, or a part of it."""

    path: str
    start: float | None
    end: float | None

    def told(self) -> str:
        """The path, and which part."""
        if self.start is None and self.end is None:
            return self.path
        until = "the end" if self.end is None else f"{self.end:g} s"
        return f"{self.path}, {self.start or 0:g} s to {until}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip:
    """What a page has of a stretch."""

    address: str | None
    """`data:` address; None: it is not in the page."""
    note: str
    """What a listener must know: that it is cut, or why there is nothing to hear; or ""."""


def stretches(line: dict[str, Any]) -> tuple[Stretch, ...]:
    """What was heard, by a line of the answers."""
    return tuple(
        Stretch(path=str(one["path"]), start=one["start"], end=one["end"]) for one in line.get("recordings", ())
    )


def embed(
    wanted: Iterable[Stretch], *, most_clips: int = MOST_CLIPS, most_bytes: int = MOST_BYTES
) -> dict[Stretch, Clip]:
    """Recordings for a page.

    Args:
        wanted: the most wanted first; a stretch may be there several times.
        most_clips: that are put into the page.
        most_bytes: that their addresses have together.
    """
    found: dict[Stretch, Clip] = {}
    heard, size = 0, 0
    for stretch in wanted:
        if stretch in found:
            continue
        if heard >= most_clips or size >= most_bytes:
            break
        found[stretch] = _clip(stretch, most_bytes - size)
        if (address := found[stretch].address) is not None:
            heard, size = heard + 1, size + len(address)
    return found


def _clip(stretch: Stretch, most_bytes: int) -> Clip:
    start = stretch.start or 0.0
    # A little more than is shown, to know whether there is more.
    end = start + LONGEST_SECONDS + 1.0
    try:
        loaded = audio.load(
            Path(stretch.path),
            sample_rate_hz=_RATE_HZ,
            start=start,
            end=end if stretch.end is None else min(end, stretch.end),
            require_sound=False,
        )
    except AudioError as error:
        return Clip(address=None, note=f"Cannot be heard: {error}")
    most = round(LONGEST_SECONDS * _RATE_HZ)
    content = coding.opus(loaded.samples[:most], _RATE_HZ, _KILOBITS)
    address = f"data:audio/ogg;base64,{base64.b64encode(content).decode()}"
    if len(address) > most_bytes:
        return Clip(address=None, note="Not in this page, which is full.")
    cut = len(loaded.samples) > most
    return Clip(address=address, note=f"The first {LONGEST_SECONDS:g} s; the model heard more." if cut else "")
