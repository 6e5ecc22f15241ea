"""Rendered clips with exact labels, as `instruct_data.render` writes them.

In: the labels.jsonl of a rendered data set. Out: its clips with tempo, key, meter and the complete list of instruments.
Does not know how they were rendered.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mllm import facts
from mllm.errors import ConfigError
from mllm.eval.clips import Clip, ClipSet, read_rows
from mllm.eval.metrics import Truth


def load(labels: Path, limit: int | None = None) -> ClipSet:
    """The clips of a rendered data set, in the order of the file.

    Raises:
        ConfigError: if the file cannot be read or a label is not of the vocabulary.
    """
    rows = read_rows(labels, required=("id", "path", "tempo_bpm", "key", "meter", "instruments"), limit=limit)
    fonts = sorted({str(row["sound_font"]) for row in rows if "sound_font" in row})
    notes = [f"Sound fonts of the clips: {', '.join(fonts)}."] if fonts else []
    return ClipSet(
        clips=tuple(Clip(id=row["id"], audio=labels.parent / row["path"], truth=_truth(row, labels)) for row in rows),
        synonyms_hold=True,
        notes=tuple(notes),
    )


def _truth(row: dict[str, Any], labels: Path) -> Truth:
    unknown = [name for name in row["instruments"] if name not in facts.INSTRUMENTS]
    if unknown or row["meter"] not in facts.METERS:
        raise ConfigError(
            f"{labels}, clip {row['id']}: instruments {unknown} or meter {row['meter']!r} are not in the vocabulary "
            "of mllm.facts; render the clips with this version"
        )
    return Truth(
        tempo_bpm=float(row["tempo_bpm"]),
        key=facts.KEYS[facts.key_index(row["key"])],
        meter=row["meter"],
        instruments=tuple(frozenset({name}) for name in row["instruments"]),
    )
