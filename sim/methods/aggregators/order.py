"""Order statistics of every coordinate over the uploads."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sim.lazy import Tensor, torch
from sim.methods.quantile import midway

BLOCK = 2**18  # values that are put in order at a time: they stay in the caches


def of_ordered(part: Tensor, take: Callable[[NDArray[np.floating]], NDArray[np.floating]]) -> Tensor:
    """What `take` makes of the values of every coordinate; [M, P] or [M] -> [P] or [].

    It is given some coordinates at a time, each in ascending order with NaN last: [p, M] -> [p].
    """
    across = part.numpy().reshape(len(part), -1).T  # [P, M]
    step = max(BLOCK // len(part), 1)
    room, found = np.empty((min(step, len(across)), len(part)), across.dtype), np.empty(len(across), across.dtype)
    for low in range(0, len(across), step):
        some = across[low : low + step]
        rows = room[: len(some)]
        rows[:] = some
        rows.sort(axis=1)
        found[low : low + step] = take(rows)
    return torch.from_numpy(found).reshape(part.shape[1:])


def middle(ordered: NDArray[np.floating]) -> NDArray[np.floating]:
    """Median of rows in ascending order, the midpoint of the two middle values of an even number; [P, M] -> [P]."""
    count = ordered.shape[1]
    return midway(ordered[:, (count - 1) // 2], ordered[:, count // 2])


def mean_of(kept: NDArray[np.floating]) -> NDArray[np.floating]:
    """Mean of every row, in double precision; [P, m] -> [P]."""
    return np.asarray(kept.mean(axis=1, dtype=np.float64))
