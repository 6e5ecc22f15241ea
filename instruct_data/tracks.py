"""A recording and everything that is known of it, whoever knows it: a score that was rendered, or a file of labels.

In: fields, or the JSON object that `to_json` made of them. Out: immutable `Track` objects. A field that nobody knows is
None, never an empty guess: an empty `activity` says that nothing plays, None that it is not known what plays. Opens no
recording and knows nothing of questions.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from mllm.errors import ConfigError

Span: TypeAlias = tuple[float, float]
"""Beginning and end in seconds from the beginning of the recording."""

SPLITS = ("train", "validation", "test")
MODES = ("major", "minor", "dorian", "mixolydian")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Track:
    """One recording, or a stretch of one, with what is known of it. All times are seconds from its beginning."""

    id: str
    """Unique in a data set, and equal wherever the same recording is meant."""
    path: str
    """Of the recording, from the folder of its data set (or of its source) on, with "/" between folders."""
    start: float | None = None
    """Where in the file it begins, in seconds; None: at the beginning."""
    end: float | None = None
    """Where in the file it ends; None: at the end."""
    seconds: float | None = None
    """How long it is."""
    source: str
    """Name of the source: a file in `sources/`, or "rendered"."""
    licence: str
    """Of the recording and its labels: a name, such as "CC-BY-4.0"; never empty."""
    split: str = "train"
    """One of `SPLITS`."""
    family: str
    """What must stay on one side of a split: a tune, a song with its remixes, an artist. At least the id."""
    title: str | None = None

    tempo_bpm: float | None = None
    """The tempo that holds longest, beats a minute; beats as `patterns.beat_quarters` counts them."""
    tempo_curve: tuple[tuple[float, float], ...] | None = None
    """(time, beats a minute from then on), first at 0; a gradual change is given beat by beat."""
    beats: tuple[float, ...] | None = None
    downbeats: tuple[float, ...] | None = None
    meter: str | None = None
    """One of `facts.METERS`."""
    key: str | None = None
    """The key that holds longest: "<tonic> <mode>", mode one of `MODES`; tonics spelt as in `facts.KEYS`."""
    keys: tuple[tuple[float, str], ...] | None = None
    """(time, key from then on), first at 0."""
    chords: tuple[tuple[float, float, str], ...] | None = None
    """(begin, end, name in Harte's notation such as "C:min7")."""
    activity: Mapping[str, tuple[Span, ...]] | None = None
    """Of each instrument that plays: when it sounds, gaps of up to a second bridged. Names of `facts.INSTRUMENTS`."""
    instruments: tuple[str, ...] | None = None
    """Names of `facts.INSTRUMENTS` that play, in that order; where `activity` is known, its names."""
    absent: tuple[str, ...] | None = None
    """Names of `facts.INSTRUMENTS` that surely do not play. Of exact labels: all others; of labels by people, who
    forget some, often None."""
    sections: tuple[tuple[float, float, str], ...] | None = None
    """(begin, end, name such as "intro", "verse", "chorus", "A")."""
    registers: Mapping[str, tuple[int, int]] | None = None
    """Of each pitched instrument: lowest and highest MIDI pitch that sounds."""
    density: float | None = None
    """Note onsets a second, drums included, over the whole recording."""
    dynamics: tuple[tuple[float, float], ...] | None = None
    """(time, loudness in dB relative to the loudest stretch), about one a bar or one a section."""
    drum_pattern: str | None = None
    """Name such as "four on the floor", "backbeat", "bossa", "shuffle", "none" where no drums play."""
    style: str | None = None
    """Name of the style or the genre in words, such as "jazz swing"."""
    moods: tuple[str, ...] | None = None
    vocals: bool | None = None
    tags: tuple[str, ...] | None = None
    """Words that people gave it."""
    captions: tuple[str, ...] | None = None
    """What people wrote of it."""

    def __post_init__(self) -> None:
        problems = [
            f"{name} is empty" for name in ("id", "path", "source", "licence", "family") if not getattr(self, name)
        ]
        if self.split not in SPLITS:
            problems.append(f"split is {self.split!r}, expected one of {', '.join(SPLITS)}")
        if problems:
            raise ConfigError(f"track {self.id!r}: {'; '.join(problems)}")

    @property
    def playing(self) -> tuple[str, ...] | None:
        """The instruments that play, or None where it is not known."""
        return tuple(self.activity) if self.activity is not None else self.instruments


def to_json(track: Track) -> dict[str, Any]:
    """The track as a JSON object without the fields that nobody knows."""
    return {name: value for name, value in dataclasses.asdict(track).items() if value is not None}


def from_json(plain: Mapping[str, Any]) -> Track:
    """The track that `to_json` was given.

    Raises:
        ConfigError: a field is unknown or missing.
    """
    known = {field.name for field in dataclasses.fields(Track)}
    if unknown := sorted(set(plain) - known):
        raise ConfigError(f"a track has no field {', '.join(unknown)}; expected some of {', '.join(sorted(known))}")
    try:
        return Track(**{name: _frozen(value) for name, value in plain.items()})
    except TypeError as error:
        raise ConfigError(f"not a track: {error}") from error


def line(track: Track) -> str:
    """The track as one line of JSON without a line end."""
    return json.dumps(to_json(track), ensure_ascii=False, separators=(",", ":"))


def _frozen(value: Any) -> Any:
    """Lists as tuples, within objects too."""
    if isinstance(value, list):
        return tuple(_frozen(one) for one in value)
    if isinstance(value, dict):
        return {name: _frozen(one) for name, one in value.items()}
    return value
