"""Lists of windows, which may differ in length, as a model takes them: stacked where they are alike, repeated by row.

In: one tensor a window, in prompt order over a batch. Out: the same. Knows nothing of what is computed from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WINDOWS_PER_CALL = 16
"""Windows that are computed at once; bounds the memory that a long file takes."""


def by_equal_shape(items: Sequence[Tensor], compute: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """Apply `compute` to stacks of equally shaped items, at most `WINDOWS_PER_CALL` at once; keep their order."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, item in enumerate(items):
        groups.setdefault(tuple(item.shape), []).append(index)
    results: dict[int, Tensor] = {}
    for indices in groups.values():
        for first in range(0, len(indices), WINDOWS_PER_CALL):
            chunk = indices[first : first + WINDOWS_PER_CALL]
            results.update(zip(chunk, compute(torch.stack([items[i] for i in chunk])), strict=True))
    return [results[index] for index in range(len(items))]


def repeat_by_row(embeds: Sequence[Tensor], places: Sequence[int], times: int) -> list[Tensor]:
    """Windows in prompt order over a batch -> the same for a batch in which every row stands `times` times."""
    repeated: list[Tensor] = []
    index = 0
    for row_places in places:
        row: list[Tensor] = []
        while index < len(embeds) and sum(map(len, row)) < row_places:
            row.append(embeds[index])
            index += 1
        repeated += row * times
    return repeated + list(embeds[index:])
