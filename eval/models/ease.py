"""EASE: each item is told from all others by a linear model that has a closed form (Steck, WWW 2019).

In: the plays of a task. Out: a ranking of what somebody has not played yet. `ease` learns from who played what how
often: counts enter by their logarithms, and all listeners weigh the same. `ease=collective` learns also from tags, each
of which counts as a listener who played all items that have it (collective EASE: Jeunen, Van Balen and Goethals, RecSys
2020), so that items without listeners can be recommended. Reads no words.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mllm.errors import ConfigError
from mllm.eval.interactions import Plays
from mllm.eval.model import Model, ModelSettings
from mllm.eval.models._recommender import Recommender

TITLE = "a recommender: EASE, a linear model of items from items; ease=collective learns from tags too"
NEEDS = ""
COLLECTIVE = "collective"

PENALTY = 3.0
"""Lambda. It and the weight of tags were chosen by Recall@20 on the validation part of HetRec-2011 Last.fm-2k."""
TAG_WEIGHT = 0.2
"""Of a tag, for each unit of log(1 + number of people who gave it to an item)."""


def open_model(place: str | None, settings: ModelSettings) -> Model:  # noqa: ARG001
    """Nothing is opened: it learns from the plays of each task.

    Raises:
        ConfigError: the place is not "collective".
    """
    if place not in (None, COLLECTIVE):
        raise ConfigError(f"--model ease={place}: expected --model ease, or --model ease={COLLECTIVE}")
    if place is None:
        return Ease(name="ease", description={"kind": "ease", "penalty": PENALTY})
    told = {"kind": "ease", "penalty": PENALTY, "tag_weight": TAG_WEIGHT}
    return Ease(name="ease collective", description=told, tag_weight=TAG_WEIGHT)


@dataclasses.dataclass(kw_only=True)
class Ease(Recommender):
    """A matrix of items by items."""

    penalty: float = PENALTY
    """Lambda > 0: of the squares of all weights."""
    tag_weight: float | None = None
    """> 0: how much a tag weighs beside a listener; None: tags are not used."""

    def learn(self, plays: Plays) -> None:
        """Solve for the matrix."""
        rows = [_of_unit_length(_logarithms(plays.matrix))]
        if self.tag_weight is not None:
            rows.append(self.tag_weight * _logarithms(plays.tagged()))
        self._of_item = item_weights(sparse.vstack(rows, format="csr"), penalty=self.penalty)

    def weights(self, history: NDArray[np.int64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of the rows of what was played, each by the logarithm of its count."""
        summed: NDArray[np.float64] = np.log1p(counts) @ self._of_item[history]
        return summed


def item_weights(rows: sparse.csr_matrix, *, penalty: float) -> NDArray[np.float64]:
    """The matrix B (items, items) with a diagonal of 0 for which |X - X B|² + penalty |B|² is least.

    B = I - P / diag(P) by columns, where P is the inverse of X'X + penalty I (Steck 2019, equation 8).

    Args:
        rows: X, (listeners, items).
        penalty: > 0.
    """
    gram = np.asarray((rows.T @ rows).todense(), dtype=np.float64)
    gram[np.diag_indices_from(gram)] += penalty
    inverse = np.linalg.inv(gram)
    found: NDArray[np.float64] = -inverse / np.diag(inverse)
    np.fill_diagonal(found, 0.0)
    return found


def _logarithms(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """log(1 + n) of each count."""
    return sparse.csr_matrix((np.log1p(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)


def _of_unit_length(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Each row that is not empty divided by its Euclidean length."""
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1))).ravel()
    return sparse.csr_matrix(sparse.diags(1 / np.where(lengths > 0, lengths, 1.0)) @ matrix)
