"""Stems of a varied build in, mel levels of each instrument alone on disk out, so that they are computed once.

A store is a folder of `ID.npy`, uint8 (stems, frames, 64): `round(255 * level)` of the front-end's mel levels at 50 Hz,
each stem brought to unit loudness; and of `stems.jsonl`, one `Stems` a line, written after the arrays it names. Knows
nothing of networks.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import soundfile
import torch

from mllm.encoders import _cqt_frontend as frontend
from mllm.errors import ConfigError
from mllm.facts import INSTRUMENTS

_QUIETEST_RMS = 1e-5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stems:
    """One clip whose instruments lie apart."""

    id: str
    instruments: tuple[int, ...]
    """Indices into `facts.INSTRUMENTS`, one a stem."""
    gains_db: tuple[float, ...]
    """Loudness of each stem in the clip, relative to the others."""
    fonts: str
    """Sound fonts that play it, joined by +."""


class StemStore:
    """Reads a store; what was read stays in memory (0.4 MB a clip)."""

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.clips = _listed(self.directory)
        self._read: dict[str, np.ndarray] = {}

    def read(self, clip: Stems) -> np.ndarray:
        """Mel levels, uint8 (stems, frames, 64)."""
        if clip.id not in self._read:
            self._read[clip.id] = np.load(self.directory / f"{clip.id}.npy")
        return self._read[clip.id]


def add_stems(data: str | Path, store: str | Path) -> int:
    """Compute the mel levels of stems in `data` that are not in `store` yet; the number of clips added.

    Args:
        data: folder of a varied build (`mllm.instruct_data.render`).
        store: folder of the store; made where there is none.

    Raises:
        ConfigError: if `data` has no labels, or no stems.
    """
    data, store = Path(data), Path(store)
    if not (data / "labels.jsonl").is_file():
        raise ConfigError(f"{data} has no labels.jsonl; give the folder that the renderer wrote")
    store.mkdir(parents=True, exist_ok=True)
    known = {clip.id for clip in _listed(store)}
    front_end = frontend.FrontEnd()
    added = 0
    with (data / "labels.jsonl").open() as lines, (store / "stems.jsonl").open("a") as listing:
        for line in lines:
            if not line.endswith("\n"):
                break  # the renderer is in the middle of it
            label = json.loads(line)
            if "stems_path" not in label:
                raise ConfigError(f"the clips of {data} have no stems; render them with --varied")
            if label["stems_path"] is None or label["id"] in known:
                continue
            samples, _ = soundfile.read(data / label["stems_path"], dtype="float32", always_2d=True)
            loudness = np.sqrt(np.square(samples).mean(0)) + _QUIETEST_RMS
            levels = front_end.mel_levels(torch.from_numpy(np.ascontiguousarray(samples.T)))
            np.save(store / f"{label['id']}.npy", np.round(255.0 * levels.numpy()).astype(np.uint8))
            clip = Stems(
                id=label["id"],
                instruments=tuple(INSTRUMENTS.index(name) for name in label["instruments"]),
                gains_db=tuple(round(float(value), 2) for value in 20.0 * np.log10(loudness)),
                fonts=label["sound_font"],
            )
            listing.write(json.dumps(dataclasses.asdict(clip)) + "\n")
            listing.flush()
            added += 1
    return added


def _listed(directory: Path) -> list[Stems]:
    path = directory / "stems.jsonl"
    if not path.is_file():
        return []
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        Stems(**{**row, "instruments": tuple(row["instruments"]), "gains_db": tuple(row["gains_db"])}) for row in rows
    ]
