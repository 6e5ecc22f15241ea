"""What a build asks about recordings: `asking` with the settings of a build, and what a language model writes for it.

In: tracks of one split, settings. Out: records about them. Knows no files but the logs of what was asked of a language
model, one a unit, from which a killed build goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mllm import registry
from mllm.errors import ConfigError
from mllm.instruct_data import asking
from mllm.instruct_data.build_config import BuildConfig
from mllm.instruct_data.build_parts import Unit
from mllm.instruct_data.endpoint import Endpoint
from mllm.instruct_data.records import Record
from mllm.instruct_data.tracks import Track

WRITTEN = ("tag_to_caption", "paraphrase")
"""The kinds that a language model writes, where there is one."""
LOGS = "writer"
"""Folder of a data set in which what was asked of it is kept."""


def about(tracks: Sequence[Track], config: BuildConfig, unit: Unit) -> Iterator[Record]:
    """Records about tracks of one split.

    Raises:
        EndpointError: no request to the language model can be answered.
    """
    settings = config.conversations
    weights = dict(settings.weights or {})
    written = [] if config.writer is None else [name for name in WRITTEN if weights.get(name, 1) != 0]
    weights |= dict.fromkeys(written, 0)
    yield from asking.records_about(tracks, seed=config.seed, per_track=settings.per_track, weights=weights)
    if config.writer is None or not written:
        return
    log = Path(config.out) / LOGS / f"{unit.name}.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    with Endpoint(config.writer, log) as writer:
        for name in written:
            yield from registry.find("augmentation", name).records(tracks, seed=config.seed, writer=writer)


def check(config: BuildConfig) -> None:
    """Look whether something can be asked.

    Raises:
        ConfigError: weights name what asks nothing about recordings, or are all 0.
    """
    try:
        list(asking.records_about((), seed=0, per_track=1, weights=config.conversations.weights))
    except ConfigError as error:
        raise ConfigError(f"conversations.weights: {error}") from error
