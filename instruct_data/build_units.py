"""Makes one unit of a build: a function of the settings and the unit, wherever and whenever it is called.

In: a unit and the settings. Out: the folder of the unit below `.parts/done`, whole or not at all, and its recordings in
their places. Knows which kind of unit is made where, and nothing of engines.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from mllm.instruct_data import build_parts, build_pieces, build_sources
from mllm.instruct_data.build_config import BuildConfig
from mllm.instruct_data.build_parts import Parts, Summary, Unit, UnitKind

Maker: TypeAlias = Callable[[Unit, BuildConfig, Path], Summary]
"""Makes a unit in a folder; recordings are moved to their places by it."""
MAKERS: dict[UnitKind, Maker] = {
    "scores": build_pieces.parse_scores,
    "pieces": build_pieces.make_pieces,
    "listing": build_sources.listing,
    "tracks": build_sources.finish_tracks,
    "records": build_sources.finish_records,
}


def make(unit: Unit, config: BuildConfig) -> None:
    """Make a unit, unless it is there.

    Raises:
        ConfigError: files are missing, or the disk is full.
    """
    parts = Parts(Path(config.out))
    if parts.is_done(unit):
        return
    with build_parts.disk_told(parts.out), parts.making(unit) as work:
        build_parts.write_summary(work, MAKERS[unit.kind](unit, config, work))
