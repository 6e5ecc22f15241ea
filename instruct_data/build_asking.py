"""What a build asks about recordings: `asking` with the settings of a build.

In: tracks of one split, settings. Out: records about them. Knows no files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mllm.errors import ConfigError
from mllm.instruct_data import asking
from mllm.instruct_data.build_config import BuildConfig
from mllm.instruct_data.records import Record
from mllm.instruct_data.tracks import Track


def about(tracks: Sequence[Track], config: BuildConfig) -> Iterator[Record]:
    """Records about tracks of one split."""
    settings = config.conversations
    return asking.records_about(tracks, seed=config.seed, per_track=settings.per_track, weights=settings.weights)


def check(config: BuildConfig) -> None:
    """Look whether something can be asked.

    Raises:
        ConfigError: weights name what asks nothing about recordings, or are all 0.
    """
    try:
        list(asking.records_about((), seed=0, per_track=1, weights=config.conversations.weights))
    except ConfigError as error:
        raise ConfigError(f"conversations.weights: {error}") from error
