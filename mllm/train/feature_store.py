"""Rendered clips in, front-end features and per-slot targets on disk out, so that they are computed once.

A store is a folder of shards, each named by its first clip: `shard-ID.features.npy` holds uint8 rows of 80 ms
(`round(255 * level)` of the front-end of `mllm.encoders.cqt`, `SLOT_WIDTH` columns), `shard-ID.targets.npy` uint8 rows
of `TARGET_WIDTH` columns, `shard-ID.notes.npy` uint32 rows of `SEMITONES` bit sets, and `shard-ID.json`, written last,
the clips that lie in it. Knows nothing of networks.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mllm import audio
from mllm.encoders import _cqt_frontend as frontend
from mllm.errors import AudioError, ConfigError
from mllm.facts import INSTRUMENTS, METERS, key_index

PITCH_CLASSES = slice(0, 12)
"""Target columns: 1 where a note of this pitch class sounds (drums apart)."""
BASS = 12
"""Target column: pitch class of the lowest sounding note, `NO_BASS` where nothing sounds."""
ACTIVITY = slice(13, 13 + len(INSTRUMENTS))
"""Target columns: 1 where this instrument of `facts.INSTRUMENTS` has a sounding note."""
TARGET_WIDTH = 13 + len(INSTRUMENTS)
NO_BASS = 12
SEMITONES = 84
LOWEST_PITCH = 24
"""Notes are kept for `SEMITONES` semitones from C1 (MIDI 24) on, as sets: bit i is instrument i of `INSTRUMENTS`."""

_DRUMS = INSTRUMENTS.index("drums")
_CLIPS_A_SHARD = 64
_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CachedClip:
    """One clip of a store; key and meter are indices into `facts.KEYS` and `facts.METERS`, -1 where not known."""

    id: str
    shard: str
    start: int
    """First row in the shard."""
    slots: int
    """Rows, 80 ms each."""
    tempo_bpm: float
    """Beats per minute; 0 where not known."""
    key: int
    meter: int
    instruments: tuple[int, ...]
    """Indices into `facts.INSTRUMENTS`."""


class FeatureStore:
    """Reads a store; shards that are added later are seen after `refresh`."""

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.clips: list[CachedClip] = []
        self._seen: set[str] = set()
        self._arrays: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self.refresh()

    def refresh(self) -> int:
        """Look for new shards; the number of clips there are now."""
        for index in sorted(self.directory.glob("shard-*.json")):
            if index.stem not in self._seen:
                self._seen.add(index.stem)
                rows = json.loads(index.read_text())
                self.clips += [CachedClip(**{**row, "instruments": tuple(row["instruments"])}) for row in rows]
        return len(self.clips)

    def read(
        self, clip: CachedClip, first: int = 0, slots: int | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Levels in [0, 1], float32 (slots, 424), targets, uint8 (slots, `TARGET_WIDTH`), and sets of instruments,
        uint32 (slots, `SEMITONES`), from slot `first` on.
        """
        if clip.shard not in self._arrays:
            self._arrays[clip.shard] = (
                np.load(self.directory / f"{clip.shard}.features.npy", mmap_mode="r"),
                np.load(self.directory / f"{clip.shard}.targets.npy", mmap_mode="r"),
                np.load(self.directory / f"{clip.shard}.notes.npy", mmap_mode="r"),
            )
        features, targets, notes = self._arrays[clip.shard]
        stop = clip.start + (clip.slots if slots is None else min(first + slots, clip.slots))
        rows = slice(clip.start + first, stop)
        return features[rows].astype(np.float32) / np.float32(255.0), np.array(targets[rows]), np.array(notes[rows])


def add_clips(data: str | Path, store: str | Path, *, limit: int | None = None) -> int:
    """Compute the features of clips in `data/labels.jsonl` that are not in `store` yet.

    Args:
        data: folder of rendered clips (`labels.jsonl`, audio, `notes/`); a half-written last line is left for later.
        store: folder of the store; made where there is none.
        limit: at most that many clips.

    Returns:
        The number of clips added. Clips that cannot be heard are logged and left out.

    Raises:
        ConfigError: if `data` has no labels.
    """
    data, store = Path(data), Path(store)
    if not (data / "labels.jsonl").is_file():
        raise ConfigError(f"{data} has no labels.jsonl; give the folder that the renderer wrote")
    store.mkdir(parents=True, exist_ok=True)
    known = {clip.id for clip in FeatureStore(store).clips}
    front_end = frontend.FrontEnd()
    added = 0
    pending: list[_Computed] = []
    for label in _labels(data / "labels.jsonl"):
        if label["id"] in known or (limit is not None and added + len(pending) >= limit):
            continue
        try:
            pending.append(_compute(front_end, data, label))
        except AudioError as error:
            _logger.warning("clip %s is left out: %s", label["id"], error)
        if len(pending) == _CLIPS_A_SHARD:
            added += _write_shard(store, pending)
            pending = []
    if pending:
        added += _write_shard(store, pending)
    return added


def follow(data: str | Path, store: str | Path, *, patience_minutes: float = 0.0, poll_seconds: float = 20.0) -> int:
    """`add_clips` until nothing new came for `patience_minutes` (0: once); the number of clips added."""
    total, last = 0, time.monotonic()
    while True:
        try:
            added = add_clips(data, store)
        except ConfigError:
            if patience_minutes == 0.0:
                raise
            added = 0  # the renderer has not begun yet
        total += added
        if added:
            last = time.monotonic()
            print(f"{total} clips added to {store}", flush=True)
        if time.monotonic() - last >= 60.0 * patience_minutes:
            return total
        time.sleep(poll_seconds)


def _labels(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as lines:
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)


@dataclasses.dataclass(frozen=True)
class _Computed:
    label: dict[str, Any]
    features: np.ndarray
    targets: np.ndarray
    notes: np.ndarray


def _compute(front_end: frontend.FrontEnd, data: Path, label: dict[str, Any]) -> _Computed:
    samples = audio.load(data / label["path"], sample_rate_hz=frontend.SAMPLE_RATE_HZ).samples
    levels = front_end(torch.from_numpy(samples)[None])[0].numpy()
    notes = data / label["notes_path"]
    with np.load(notes) as arrays:
        targets, sets = slot_targets(
            arrays["onset_s"], arrays["offset_s"], arrays["pitch"], arrays["instrument"], slots=levels.shape[0]
        )
    return _Computed(label, np.round(255.0 * levels).astype(np.uint8), targets, sets)


def slot_targets(
    onset_seconds: np.ndarray, offset_seconds: np.ndarray, pitch: np.ndarray, instrument: np.ndarray, *, slots: int
) -> tuple[np.ndarray, np.ndarray]:
    """Targets (slots, `TARGET_WIDTH`) and sets of instruments (slots, `SEMITONES`) of notes.

    Args:
        onset_seconds: start of each note, (n,).
        offset_seconds: end of each note, (n,).
        pitch: MIDI numbers, (n,).
        instrument: indices into `facts.INSTRUMENTS`, or words, (n,).
        slots: length of the clip, 80 ms each.
    """
    targets = np.zeros((slots, TARGET_WIDTH), np.uint8)
    sets = np.zeros((slots, SEMITONES), np.uint32)
    lowest = np.full(slots, 128)
    if instrument.dtype.kind in "UO":
        instrument = np.array([INSTRUMENTS.index(str(word)) for word in instrument], dtype=np.int64)
    first = np.round(onset_seconds * frontend.SLOTS_PER_SECOND).astype(int)
    last = np.maximum(first + 1, np.round(offset_seconds * frontend.SLOTS_PER_SECOND).astype(int))
    for begin, end, note, player in zip(first, last, pitch.astype(int), instrument.astype(int), strict=True):
        begin, end = max(begin, 0), min(end, slots)
        if begin >= end or player < 0:
            continue
        targets[begin:end, ACTIVITY.start + player] = 1
        if player != _DRUMS:
            targets[begin:end, note % 12] = 1
            lowest[begin:end] = np.minimum(lowest[begin:end], note)
            if 0 <= note - LOWEST_PITCH < SEMITONES:
                sets[begin:end, note - LOWEST_PITCH] |= np.uint32(1 << player)
    targets[:, BASS] = np.where(lowest < 128, lowest % 12, NO_BASS)
    return targets, sets


def _write_shard(store: Path, pending: list[_Computed]) -> int:
    name = f"shard-{pending[0].label['id']}"  # so that two folders may be cached into one store at the same time
    rows, start = [], 0
    for item in pending:
        label = item.label
        clip = CachedClip(
            id=label["id"],
            shard=name,
            start=start,
            slots=item.features.shape[0],
            tempo_bpm=float(label["tempo_bpm"] or 0.0),
            key=key_index(label["key"]) if label["key"] else -1,
            meter=METERS.index(label["meter"]) if label["meter"] in METERS else -1,
            instruments=tuple(INSTRUMENTS.index(word) for word in label["instruments"]),
        )
        rows.append(dataclasses.asdict(clip))
        start += clip.slots
    for kind in ("features", "targets", "notes"):
        partial = store / f"{name}.{kind}.partial"
        with partial.open("wb") as file:
            np.save(file, np.concatenate([getattr(item, kind) for item in pending]))
        partial.replace(store / f"{name}.{kind}.npy")
    partial = store / f"{name}.partial"
    partial.write_text(json.dumps(rows))
    partial.replace(store / f"{name}.json")
    return len(pending)
