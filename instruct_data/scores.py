"""One representation for all scores, with the checks that decide whether a score's labels can be trusted.

In: notes, key, meter and chords as a reader found them. Out: `Tune` objects with an exact key and meter, the side of
the train/test split they belong to, and a compressed JSON cache of them. Knows no file format but that cache.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mllm import facts
from mllm.errors import ConfigError

CACHE_FORMAT = 1
TEST_SHARE = 10
"""One family in this many belongs to the test side."""
DEV_SHARE = 12
"""One of the other families in this many is kept for choosing settings."""

LEAST_NOTES = 16
KEY_MARGIN = 0.05
"""By how much the correlation of an estimated key is above that of every other key."""

BAR_QUARTERS: dict[str, float] = {"2/4": 2.0, "3/4": 3.0, "4/4": 4.0, "6/8": 3.0, "9/8": 4.5, "12/8": 6.0}
"""Length of a bar in quarter notes."""

QUALITIES: dict[str, tuple[int, ...]] = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "hdim7": (0, 3, 6, 10),
    "dim7": (0, 3, 6, 9),
    "sus4": (0, 5, 7),
    "sus2": (0, 2, 7),
    "maj6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9),
}
"""Chord qualities: semitones above the root."""

KINDS: tuple[str, ...] = ("melody", "leadsheet", "parts", "song")
"""What the voices of a tune are: one melody; melody with chords; independent parts (voice 0 on top); melody (0),
second melody (1) and piano (2) of a song with chords."""

# Key profiles of Kostka and Payne as counted by Temperley, "Music and Probability" (2007).
_MAJOR_PROFILE = (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400)
_MINOR_PROFILE = (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chord:
    """One chord symbol in its place."""

    onset: float
    """Quarter notes from the first bar line."""
    duration: float
    """Quarter notes."""
    root: int
    """Pitch class, C = 0."""
    quality: str
    """One of `QUALITIES`."""
    bass: int
    """Pitch class of the lowest note."""

    def pitch_classes(self) -> tuple[int, ...]:
        """Pitch classes of the chord, the root first."""
        return tuple((self.root + step) % 12 for step in QUALITIES[self.quality])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tune:
    """One piece of music whose key and meter are known and stay the same throughout."""

    id: str
    title: str
    family: str
    """Tunes of one family (the same title, the same chorale) fall on the same side of the split."""
    source: str
    licence: str
    kind: str
    """One of `KINDS`."""
    key: str
    """One of `facts.KEYS`."""
    meter: str
    """One of `facts.METERS`."""
    notes: NDArray[np.float64]
    """Shape (notes, 4): onset and duration in quarter notes, MIDI pitch, voice. Onset 0 is the bar line of bar 0; an
    upbeat lies at the end of bar 0. Sorted by onset."""
    chords: tuple[Chord, ...] = ()

    @property
    def bar_quarters(self) -> float:
        """Length of a bar in quarter notes."""
        return BAR_QUARTERS[self.meter]

    @property
    def bars(self) -> int:
        """Number of bars, the last one counted whole."""
        return max(1, int(np.ceil((self.notes[:, 0] + self.notes[:, 1]).max() / self.bar_quarters - 1e-3)))

    @property
    def split(self) -> str:
        """One of "train", "dev" and "test", decided by a stable hash of the family."""
        return split_of(self.family)


def split_of(family: str) -> str:
    """Gives "test" for one family in `TEST_SHARE`, "dev" for one in `DEV_SHARE` of the others, else "train".

    The same on every machine.
    """
    number = int.from_bytes(hashlib.sha256(family.encode()).digest()[:8], "big")
    if number % TEST_SHARE == 0:
        return "test"
    return "dev" if number // TEST_SHARE % DEV_SHARE == 0 else "train"


def family_of_title(title: str) -> str:
    """A title reduced to what is the same in several collections: "The Acacia -- Reel" becomes "acacia"."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"\s--?\s.*|\(.*?\)", " ", plain)
    words = [word for word in re.findall(r"[a-z0-9]+", plain.replace("'", "")) if word not in ("the", "a", "an")]
    return " ".join(words) or plain.strip() or title


def pitch_class_weights(notes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Total duration of each pitch class; shape (12,)."""
    weights = np.zeros(12)
    np.add.at(weights, notes[:, 2].astype(int) % 12, notes[:, 1])
    return weights


def sorted_notes(notes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Notes by onset, then voice, then pitch."""
    return notes[np.lexsort((notes[:, 2], notes[:, 3], notes[:, 0]))]


def key_correlations(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of pitch-class weights (12,) with the profile of each key, in the order of `facts.KEYS`."""
    profiles = [np.roll(profile, tonic) for profile in (_MAJOR_PROFILE, _MINOR_PROFILE) for tonic in range(12)]
    return np.array([np.corrcoef(weights, profile)[0, 1] for profile in profiles])


def key_is_certain(notes: NDArray[np.float64], key: str, *, tolerance: float = 0.08) -> bool:
    """Whether the notes agree with `key`: no other key fits better by `tolerance`, and no modal sixth or seventh."""
    weights = pitch_class_weights(notes)
    if np.count_nonzero(weights) < 4:
        return False
    correlations = key_correlations(weights)
    index = facts.key_index(key)
    if not correlations[index] >= correlations.max() - tolerance:
        return False
    degree = np.roll(weights, -(index % 12)) / weights.sum()
    if index < 12:
        outside = degree[1] + degree[3] + degree[6] + degree[8] + degree[10]
        return bool(outside < 0.12 and degree[10] <= degree[11] + 0.01)
    outside = degree[1] + degree[4] + degree[6]
    return bool(outside < 0.12 and degree[9] <= 1.5 * degree[8] + 0.02)


def estimate_key(notes: NDArray[np.float64]) -> str | None:
    """The key of notes (onset, duration, pitch, voice) whose key nobody stated, or None where they do not decide it.

    A key is certain that fits best by `KEY_MARGIN`, has its tonic as the lowest of the last notes, and whose scale the
    notes keep to.
    """
    correlations = key_correlations(pitch_class_weights(notes))
    order = np.argsort(correlations)[::-1]
    key = facts.KEYS[int(order[0])]
    ends = notes[:, 0] + notes[:, 1]
    lowest = int(notes[ends >= ends.max() - 0.01, 2].min()) % 12
    clear = correlations[order[0]] - correlations[order[1]] >= KEY_MARGIN
    return key if clear and lowest == int(order[0]) % 12 and key_is_certain(notes, key, tolerance=0.0) else None


def sound_tune(tune: Tune, *, minimum_bars: int = 6, tolerance: float = 0.08) -> bool:
    """Whether a tune as read can be used: known meter, long enough, notes in range, key certain."""
    return fault_of_tune(tune, minimum_bars=minimum_bars, tolerance=tolerance) is None


def fault_of_tune(tune: Tune, *, minimum_bars: int = 6, tolerance: float = 0.08) -> str | None:
    """Why a tune as read cannot be used, in words; None where it can."""
    if tune.meter not in facts.METERS or tune.key not in facts.KEYS:
        return f"{tune.key} in {tune.meter} is not in the vocabulary"
    if len(tune.notes) < LEAST_NOTES or tune.bars < minimum_bars:
        return (
            f"it has {len(tune.notes)} notes in {tune.bars} bars, expected {LEAST_NOTES} or more in {minimum_bars} or "
            "more"
        )
    lowest, highest = int(tune.notes[:, 2].min()), int(tune.notes[:, 2].max())
    if lowest < 21 or highest > 108:
        return f"its pitches go from {lowest} to {highest}, expected 21 to 108, the keys of a piano"
    if not key_is_certain(tune.notes, tune.key, tolerance=tolerance):
        return f"its notes do not agree with its key {tune.key}"
    return None


def write_cache(path: Path, tunes: Iterable[Tune], *, made_from: Sequence[str] = ()) -> None:
    """Writes tunes as one gzip-compressed JSON file; the file appears whole or not at all."""
    rows = [to_row(tune) for tune in tunes]
    text = json.dumps({"format": CACHE_FORMAT, "made_from": list(made_from), "tunes": rows}, separators=(",", ":"))
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    beside.write_bytes(gzip.compress(text.encode(), compresslevel=6, mtime=0))
    beside.replace(path)


def read_cache(path: Path) -> tuple[Tune, ...]:
    """Reads what `write_cache` wrote.

    Raises:
        ConfigError: if the file is not such a cache.
    """
    try:
        content = json.loads(gzip.decompress(path.read_bytes()))
        if content["format"] != CACHE_FORMAT:
            raise ConfigError(f"{path} has score cache format {content['format']}, expected {CACHE_FORMAT}; delete it")
        return tuple(from_row(row) for row in content["tunes"])
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is not a score cache ({error}); delete it, it is made again from the scores"
        ) from None


def to_row(tune: Tune) -> dict[str, Any]:
    """A tune as a JSON object."""
    row: dict[str, Any] = {
        field.name: getattr(tune, field.name)
        for field in dataclasses.fields(Tune)
        if field.name not in ("notes", "chords")
    }
    row["notes"] = [[round(v, 4) if v % 1 else int(v) for v in column] for column in tune.notes.T.tolist()]
    row["chords"] = [[c.onset, c.duration, c.root, c.quality, c.bass] for c in tune.chords]
    return row


def from_row(row: Mapping[str, Any]) -> Tune:
    """The tune that `to_row` was given."""
    chords = tuple(Chord(onset=c[0], duration=c[1], root=c[2], quality=c[3], bass=c[4]) for c in row["chords"])
    return Tune(**{**row, "notes": np.array(row["notes"], dtype=np.float64).T, "chords": chords})
