"""Division of arrays where some divisors are 0.

In: arrays of one shape. Out: an array. Knows no score.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def divided(above: NDArray[np.float64], below: NDArray[np.float64], *, otherwise: float) -> NDArray[np.float64]:
    """`above` over `below`, and `otherwise` where `below` is not above 0."""
    found = np.full(np.shape(above), otherwise, dtype=np.float64)
    np.divide(above, below, out=found, where=below > 0)
    return found
