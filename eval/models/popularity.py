"""The same for everybody: items by how many listeners they have.

In: the plays of a task. Out: a ranking of what somebody has not played yet. Reads neither histories nor words.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mllm.errors import ConfigError
from mllm.eval.interactions import Plays
from mllm.eval.model import Model, ModelSettings
from mllm.eval.models._recommender import Recommender

TITLE = "a recommender: items by how many listeners they have, the same for everybody"
NEEDS = ""


def open_model(place: str | None, settings: ModelSettings) -> Model:  # noqa: ARG001
    """Nothing is opened: it learns from the plays of each task.

    Raises:
        ConfigError: a place was given.
    """
    if place is not None:
        raise ConfigError(f"--model popularity={place}: popularity opens nothing; give --model popularity")
    return Popularity(name="popularity", description={"kind": "popularity"})


class Popularity(Recommender):
    """Listeners of each item."""

    def learn(self, plays: Plays) -> None:
        """Count them."""
        self._listeners = np.array(plays.listeners, dtype=np.float64)

    def weights(self, history: NDArray[np.int64], counts: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG002
        """The counts."""
        return self._listeners
